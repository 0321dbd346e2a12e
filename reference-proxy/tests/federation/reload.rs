//! Another configuration while streams are open.

use std::fs;

use reference_proxy::config::Config;
use reference_proxy::control::{Client, ClientError};
use reference_proxy::{Proxy, ReloadError, Reloaded};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::support::{CLOSING, Net, PATIENCE, Peer, Settings, header, message, response, row};

const A: &str = "alpha.example";
const B: &str = "beta.example";
const C: &str = "gamma.example";

/// A partner that dials, authenticated by EXTERNAL.
async fn dialling(net: &Net, proxy: &Proxy, domain: &str) -> Peer<TlsStream<TcpStream>> {
    let mut partner = net.dial(proxy).await;
    partner.send(&header(domain, A)).await;
    partner.expect("</stream:features>").await;
    partner
        .send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .await;
    partner.expect("<proceed ").await;
    partner.expect("/>").await;
    let mut partner = net.secure(partner, A, Some(domain)).await.expect("TLS");
    partner.send(&header(domain, A)).await;
    partner.expect("</stream:features>").await;
    partner
        .send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>")
        .await;
    partner.expect("<success ").await;
    partner.send(&header(domain, A)).await;
    partner.expect("</stream:features>").await;
    partner
}

/// A partner that is dialled, and takes the key. The stanza that it is dialled for has been sent already.
async fn dialled(listener: &TcpListener, domain: &str) -> Peer<TcpStream> {
    let accepted = timeout(PATIENCE, listener.accept()).await;
    let mut partner = Peer::new(accepted.expect("in time").expect("a connection").0);
    partner.expect("version='1.0'>").await;
    let features =
        "<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>";
    partner.send(&(response(domain, A, "s1") + features)).await;
    partner.expect("</db:result>").await;
    partner
        .send(&format!(
            "<db:result from='{domain}' to='{A}' type='valid'/>"
        ))
        .await;
    partner.expect("</message>").await;
    partner
}

/// The table of a partner in row 9.
fn partner(domain: &str) -> String {
    format!("[[partner]]\ndomain = '{domain}'\n{}", row(9))
}

/// A proxy with two partners and a stream in each direction with each of them.
struct Station {
    net: Net,
    proxy: Proxy,
    settings: Settings,
    gateway: Peer<TlsStream<TcpStream>>,
    kept: (Peer<TlsStream<TcpStream>>, Peer<TcpStream>),
    touched: (Peer<TlsStream<TcpStream>>, Peer<TcpStream>),
    again: TcpListener,
}

impl Station {
    async fn new() -> Self {
        let net = Net::new().await;
        let (b, c) = (net.listen(B).await, net.listen(C).await);
        let mut settings = net.settings(A, B, 9);
        settings.partner += &partner(C);
        let (proxy, mut gateway) = net.station(&settings).await;
        let mut streams = Vec::new();
        for (domain, listener) in [(B, &b), (C, &c)] {
            gateway.send(&message(A, domain, "first")).await;
            let to = dialled(listener, domain).await;
            streams.push((dialling(&net, &proxy, domain).await, to));
        }
        let (touched, kept) = (streams.pop().expect("two"), streams.pop().expect("two"));
        Self {
            net,
            proxy,
            settings,
            gateway,
            kept,
            touched,
            again: c,
        }
    }

    fn take_in(&self) -> Reloaded {
        self.proxy
            .take_in(self.settings.config())
            .expect("taken in")
    }

    /// Stops the proxy; whoever is connected leaves first.
    async fn stop(self) {
        let Self {
            proxy,
            gateway,
            kept,
            touched,
            ..
        } = self;
        drop((gateway, kept, touched));
        proxy.stop().await;
    }

    /// Stanzas pass on the streams of the one partner.
    async fn kept_streams_go_on(&mut self) {
        let (from, to) = &mut self.kept;
        from.send(&message(B, A, "in")).await;
        let stanza = self.gateway.expect("</message>").await;
        assert_eq!(stanza, message(B, A, "in"));
        self.gateway.send(&message(A, B, "out")).await;
        assert_eq!(to.expect("</message>").await, message(A, B, "out"));
    }

