//! The one task that owns the state: takes events, has them decided, and sends what follows.
//!
//! It never waits for a link or a session: their queues are bounded, and what does not fit comes back
//! to its sender as an error.

mod sending;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use reference_proxy::Clock;
use reference_proxy::wire::{Kind, Stanza, StanzaError, Stop, bounce};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::address::{Address, Bare};
use crate::event::{Event, LinkId, SessionId, SignIn, SignInError, Way};
use crate::refusal::Refusal;
use crate::roster::Roster;
use crate::state::{Action, Source, State, answer_user};
use crate::withdrawal::Withdrawal;

/// The most stanzas that wait for a link, or for room in the first one. They tell partners of changed subscriptions.
const OWED: usize = 10_000;

/// When a state that could not be saved is tried again.
const SAVE_AGAIN: Duration = Duration::from_secs(10);

/// What senders are told where there is no link.
const NO_PROXY: &str = "no proxy is connected";
/// The same where a link broke.
const UNACKNOWLEDGED: &str = "the link to the proxy broke, and it may have arrived or not";

pub(crate) struct Hub {
    state: State,
    clock: Clock,
    links: BTreeMap<LinkId, Way>,
    /// How many links there are, for whoever watches.
    count: watch::Sender<usize>,
    sessions: BTreeMap<SessionId, Signed>,
    most_sessions: usize,
    last_session: u64,
    /// What partners are still to be told, once a link takes it.
    owed: VecDeque<Stanza>,
    /// What the last reload takes back from partners.
    withdrawal: Withdrawal,
    /// Who wants to know how far that is, once all of it is on its way.
    asking: Vec<oneshot::Sender<Withdrawal>>,
    /// Takes the contact lists to the file, one at a time.
    save: mpsc::Sender<Roster>,
    saving: bool,
    unsaved: bool,
    /// Not before then, after a failure.
    save_again: Option<Instant>,
}

/// A session that is signed in.
struct Signed {
    user: Bare,
    resource: String,
    queue: mpsc::Sender<Stanza>,
}

/// Where the stanza came from that an action follows from.
#[derive(Clone, Copy)]
enum Cause<'a> {
    Link(LinkId),
    Session(SessionId, &'a Stanza),
    /// A link that is over, which did not send it.
    Left,
    /// Time, the configuration, or the end of a session.
    Own,
}

impl Hub {
    pub(crate) fn new(
        (state, first): (State, Vec<Action>),
        clock: Clock,
        most_sessions: usize,
        save: mpsc::Sender<Roster>,
        count: watch::Sender<usize>,
    ) -> Self {
        let mut hub = Self {
            state,
            clock,
            links: BTreeMap::new(),
            count,
            sessions: BTreeMap::new(),
            most_sessions,
            last_session: 0,
            owed: VecDeque::new(),
            withdrawal: Withdrawal::default(),
            asking: Vec::new(),
            save,
            saving: false,
            unsaved: false,
            save_again: None,
        };
        hub.act(first, Cause::Own);
        hub
    }

