//! A small server that is correct, but for one declared defect: the double of a real server that has it.
//!
//! It knows no more than the scenarios with a double need, and shares no code with the embedded proxy.

mod admitting;
mod both_ways;
mod certificate;
mod choosing;
mod defect;
pub(crate) mod dns;
mod handmade;
mod incoming;
mod link;
mod managed;
mod names;
mod negotiating;
mod outgoing;
mod proving;
mod receiving;
mod routing;
mod scrub;
mod sending;
mod stanza;
mod verification;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use s2spec::case::{Case, Need, Setting};
use s2spec::lab::Lab;
use s2spec::policy::{Level, Policy, PolicyNumber};
use s2spec::subject::inner_side::InnerSide;
use s2spec::subject::reference::Reference;
use s2spec::subject::{Pending, Placement, Running, StartError, Stop, Target};
use simulated_partners::inner::component;
use simulated_partners::negotiate::dialback;
use simulated_partners::persona::TlsVersion;
use simulated_partners::tls::{client_config, server_config};
use simulated_partners::wire::Element;
use tokio::net::TcpListener;
use tokio::sync::{OwnedMutexGuard, Semaphore, mpsc};
use tokio::task::JoinSet;

use certificate::{asks_nobody, identity, sends_early_data};
pub(crate) use defect::Defect;
use managed::Session;
use names::canonical;
use verification::Question;

use crate::wrong_targets::component_server;

const DOMAIN: &str = "contoso.example";
const SECOND: &str = "chat.contoso.example";
const UNLISTED: &str = "unlisted.example";

/// How many connections it takes at once, where they are counted.
const PLACES: usize = 20;
/// How long it waits for a partner, and where timeouts are what the case is about.
const PATIENCE: Duration = Duration::from_secs(18);
const IMPATIENCE: Duration = Duration::from_millis(800);

const PROXY: Reference = Reference {
    strict_certificates: false,
};

/// The double as a target. Each case meets an instance with the defect that belongs to it.
#[derive(Default)]
pub(crate) struct Double {
    pub(crate) defects: BTreeMap<String, Defect>,
    /// Whether a good certificate takes the place of the question about a key, as XEP-0220 §2.1.1 allows.
    pub(crate) goes_by_certificates: bool,
}

impl Double {
    /// The defect of an instance for these cases.
    fn defect_of(&self, cases: &[Case]) -> Option<Defect> {
        let mut defects = cases.iter().filter_map(|case| self.defects.get(&case.id));
        defects.next().copied()
    }
}

impl Target for Double {
    fn name(&self) -> String {
        "a double".to_owned()
    }

    fn place(&self, case: &Case) -> Placement {
        match PROXY.place(case) {
            Placement::Group(group) => match self.defects.get(&case.id) {
                Some(defect) => Placement::Group(format!("{group} {defect:?}")),
                None => Placement::Group(group),
            },
            unsupported @ Placement::Unsupported(_) => unsupported,
        }
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        let trouble = |error: io::Error| StartError::Environment(error.to_string());
        Box::pin(async move { start(lab, group, cases, self).await.map_err(trouble) })
    }
}

/// What is agreed on with a partner.
#[derive(Clone, Copy)]
struct Terms {
    policy: Policy,
    /// Whether streams go both ways (XEP-0288).
    bidi: bool,
    /// Whether streams are managed (XEP-0198).
    managed: bool,
}

/// A stream as stanzas find it: what is queued goes out on it.
type Queue = mpsc::Sender<Element>;

/// What all connections of an instance share.
struct Server {
    defect: Option<Defect>,
    goes_by_certificates: bool,
    partners: BTreeMap<String, Terms>,
    /// Whether bad certificates rule out dialback, too.
    strict: bool,
    /// Whether TLS may come first (XEP-0368).
    direct: bool,
    /// How long a stream may be idle, where that is what the case is about.
    idle: Option<Duration>,
    secret: String,
    dns: TokioResolver,
    roots: Arc<RootCertStore>,
    accepts: Arc<ServerConfig>,
    dials: Arc<ClientConfig>,
    patience: Duration,
    inside: mpsc::UnboundedSender<Element>,
    ids: AtomicU64,
    seed: u64,
    out: Mutex<BTreeMap<(String, String), Queue>>,
    /// How much has been queued for a pair, where that is counted.
    queued: Mutex<BTreeMap<(String, String), usize>>,
    /// The managed streams that partners have opened, by id.
    sessions: Mutex<BTreeMap<String, Session>>,
    /// Whether it has crashed.
    is_dead: AtomicBool,
    /// The keys that are being verified.
    asked: Mutex<Vec<Question>>,
    /// The domains that have proven themselves once, where that is kept.
    proven: Mutex<BTreeSet<String>>,
    /// The domains of ours whose keys were asked about.
    questioned: Mutex<BTreeSet<String>>,
    /// Failed attempts at EXTERNAL, by domain.
    failures: Mutex<BTreeMap<String, u32>>,
    /// The partners that nothing more is sent to.
    given_up: Mutex<BTreeSet<String>>,
    /// The pairs, ours first, that an answer was for that nobody has asked for.
    overheard: Mutex<BTreeSet<(String, String)>>,
    /// Where partners have led to.
    redirects: Mutex<BTreeMap<String, SocketAddr>>,
    /// The ids of what the inner side has sent.
    sent: Mutex<BTreeSet<String>>,
    /// Held while a connection is opened, where they are opened one by one.
    dialling: tokio::sync::Mutex<()>,
    /// Held while it works, where it does one thing at a time.
    working: Arc<tokio::sync::Mutex<()>>,
    tasks: Mutex<JoinSet<()>>,
}

