//! A small federation on loopback: an authority, a name server, proxies, gateways, and a partner
//! that is scripted byte by byte.

mod dns;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DistinguishedName, DnType, IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};
use reference_proxy::config::Config;
use reference_proxy::{Clock, Proxy, StartError};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, server};

pub(crate) use dns::Dns;

/// Everything takes less time than this, unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const CLOSING: &str = "</stream:stream>";

/// A partner's settings for a row of the table.
pub(crate) fn row(number: u8) -> String {
    let index = usize::from(number - 1);
    let words = ["required", "optional", "not-supported"];
    format!(
        "tls = '{}'\nsasl = '{}'\ndialback = {}\n",
        words[index % 6 / 2],
        words[index / 6],
        index.is_multiple_of(2)
    )
}

/// The parts of a configuration file; a test may add lines to each.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) domains: Vec<String>,
    pub(crate) top: String,
    pub(crate) external: String,
    pub(crate) internal: String,
    pub(crate) limits: String,
    pub(crate) partner: String,
}

impl Settings {
    pub(crate) fn config(&self) -> Config {
        Config::from_toml(&self.text(), "proxy.toml").unwrap_or_else(|error| panic!("{error}"))
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        let Self {
            domains,
            top,
            external,
            internal,
            limits,
            partner,
        } = self;
        format!(
            "domains = {domains:?}\n{top}[external]\n{external}[internal]\n{internal}\
             [limits]\n{limits}[[partner]]\n{partner}"
        )
    }
}

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Test CA");
        let key = KeyPair::generate().expect("a key");
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("an authority"),
        }
    }

    fn leaf(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = names.first().map(|name| serial(name));
        let names = names.iter().map(|name| (*name).try_into().expect("ASCII"));
        params.subject_alt_names = names.map(SanType::DnsName).collect();
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a leaf");
        (certificate, key)
    }

    /// A list of revoked certificates, by their names.
    pub(crate) fn list(&self, revoked: &[&str]) -> String {
        let began = date_time_ymd(2020, 1, 1);
        let revoked = revoked.iter().map(|name| RevokedCertParams {
            serial_number: serial(name),
            revocation_time: began,
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: began,
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("a list");
        list.pem().expect("PEM")
    }

    /// The settings of one side that trusts an authority, with a certificate from this one for these
    /// domains.
    pub(crate) fn credentials(&self, names: &[&str], trusted: &Self) -> String {
        let (certificate, key) = self.leaf(names);
        format!(
            "certificate = '''{}'''\nkey = '''{}'''\nca = '''{}'''\n",
            certificate.pem(),
            key.serialize_pem(),
            trusted.issuer.pem()
        )
    }

    fn client(&self, name: Option<&str>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        Arc::new(match name {
            Some(name) => {
                let (certificate, key) = self.leaf(&[name]);
                let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
                builder
                    .with_client_auth_cert(vec![certificate.der().clone()], key)
                    .expect("a client")
            }
            None => builder.with_no_client_auth(),
        })
    }
}

/// Certificates of one name have one serial number, so that they can be revoked.
fn serial(name: &str) -> SerialNumber {
    SerialNumber::from_slice(name.as_bytes())
}

/// An address of this machine that no other test uses. A port that a test has closed stays closed, while
/// at an address of all others would take it.
fn loopback() -> Ipv4Addr {
    static COUNT: AtomicU8 = AtomicU8::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    // Not in 127.0/16, where servers of this machine may be.
    Ipv4Addr::new(127, high | 1, low, COUNT.fetch_add(1, Ordering::Relaxed))
}

/// State shared by the proxies of a test.
pub(crate) struct Net {
    /// Where they listen.
    pub(crate) here: Ipv4Addr,
    pub(crate) authority: Authority,
    pub(crate) gateways: Authority,
    pub(crate) dns: Dns,
}

impl Net {
    pub(crate) async fn new() -> Self {
        let here = loopback();
        Self {
            here,
            authority: Authority::new(),
            gateways: Authority::new(),
            dns: Dns::start(here).await,
        }
    }

    /// The external side of a proxy, with a certificate from this authority for these domains.
    pub(crate) fn external(&self, names: &[&str], authority: &Authority) -> String {
        self.listen_here() + &authority.credentials(names, &self.authority)
    }

    fn listen_here(&self) -> String {
        format!("listen = '{}:0'\n", self.here)
    }

    /// Settings of a proxy for one domain that federates with another by the row of that number.
    pub(crate) fn settings(&self, own: &str, partner: &str, number: u8) -> Settings {
        let gateways = &self.gateways;
        let internal = gateways.credentials(&["proxy.internal.example"], gateways);
        let internal = self.listen_here() + &internal;
        Settings {
            domains: vec![own.to_owned()],
            top: format!("dns = ['{}']\nvalidation = 'matrix'\n", self.dns.address),
            external: self.external(&[own], &self.authority),
            internal: format!("{internal}gateways = ['gateway.internal.example']\n"),
            limits: String::new(),
            partner: format!("domain = '{partner}'\n{}", row(number)),
        }
    }

    /// Settings of a proxy for several domains that federates with those of another. The first ones
    /// have to be in DNS already, or are published when the proxy starts.
    pub(crate) fn settings_of(&self, own: &[&str], partner: &[&str], number: u8) -> Settings {
        let mut settings = self.settings(own[0], partner[0], number);
        settings.domains = own.iter().map(|&name| name.to_owned()).collect();
        settings.external = self.external(own, &self.authority);
        settings.partner += &format!("additional-domains = {:?}\n", &partner[1..]);
        settings
    }

    /// Starts a proxy and publishes its address.
    pub(crate) fn start(&self, settings: &Settings) -> Proxy {
        self.start_with(settings, Clock::default())
    }

    /// The same with this clock.
    pub(crate) fn start_with(&self, settings: &Settings, clock: Clock) -> Proxy {
        self.try_start(settings, clock).expect("started")
    }

    pub(crate) fn try_start(&self, settings: &Settings, clock: Clock) -> Result<Proxy, StartError> {
        let proxy = Proxy::start_with(settings.config(), clock)?;
        for domain in &settings.domains {
            self.dns.add(domain, proxy.external_address());
        }
        Ok(proxy)
    }

    /// A proxy with a gateway.
    pub(crate) async fn station(&self, settings: &Settings) -> (Proxy, Peer<TlsStream<TcpStream>>) {
        let proxy = self.start(settings);
        let gateway = self.gateway(&proxy, &settings.domains[0]).await;
        (proxy, gateway)
    }

    /// A proxy with a gateway for all of its domains.
    pub(crate) async fn station_of_all(
        &self,
        settings: &Settings,
    ) -> (Proxy, Peer<TlsStream<TcpStream>>) {
        let proxy = self.start(settings);
        let gateway = self.gateway(&proxy, "gateway.internal.example").await;
        (proxy, gateway)
    }

    /// A proxy with a gateway for all of its domains. Partners reach the proxy by way of a relay,
    /// which counts their connections.
    pub(crate) async fn counted_station(
        &self,
        settings: &Settings,
    ) -> (Proxy, Peer<TlsStream<TcpStream>>, Relay) {
        let proxy = Proxy::start(settings.config()).expect("started");
        let (relay, address) = Relay::to(proxy.external_address()).await;
        for domain in &settings.domains {
            self.dns.add(domain, address);
        }
        let gateway = self.gateway(&proxy, "gateway.internal.example").await;
        (proxy, gateway, relay)
    }

    /// A gateway with its stream open.
    pub(crate) async fn gateway(&self, proxy: &Proxy, served: &str) -> Peer<TlsStream<TcpStream>> {
        let certificate = Some("gateway.internal.example");
        let mut gateway = self.gateway_tls(proxy, certificate).await.expect("TLS");
        gateway
            .send(&header(served, "proxy.internal.example"))
            .await;
        gateway.expect("</stream:features>").await;
        gateway
    }

    pub(crate) async fn gateway_tls(
        &self,
        proxy: &Proxy,
        certificate: Option<&str>,
    ) -> std::io::Result<Peer<TlsStream<TcpStream>>> {
        let stream = TcpStream::connect(proxy.internal_address()).await?;
        let name = ServerName::try_from("proxy.internal.example").expect("a name");
        let connector = TlsConnector::from(self.gateways.client(certificate));
        Ok(Peer::new(connector.connect(name, stream).await?))
    }

    /// A partner's scripted connection.
    pub(crate) async fn dial(&self, proxy: &Proxy) -> Peer<TcpStream> {
        let address = proxy.external_address();
        Peer::new(TcpStream::connect(address).await.expect("a connection"))
    }

    /// A partner's scripted connection that comes from another address of this machine.
    pub(crate) async fn dial_from(&self, proxy: &Proxy, address: [u8; 4]) -> Peer<TcpStream> {
        let socket = TcpSocket::new_v4().expect("a socket");
        let address = SocketAddr::from((address, 0));
        socket.bind(address).expect("all of 127/8 is here");
        let stream = socket.connect(proxy.external_address()).await;
        Peer::new(stream.expect("a connection"))
    }

    /// A partner's scripted server.
    pub(crate) async fn listen(&self, name: &str) -> TcpListener {
        let listener = TcpListener::bind((self.here, 0)).await.expect("a listener");
        self.dns
            .add(name, listener.local_addr().expect("an address"));
        listener
    }

    /// TLS on a scripted connection, with a certificate for that name.
    pub(crate) async fn secure(
        &self,
        peer: Peer<TcpStream>,
        server: &str,
        certificate: Option<&str>,
    ) -> std::io::Result<Peer<TlsStream<TcpStream>>> {
        let name = ServerName::try_from(server.to_owned()).expect("a name");
        let connector = TlsConnector::from(self.authority.client(certificate));
        Ok(Peer::new(connector.connect(name, peer.stream).await?))
    }

    /// TLS on a connection that a scripted server has accepted.
    pub(crate) async fn accept_tls(
        &self,
        peer: Peer<TcpStream>,
        name: &str,
    ) -> Peer<server::TlsStream<TcpStream>> {
        let (certificate, key) = self.authority.leaf(&[name]);
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a server");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Peer::new(acceptor.accept(peer.stream).await.expect("TLS"))
    }
}

/// What leads to a proxy.
#[derive(Clone, Default)]
pub(crate) struct Relay {
    count: Arc<AtomicUsize>,
    cut: Arc<Notify>,
}

impl Relay {
    /// A relay to this address, and its own.
    pub(crate) async fn to(address: SocketAddr) -> (Self, SocketAddr) {
        let listener = TcpListener::bind((address.ip(), 0)).await;
        let listener = listener.expect("a listener");
        let own = listener.local_addr().expect("an address");
        let relay = Self::default();
        tokio::spawn(relay.clone().run(listener, address));
        (relay, own)
    }

    /// How many connections there have been.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Ends all connections, and what is on its way is lost.
    pub(crate) fn cut(&self) {
        self.cut.notify_waiters();
    }

    async fn run(self, listener: TcpListener, to: SocketAddr) {
        while let Ok((mut near, _)) = listener.accept().await {
            self.count.fetch_add(1, Ordering::Relaxed);
            let cut = Arc::clone(&self.cut);
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await.expect("the proxy listens");
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                    () = cut.notified() => {}
                }
            });
        }
    }
}

