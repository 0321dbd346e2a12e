//! Partners that fail, or whose peers fail.

use super::*;

#[tokio::test]
async fn silence_is_seen_as_silence_and_a_reset_as_a_reset() {
    let mut impatient = setup("a.example", "b.example", &named("modern"));
    impatient.patience = Duration::from_millis(200);
    let silent = setup("b.example", "a.example", &named("silent-after-accept"));
    let silent = Partner::start(silent).await.expect("b starts");
    impatient.target = silent.address();
    let mut partner = Partner::start(impatient).await.expect("a starts");
    partner.dial(ping());
    let mut seen = Vec::new();
    while !seen.last().is_some_and(is_end) {
        seen.extend(within(partner.next_event()).await);
    }
    assert!(
        has(&seen, |what| matches!(
            what,
            EventKind::GaveUp {
                waiting_for: "header"
            }
        )),
        "{seen:#?}"
    );
    within(partner.stop()).await;
    within(silent.stop()).await;

    let (a, _) = meet(&named("modern"), &named("reset-at-features"), is_end).await;
    assert!(
        has(&a, |what| matches!(
            what,
            EventKind::Closed {
                by: Party::Target,
                how: Close::Reset
            }
        )),
        "{a:#?}"
    );
}

#[tokio::test]
async fn a_partner_without_certificate_cannot_do_tls_as_a_server() {
    let mut bare = (*named("dialback-only")).clone();
    bare.offer.certificate = persona::Certificate::None;
    let bare = Arc::new(bare);
    let (a, _) = meet(&named("modern"), &bare, is_end).await;
    assert!(
        has(
            &a,
            |what| matches!(what, EventKind::TlsFailed { by: Party::Target, signal: TlsSignal::Alert(alert) }
            if alert == "handshake_failure")
        ),
        "{a:#?}"
    );
    let (_, b) = meet(&bare, &named("dialback-only"), |event| {
        matches!(
            event.kind,
            EventKind::Frame {
                from: Party::Target,
                encrypted: true,
                ..
            }
        )
    })
    .await;
    assert!(has(&b, |what| matches!(what, EventKind::TlsUp(facts)
        if facts.target_certificate == CertificateSeen::None)));
}

#[tokio::test]
async fn an_unreachable_target_is_reported() {
    let mut setup = setup("a.example", "b.example", &named("modern"));
    let (_reserved, address) = crate::driver::reserve(([127, 0, 0, 1], 0).into()).expect("a port");
    setup.target = address;
    let mut partner = Partner::start(setup).await.expect("it starts");
    partner.dial(ping());
    let event = within(partner.next_event()).await.expect("it is at work");
    assert!(matches!(
        event.kind,
        EventKind::ConnectFailed(
            ConnectionKind::Inbound,
            std::io::ErrorKind::ConnectionRefused
        )
    ));
}

#[tokio::test]
async fn stopping_closes_every_socket() {
    let address = {
        let partner = Partner::start(setup("a.example", "b.example", &named("modern")))
            .await
            .expect("it starts");
        let address = partner.address();
        let idle = tokio::net::TcpStream::connect(address)
            .await
            .expect("it listens");
        within(partner.stop()).await;
        let mut buffer = [0; 16];
        idle.readable().await.expect("the end is readable");
        assert!(!matches!(idle.try_read(&mut buffer), Ok(1..)));
        address
    };
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// A target whose TLS trusts no partner.
async fn distrusting_target() -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let identity = AUTHORITY
        .issue(
            &["b.example"],
            persona::Certificate::Good,
            persona::Key::P256,
        )
        .expect("good certificates can be issued");
    let roots = Authority::new(99).roots();
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .expect("there are roots");
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("both versions are there")
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain().to_vec(), identity.key().clone_key())
        .expect("the certificate is good");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the partner dials");
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer).await;
        let hello = "<stream:stream xmlns='jabber:server' \
            xmlns:stream='http://etherx.jabber.org/streams' from='b.example' to='a.example' \
            id='1' version='1.0'><stream:features>\
            <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";
        stream
            .write_all(hello.as_bytes())
            .await
            .expect("the partner listens");
        let _ = stream.read(&mut buffer).await;
        let proceed = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        stream
            .write_all(proceed.as_bytes())
            .await
            .expect("the partner listens");
        let refused = tokio_rustls::TlsAcceptor::from(Arc::new(config))
            .accept(stream)
            .await;
        assert!(refused.is_err());
    });
    (address, task)
}

#[tokio::test]
async fn a_refused_client_certificate_shows_as_an_alert_in_each_version() {
    for name in ["tls12-only", "modern"] {
        let (address, target) = distrusting_target().await;
        let mut setup = setup("a.example", "b.example", &named(name));
        setup.target = address;
        let mut partner = Partner::start(setup).await.expect("it starts");
        partner.dial(ping());
        let mut seen = Vec::new();
        while !seen.last().is_some_and(is_end) {
            seen.extend(within(partner.next_event()).await);
        }
        assert!(
            has(&seen, |what| matches!(
                what,
                EventKind::TlsFailed {
                    by: Party::Target,
                    signal: TlsSignal::Alert(_)
                }
            )),
            "{name}: {seen:#?}"
        );
        within(target).await.expect("the target did not panic");
    }
}

#[tokio::test]
async fn a_flood_ends_in_a_reset_and_not_in_memory() {
    let partner = Partner::start(setup("b.example", "a.example", &named("google-talk")))
        .await
        .expect("it starts");
    let mut stream = tokio::net::TcpStream::connect(partner.address())
        .await
        .expect("it listens");
    let header = "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
        xmlns:stream='http://etherx.jabber.org/streams' from='a.example' to='b.example' \
        version='1.0'>";
    stream
        .write_all(header.as_bytes())
        .await
        .expect("it takes a header");
    // Unsolicited answers have no effect but are observed, and here nobody reads the observations.
    let answer = "<db:result from='a.example' to='b.example' type='valid'/>".repeat(1000);
    let flood = async { while stream.write_all(answer.as_bytes()).await.is_ok() {} };
    within(flood).await;
    let seen = within(partner.stop()).await;
    assert!(seen.len() < 50_000, "{} events", seen.len());
}