async fn start(
    lab: &Lab,
    group: &str,
    cases: &[Case],
    double: &Double,
) -> io::Result<(Running, Stop)> {
    let defect = double.defect_of(cases);
    let (inside, delivered) = mpsc::unbounded_channel();
    let secret = format!("secret-{:016x}", lab.seed);
    let member = |secret: &str| server(lab, group, cases, double, (secret, &inside));
    let server = member(&secret)?;
    let address = listen(&server, false).await?;
    let direct_tls = match server.direct {
        true => Some(listen(&server, true).await?),
        false => None,
    };
    let is_pool = cases
        .iter()
        .any(|case| case.script.needs.contains(&Need::Pool));
    let other = match defect {
        _ if !is_pool => None,
        Some(Defect::SecretOfItsOwn) => Some(member("another secret")?),
        _ => Some(member(&secret)?),
    };
    let other_member = match &other {
        Some(other) => Some(listen(other, false).await?),
        None => None,
    };
    let within = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let link = within.local_addr()?;
    let (leaving, mut left) = mpsc::unbounded_channel();
    let scrub = server.scrub_of_what_leaves();
    server.spawn(async move {
        let _ = component_server::serve(within, delivered, leaving, scrub).await;
    });
    let linked = Arc::clone(&server);
    server.spawn(async move {
        while let Some(stanza) = left.recv().await {
            linked.route(stanza);
            // What it opens begins in the order in which it came.
            tokio::task::yield_now().await;
            let _turn = linked.turn().await;
        }
    });
    let link = component::connect(link, DOMAIN, "")
        .await
        .map_err(io::Error::other)?;
    let inner = InnerSide::new(
        link,
        &format!("barrier@{DOMAIN}"),
        &format!("nobody@{UNLISTED}"),
    );
    let running = Running {
        second: Some(SECOND.to_owned()),
        secret: Some(secret),
        other_member,
        direct_tls,
        // Where it is silent, that is its defect.
        patience: Some(Duration::ZERO),
        ..Running::new(DOMAIN, address, inner.into())
    };
    let stop: Stop = Box::new(move || {
        Box::pin(async move {
            for member in [server].into_iter().chain(other) {
                let mut tasks = std::mem::take(&mut *member.tasks.lock().expect("no panic"));
                tasks.shutdown().await;
            }
            Ok(())
        })
    });
    Ok((running, stop))
}

/// A member with a secret, which passes stanzas to the inner side.
fn server(
    lab: &Lab,
    group: &str,
    cases: &[Case],
    double: &Double,
    (secret, inside): (&str, &mpsc::UnboundedSender<Element>),
) -> io::Result<Arc<Server>> {
    let defect = double.defect_of(cases);
    let identity = Some(identity(lab, defect)?);
    let versions: &[TlsVersion] = match defect {
        Some(Defect::OnlyTls12) => &[TlsVersion::V12],
        Some(Defect::OnlyTls13) => &[TlsVersion::V13],
        _ => &[TlsVersion::V12, TlsVersion::V13],
    };
    let shown = identity
        .as_ref()
        .filter(|_| defect != Some(Defect::DialsWithoutCertificate));
    let config = |made: Result<_, rustls::Error>| made.map_err(io::Error::other);
    let mut partners = BTreeMap::new();
    for case in cases {
        let needs = |need| case.script.needs.contains(&need);
        let terms = Terms {
            policy: case.row.policy(),
            bidi: needs(Need::Bidi),
            managed: needs(Need::StreamManagement),
        };
        let domains = case.domains().into_iter();
        partners.extend(domains.map(|domain| (canonical(&domain), terms)));
    }
    let idles = cases
        .iter()
        .any(|case| case.script.setting == Setting::ShortIdle);
    let patience = match group.starts_with("timed-") {
        true => IMPATIENCE,
        false => PATIENCE,
    };
    Ok(Arc::new(Server {
        defect,
        goes_by_certificates: double.goes_by_certificates,
        partners,
        strict: group.starts_with("strict") && defect != Some(Defect::IgnoresStrictness),
        direct: group.starts_with("direct"),
        idle: (idles && defect != Some(Defect::NeverEndsIdleStreams)).then_some(IMPATIENCE),
        secret: secret.to_owned(),
        dns: dns::client(lab.dns.address()),
        roots: lab.authority.roots(),
        accepts: match defect {
            Some(Defect::AsksForNoCertificate) => asks_nobody(identity.as_ref().expect("good"))?,
            _ => server_config(identity.as_ref(), versions).map_err(io::Error::other)?,
        },
        dials: match defect {
            Some(Defect::SendsEarlyData) => sends_early_data(shown)?,
            _ => config(client_config(shown, versions))?,
        },
        patience,
        inside: inside.clone(),
        ids: AtomicU64::new(1),
        seed: lab.seed,
        out: Mutex::default(),
        queued: Mutex::default(),
        sessions: Mutex::default(),
        is_dead: AtomicBool::new(false),
        asked: Mutex::default(),
        proven: Mutex::default(),
        questioned: Mutex::default(),
        failures: Mutex::default(),
        given_up: Mutex::default(),
        overheard: Mutex::default(),
        redirects: Mutex::default(),
        sent: Mutex::default(),
        dialling: tokio::sync::Mutex::default(),
        working: Arc::default(),
        tasks: Mutex::default(),
    }))
}

