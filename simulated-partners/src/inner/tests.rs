use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::persona::{Certificate, Key};
use crate::pki::{Authority, Identity};
use crate::wire::{Element, NS_SERVER};

const PATIENCE: Duration = Duration::from_secs(5);
const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
    xmlns:stream='http://etherx.jabber.org/streams' id='1' version='1.0'>";
const COMPONENT_HEADER: &str = "<stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' id='3BF96D32' from='c.example'>";

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new(1))
}

fn identity(name: &str, kind: Certificate) -> Arc<Identity> {
    authority().issue(&[name], kind, Key::P256).unwrap()
}

/// The other end of a link, scripted.
struct Peer<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Reads until the text ends with this.
    async fn hear(&mut self, end: &str) -> String {
        let mut heard = String::new();
        while !heard.ends_with(end) {
            let byte = self.0.read_u8().await;
            heard.push(char::from(byte.unwrap_or_else(|error| {
                panic!("{error} after {heard}, waiting for {end}")
            })));
        }
        heard
    }

    /// Whether the connection has ended.
    async fn hears_nothing_more(&mut self) -> bool {
        self.0.read_u8().await.is_err()
    }
}

/// A server for one connection.
async fn listen<F, R>(script: impl FnOnce(TcpListener) -> F) -> (SocketAddr, JoinHandle<R>)
where
    F: Future<Output = R> + Send + 'static,
    R: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(script(listener)))
}

type Tls = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;

/// The inner listener of a proxy.
async fn accept_gateway(listener: TcpListener) -> std::io::Result<Peer<Tls>> {
    let provider = crate::tls::provider();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(authority().roots(), provider.clone());
    let proxy = identity("proxy.example", Certificate::Good);
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(proxy.chain().to_vec(), proxy.key().clone_key())
        .unwrap();
    let (tcp, _) = listener.accept().await.unwrap();
    TlsAcceptor::from(Arc::new(config))
        .accept(tcp)
        .await
        .map(Peer)
}

async fn open_gateway(listener: TcpListener) -> (Peer<Tls>, String) {
    let mut peer = accept_gateway(listener).await.unwrap();
    let header = peer.hear("version='1.0'>").await;
    peer.say(HEADER).await;
    peer.say("<stream:features/>").await;
    (peer, header)
}

async fn dial(address: SocketAddr, name: &str, kind: Certificate) -> Result<Inner, InnerError> {
    timeout(
        PATIENCE,
        gateway::connect(
            address,
            name,
            &identity("gw.example", kind),
            &authority().roots(),
            "our.example",
        ),
    )
    .await
    .unwrap()
}

async fn receive(inner: &mut Inner) -> Result<Element, InnerError> {
    timeout(PATIENCE, inner.receive()).await.unwrap()
}

fn message(body: &str) -> Element {
    Element::new(NS_SERVER, "message")
        .attr("to", "them.example")
        .child(Element::new(NS_SERVER, "body").text(body))
}