    /// The streams of the other one are closed in order: what it has sent by then still counts.
    async fn touched_streams_end(&mut self) {
        let (from, to) = &mut self.touched;
        assert_eq!(from.expect(CLOSING).await, CLOSING);
        from.send(&(message(C, A, "late") + CLOSING)).await;
        let stanza = self.gateway.expect("</message>").await;
        assert_eq!(stanza, message(C, A, "late"));
        assert_eq!(from.rest().await, "");
        assert_eq!(to.expect(CLOSING).await, CLOSING);
        to.send(CLOSING).await;
        assert_eq!(to.rest().await, "");
    }
}

#[tokio::test]
async fn streams_of_a_removed_partner_end_and_no_others() {
    let mut station = Station::new().await;
    let partners = &mut station.settings.partner;
    *partners = partners.replace(&partner(C), "");
    let reloaded = station.take_in();
    assert_eq!(reloaded.removed, [C]);
    assert_eq!((reloaded.added, reloaded.changed), (vec![], vec![]));
    station.touched_streams_end().await;
    station.kept_streams_go_on().await;
    let gateway = &mut station.gateway;
    gateway.send(&message(A, C, "gone")).await;
    let bounce = gateway.expect("</message>").await;
    assert!(bounce.contains("<policy-violation "), "{bounce}");
    let mut stranger = station.net.dial(&station.proxy).await;
    stranger.send(&header(C, A)).await;
    let refusal = stranger.rest().await;
    assert!(refusal.contains("<policy-violation "), "{refusal}");
    station.stop().await;
}

#[tokio::test]
async fn streams_of_a_partner_with_other_terms_begin_anew() {
    let mut station = Station::new().await;
    let partners = &mut station.settings.partner;
    let other = partner(C).replace(&row(9), &row(17));
    *partners = partners.replace(&partner(C), &other);
    let reloaded = station.take_in();
    assert_eq!(reloaded.changed, [C]);
    station.touched_streams_end().await;
    station.kept_streams_go_on().await;
    station.gateway.send(&message(A, C, "new")).await;
    dialled(&station.again, C).await;
    station.stop().await;
}

#[tokio::test]
async fn settings_that_are_no_terms_leave_streams_alone() {
    let mut station = Station::new().await;
    let other =
        "keep-alive = false\nconnection-limit = 1\ndescription = 'other'\ntype = 'federated'\n";
    station.settings.partner += other;
    station.settings.limits += "partner-connections = 7\nstream-inactivity-timeout = 1000\n";
    // A certificate that is renewed ends no stream either.
    station.settings.external = station.net.external(&[A], &station.net.authority);
    let reloaded = station.take_in();
    assert_eq!(reloaded.changed, [C]);
    station.kept_streams_go_on().await;
    let (from, to) = &mut station.touched;
    from.send(&message(C, A, "in")).await;
    station.gateway.expect("</message>").await;
    station.gateway.send(&message(A, C, "out")).await;
    to.expect("</message>").await;
    station.stop().await;
}

#[tokio::test]
async fn new_partner_is_let_in_at_once() {
    let mut station = Station::new().await;
    station.settings.partner += &partner("delta.example");
    let reloaded = station.take_in();
    assert_eq!(reloaded.added, ["delta.example"]);
    let mut delta = dialling(&station.net, &station.proxy, "delta.example").await;
    delta.send(&message("delta.example", A, "new")).await;
    station.gateway.expect("</message>").await;
    station.kept_streams_go_on().await;
    station.stop().await;
}

/// A stream of a partner under TLS, to which mechanisms are about to be offered.
async fn offered(station: &Station) -> Peer<TlsStream<TcpStream>> {
    let mut stream = station.net.dial(&station.proxy).await;
    stream.send(&header(C, A)).await;
    stream.expect("</stream:features>").await;
    stream
        .send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .await;
    stream.expect("<proceed ").await;
    stream.expect("/>").await;
    let mut stream = station.net.secure(stream, A, Some(C)).await.expect("TLS");
    stream.send(&header(C, A)).await;
    stream
}

