//! From a connection to a gateway's stream, or to the reason why not.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::config::Config;
use crate::context::Context;
use crate::domain::Domain;
use crate::ledger::{By, Direction, Kind, Phase, Refusal};
use crate::random::stream_id;
use crate::router::Serves;
use crate::stream::{Condition, Connection, Lost, Opening, Tls, domain};
use crate::xml::Frame;

/// What a gateway's stream offers: acknowledgements (XEP-0198 §2).
const FEATURES: &str = "<stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>";

/// Why a connection does not become a gateway's.
pub(super) struct Unfit {
    phase: Phase,
    condition: &'static str,
    text: String,
}

impl Unfit {
    pub(super) fn full(full: &impl ToString) -> Self {
        Self {
            phase: Phase::Connection,
            condition: Condition::ResourceConstraint.word(),
            text: full.to_string(),
        }
    }

    pub(super) fn stream(condition: &'static str, text: String) -> Self {
        Self {
            phase: Phase::Stream,
            condition,
            text,
        }
    }

    pub(super) fn enter(self, context: &Context, peer: SocketAddr) {
        let Self {
            phase,
            condition,
            text,
        } = self;
        enter(context, peer, None, phase, condition, text);
    }
}

/// Keeps a refusal of a gateway, or of one of its stanzas.
pub(super) fn enter(
    context: &Context,
    peer: SocketAddr,
    domain: Option<&Domain>,
    phase: Phase,
    condition: &'static str,
    text: String,
) {
    context.ledger.enter(Refusal {
        kind: Kind {
            direction: Direction::Gateway,
            phase,
            by: By::Proxy,
            condition,
        },
        domain: domain.map(ToString::to_string),
        peer: Some(peer),
        text,
    });
}

/// A gateway that waits for its greeting.
pub(super) struct Established {
    pub(super) connection: Connection,
    pub(super) serves: Serves,
    pub(super) greeting: String,
}

/// Establishes a gateway's stream in time.
pub(super) async fn greet(
    context: &Context,
    stream: TcpStream,
    peer: SocketAddr,
) -> Option<Established> {
    let mut stop = context.tasks.stop();
    let patience = context.config.settings.limits.stream_establishment_timeout;
    let established = tokio::select! {
        established = context.clock.timeout(patience, establish(context, stream)) => established,
        () = stop.asked() => return None,
    };
    let too_slow = || {
        Err(Unfit::stream(
            "connection-timeout",
            "no stream in time".to_owned(),
        ))
    };
    match established.unwrap_or_else(|_| too_slow()) {
        Ok(established) => Some(established),
        Err(unfit) => {
            unfit.enter(context, peer);
            None
        }
    }
}

/// TLS, then the gateway's header.
async fn establish(context: &Context, stream: TcpStream) -> Result<Established, Unfit> {
    let lost = |lost: Lost| Unfit::stream("closed", lost.reason());
    let config = &context.config;
    let mut connection = Connection::new(stream, &config.settings.limits, &context.clock);
    let tls = Arc::clone(&context.gateway_tls.acceptor);
    let secured = connection.secure(Tls::Accept(tls)).await;
    secured.map_err(|lost| Unfit {
        phase: Phase::Tls,
        condition: "handshake",
        text: lost.reason(),
    })?;
    let id =
        stream_id().map_err(|error| Unfit::stream("internal-server-error", error.to_string()))?;
    let header = match connection.next().await {
        Ok(Frame::Header(header)) if header.is_server_stream() => Ok(header),
        Ok(_) => Err((
            Condition::InvalidNamespace,
            "no stream of jabber:server".to_owned(),
        )),
        Err(Lost::Unreadable(fault)) => Err((fault.into(), fault.to_string())),
        Err(gone) => return Err(lost(gone)),
    };
    let accepted = header.and_then(|header| {
        let from = domain(&header, "from").ok().flatten();
        let to = domain(&header, "to").ok().flatten();
        let allowed = context.gateway_tls.domains(connection.certificates());
        let serves = serves(config, [&from, &to], allowed)?;
        Ok((from, to, serves))
    });
    let (from, to, serves) = match accepted {
        Ok(accepted) => accepted,
        Err((condition, text)) => {
            let opening = Opening::new(config.own_domain().as_str(), None, Some(&id));
            let refusal = opening.refusal(condition, "");
            connection.send(refusal).await.map_err(lost)?;
            context.tasks.spawn(connection.close());
            return Err(Unfit::stream(condition.word(), text));
        }
    };
    let own = to.as_ref().unwrap_or_else(|| config.own_domain());
    let peer = from.as_ref().map(Domain::as_str);
    let greeting = Opening::new(own.as_str(), peer, Some(&id)).text() + FEATURES;
    let incoming = connection.incoming();
    incoming.trust(config.settings.limits.stanza_bytes);
    incoming.be_lenient();
    Ok(Established {
        connection,
        serves,
        greeting,
    })
}

/// What a gateway gets, by the domains in its header and those that it is for, if it is not for all.
fn serves(
    config: &Config,
    named: [&Option<Domain>; 2],
    allowed: Option<BTreeSet<Domain>>,
) -> Result<Serves, (Condition, String)> {
    let mut named = named.into_iter().flatten();
    let Some(domain) = named.find(|domain| config.serves(domain)) else {
        return Ok(allowed.map_or(Serves::All, Serves::Domains));
    };
    match allowed {
        Some(allowed) if !allowed.contains(domain) => {
            let text = format!("this gateway is not for {domain}");
            Err((Condition::NotAuthorized, text))
        }
        Some(_) | None => Ok(Serves::Domain(domain.clone())),
    }
}