pub(crate) fn header(from: &str, to: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
         xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' \
         from='{from}' to='{to}' version='1.0'>"
    )
}

/// The header of a scripted server.
pub(crate) fn response(from: &str, to: &str, id: &str) -> String {
    header(from, to).replace(" version='1.0'>", &format!(" id='{id}' version='1.0'>"))
}

/// One end of a connection, read as text.
pub(crate) struct Peer<S> {
    stream: S,
    text: String,
}

impl<S: AsyncReadExt + AsyncWriteExt + Unpin> Peer<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            text: String::new(),
        }
    }

    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream
            .write_all(text.as_bytes())
            .await
            .expect("written");
        self.stream.flush().await.expect("flushed");
    }

    /// Reads until the text arrives, and takes everything up to its end.
    pub(crate) async fn expect(&mut self, wanted: &str) -> String {
        loop {
            if let Some(at) = self.text.find(wanted) {
                let rest = self.text.split_off(at + wanted.len());
                return std::mem::replace(&mut self.text, rest);
            }
            let more = timeout(PATIENCE, self.more()).await;
            match more {
                Ok(true) => {}
                Ok(false) => panic!("no {wanted:?} before the end of {:?}", self.text),
                Err(_) => panic!("no {wanted:?} in time, but {:?}", self.text),
            }
        }
    }

    /// Reads to the end of the connection.
    pub(crate) async fn rest(&mut self) -> String {
        loop {
            match timeout(PATIENCE, self.more()).await {
                Ok(true) => {}
                Ok(false) => return std::mem::take(&mut self.text),
                Err(_) => panic!("no end in time, but {:?}", self.text),
            }
        }
    }

    /// Waits for the end of the stream and answers it, as an orderly peer does. Returns what came until then.
    pub(crate) async fn part(mut self) -> String {
        let mut text = self.expect(CLOSING).await;
        self.send(CLOSING).await;
        text.push_str(&self.rest().await);
        text
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.text
                    .push_str(&String::from_utf8_lossy(&buffer[..count]));
                true
            }
        }
    }
}

/// A message with its own text.
pub(crate) fn message(from: &str, to: &str, text: &str) -> String {
    format!("<message from='u@{from}' to='v@{to}' id='{text}'><body>{text}</body></message>")
}
