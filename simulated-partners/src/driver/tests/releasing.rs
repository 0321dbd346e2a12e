//! Connections that are handed over once they are authenticated.

use super::super::Released;
use super::*;

/// Two partners, of which the first has dialled the second: the ends of their connection.
async fn connected(persona: &str) -> ([Partner; 2], [Released; 2]) {
    let persona = named(persona);
    let mut a = setup("a.example", "b.example", &persona);
    let mut b = setup("b.example", "a.example", &persona);
    let (_held, address) = held();
    (a.listen, b.target) = (address, address);
    let (b, mut of_b) = Partner::start_releasing(b).await.expect("b starts");
    a.target = b.address();
    let (a, mut of_a) = Partner::start_releasing(a).await.expect("a starts");
    let _entry = a.enter();
    let ours = within(of_a.recv()).await.expect("it is let in");
    let theirs = within(of_b.recv()).await.expect("it lets in");
    ([a, b], [ours, theirs])
}

/// The first stanzas that come in, until they are this text.
async fn receives(line: &mut Released, text: &str) {
    let mut seen = String::new();
    while seen != text {
        let taken = line.turn(|stanza| seen.push_str(&String::from_utf8_lossy(stanza)));
        within(taken).await.expect("it is open");
        assert!(text.starts_with(&seen), "{seen}");
    }
}

#[tokio::test]
async fn stanzas_pass_as_they_are_and_the_end_is_in_order() {
    const TWO: &str = "<message id='1'><body>a</body></message><iq id='2'/>";
    for (persona, method) in [
        ("modern", Method::SaslTls),
        ("dialback-only", Method::TlsDialback),
    ] {
        let (partners, [mut ours, mut theirs]) = connected(persona).await;
        assert_eq!((ours.method(), theirs.method()), (method, method));
        assert_eq!(ours.kind(), ConnectionKind::Inbound);
        assert_eq!(theirs.kind(), ConnectionKind::Outbound);
        ours.queue(TWO.as_bytes());
        theirs.queue(TWO.as_bytes());
        tokio::join!(receives(&mut ours, TWO), receives(&mut theirs, TWO));
        ours.queue(b"<presence/>");
        ours.close();
        let mut last = String::new();
        let (ours, theirs) = tokio::join!(until_over(ours, |_| {}), {
            until_over(theirs, |stanza| {
                last.push_str(&String::from_utf8_lossy(stanza))
            })
        });
        assert_eq!((ours.as_str(), theirs.as_str()), ("closed", "closed"));
        assert_eq!(last, "<presence/>");
        for partner in partners {
            within(partner.stop()).await;
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_says_so() {
    let (_partners, [ours, theirs]) = connected("modern").await;
    within(theirs.shut()).await;
    let why = until_over(ours, |_| {}).await;
    assert_eq!(why, "the connection ended without a closing tag");
}

/// How a connection ends.
async fn until_over(mut line: Released, mut take: impl FnMut(&[u8])) -> String {
    loop {
        if let Err(over) = within(line.turn(&mut take)).await {
            return over.to_string();
        }
    }
}
