//! Dialling a partner, and carrying out what the initiating entity decides.

use std::collections::VecDeque;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::initiating::{Action, Failure, Initiating, Input, Opened, Plan, Undecided};
use crate::certificate::Presenter;
use crate::context::Context;
use crate::dialback::KeyStatus;
use crate::domain::Domain;
use crate::resolve::{ResolveError, Server};
use crate::stream::{CLOSING, Condition, Connection, Lost, Tls, error};
use crate::task::Stop;

/// Why no TCP connection came about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreachable {
    /// No address.
    #[error("the partner has no address")]
    Unresolved(#[source] ResolveError),
    /// No address answered.
    #[error("none of {addresses} addresses answers")]
    Unanswered { addresses: usize },
}

/// As many servers of a partner are given a stream at most before its stanzas come back.
const MOST_SERVERS: usize = 3;

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Dialled {
    connection: Connection,
    /// Whether TLS comes first.
    direct: bool,
}

/// The servers of a partner that are left to try, in their order.
#[derive(Debug)]
pub(crate) struct Servers {
    left: VecDeque<Server>,
    /// Where the last connection went.
    last: Option<Server>,
    addresses: usize,
    tried: usize,
}

impl Servers {
    /// Looks a partner's servers up.
    ///
    /// # Errors
    ///
    /// [`Unreachable`] when it has none.
    pub(crate) async fn of(context: &Context, domain: &Domain) -> Result<Self, Unreachable> {
        let proxy = context
            .config
            .partner(domain)
            .and_then(|partner| partner.proxy.as_ref());
        let terms = context.config.terms(domain);
        let direct =
            context.config.settings.direct_tls && terms.is_some_and(|terms| terms.allows_tls());
        let addresses = context
            .resolver
            .targets(domain, proxy, direct)
            .await
            .map_err(Unreachable::Unresolved)?;
        Ok(Self {
            addresses: addresses.len(),
            left: addresses.into(),
            last: None,
            tried: 0,
        })
    }

    /// Connects to the first that answers.
    ///
    /// # Errors
    ///
    /// [`Unreachable`] when none does.
    pub(crate) async fn connect(
        &mut self,
        context: &Context,
        domain: &Domain,
    ) -> Result<Dialled, Unreachable> {
        let patience = context.config.settings.limits.connect_timeout;
        while let Some(server) = self.left.pop_front() {
            match timeout(patience, TcpStream::connect(server.address)).await {
                Ok(Ok(stream)) => {
                    self.last = Some(server);
                    self.tried += 1;
                    return Ok(Dialled {
                        connection: Connection::new(stream, &context.config.settings.limits),
                        direct: server.direct,
                    });
                }
                Ok(Err(error)) => tracing::debug!(%domain, %server, %error, "no connection"),
                Err(_) => tracing::debug!(%domain, %server, "no connection in time"),
            }
        }
        Err(Unreachable::Unanswered {
            addresses: self.addresses,
        })
    }

    /// The next connection goes to the same server as the last.
    pub(crate) fn stay(&mut self) {
        if let Some(server) = self.last.take() {
            self.left.push_front(server);
            self.tried -= 1;
        }
    }

    /// Whether another one may be tried after one that took a connection and made nothing of it
    /// (RFC 2782: the client goes on until a service answers).
    pub(crate) fn has_more(&self) -> bool {
        self.tried < MOST_SERVERS && !self.left.is_empty()
    }
}

/// Connects to a partner, trying its addresses in their order.
///
/// # Errors
///
/// [`Unreachable`] when there are none or none answers.
pub(crate) async fn dial(context: &Context, domain: &Domain) -> Result<Dialled, Unreachable> {
    Servers::of(context, domain)
        .await?
        .connect(context, domain)
        .await
}

/// How a negotiation ended.
#[derive(Debug)]
pub(crate) enum Negotiated {
    /// The stream is open for stanzas.
    Open(Connection, Opened),
    /// The question is answered.
    Told(Connection, KeyStatus),
    /// The partner could not judge the key, and the stream is still there.
    Undecided(Connection, Undecided),
    /// It came to nothing; the connection, where it still is, has been told.
    Failed(Option<Connection>, Failure),
    /// The proxy stops; the stream is closed.
    Stopped(Connection),
    /// The time was up.
    TimedOut(Connection),
}

