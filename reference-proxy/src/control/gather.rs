//! Gathers what a proxy tells of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use rustls::ProtocolVersion;
use tokio::time::Instant;

use super::server::Office;
use super::status::{
    CertificateStatus, Concern, Direction, GatewayStatus, Health, LastFailure, PairStatus,
    PartnerStatus, Queue, RefusalKind, RefusalStatus, Refused, Status, StreamStatus, Use,
};
use crate::certificate::Examined;
use crate::connections::Limit;
use crate::context::Context;
use crate::domain::{Domain, Pair};
use crate::ledger::{Kind, Past};
use crate::register::{Entries, Gateway, Opener, Stream};

const DAY: i64 = 24 * 60 * 60;
const HOUR: Duration = Duration::from_secs(60 * 60);
/// The used part of a limit that is worth a warning, in hundredths.
const NEARLY: usize = 90;

/// What the proxy does at the moment.
pub(super) fn status(office: &Office) -> Status {
    let context = office.context.newest();
    let entries = context.register.snapshot();
    let now = context.clock.now();
    let seconds = |since: Instant| now.saturating_duration_since(since).as_secs();
    let examined = context.config.examine(context.clock.unix());
    let limits = limits(&context);
    let mut concerns = concerns(&entries, &examined, &limits);
    concerns.extend(office.reloader.refused().map(|why| {
        // The log has all of its mistakes.
        let first = why.lines().next().unwrap_or_default();
        Concern {
            health: Health::Warning,
            text: format!("the configuration file as it is now is not in force: {first}"),
        }
    }));
    let ended = context.config.ended_lists(context.clock.unix());
    concerns.extend(ended.into_iter().map(|text| Concern {
        health: Health::Warning,
        text,
    }));
    concerns.sort_by_key(|concern| std::cmp::Reverse(concern.health));
    let gateways = entries.gateways.values();
    let today = i64::try_from(context.clock.unix().as_secs()).unwrap_or(i64::MAX);
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        process: std::process::id(),
        uptime: seconds(office.began),
        health: concerns.first().map_or(Health::Well, |worst| worst.health),
        concerns,
        listeners: office.listeners.clone(),
        gateways: gateways.map(|one| gateway(one, &seconds)).collect(),
        partners: context.config.settings.partners.len(),
        active: active(&context, &entries, &seconds),
        limits,
        refusals: refusals(&context),
        refused: refused(&context),
        certificates: examined.iter().map(|one| certificate(one, today)).collect(),
    }
}

fn concerns(entries: &Entries, examined: &[Examined], limits: &[Use]) -> Vec<Concern> {
    let mut concerns = Vec::new();
    let mut concern = |health, text| concerns.push(Concern { health, text });
    if entries.gateways.is_empty() {
        let text = "no gateway is connected: what partners send is returned to them";
        concern(Health::Critical, text.to_owned());
    }
    let remarks = examined.iter().flat_map(|one| &one.remarks);
    for remark in remarks.filter(|remark| remark.matters()) {
        let health = match remark.refused {
            true => Health::Critical,
            false => Health::Warning,
        };
        concern(health, remark.to_string());
    }
    for Use { of, used, limit } in limits {
        if *used >= *limit {
            let health = match of == CONNECTIONS {
                true => Health::Critical,
                false => Health::Warning,
            };
            concern(health, format!("all {limit} places of {of} are taken"));
        } else if used * 100 >= limit * NEARLY {
            concern(
                Health::Warning,
                format!("{used} of {limit} places of {of} are taken"),
            );
        }
    }
    concerns
}

/// The name of the limit of all connections.
const CONNECTIONS: &str = "connections";

fn limits(context: &Context) -> Vec<Use> {
    let all = context.connections.usage().into_iter();
    let all = all.map(|(of, used, limit)| Use {
        of: match of {
            Limit::Connections => CONNECTIONS,
            Limit::Unauthenticated => "unauthenticated connections",
            Limit::Verifications => "verifications",
        }
        .to_owned(),
        used,
        limit,
    });
    let partners = context.connections.by_partner();
    let partners = partners.filter(|(_, used, _)| *used > 0);
    let partners = partners.map(|(domain, used, limit)| Use {
        of: domain.to_string(),
        used,
        limit,
    });
    all.chain(partners).collect()
}