/// Takes connections, at this address: with TLS from the first byte, or without.
async fn listen(server: &Arc<Server>, direct: bool) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let accepting = Arc::clone(server);
    server.spawn(async move {
        let places = Arc::new(Semaphore::new(PLACES));
        while let Ok((tcp, _)) = listener.accept().await {
            if accepting.is_dead.load(Ordering::Relaxed) {
                continue;
            }
            let incoming = incoming::serve(Arc::clone(&accepting), tcp, direct);
            if !accepting.has(Defect::KeepsAbandonedConnections) {
                accepting.spawn(incoming);
                continue;
            }
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let patience = accepting.patience;
            accepting.spawn(async move {
                incoming.await;
                let _ = tokio::time::timeout(patience, std::future::pending::<()>()).await;
                drop(place);
            });
        }
    });
    Ok(address)
}

impl Server {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().expect("no panic under it").spawn(task);
    }

    /// What is agreed on with a partner; whoever is not known may do everything.
    fn terms(&self, domain: &str) -> Terms {
        let known = self.partners.get(domain).copied();
        known.unwrap_or_else(|| Terms {
            policy: PolicyNumber::new(9).expect("1 to 18").policy(),
            bidi: false,
            managed: false,
        })
    }

    fn policy(&self, domain: &str) -> Policy {
        self.terms(domain).policy
    }

    /// Takes the turn of who works, where one thing is done at a time.
    async fn turn(&self) -> Option<OwnedMutexGuard<()>> {
        match self.has(Defect::BlocksOnWrites) {
            true => Some(Arc::clone(&self.working).lock_owned().await),
            false => None,
        }
    }

    /// A domain as a partner has written it.
    fn read_name(&self, name: &str) -> String {
        let name = match self.defect {
            Some(Defect::TrimsNames) => name.trim(),
            Some(Defect::StripsBrackets) => name.trim_matches(['[', ']']),
            _ => name,
        };
        match self.defect {
            Some(Defect::KeepsFinalDots | Defect::KnowsNoForeignNames) => name.to_ascii_lowercase(),
            _ => canonical(name),
        }
    }

    fn requires_tls(&self, domain: &str) -> bool {
        self.policy(domain).tls == Level::Required && !self.has(Defect::TakesRequiredForOptional)
    }

    fn is_ours(&self, domain: &str) -> bool {
        domain == DOMAIN || domain == SECOND || self.has(Defect::IsWhoeverIsMeant)
    }

    fn stream_id(&self) -> String {
        if self.has(Defect::OneStreamId) {
            return "s2s".to_owned();
        }
        let number = self.ids.fetch_add(1, Ordering::Relaxed);
        if self.has(Defect::CountsStreamIds) {
            return number.to_string();
        }
        dialback::key_of(&self.secret, &format!("{} {number}", self.seed))[..32].to_owned()
    }

    /// The dialback key for a stream from one of our domains.
    fn key(&self, receiving: &str, originating: &str, id: &str) -> String {
        match self.defect {
            Some(Defect::KeyWithoutSecret) => dialback::key("", receiving, originating, id),
            Some(Defect::KeyWithoutId) => dialback::key(&self.secret, receiving, originating, ""),
            Some(Defect::KeyWithoutDomains) => dialback::key_of(&self.secret, id),
            Some(Defect::KeyOfRunTogetherParts) => {
                dialback::key_of(&self.secret, &format!("{id}{receiving}{originating}"))
            }
            _ => dialback::key(&self.secret, receiving, originating, id),
        }
    }
}