#[tokio::test]
async fn stream_of_a_certificate_that_is_revoked_is_reset() {
    let mut station = Station::new().await;
    let mut waiting = offered(&station).await;
    let features = waiting.expect("</stream:features>").await;
    assert!(features.contains("EXTERNAL"), "{features}");
    station.settings.top += "revocation = 'if-there'\n";
    let list = station.net.authority.list(&[C]);
    station.settings.external += &format!("crl = '''{list}'''\n");
    station.take_in();
    let rest = station.touched.0.rest().await;
    assert!(rest.contains("<reset "), "{rest}");
    // Neither may it be used where it was offered before.
    let rest = waiting.rest().await;
    assert!(rest.contains("<reset "), "{rest}");
    station.kept_streams_go_on().await;
    // It gets no EXTERNAL any more, and one that is not on the list does.
    let mut again = offered(&station).await;
    let features = again.expect("</stream:features>").await;
    assert!(!features.contains("EXTERNAL"), "{features}");
    dialling(&station.net, &station.proxy, B).await;
    station.stop().await;
}

#[tokio::test]
async fn gateway_that_is_not_named_any_more_has_to_go() {
    let mut station = Station::new().await;
    let internal = &mut station.settings.internal;
    *internal += "\n";
    *internal = internal.replace(
        "['gateway.internal.example']",
        "['gateway.internal.example', 'g2.example']",
    );
    station.take_in();
    station.kept_streams_go_on().await;
    let internal = &mut station.settings.internal;
    *internal = internal.replace("'gateway.internal.example', ", "");
    station.take_in();
    assert_eq!(station.gateway.rest().await, CLOSING);
    station.stop().await;
}

#[tokio::test]
async fn address_takes_a_restart_and_is_named_each_time() {
    let mut station = Station::new().await;
    let external = &mut station.settings.external;
    *external = external.replace(":0'", ":1'");
    for _ in 0..2 {
        assert_eq!(station.take_in().after_restart, ["external.listen"]);
    }
    station.kept_streams_go_on().await;
    dialling(&station.net, &station.proxy, B).await;
    station.stop().await;
}

#[tokio::test]
async fn file_with_mistakes_leaves_everything_as_it_was() {
    let net = Net::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (file, control) = (
        folder.path().join("proxy.toml"),
        folder.path().join("control"),
    );
    let mut settings = net.settings(A, B, 9);
    settings.top += "control = 'control'\n";
    fs::write(&file, settings.text()).expect("a file");
    let config = Config::load(&file).expect("loads");
    let proxy = Proxy::start(config).expect("started");
    let client = Client::new(&control);
    let reload = || {
        let client = client.clone();
        spawn_blocking(move || client.reload())
    };
    let concerns = async || {
        let client = client.clone();
        let status = spawn_blocking(move || client.status()).await;
        let status = status.expect("no panic").expect("a status");
        let concerns = status.concerns.into_iter().map(|concern| concern.text);
        concerns
            .filter(|text| text.contains("not in force"))
            .count()
    };
    reload().await.expect("no panic").expect("reloaded");
    assert_eq!(concerns().await, 0);

    let mut broken = net.settings(A, C, 14);
    broken.top += "control = 'control'\nsecrets = 1\n";
    fs::write(&file, broken.text()).expect("a file");
    for _ in 0..2 {
        let refused = reload().await.expect("no panic").expect_err("mistakes");
        let ClientError::Refused(text) = &refused else {
            panic!("{refused}");
        };
        assert!(text.contains("unknown field `secrets`"), "{text}");
        assert!(
            text.contains("proxy.toml:") && text.contains("^^"),
            "{text}"
        );
        let same = proxy.reload().await.expect_err("mistakes").to_string();
        assert_eq!(same, *text);
        assert_eq!(concerns().await, 1);
    }
    let mut partner = net.dial(&proxy).await;
    partner.send(&header(B, A)).await;
    partner.expect("</stream:features>").await;

    fs::remove_file(&file).expect("removed");
    let missing = proxy.reload().await.expect_err("no file");
    assert!(
        matches!(missing, ReloadError::Configuration(_)),
        "{missing}"
    );
    fs::write(&file, settings.text()).expect("a file");
    proxy.reload().await.expect("reloaded");
    assert_eq!(concerns().await, 0);
    proxy.stop().await;
    let lone = Proxy::start(net.settings(A, B, 9).config()).expect("started");
    assert!(matches!(lone.reload().await, Err(ReloadError::NoFile)));
}
