//! The server's records, which can change while it runs.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA, SRV};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};
use tokio::sync::watch;
use tokio::time::Instant;

use super::log::{Log, Query, below};

/// How many seconds an answer may be cached. None: a repeated case has another port.
const TTL: u32 = 0;
/// The maximum number of CNAMEs followed for one query.
const CHAIN: usize = 8;

/// The type of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// An alias, which answers queries of every type.
    Cname,
    /// Services (RFC 2782).
    Srv,
    /// Every type without its own answer at this name.
    Any,
}

/// The content of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME.
    Alias(String),
    /// SRV.
    Service {
        /// Lower values are tried first.
        priority: u16,
        /// The share among records of the same priority.
        weight: u16,
        /// Port.
        port: u16,
        /// Host, or `.` for "no such service here" (RFC 2782).
        target: String,
    },
}

/// How a query is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With these records.
    Records(Vec<Data>),
    /// With these records over TCP; truncated over UDP (RFC 2181 §9).
    RecordsOverTcp(Vec<Data>),
    /// The name exists, but not the type.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// SERVFAIL.
    ServFail,
    /// REFUSED.
    Refused,
    /// No answer.
    Silence,
}

/// A text that is not a domain name.
#[derive(Debug, thiserror::Error)]
#[error("not a domain name: {name:?}")]
pub struct BadName {
    name: String,
    source: hickory_proto::ProtoError,
}

/// A handle to the records of a running [`Dns`](super::Dns). Changes apply from the next query on.
#[derive(Clone, Debug, Default)]
pub struct Records {
    shared: Arc<Mutex<Shared>>,
}

impl Records {
    /// Sets the usual records of an XMPP server: SRV `_xmpp-server._tcp.<domain>` to
    /// `xmpp.<domain>` with the port, and that host's address.
    ///
    /// # Errors
    /// When the domain is not a valid domain name.
    pub fn server(&self, domain: &str, address: SocketAddr) -> Result<(), BadName> {
        let host = format!("xmpp.{}", domain.strip_suffix('.').unwrap_or(domain));
        let kind = match address.ip() {
            IpAddr::V4(_) => Kind::A,
            IpAddr::V6(_) => Kind::Aaaa,
        };
        let addresses = vec![Data::Address(address.ip())];
        self.set(&host, kind, Answer::Records(addresses))?;
        self.service("_xmpp-server", domain, &host, address.port())
    }

    /// Sets the SRV record of a service, such as `_xmpps-server`, of a domain.
    ///
    /// # Errors
    /// When the domain, or the host, is not a valid domain name.
    pub fn service(&self, name: &str, domain: &str, host: &str, port: u16) -> Result<(), BadName> {
        let record = Data::Service {
            priority: 0,
            weight: 0,
            port,
            target: host.to_owned(),
        };
        let name = format!("{name}._tcp.{domain}");
        self.set(&name, Kind::Srv, Answer::Records(vec![record]))
    }

    /// Sets how queries of this type for this name are answered, replacing earlier settings.
    ///
    /// # Errors
    /// When the name, or one in the answer, is not a valid domain name.
    pub fn set(&self, name: &str, kind: Kind, answer: Answer) -> Result<(), BadName> {
        let owner = parse(name)?;
        let reply = Reply::new(&owner, answer)?;
        let mut shared = self.lock();
        let node = shared.nodes.entry(owner.into()).or_default();
        node.insert(kind, Arc::new(reply));
        Ok(())
    }

    /// Removes a name, all below it, and their logged queries. An invalid domain name
    /// is ignored.
    pub fn remove(&self, name: &str) {
        let Ok(name) = parse(name) else { return };
        let name = LowerName::from(name);
        let mut shared = self.lock();
        for known in below(&shared.nodes, &name) {
            shared.nodes.remove(&known);
        }
        shared.log.forget_below(&name);
    }