/// Opens a stream on a connection, by the plan and before the deadline.
pub(crate) async fn open(
    context: &Context,
    dialled: Dialled,
    plan: Plan,
    deadline: Instant,
    stop: &mut Stop,
) -> Negotiated {
    let mut actions = Vec::new();
    let partner = plan.pair.to.clone();
    let Dialled { connection, direct } = dialled;
    let state = match direct {
        true => Initiating::open_secured(plan, &mut actions),
        false => Initiating::open(plan, &mut actions),
    };
    let connector = context.tls.connector(direct);
    negotiate(
        context, connection, connector, state, actions, &partner, deadline, stop,
    )
    .await
}

/// Sends a key once more on a stream that is there.
pub(crate) async fn ask_again(
    context: &Context,
    connection: Connection,
    undecided: Undecided,
    partner: &Domain,
    deadline: Instant,
    stop: &mut Stop,
) -> Negotiated {
    let mut actions = Vec::new();
    let state = undecided.ask_again(&context.config, &mut actions);
    let connector = context.tls.connector(false);
    negotiate(
        context, connection, connector, state, actions, partner, deadline, stop,
    )
    .await
}

async fn negotiate(
    context: &Context,
    mut connection: Connection,
    connector: Arc<ClientConfig>,
    mut state: Initiating,
    mut actions: Vec<Action>,
    partner: &Domain,
    mut deadline: Instant,
    stop: &mut Stop,
) -> Negotiated {
    let config = &context.config;
    let mut asked = false;
    loop {
        let mut text = String::new();
        let mut handshake = false;
        for action in actions.drain(..) {
            match action {
                Action::Send(more) => text.push_str(&more),
                Action::Restart => connection.incoming().restart(),
                Action::StartTls => handshake = true,
            }
        }
        if !text.is_empty() && connection.send(text).await.is_err() {
            return Negotiated::Failed(None, state.lost());
        }
        if handshake {
            // Clear text that came along with the consent may be anybody's (RFC 6120 §5.4.3.3).
            if connection.has_unread() {
                return Negotiated::Failed(Some(connection), Failure::TlsRefused);
            }
            let tls = Tls::Connect(Arc::clone(&connector), partner.server_name());
            match timeout_at(deadline, connection.secure(tls)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::info!(%partner, reason = error.reason(), "TLS handshake failed");
                    return Negotiated::Failed(None, Failure::TlsRefused);
                }
                Err(_) => return Negotiated::Failed(None, Failure::TlsRefused),
            }
            let certificates = connection.certificates();
            let judged = context.tls.judge(certificates, Presenter::Server, partner);
            state = state.on(Input::Secured(judged), config, &mut actions);
            continue;
        }
        match state {
            Initiating::Open(opened) => {
                connection
                    .incoming()
                    .trust(config.settings.limits.stanza_bytes);
                return Negotiated::Open(connection, opened);
            }
            Initiating::Told(verdict) => return Negotiated::Told(connection, verdict),
            Initiating::Undecided(undecided) => {
                return Negotiated::Undecided(connection, undecided);
            }
            Initiating::Failed(failure) => return Negotiated::Failed(Some(connection), failure),
            _ => {}
        }
        if state.awaits_answer() && !asked {
            asked = true;
            deadline = deadline.min(Instant::now() + config.settings.limits.dialback_timeout);
        }
        let next = async {
            tokio::select! {
                frame = connection.next() => Some(frame),
                () = stop.asked() => None,
            }
        };
        let frame = match timeout_at(deadline, next).await {
            Ok(None) => {
                let _ = connection.send(CLOSING).await;
                return Negotiated::Stopped(connection);
            }
            Ok(Some(frame)) => Ok(frame),
            Err(overdue) => Err(overdue),
        };
        let frame = match frame {
            Ok(Ok(frame)) => frame,
            Ok(Err(Lost::Unreadable(fault))) => {
                let text = error(Condition::from(fault), "");
                let _ = connection.send(text).await;
                return Negotiated::Failed(Some(connection), Failure::Confused);
            }
            Ok(Err(Lost::Ended | Lost::Broken(_) | Lost::Stuck)) => {
                return Negotiated::Failed(None, state.lost());
            }
            Err(_) => {
                let text = error(Condition::ConnectionTimeout, "");
                let _ = connection.send(text).await;
                return Negotiated::TimedOut(connection);
            }
        };
        state = state.on(Input::Frame(frame), config, &mut actions);
    }
}

/// Closes a connection without keeping the caller.
pub(crate) fn hang_up(context: &Arc<Context>, connection: Connection) {
    context.tasks.spawn(connection.close());
}
