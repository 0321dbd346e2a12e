//! Tests of connections.

use tokio::net::TcpListener;

use super::*;

const STANZAS: usize = 500;

/// Sends and takes more than sockets hold.
async fn swap(stream: TcpStream) -> usize {
    let mut connection = Connection::new(stream, &Limits::default(), &Clock::default());
    connection.incoming().trust(100_000);
    connection.queue(
        b"<stream:stream xmlns='jabber:server' \
          xmlns:stream='http://etherx.jabber.org/streams'>",
    );
    let stanza = format!("<message><body>{}</body></message>", "x".repeat(30_000));
    for _ in 0..STANZAS {
        connection.queue(stanza.as_bytes());
    }
    let mut stanzas = 0;
    while stanzas < STANZAS || connection.has_unsent() {
        let frame = connection.exchange().await.expect("the peer goes on");
        stanzas += usize::from(matches!(frame, Some(Frame::Stanza(_))));
    }
    stanzas
}

#[tokio::test]
async fn peers_that_send_to_each_other_do_not_wait_for_each_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let dialled = TcpStream::connect(address).await.expect("a connection");
    let (accepted, _) = listener.accept().await.expect("a connection");
    let both = async { tokio::join!(swap(dialled), swap(accepted)) };
    let both = tokio::time::timeout(Duration::from_secs(20), both).await;
    assert_eq!(both.expect("in time"), (STANZAS, STANZAS));
}

#[tokio::test]
async fn bytes_that_were_given_up_in_their_middle_are_known() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let dialled = TcpStream::connect(address).await.expect("a connection");
    let connection = Connection::new(dialled, &Limits::default(), &Clock::default());
    let (_incoming, mut outgoing) = connection.split();
    outgoing.send(b"<a/>").await.expect("there is room");
    assert!(!outgoing.is_cut());
    // More than fits while nobody reads.
    let much = vec![b' '; 1 << 26];
    tokio::select! {
        biased;
        _ = outgoing.send(&much) => panic!("it does not fit"),
        () = std::future::ready(()) => {}
    }
    assert!(outgoing.is_cut());
}