/// What was refused in the last hour, as far as it is remembered.
fn refusals(context: &Context) -> Vec<RefusalStatus> {
    let last = context.ledger.refusals().last.into_iter();
    let last = last.filter(|past| past.ago <= HOUR);
    last.map(
        |Past {
             ago,
             times,
             refusal,
         }| RefusalStatus {
            ago: ago.as_secs(),
            times,
            kind: kind(&refusal.kind),
            domain: refusal.domain,
            address: refusal.peer,
            text: refusal.text,
        },
    )
    .collect()
}

/// How often each kind of refusal was since the start.
fn refused(context: &Context) -> Vec<Refused> {
    let counts = context.ledger.refusals().counts.into_iter();
    counts
        .map(|(one, times)| Refused {
            kind: kind(&one),
            times,
        })
        .collect()
}

fn kind(kind: &Kind) -> RefusalKind {
    RefusalKind {
        direction: kind.direction.to_string(),
        phase: kind.phase.to_string(),
        by: kind.by.to_string(),
        condition: kind.condition.to_owned(),
    }
}

fn gateway(gateway: &Gateway, seconds: &impl Fn(Instant) -> u64) -> GatewayStatus {
    let queue = gateway.queue.upgrade();
    GatewayStatus {
        address: gateway.peer,
        domains: gateway.domains.iter().map(Domain::to_string).collect(),
        age: seconds(gateway.since),
        queue: queue.map_or(0, |queue| queue.max_capacity() - queue.capacity()),
    }
}

/// The partners with which there is something.
fn active(
    context: &Context,
    entries: &Entries,
    seconds: &impl Fn(Instant) -> u64,
) -> Vec<PartnerStatus> {
    let mut partners: BTreeMap<String, PartnerStatus> = BTreeMap::new();
    let mut partner = |domain: &Domain, add: &mut dyn FnMut(&mut PartnerStatus)| {
        // A partner that was removed has streams until they are closed.
        let identity = context
            .config
            .partner(domain)
            .map_or(domain, |one| &one.domain);
        let status = partners.entry(identity.to_string()).or_default();
        status.domain = identity.to_string();
        add(status);
    };
    for stream in entries.streams.values() {
        if let Some((pair, _)) = stream.pairs.first() {
            let theirs = match stream.opener {
                Opener::Partner => &pair.from,
                Opener::Proxy => &pair.to,
            };
            partner(theirs, &mut |status| {
                status.streams.push(shown(stream, seconds))
            });
        }
    }
    for (Pair { from, to }, stanzas, bytes) in context.router.queues() {
        partner(&to, &mut |status| {
            status.queues.push(Queue {
                from: from.to_string(),
                to: to.to_string(),
                stanzas,
                bytes,
            });
        });
    }
    for (domain, trouble) in &entries.troubles {
        partner(domain, &mut |status| {
            status.failures.push(LastFailure {
                domain: domain.to_string(),
                ago: seconds(trouble.since),
                reason: trouble.reason.clone(),
            });
        });
    }
    partners.into_values().collect()
}

fn shown(stream: &Stream, seconds: &impl Fn(Instant) -> u64) -> StreamStatus {
    let pairs = stream.pairs.iter().map(|(pair, method)| PairStatus {
        from: pair.from.to_string(),
        to: pair.to.to_string(),
        method: method.to_string(),
    });
    StreamStatus {
        direction: match stream.opener {
            Opener::Partner => Direction::Inbound,
            Opener::Proxy => Direction::Outbound,
        },
        pairs: pairs.collect(),
        tls: stream.tls.map(|version| match version {
            ProtocolVersion::TLSv1_2 => "TLS 1.2".to_owned(),
            ProtocolVersion::TLSv1_3 => "TLS 1.3".to_owned(),
            other => format!("{other:?}"),
        }),
        address: stream.peer,
        age: seconds(stream.since),
    }
}

fn certificate(examined: &Examined, today: i64) -> CertificateStatus {
    CertificateStatus {
        presented: examined.presented.clone(),
        key: examined.key.to_owned(),
        days: (examined.ends - today).div_euclid(DAY),
        remarks: examined
            .remarks
            .iter()
            .map(|one| one.text.clone())
            .collect(),
    }
}