    /// What is set at a name and all below it: a line for each record as in a zone file, and for each other
    /// answer. Nothing of an invalid domain name.
    pub fn listed(&self, name: &str) -> Vec<String> {
        let Ok(name) = parse(name) else {
            return Vec::new();
        };
        let shared = self.lock();
        let names = below(&shared.nodes, &name.into()).into_iter();
        names
            .flat_map(|name| {
                let replies = shared.nodes[&name].iter();
                let lines = replies.flat_map(|(kind, reply)| reply.lines(&name, *kind));
                lines.collect::<Vec<_>>()
            })
            .collect()
    }

    /// Forgets the logged queries for a name and all below it; the records stay. An invalid
    /// domain name is ignored.
    pub fn forget(&self, name: &str) {
        let Ok(name) = parse(name) else { return };
        self.lock().log.forget_below(&name.into());
    }

    /// The queries for a name so far, oldest first, at most 64.
    pub fn queries(&self, name: &str) -> Vec<Query> {
        parse(name)
            .map(|name| self.lock().log.of(&name.into()))
            .unwrap_or_default()
    }

    /// The queries for a name and all below it so far: names without a trailing dot, in
    /// canonical order, with their queries as in [`Records::queries`].
    pub fn queries_below(&self, name: &str) -> Vec<(String, Query)> {
        let queries = self.moments_below(name).into_iter();
        queries.map(|(_, name, query)| (name, query)).collect()
    }

    /// The same, each with its moment.
    pub fn moments_below(&self, name: &str) -> Vec<(Instant, String, Query)> {
        let Ok(name) = parse(name) else {
            return Vec::new();
        };
        self.lock().log.of_all_below(&name.into())
    }

