//! Carries out the initiating entity's decisions.

use std::net::SocketAddr;
use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;

use tokio::time::Instant;

use super::awaiting::{Action, Input};
use super::dial::Dialled;
use super::initiating::{Initiating, Outcome, Progress, Undecided};
use super::open_stream::WRONG_WAY;
use super::plan::{At, Failure, Opened, Plan};
use crate::context::Context;
use crate::dialback::KeyStatus;
use crate::domain::Pair;
use crate::ledger::{BAD_CERTIFICATE, By, Direction, Kind, Phase, Refusal};
use crate::stream::{CLOSING, Condition, Connection, Lost, Tls, error};
use crate::task::Stop;
use crate::xml::Frame;

/// How a negotiation ended.
pub(super) enum Negotiated {
    /// The stream is open for stanzas.
    Open(Connection, Opened),
    /// The request has been answered.
    Told(KeyStatus),
    /// The partner could not judge the key, and the stream is still open.
    Undecided(Connection, Undecided),
    Failed(Failure, At),
}

/// Opens a stream on a connection.
pub(super) async fn open(
    context: &Arc<Context>,
    dialled: Dialled,
    plan: Plan,
    deadline: Instant,
    stop: &mut Stop,
) -> Negotiated {
    let Dialled {
        connection,
        peer,
        direct,
    } = dialled;
    let pair = plan.pair.clone();
    let mut actions = Vec::new();
    let progress = Continue(Initiating::open(plan, direct, &mut actions));
    let negotiation = Negotiation {
        context,
        connection,
        peer,
        phase: Phase::Stream,
        direct,
        pair: &pair,
        deadline,
        stop,
    };
    negotiation.run(progress, actions).await
}

/// Closes a connection without blocking the caller.
pub(super) fn hang_up(context: &Context, connection: Connection) {
    context.tasks.spawn(connection.close());
}

struct Negotiation<'a> {
    context: &'a Arc<Context>,
    connection: Connection,
    peer: SocketAddr,
    /// How far it has come.
    phase: Phase,
    direct: bool,
    pair: &'a Pair,
    deadline: Instant,
    stop: &'a mut Stop,
}

impl Negotiation<'_> {
    async fn run(mut self, progress: Progress, actions: Vec<Action>) -> Negotiated {
        let outcome = self.outcome(progress, actions).await;
        let at = At {
            phase: self.phase,
            peer: self.peer,
        };
        match outcome {
            Ok(Outcome::Open(opened)) => Negotiated::Open(self.connection, opened),
            Ok(Outcome::Undecided(undecided)) => Negotiated::Undecided(self.connection, undecided),
            Ok(Outcome::Told(status)) => {
                hang_up(self.context, self.connection);
                Negotiated::Told(status)
            }
            Ok(Outcome::Failed(failure)) => {
                hang_up(self.context, self.connection);
                Negotiated::Failed(failure, at)
            }
            Err(failure) => Negotiated::Failed(failure, at),
        }
    }

    /// The outcome if the connection is still open, or the error of a lost one.
    async fn outcome(
        &mut self,
        mut progress: Progress,
        mut actions: Vec<Action>,
    ) -> Result<Outcome, Failure> {
        let config = &self.context.config;
        let mut asked = false;
        loop {
            let mut text = String::new();
            let mut handshake = false;
            for action in actions.drain(..) {
                match action {
                    Action::Send(more) => text.push_str(&more),
                    Action::Restart => self.connection.incoming().restart(),
                    Action::StartTls => handshake = true,
                    Action::WithoutSasl(by, why) => self.tell(by, why),
                }
            }
            if !text.is_empty() && self.connection.send(text).await.is_err() {
                return Err(match progress {
                    Continue(state) => state.lost(),
                    Break(Outcome::Failed(failure)) => failure,
                    Break(_) => Failure::Closed(None),
                });
            }
            let state = match progress {
                Continue(state) => state,
                Break(outcome) => return Ok(outcome),
            };
            self.phase = state.phase();
            if handshake {
                // Anyone may have injected plaintext after `<proceed/>` (RFC 6120 §5.4.3.3).
                if self.connection.has_unread() {
                    let early = "plaintext follows where TLS is due".to_owned();
                    return Ok(Outcome::Failed(Failure::TlsRefused(Some(early))));
                }
                let secured = self.secure().await?;
                progress = state.on(secured, config, &mut actions);
                continue;
            }
            if state.awaits_answer() && !asked {
                asked = true;
                let patience = config.settings.limits.dialback_timeout;
                self.deadline = self.deadline.min(self.context.clock.now() + patience);
            }
            let frame = tokio::select! {
                frame = self.context.clock.timeout_at(self.deadline, self.connection.next()) => frame,
                () = self.stop.asked() => {
                    return Ok(self.give_up(CLOSING.to_owned(), Failure::Stopping).await);
                }
            };
            let (text, failure) = match frame {
                Ok(Ok(frame)) => {
                    if let Frame::Stanza(stanza) = &frame {
                        stanza.dropped(WRONG_WAY);
                    }
                    progress = state.on(Input::Frame(frame), config, &mut actions);
                    continue;
                }
                Ok(Err(Lost::Unreadable(fault))) => (error(fault.into(), ""), Failure::Confused),
                Ok(Err(Lost::Ended | Lost::Broken(_) | Lost::Stuck)) => return Err(state.lost()),
                Err(_) => (error(Condition::ConnectionTimeout, ""), Failure::TimedOut),
            };
            return Ok(self.give_up(text, failure).await);
        }
    }

    /// Keeps why dialback is used instead of SASL.
    fn tell(&self, by: By, text: String) {
        let condition = match by {
            By::Proxy => BAD_CERTIFICATE,
            By::Peer => "sasl-failure",
        };
        self.context.ledger.enter(Refusal {
            kind: Kind {
                direction: Direction::Outbound,
                phase: Phase::Sasl,
                by,
                condition,
            },
            domain: Some(self.pair.to.to_string()),
            peer: Some(self.peer),
            text,
        });
    }

    /// Sends the final bytes.
    async fn give_up(&mut self, text: String, failure: Failure) -> Outcome {
        let _ = self.connection.send(text).await;
        Outcome::Failed(failure)
    }

    async fn secure(&mut self) -> Result<Input, Failure> {
        let tls = &self.context.tls;
        let Pair { from, to: partner } = self.pair;
        let (connector, stapled) = tls.connector(from, self.direct);
        let connect = Tls::Connect(connector, partner.server_name());
        let secured = self.connection.secure(connect);
        match self.context.clock.timeout_at(self.deadline, secured).await {
            Ok(Ok(())) => {
                let certificates = self.connection.certificates();
                let judged = tls.judge_server(certificates, &stapled, partner);
                Ok(Input::Secured(judged))
            }
            Ok(Err(lost)) => Err(Failure::TlsRefused(Some(lost.reason()))),
            Err(_) => Err(Failure::TlsRefused(Some("no answer in time".to_owned()))),
        }
    }
}
