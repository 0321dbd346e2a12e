use super::*;

#[tokio::test]
async fn sessions_are_resumed_if_the_option_is_set() {
    let shown = identity("a.example", Certificate::Good);
    for resumes in [true, false] {
        let options = TlsOptions {
            resumes,
            ..TlsOptions::default()
        };
        let roots = authority().roots();
        let versions = [TlsVersion::V12];
        let server = options.server(shown.as_ref(), &versions, &roots).unwrap();
        let client = options.client(shown.as_ref(), &versions).unwrap();
        for again in [false, true] {
            let (_, client) = shake(Arc::clone(&server), Arc::clone(&client)).await;
            let client = client.unwrap();
            let witness = OfferRecorder::default();
            let facts = client_facts(client.get_ref().1, &witness, None, &["a.example"], &roots);
            assert_eq!(facts.resumed, resumes && again);
        }
    }
}

#[rstest]
#[case(Demand::Nothing, Certificate::None, None)]
#[case(Demand::Certificate, Certificate::NoClientAuth, None)]
#[case(Demand::Certificate, Certificate::None, Some("certificate_required"))]
#[case(Demand::ClientAuth, Certificate::Good, None)]
#[case(
    Demand::ClientAuth,
    Certificate::NoClientAuth,
    Some("unsupported_certificate")
)]
#[case(Demand::ClientAuth, Certificate::UnknownCa, Some("unknown_ca"))]
#[tokio::test]
async fn a_server_may_demand_a_certificate(
    #[case] demands: Demand,
    #[case] shown: Certificate,
    #[case] refused: Option<&str>,
) {
    let options = TlsOptions {
        demands,
        ..TlsOptions::default()
    };
    let own = identity("a.example", Certificate::Good);
    let roots = authority().roots();
    let server = options.server(own.as_ref(), BOTH, &roots).unwrap();
    let client = client_config(identity("b.example", shown).as_ref(), BOTH).unwrap();
    let (server, _) = shake(server, client).await;
    let seen = server.err().map(|error| failure(&error));
    assert_eq!(seen, refused.map(|name| alert(Party::Partner, name)));
}
