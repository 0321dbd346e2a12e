//! Carries out the receiving entity's decisions.

use std::sync::Arc;
use std::time::Duration;

use super::action::Action;
use super::refusal::Refused;
use super::serve::{Course, Gone, Placed, Serving, out_of_places};
use crate::connections::{Full, Place};
use crate::domain::Pair;
use crate::ledger::Phase;
use crate::outbound;
use crate::partner::Partner;
use crate::stream::{Condition, error};
use crate::task::Stage;

/// The time limit for another stream to make room.
const VACATED: Duration = Duration::from_secs(3);

impl Serving {
    pub(super) async fn perform(&mut self, actions: Vec<Action>) -> Result<Course, Gone> {
        let mut text = String::new();
        let handshake = actions
            .iter()
            .any(|action| matches!(action, Action::StartTls { .. }));
        if handshake && self.connection.has_unread() {
            // Anyone may have injected plaintext after the request (RFC 6120 §5.4.3.3).
            let fatal = (Condition::PolicyViolation, "nothing may follow before TLS");
            self.enter(Refused::fatal(Phase::Tls, fatal, "", self.state.claimed()));
            self.connection.send(error(fatal.0, fatal.1)).await?;
            return Ok(Course::Over);
        }
        for action in actions {
            match action {
                Action::Send(more) => text.push_str(&more),
                Action::Refund => self.connection.incoming().refund(),
                Action::Refused(refused) => self.enter(refused),
                Action::Restart => self.connection.incoming().restart(),
                Action::Authenticated(pair, method) => {
                    if let Err(full) = self.admit(&pair).await {
                        self.enter(out_of_places(Some(&pair.from), full));
                        text.push_str(&error(Condition::ResourceConstraint, ""));
                        self.connection.send(text).await?;
                        return Ok(Course::Over);
                    }
                    self.context.router.seen(&pair.from);
                    tracing::info!(peer = %self.peer, %pair, %method, "pair authenticated");
                    self.register(pair, method);
                }
                Action::Deliver(pair, stanza) => {
                    self.flush(&mut text).await?;
                    outbound::deliver(&self.context, &pair, stanza).await;
                    if let Some(managed) = &mut self.managed {
                        managed.count();
                    }
                }
                Action::Dropped(stanza, why) => stanza.dropped(why),
                Action::Manage(pair, management) => {
                    let (answer, course) = self.manage(&pair, management).await?;
                    text.push_str(&answer);
                    if course == Course::Over {
                        self.connection.send(text).await?;
                        return Ok(course);
                    }
                }
                Action::Verify {
                    pair,
                    stream_id,
                    key,
                } => self.verify(pair, stream_id, key),
                Action::StartTls { own, request } => {
                    self.flush(&mut text).await?;
                    // It is over soon, and would make each connection larger for as long as that lasts.
                    Box::pin(self.secure(&own, &request)).await?;
                }
            }
        }
        self.flush(&mut text).await?;
        Ok(Course::On)
    }

    async fn flush(&mut self, text: &mut String) -> Result<(), Gone> {
        if !text.is_empty() {
            self.connection.send(&*text).await?;
            text.clear();
        }
        Ok(())
    }

    /// Counts the connection for its partner, and lifts the limits for unauthenticated peers.
    async fn admit(&mut self, pair: &Pair) -> Result<(), Full> {
        let config = &self.context.config;
        let partner = config.partner(&pair.from).ok_or(Full::Partner(0))?;
        if !self.partners.contains_key(&partner.domain) {
            let place = self.place(partner).await?;
            if matches!(self.place, Placed::Stranger(_)) {
                self.place = Placed::Partner(self.place_in_all().await?);
            }
            self.partners.insert(partner.domain.clone(), place);
            match &self.registration {
                Some(registration) => registration.counts_for(&partner.domain),
                None => {
                    let streams = &self.context.open_streams;
                    self.registration = Some(streams.register(&partner.domain, None));
                }
            }
        }
        self.keep_alive = partner.keep_alive;
        self.last_stanza = self.context.clock.now();
        let bytes = config.settings.limits.stanza_bytes;
        self.connection.incoming().trust(bytes);
        Ok(())
    }

    /// A place for a stream with the partner. Where the limit binds, the idlest one makes room.
    async fn place(&self, partner: &Partner) -> Result<Place, Full> {
        let connections = &self.context.connections;
        let full = match connections.claim(partner) {
            Ok(place) => return Ok(place),
            Err(full) => full,
        };
        let streams = &self.context.open_streams;
        let place = streams.vacated(Some(&partner.domain), connections.claimed(partner));
        let place = self.context.clock.timeout(VACATED, place).await;
        place.map_err(|_| full)
    }

    /// The same among the streams of all partners.
    async fn place_in_all(&self) -> Result<Place, Full> {
        let connections = &self.context.connections;
        let full = match connections.admit_inbound() {
            Ok(place) => return Ok(place),
            Err(full) => full,
        };
        let streams = &self.context.open_streams;
        let place = streams.vacated(None, connections.admitted_inbound());
        let place = self.context.clock.timeout(VACATED, place).await;
        place.map_err(|_| full)
    }

    fn verify(&self, pair: Pair, stream_id: String, key: String) {
        let context = Arc::clone(&self.context);
        let report = self.report.clone();
        self.context.tasks.spawn_in(Stage::Partners, async move {
            let status = tokio::select! {
                status = outbound::verify(&context, &pair, stream_id, key) => status,
                // The requesting connection has closed.
                () = report.closed() => return,
            };
            let _ = report.send((pair, status)).await;
        });
    }
}
