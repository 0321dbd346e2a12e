//! What becomes of a partner and the embedded proxy in both directions, as the proxy's log says it.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use s2spec::oracle::classes::methods;
use s2spec::policy::PolicyNumber;
use simulated_partners::dns::{Answer, Data, Dns, Kind};
use simulated_partners::driver::{Partner, PartnerSetup};
use simulated_partners::event::EventKind;
use simulated_partners::inner::gateway;
use simulated_partners::persona::{Certificate, Key, Offer, Persona, Tls, find};
use simulated_partners::pki::Authority;
use simulated_partners::stanza::ping;
use simulated_partners::wire::Element;
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;

use super::real::{Real, follow};

const GATEWAY: &str = "gateway.contoso.example";
const SECRET: &str = "the secret of the proxy";
/// Nothing takes as long, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a refusal another try comes sooner than this, if it comes.
const ANOTHER: Duration = Duration::from_secs(2);

/// How a direction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Established(String),
    /// Refused; who by is not compared, since both may be first.
    Refused,
    /// Nothing was seen yet, or nobody came.
    Silence,
}

/// Both directions, seen from the proxy.
#[derive(Debug)]
pub(crate) struct Cells {
    pub(crate) outbound: End,
    pub(crate) inbound: End,
    pub(crate) log: String,
}

/// What happens at the proxy.
enum Happening {
    Log(String),
    Stanza(Element),
}

/// A proxy with one partner in one policy, and its gateway.
struct Proxy {
    child: Child,
    _folder: TempDir,
    domain: String,
    external: SocketAddr,
    internal: SocketAddr,
    said: Arc<Mutex<String>>,
    happenings: UnboundedReceiver<Happening>,
    tell: UnboundedSender<Happening>,
}

/// A partner that can do all, with the TLS of this offer.
fn fitting(offer: &Offer) -> Persona {
    let best = find("modern").expect("a persona");
    Persona {
        offer: Offer {
            tls: if offer.tls == Tls::Direct {
                Tls::Direct
            } else {
                Tls::Offered
            },
            tls_versions: offer.tls_versions.clone(),
            ..best.offer
        },
        ..best
    }
}

/// Waits until a server can shake hands. On a busy machine, the first handshake of one that was just started can take
/// longer than that server waits.
pub(crate) async fn warm(server: &Real, offer: &Offer) {
    const HANDSHAKES: usize = 10;
    if offer.tls == Tls::None || offer.certificate == Certificate::None {
        return;
    }
    let domain = "early.example";
    for _ in 0..HANDSHAKES {
        let setup = setup(
            &server.authority(),
            domain,
            &fitting(offer),
            server.domain,
            server.address,
        );
        let mut partner = Partner::start(setup).await.expect("a free port");
        partner.dial(ping("early", domain, server.domain));
        let shaken = timeout(PATIENCE, async {
            while let Some(event) = partner.next_event().await {
                match event.kind {
                    EventKind::TlsUp(_) => return true,
                    EventKind::TlsFailed { .. } => return false,
                    _ => {}
                }
            }
            false
        });
        let is_warm = shaken.await == Ok(true);
        partner.stop().await;
        if is_warm {
            return;
        }
    }
    panic!("no handshake: {}", server.said());
}

impl Cells {
    /// Whether both directions are.
    pub(crate) fn are_established(&self) -> bool {
        let ends = [&self.outbound, &self.inbound];
        ends.iter().all(|end| matches!(end, End::Established(_)))
    }

    /// Of a server that runs.
    pub(crate) async fn of_server(
        server: &Real,
        dns: &Dns,
        row: PolicyNumber,
        offer: &Offer,
    ) -> Self {
        let authority = server.authority();
        let proxy = Proxy::start(&authority, dns, row, server).await;
        publish(
            dns,
            &proxy.domain,
            proxy.external,
            offer.tls,
            server.wants_digits(),
        );
        publish(dns, server.domain, server.address, offer.tls, false);
        let proxy = proxy.with_gateway(&authority).await;
        // One that has the proxy's domain and its secret gets in, so that the server answers it, at the
        // proxy.
        let best = fitting(offer);
        let setup = PartnerSetup {
            secret: SECRET.to_owned(),
            ..setup(
                &authority,
                &proxy.domain,
                &best,
                server.domain,
                server.address,
            )
        };
        let scout = Partner::start(setup).await.expect("a free port");
        let question = ping("scout", &proxy.domain, server.domain);
        // One without methods lets nobody in whom it would answer.
        let comes = !methods(offer).is_empty();
        let dials = comes.then_some(|| scout.dial(question));
        let cells = proxy.cells(server.domain, dials).await;
        scout.stop().await;
        cells
    }