fn ending(result: Result<Element, InnerError>) -> Ending {
    match result {
        Err(InnerError::Ended(ending)) => ending,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_gateway_passes_stanzas_unchanged_both_ways() {
    let (address, peer) = listen(|listener| async {
        let (mut peer, header) = open_gateway(listener).await;
        let heard = peer.hear("</message>").await;
        peer.say("<message from='x.example'><body>a &amp; b</body></message> <iq")
            .await;
        peer.say(" type='get'/>").await;
        let end = peer.hear("</stream:stream>").await;
        peer.say("</stream:stream>").await;
        (header, heard, end, peer.hears_nothing_more().await)
    })
    .await;
    let mut inner = dial(address, "proxy.example", Certificate::Good)
        .await
        .unwrap();
    inner.send(&message("<hi>")).await.unwrap();
    let stanza = receive(&mut inner).await.unwrap();
    assert_eq!(stanza.attribute("from"), Some("x.example"));
    assert_eq!(stanza.find(NS_SERVER, "body").unwrap().content(), "a & b");
    assert!(receive(&mut inner).await.unwrap().is(NS_SERVER, "iq"));
    timeout(PATIENCE, inner.close()).await.unwrap();

    let (header, heard, end, over) = peer.await.unwrap();
    assert!(header.contains("xmlns='jabber:server'"), "{header}");
    assert!(header.contains("from='our.example' to='our.example'"));
    assert_eq!(
        heard,
        "<message to='them.example'><body>&lt;hi&gt;</body></message>"
    );
    assert_eq!(end, "</stream:stream>");
    assert!(over);
}

#[tokio::test]
async fn a_gateway_checks_the_proxy_and_is_checked() {
    for (name, kind) in [
        ("other.example", Certificate::Good),
        ("proxy.example", Certificate::UnknownCa),
        ("proxy.example", Certificate::Expired),
    ] {
        let (address, peer) = listen(accept_gateway).await;
        let refused = dial(address, name, kind).await;
        assert!(
            matches!(refused, Err(InnerError::Tls(_))),
            "{name} {kind:?} {refused:?}"
        );
        assert!(peer.await.unwrap().is_err());
    }
    let (address, peer) = listen(open_gateway).await;
    let accepted = dial(address, "proxy.example", Certificate::Good).await;
    assert!(accepted.is_ok());
    peer.await.unwrap();
    let nonsense = dial(address, "no name", Certificate::Good).await;
    assert!(matches!(nonsense, Err(InnerError::ServerName(_))));
}

#[tokio::test]
async fn a_missing_listener_is_reported_with_its_address() {
    // Held, so that nobody else listens there meanwhile.
    let held = TcpSocket::new_v4().unwrap();
    held.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = held.local_addr().unwrap();
    let error = dial(address, "proxy.example", Certificate::Good)
        .await
        .unwrap_err();
    assert!(error.to_string().ends_with(&address.to_string()), "{error}");
}

#[tokio::test]
async fn a_refused_stream_reports_its_error() {
    for (answer, expected) in [
        (
            "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             </stream:error></stream:stream>",
            "the other side sent the stream error host-unknown",
        ),
        ("</stream:stream>", "the other side ended the stream"),
        ("<!-- -->", "the other side did not send a legal stream"),
        (
            "<iq/>",
            "expected stream features, got <iq xmlns='jabber:server'>",
        ),
        (
            "",
            "the other side closed the connection without ending the stream",
        ),
    ] {
        let (address, peer) = listen(async |listener| {
            let mut peer = accept_gateway(listener).await.unwrap();
            peer.hear("version='1.0'>").await;
            peer.say(HEADER).await;
            peer.say(answer).await;
            peer.0.shutdown().await.unwrap();
        })
        .await;
        let error = dial(address, "proxy.example", Certificate::Good)
            .await
            .unwrap_err();
        let text = match &error {
            InnerError::Ended(ending) => ending.to_string(),
            other => other.to_string(),
        };
        assert_eq!(text, expected);
        peer.await.unwrap();
    }
}

#[tokio::test]
async fn the_end_of_a_link_is_noticed_and_stays_known() {
    for (last, expected) in [
        ("</stream:stream>", Ending::Stream),
        ("", Ending::Fin),
        (
            "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>why</text></stream:error>",
            Ending::StreamError {
                condition: "reset".into(),
                text: Some("why".into()),
            },
        ),
    ] {
        let (address, peer) = listen(async |listener| {
            let (mut peer, _) = open_gateway(listener).await;
            peer.say("<iq/>").await;
            peer.say(last).await;
            peer.0.shutdown().await.unwrap();
        })
        .await;
        let mut inner = dial(address, "proxy.example", Certificate::Good)
            .await
            .unwrap();
        let outgoing = inner.outgoing();
        peer.await.unwrap();
        // What arrived before the end is received before it.
        assert!(receive(&mut inner).await.is_ok());
        assert_eq!(ending(receive(&mut inner).await), expected);
        assert_eq!(ending(receive(&mut inner).await), expected);
        let refused = outgoing.send(&message("late")).await.unwrap_err();
        assert!(matches!(refused, InnerError::Ended(ending) if ending == expected));
    }
}

#[tokio::test]
async fn dropping_a_link_ends_the_stream() {
    let (address, peer) = listen(|listener| async {
        let (mut peer, _) = open_gateway(listener).await;
        let all = peer.hear("</stream:stream>").await;
        (all, peer.hears_nothing_more().await)
    })
    .await;
    let inner = dial(address, "proxy.example", Certificate::Good)
        .await
        .unwrap();
    let outgoing = inner.outgoing();
    inner.send(&message("last")).await.unwrap();
    drop(inner);
    let (all, over) = timeout(PATIENCE, peer).await.unwrap().unwrap();
    assert!(all.contains("last") && over, "{all}");
    let refused = outgoing.send(&message("late")).await.unwrap_err();
    assert!(matches!(refused, InnerError::Ended(Ending::Here)));
}

#[tokio::test]
async fn a_peer_that_does_not_read_does_not_block_the_end() {
    let (hold, held) = oneshot::channel::<()>();
    let (address, peer) = listen(|listener| async {
        let (peer, _) = open_gateway(listener).await;
        let _ = held.await;
        drop(peer);
    })
    .await;
    let inner = dial(address, "proxy.example", Certificate::Good)
        .await
        .unwrap();
    let big = message(&"x".repeat(50_000));
    // Until queue and sockets are full.
    while timeout(Duration::from_millis(100), inner.send(&big))
        .await
        .is_ok()
    {}
    timeout(PATIENCE, inner.close()).await.unwrap();
    drop(hold);
    peer.await.unwrap();
}

#[tokio::test]
async fn a_component_authenticates_and_speaks_the_servers_namespace() {
    let (address, peer) = listen(|listener| async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut peer = Peer(tcp);
        let header = peer.hear("to='c.example'>").await;
        peer.say(COMPONENT_HEADER).await;
        let proof = peer.hear("</handshake>").await;
        peer.say("<handshake/>").await;
        peer.say(
            "<message><body>hi</body><forwarded xmlns='urn:xmpp:forward:0'>\
             <message xmlns='jabber:component:accept'/></forwarded></message>",
        )
        .await;
        let stanza = peer.hear("</message>").await;
        (header, proof, stanza)
    })
    .await;
    let connect = component::connect(address, "c.example", "secret");
    let mut inner = timeout(PATIENCE, connect).await.unwrap().unwrap();
    let stanza = receive(&mut inner).await.unwrap();
    assert!(stanza.is(NS_SERVER, "message"));
    assert!(stanza.find(NS_SERVER, "body").is_some());
    let forwarded = stanza.find("urn:xmpp:forward:0", "forwarded").unwrap();
    assert!(
        forwarded
            .find("jabber:component:accept", "message")
            .is_some()
    );
    inner.send(&message("ho")).await.unwrap();

    let (header, proof, stanza) = peer.await.unwrap();
    assert!(
        header.contains("xmlns='jabber:component:accept'"),
        "{header}"
    );
    assert_eq!(
        proof,
        "<handshake>b09ea9b3b7f586be8a08d0a3dd7466f110aeb136</handshake>"
    );
    assert_eq!(
        stanza,
        "<message xmlns='jabber:component:accept' to='them.example'><body>ho</body></message>"
    );
}

#[tokio::test]
async fn a_component_with_the_wrong_secret_is_refused() {
    let (address, peer) = listen(|listener| async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut peer = Peer(tcp);
        peer.hear("to='c.example'>").await;
        peer.say(COMPONENT_HEADER).await;
        peer.hear("</handshake>").await;
        peer.say(
            "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             </stream:error>",
        )
        .await;
    })
    .await;
    let connect = component::connect(address, "c.example", "wrong");
    let refused = timeout(PATIENCE, connect).await.unwrap();
    let condition = match refused {
        Err(InnerError::Ended(Ending::StreamError { condition, .. })) => condition,
        other => panic!("{other:?}"),
    };
    assert_eq!(condition, "not-authorized");
    peer.await.unwrap();
}