    /// Returns when a query for a name is in the log. Never returns if there is none, or if it
    /// is not a domain name.
    pub async fn asked(&self, name: &str) {
        let mut questions = self.lock().questions.subscribe();
        while self.queries(name).is_empty() {
            if questions.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The number of queries that did not fit in the log.
    pub fn queries_lost(&self) -> u64 {
        self.lock().log.lost()
    }

    /// Logs a query and finds its answer.
    pub(super) fn ask(&self, name: &LowerName, kind: RecordType, tcp: bool) -> Found {
        let mut shared = self.lock();
        let query = Query {
            kind: kind.to_string(),
            tcp,
        };
        shared.log.record(name, query);
        shared.questions.send_modify(|count| *count += 1);
        shared.find(name, kind, tcp)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The response to send.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// These records; if empty, the name exists without them.
    Records(Vec<Record>),
    /// "Ask again over TCP."
    Truncated,
    /// No such name. Aliases that led there are included.
    NxDomain(Vec<Record>),
    ServFail,
    Refused,
    Silence,
}

#[derive(Debug, Default)]
struct Shared {
    /// In canonical order (RFC 4034 §6.1): a name is followed by all below it.
    nodes: BTreeMap<LowerName, BTreeMap<Kind, Arc<Reply>>>,
    log: Log,
    /// The number of queries so far.
    questions: watch::Sender<u64>,
}

impl Shared {
    fn find(&self, name: &LowerName, kind: RecordType, tcp: bool) -> Found {
        let mut answers = Vec::new();
        let mut name = name.clone();
        for _ in 0..CHAIN {
            let Some(node) = self.nodes.get(&name) else {
                return if self.has_below(&name) {
                    Found::Records(answers)
                } else {
                    Found::NxDomain(answers)
                };
            };
            let own = kind_of(kind).and_then(|kind| node.get(&kind));
            let alias = node.get(&Kind::Cname);
            let Some(reply) = own.or(alias).or_else(|| node.get(&Kind::Any)) else {
                return Found::Records(answers);
            };
            match &**reply {
                Reply::Records { over_tcp: true, .. } if !tcp => return Found::Truncated,
                Reply::Records { records, .. } => answers.extend(records.iter().cloned()),
                Reply::NoData => return Found::Records(answers),
                Reply::NxDomain => return Found::NxDomain(answers),
                Reply::ServFail => return Found::ServFail,
                Reply::Refused => return Found::Refused,
                Reply::Silence => return Found::Silence,
            }
            match reply.alias() {
                Some(next) if kind != RecordType::CNAME => name = next,
                _ => return Found::Records(answers),
            }
        }
        // A loop: an authoritative server answers with the chain so far.
        Found::Records(answers)
    }

    /// Whether a name exists although nothing is set at it (RFC 8020 §2).
    fn has_below(&self, name: &LowerName) -> bool {
        self.nodes
            .range((Bound::Excluded(name), Bound::Unbounded))
            .next()
            .is_some_and(|(next, _)| name.zone_of(next))
    }
}

/// An [`Answer`] with parsed names.
#[derive(Debug)]
enum Reply {
    Records {
        records: Vec<Record>,
        over_tcp: bool,
    },
    NoData,
    NxDomain,
    ServFail,
    Refused,
    Silence,
}

impl Reply {
    fn new(owner: &Name, answer: Answer) -> Result<Self, BadName> {
        let over_tcp = matches!(answer, Answer::RecordsOverTcp(_));
        Ok(match answer {
            Answer::Records(data) | Answer::RecordsOverTcp(data) => Self::Records {
                records: data
                    .into_iter()
                    .map(|data| Ok(Record::from_rdata(owner.clone(), TTL, rdata(data)?)))
                    .collect::<Result<_, BadName>>()?,
                over_tcp,
            },
            Answer::NoData => Self::NoData,
            Answer::NxDomain => Self::NxDomain,
            Answer::ServFail => Self::ServFail,
            Answer::Refused => Self::Refused,
            Answer::Silence => Self::Silence,
        })
    }

    /// A line for each record, or for the answer that takes its place.
    fn lines(&self, name: &LowerName, kind: Kind) -> Vec<String> {
        let answer = match self {
            Self::Records { records, over_tcp } => {
                let note = if *over_tcp { " ; over TCP alone" } else { "" };
                let records = records.iter();
                return records.map(|record| format!("{record}{note}")).collect();
            }
            Self::NoData => "no data",
            Self::NxDomain => "NXDOMAIN",
            Self::ServFail => "SERVFAIL",
            Self::Refused => "REFUSED",
            Self::Silence => "no answer",
        };
        let kind = match kind {
            Kind::Any => "ANY".to_owned(),
            kind => format!("{kind:?}").to_uppercase(),
        };
        vec![format!("{name} {kind} ; {answer}")]
    }

    /// The next name.
    fn alias(&self) -> Option<LowerName> {
        let Self::Records { records, .. } = self else {
            return None;
        };
        records.iter().find_map(|record| match &record.data {
            RData::CNAME(CNAME(target)) => Some(target.into()),
            _ => None,
        })
    }
}

/// The start of authority for negative answers (RFC 2308 §3), of the topmost zone
/// of the name.
pub(super) fn authority_of(name: &Name) -> Record {
    let apex = name.trim_to(1);
    let soa = SOA::new(apex.clone(), apex.clone(), 1, 3600, 600, 86_400, TTL);
    Record::from_rdata(apex, TTL, RData::SOA(soa))
}

fn kind_of(kind: RecordType) -> Option<Kind> {
    match kind {
        RecordType::A => Some(Kind::A),
        RecordType::AAAA => Some(Kind::Aaaa),
        RecordType::CNAME => Some(Kind::Cname),
        RecordType::SRV => Some(Kind::Srv),
        _ => None,
    }
}

fn rdata(data: Data) -> Result<RData, BadName> {
    Ok(match data {
        Data::Address(IpAddr::V4(address)) => RData::A(A(address)),
        Data::Address(IpAddr::V6(address)) => RData::AAAA(AAAA(address)),
        Data::Alias(target) => RData::CNAME(CNAME(parse(&target)?)),
        Data::Service {
            priority,
            weight,
            port,
            target,
        } => RData::SRV(SRV::new(priority, weight, port, parse(&target)?)),
    })
}

/// Names are absolute, with or without a trailing dot.
fn parse(name: &str) -> Result<Name, BadName> {
    let mut parsed = Name::from_ascii(name).map_err(|source| BadName {
        name: name.to_owned(),
        source,
    })?;
    parsed.set_fqdn(true);
    Ok(parsed)
}