    /// Of a persona in the place of a server.
    pub(crate) async fn of_persona(
        persona: &Persona,
        server: &Real,
        dns: &Dns,
        row: PolicyNumber,
    ) -> Self {
        let authority = server.authority();
        let proxy = Proxy::start(&authority, dns, row, server).await;
        let setup = PartnerSetup {
            answers: true,
            ..setup(
                &authority,
                server.domain,
                persona,
                &proxy.domain,
                proxy.external,
            )
        };
        let partner = Partner::start(setup).await.expect("a free port");
        publish(
            dns,
            server.domain,
            partner.address(),
            persona.offer.tls,
            false,
        );
        let proxy = proxy.with_gateway(&authority).await;
        let question = ping("persona", server.domain, &proxy.domain);
        let dials = Some(|| partner.dial(question));
        let cells = proxy.cells(server.domain, dials).await;
        partner.stop().await;
        cells
    }
}

impl Proxy {
    async fn start(authority: &Authority, dns: &Dns, row: PolicyNumber, server: &Real) -> Self {
        let domain = format!("{row}.contoso.example");
        let issue = |name: &str| authority.issue(&[name], Certificate::Good, Key::P256);
        let own = issue(&domain).expect("a good certificate is one");
        let policy = row.policy();
        let folder = tempfile::tempdir().expect("a folder");
        let pem = format!(
            "certificate = '''{}'''\nkey = '''{}'''\nca = '''{}'''\n",
            own.chain_pem(),
            own.key_pem(),
            authority.root_pem()
        );
        let text = format!(
            "domains = [\"{domain}\"]\ndns = [\"{}\"]\nsecret = \"{SECRET}\"\nvalidation = \"matrix\"\n\
             [external]\nlisten = \"127.0.0.1:0\"\ndirect-tls = true\n{pem}\
             [internal]\nlisten = \"127.0.0.1:0\"\n{pem}gateways = [\"{GATEWAY}\"]\n\
             [[partner]]\ndomain = \"{}\"\ntls = \"{}\"\nsasl = \"{}\"\ndialback = {}\n",
            dns.address(),
            server.domain,
            policy.tls,
            policy.sasl,
            policy.dialback,
        );
        fs::write(folder.path().join("proxy.toml"), text).expect("it has room");
        let mut child = crate::s2spec()
            .args(["proxy", "--config", "proxy.toml"])
            .current_dir(folder.path())
            // It says of each connection that it is over.
            .env("RUST_LOG", "info,reference_proxy::inbound=debug")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (tell, mut happenings) = mpsc::unbounded_channel();
        let said = Arc::new(Mutex::new(String::new()));
        let lines = tell.clone();
        follow(
            child.stderr.take().expect("it is piped"),
            &said,
            move |line| {
                let _ = lines.send(Happening::Log(line.to_owned()));
            },
        );
        let started = async {
            while let Some(happening) = happenings.recv().await {
                if let Happening::Log(line) = happening
                    && line.contains("proxy started")
                {
                    return line;
                }
            }
            panic!("the proxy ends")
        };
        let line = timeout(PATIENCE, started).await;
        let line = line.unwrap_or_else(|_| panic!("{}", said.lock().expect("no reader panics")));
        let address = |name: &str| {
            let (_, rest) = line
                .split_once(&format!("{name}=["))
                .expect("its addresses");
            let (address, _) = rest.split_once(']').expect("they are listed");
            address.parse().expect("an address")
        };
        let (external, internal) = (address("external"), address("internal"));
        Self {
            child,
            _folder: folder,
            domain,
            external,
            internal,
            said,
            happenings,
            tell,
        }
    }