    /// Takes events until the gateway stops. All sessions are signed out then, and the last state is
    /// handed to be saved.
    pub(crate) async fn run(
        mut self,
        mut events: mpsc::Receiver<Event>,
        mut signed_out: mpsc::UnboundedReceiver<SessionId>,
        mut stop: Stop,
    ) {
        loop {
            self.save();
            let clock = self.clock.clone();
            let due = self.state.due();
            // However many events wait.
            if due.is_some_and(|due| due <= clock.now()) {
                let actions = self.state.refresh(clock.now());
                self.act(actions, Cause::Own);
                continue;
            }
            let due = due.into_iter().chain(self.save_again).min();
            let room = self.room();
            let waiting = async {
                tokio::select! {
                    // A session's last stanzas go before its end.
                    biased;
                    () = stop.asked() => None,
                    event = events.recv() => event.map(Turn::Event),
                    Some(id) = signed_out.recv() => Some(Turn::SignOut(id)),
                    () = room => Some(Turn::Room),
                }
            };
            let turn = match due {
                None => waiting.await,
                Some(due) => match clock.timeout_at(due, waiting).await {
                    Ok(turn) => turn,
                    Err(_) => continue,
                },
            };
            match turn {
                None => break,
                Some(Turn::Event(event)) => self.take(event),
                Some(Turn::SignOut(id)) => self.sign_out(id),
                Some(Turn::Room) => {}
            }
            self.pay();
            self.mark();
        }
        // What has been taken over is still decided. The rest stays with links and sessions, which see
        // that the channel is closed.
        events.close();
        while let Some(event) = events.recv().await {
            self.take(event);
        }
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in ids {
            self.sign_out(id);
        }
        if self.state.take_changed() || self.unsaved {
            // Waits for the one before. The saver ends when the last sender is dropped.
            let _ = self.save.send(self.state.roster().clone()).await;
        }
        // Last, as a proxy may read no more.
        self.pay_all().await;
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::FromLink(link, stanza) => {
                self.withdrawal.look_at(&stanza);
                let decision = self
                    .state
                    .decide(Source::Partner, &stanza, self.clock.now());
                said(&stanza, decision.refused, "from a partner");
                self.act(decision.actions, Cause::Link(link));
            }
            Event::FromSession(id, stanza) => self.session_sent(id, &stanza),
            Event::Skipped(link, stanza, fault) => {
                if let Some(error) = bounce(&stanza, fault.into(), "") {
                    self.send_out(error, Cause::Link(link));
                }
            }
            Event::LinkUp(id, way) => {
                let was_alone = self.links.is_empty();
                self.links.insert(id, way);
                self.count.send_replace(self.links.len());
                self.pay();
                if was_alone {
                    // Presence has not reached anybody meanwhile, in either direction.
                    let actions = self.state.announce(self.clock.now());
                    self.act(actions, Cause::Own);
                }
            }
            Event::LinkDown(id, left) => {
                self.links.remove(&id);
                self.count.send_replace(self.links.len());
                let newer = std::mem::take(&mut self.owed);
                for stanza in left {
                    self.send_out(stanza, Cause::Left);
                }
                self.owed.extend(newer);
            }
            Event::Unacknowledged(stanzas) => {
                let newer = std::mem::take(&mut self.owed);
                for stanza in stanzas {
                    match stanza.kind {
                        // It may be sent twice: the last one counts.
                        Kind::Presence => self.send_out(stanza, Cause::Left),
                        Kind::Message => self.bounce(&stanza, UNACKNOWLEDGED),
                        Kind::Iq => stanza.dropped(UNACKNOWLEDGED),
                    }
                }
                self.owed.extend(newer);
            }
            Event::Reload(directory) => {
                let actions = self.state.reload(*directory);
                let sent = actions.iter().filter_map(|action| match action {
                    Action::ToPartner(stanza) => Some(stanza),
                    Action::ToUser { .. } => None,
                });
                let earlier = std::mem::take(&mut self.withdrawal);
                self.withdrawal = Withdrawal::of(sent).after(earlier);
                self.act(actions, Cause::Own);
                self.dismiss();
            }
            // Who has asked may be gone.
            Event::MayTalk(user, contact, asks) => {
                let _ = asks.send(self.state.may_talk(&user, &contact).map(drop));
            }
            Event::Withdrawing(asks) => self.asking.push(asks),
            Event::Saved(is_saved) => {
                self.saving = false;
                if !is_saved {
                    self.unsaved = true;
                    self.save_again = Some(self.clock.now() + SAVE_AGAIN);
                }
            }
            Event::SignIn(wish) => self.sign_in(wish),
        }
    }

    fn session_sent(&mut self, id: SessionId, stanza: &Stanza) {
        let Some(Signed { user, resource, .. }) = self.sessions.get(&id) else {
            return;
        };
        let source = Source::User { user, resource };
        let decision = self.state.decide(source, stanza, self.clock.now());
        said(stanza, decision.refused, "from a user");
        self.act(decision.actions, Cause::Session(id, stanza));
    }

    fn act(&mut self, actions: Vec<Action>, cause: Cause<'_>) {
        for action in actions {
            match action {
                Action::ToPartner(stanza) => self.send_out(stanza, cause),
                Action::ToUser {
                    user,
                    resource,
                    stanza,
                } => {
                    let is_taken = self.hand_over(&user, resource.as_deref(), &stanza);
                    if !is_taken
                        && matches!(cause, Cause::Link(_))
                        && stanza.kind == Kind::Message
                        && let Some(error) = bounce(&stanza, StanzaError::ServiceUnavailable, "")
                    {
                        self.send_out(error, cause);
                    }
                }
            }
        }
    }

    /// Says how far withdrawals are, once none of them is owed, or there is nobody to send them to.
    fn mark(&mut self) {
        if self.asking.is_empty() || !(self.owed.is_empty() || self.links.is_empty()) {
            return;
        }
        let marks = self.links.values();
        let marks = marks.map(|way| (way.through.clone(), way.given)).collect();
        self.withdrawal.mark(marks);
        for asks in self.asking.drain(..) {
            // Who has asked may be gone.
            let _ = asks.send(self.withdrawal.clone());
        }
    }

    fn return_to(&mut self, id: SessionId, stanza: &Stanza, is_full: bool) {
        let (error, text) = match is_full {
            true => (
                StanzaError::ResourceConstraint,
                "too much waits for the proxy",
            ),
            false => (StanzaError::RemoteServerTimeout, NO_PROXY),
        };
        let Some(Signed { user, resource, .. }) = self.sessions.get(&id) else {
            return;
        };
        let answer = answer_user(user, resource, stanza, error, text);
        self.act(answer.into_iter().collect(), Cause::Own);
    }

    /// Tells the sender of a message why it is not sent, wherever the user is signed in.
    fn bounce(&mut self, message: &Stanza, why: &str) {
        let from = message
            .from
            .as_deref()
            .and_then(|from| Address::parse(from).ok());
        let error = bounce(message, StanzaError::RemoteServerTimeout, why);
        match (from, error) {
            (Some(from), Some(error)) => {
                self.hand_over(&from.bare, from.resource.as_deref(), &error);
            }
            (_, _) => message.dropped(why),
        }
    }

    /// Hands a stanza to the sessions that it is for. Returns whether any has taken it.
    fn hand_over(&mut self, user: &Bare, resource: Option<&str>, stanza: &Stanza) -> bool {
        let is_meant = |signed: &Signed| {
            signed.user == *user && resource.is_none_or(|resource| signed.resource == resource)
        };
        let meant = self.sessions.iter().filter(|(_, signed)| is_meant(signed));
        let mut stuck = Vec::new();
        let mut is_taken = false;
        for (id, signed) in meant {
            match signed.queue.try_send(stanza.clone()) {
                Ok(()) => is_taken = true,
                Err(_) => stuck.push(*id),
            }
        }
        for id in stuck {
            tracing::warn!(%user, "a session that does not read is ended");
            self.sign_out(id);
        }
        is_taken
    }

    fn sign_in(&mut self, wish: SignIn) {
        let SignIn {
            user,
            resource,
            queue,
            answer,
        } = wish;
        let result = self.admit(user, resource, queue);
        if let Err(Ok((id, _))) = answer.send(result) {
            // Whoever wished it is gone.
            self.sign_out(id);
        }
    }

    fn admit(
        &mut self,
        user: Bare,
        resource: Option<String>,
        queue: mpsc::Sender<Stanza>,
    ) -> Result<(SessionId, String), SignInError> {
        if self.sessions.len() >= self.most_sessions {
            return Err(SignInError::Full);
        }
        self.last_session += 1;
        let id = SessionId(self.last_session);
        let taken = |name: &str| {
            let mut signed = self.sessions.values();
            signed.any(|signed| signed.user == user && signed.resource == name)
        };
        let resource = resource.filter(|name| !taken(name));
        let mut numbered = (id.0..).map(|number| format!("session-{number}"));
        let resource = resource.or_else(|| numbered.find(|name| !taken(name)));
        let resource = resource.ok_or(SignInError::Full)?;
        let signed_in = self.state.sign_in(&user, &resource);
        signed_in.map_err(SignInError::Refused)?;
        let full = format!("{user}/{resource}");
        let signed = Signed {
            user,
            resource,
            queue,
        };
        self.sessions.insert(id, signed);
        Ok((id, full))
    }

    fn sign_out(&mut self, id: SessionId) {
        if let Some(Signed { user, resource, .. }) = self.sessions.remove(&id) {
            let actions = self.state.sign_out(&user, &resource);
            self.act(actions, Cause::Own);
        }
    }

    /// Ends the sessions of users that are not in the configuration any more.
    fn dismiss(&mut self) {
        let users = &self.state.directory().users;
        let gone = self
            .sessions
            .iter()
            .filter(|(_, signed)| !users.contains_key(&signed.user));
        let gone: Vec<SessionId> = gone.map(|(id, _)| *id).collect();
        for id in gone {
            self.sign_out(id);
        }
    }

    /// Has the contact lists saved if they have changed. What changes meanwhile is saved next.
    fn save(&mut self) {
        self.unsaved |= self.state.take_changed();
        let pauses = self.save_again.is_some_and(|at| at > self.clock.now());
        if self.unsaved
            && !self.saving
            && !pauses
            && self.save.try_send(self.state.roster().clone()).is_ok()
        {
            (self.saving, self.unsaved, self.save_again) = (true, false, None);
        }
    }
}

enum Turn {
    Event(Event),
    SignOut(SessionId),
    Room,
}

/// One line for each stanza that does not pass: who, whom, and why. Never what it says.
fn said(stanza: &Stanza, refused: Option<Refusal>, source: &str) {
    let Stanza {
        kind,
        from,
        to,
        type_,
        ..
    } = stanza;
    match refused {
        Some(why) => tracing::info!(%kind, type_, from, to, reason = %why, "refused {source}"),
        None => tracing::debug!(%kind, type_, from, to, "passed {source}"),
    }
}

#[cfg(test)]
mod tests;