    /// The same once its gateway has asked the partner something.
    async fn with_gateway(self, authority: &Authority) -> Self {
        let identity = authority.issue(&[GATEWAY], Certificate::Good, Key::P256);
        let identity = identity.expect("a good certificate is one");
        let roots = authority.roots();
        let link = gateway::connect(self.internal, &self.domain, &identity, &roots, GATEWAY);
        let mut link = link.await.expect("the proxy takes its gateway");
        let question = ping(
            "from-inside",
            &format!("user@{}", self.domain),
            super::real::PARTNER,
        );
        link.send(&question).await.expect("the link is open");
        let tell = self.tell.clone();
        tokio::spawn(async move {
            while let Ok(stanza) = link.receive().await {
                if tell.send(Happening::Stanza(stanza)).is_err() {
                    return;
                }
            }
        });
        self
    }

    /// Waits until both directions have ended. The other side is asked to dial once the proxy has.
    async fn cells(mut self, partner: &str, dials: Option<impl FnOnce()>) -> Cells {
        let mut outbound = End::Silence;
        let mut inbound = End::Silence;
        let out = format!("{} to {partner}", self.domain);
        let back = format!("{partner} to {}", self.domain);
        let comes = dials.is_some();
        let mut dials = dials;
        loop {
            let wait = match (&outbound, &inbound) {
                (End::Established(_), End::Established(_)) => break,
                (End::Established(_) | End::Refused, End::Silence) if !comes => break,
                (End::Silence, _) | (_, End::Silence) => PATIENCE,
                _ => ANOTHER,
            };
            if outbound != End::Silence
                && inbound == End::Silence
                && let Some(dials) = dials.take()
            {
                dials();
            }
            let Ok(Some(happening)) = timeout(wait, self.happenings.recv()).await else {
                break;
            };
            match happening {
                Happening::Log(line) if line.contains("stream open") && line.contains(&out) => {
                    outbound = End::Established(method(&line));
                }
                Happening::Log(line)
                    if line.contains("pair authenticated") && line.contains(&back) =>
                {
                    inbound = End::Established(method(&line));
                }
                Happening::Log(line)
                    if line.contains("connection over") && inbound == End::Silence && comes =>
                {
                    // It has come and gone.
                    if dials.is_none() {
                        inbound = End::Refused;
                    }
                }
                Happening::Log(line) if line.contains("refused") => {
                    let direction = match line.contains("direction=outbound") {
                        true => &mut outbound,
                        false => &mut inbound,
                    };
                    if *direction == End::Silence {
                        *direction = End::Refused;
                    }
                }
                Happening::Stanza(stanza)
                    if stanza.attribute("type") == Some("error") && outbound == End::Silence =>
                {
                    outbound = End::Refused;
                }
                Happening::Log(_) | Happening::Stanza(_) => {}
            }
        }
        let log = self.said.lock().expect("no reader panics").clone();
        Cells {
            outbound,
            inbound,
            log,
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The file of a proxy without partners, which nobody starts.
pub(crate) fn empty() -> String {
    let files = "certificate = \"proxy.crt\"\nkey = \"proxy.key\"\nca = \"ca.crt\"\n";
    format!(
        "domains = [\"contoso.example\"]\nvalidation = \"matrix\"\n\
         [external]\nlisten = \"127.0.0.1:5269\"\n{files}\
         [internal]\nlisten = \"127.0.0.1:23456\"\n{files}gateways = [\"{GATEWAY}\"]\n"
    )
}

/// The method in a line of the log.
fn method(line: &str) -> String {
    let (_, rest) = line
        .split_once("method=")
        .expect("the log names the method");
    rest.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Publishes a domain as its server wants to be found, by a name or by digits.
fn publish(dns: &Dns, domain: &str, address: SocketAddr, tls: Tls, digits: bool) {
    let records = dns.records();
    records.remove(domain);
    let service = match tls {
        Tls::Direct => "_xmpps-server",
        Tls::None | Tls::Offered | Tls::Required => "_xmpp-server",
    };
    let host = match digits {
        true => address.ip().to_string(),
        false => {
            let host = format!("xmpp.{domain}");
            let answer = Answer::Records(vec![Data::Address(address.ip())]);
            records.set(&host, Kind::A, answer).expect("a domain");
            host
        }
    };
    records
        .service(service, domain, &host, address.port())
        .expect("a domain");
}

fn setup(
    authority: &Authority,
    domain: &str,
    persona: &Persona,
    target_domain: &str,
    target: SocketAddr,
) -> PartnerSetup {
    let persona = Arc::new(persona.clone());
    PartnerSetup {
        patience: PATIENCE,
        ..PartnerSetup::new(authority, domain, persona, target_domain, target)
    }
}
