//! What a local user sends.

use reference_proxy::wire::{Kind, PartnerType, Stanza};
use tokio::time::Instant;

use super::{Action, Decision, State, is_of_a_conference, presence, refuse_user, to_partner};
use crate::address::{Address, Bare};
use crate::refusal::Refusal;

impl State {
    pub(super) fn user_sent(
        &mut self,
        user: &Bare,
        resource: &str,
        stanza: &Stanza,
        now: Instant,
    ) -> Decision {
        let decided = match (&stanza.to, stanza.kind) {
            (None, Kind::Presence) => self.broadcast(user, resource, stanza, now),
            (None, Kind::Iq | Kind::Message) => Err(Refusal::Local),
            (Some(to), kind) => match Address::parse(to) {
                Err(_) => Err(Refusal::AddressMalformed),
                Ok(to) if self.directory.domains.contains(to.bare.domain()) => Err(Refusal::Local),
                Ok(to) => match kind {
                    Kind::Iq => self.access(user, &to).and(Err(Refusal::NotSupported)),
                    Kind::Message => self.message_out(user, resource, stanza, &to),
                    Kind::Presence => self.presence_out(user, resource, stanza, &to),
                },
            },
        };
        match decided {
            Ok(actions) => Decision::passed(actions),
            Err(why) => refuse_user(user, resource, stanza, why),
        }
    }

    fn access(&self, user: &Bare, to: &Address) -> Result<PartnerType, Refusal> {
        self.directory.access(user, to.bare.domain())
    }

    fn message_out(
        &self,
        user: &Bare,
        resource: &str,
        stanza: &Stanza,
        to: &Address,
    ) -> Result<Vec<Action>, Refusal> {
        self.access(user, to)?;
        if is_of_a_conference(stanza) {
            return Err(Refusal::Conference);
        }
        self.may_talk(user, &to.bare)?;
        let (from, to) = (format!("{user}/{resource}"), to.to_string());
        let sent = stanza.addressed(Some(&from), Some(&to));
        let sent = sent.map_err(|_| Refusal::NotSupported)?;
        Ok(vec![to_partner(sent)])
    }

    fn presence_out(
        &mut self,
        user: &Bare,
        resource: &str,
        stanza: &Stanza,
        to: &Address,
    ) -> Result<Vec<Action>, Refusal> {
        let kind = self.access(user, to)?;
        if is_of_a_conference(stanza) {
            return Err(Refusal::Conference);
        }
        let contact = &to.bare;
        match stanza.type_.as_deref() {
            Some("subscribe") => self.ask(user, contact),
            Some("subscribed") => self.accept(user, contact),
            Some("unsubscribe") => Ok(self.remove(user, contact, kind)),
            Some("unsubscribed") => self.withdraw(user, contact),
            None | Some("unavailable") => {
                self.may_talk(user, contact)?;
                let is_there = stanza.type_.is_none();
                if !self.sessions.direct(user, resource, to, is_there) {
                    return Err(Refusal::ContactsFull);
                }
                let from = format!("{user}/{resource}");
                Ok(vec![self.shown(&from, to, stanza)])
            }
            Some(_) => Err(Refusal::NotSupported),
        }
    }

    /// The user adds the contact and asks to see it (RFC 6121 §3.1.2).
    fn ask(&mut self, user: &Bare, contact: &Bare) -> Result<Vec<Action>, Refusal> {
        if !self.has_room(user, contact, true) {
            return Err(Refusal::ContactsFull);
        }
        let mut entry = self.entry(user, contact);
        entry.listed = true;
        entry.asked = !entry.to;
        self.put(user, contact, entry);
        Ok(vec![to_partner(presence(user, contact, Some("subscribe")))])
    }

    /// The user lets a contact that has asked see it (RFC 6121 §3.1.5).
    fn accept(&mut self, user: &Bare, contact: &Bare) -> Result<Vec<Action>, Refusal> {
        self.may_talk(user, contact)?;
        let mut entry = self.entry(user, contact);
        if !entry.asks {
            return Err(Refusal::Unasked);
        }
        (entry.from, entry.asks) = (true, false);
        self.put(user, contact, entry);
        let mut actions = vec![to_partner(presence(user, contact, Some("subscribed")))];
        actions.extend(self.present(user, contact));
        Ok(actions)
    }

    /// The user takes the contact off the list (RFC 6121 §3.3.2). An unverified contact sees the user
    /// only as long as it is listed.
    fn remove(&mut self, user: &Bare, contact: &Bare, kind: PartnerType) -> Vec<Action> {
        let mut actions = vec![to_partner(presence(user, contact, Some("unsubscribe")))];
        if kind == PartnerType::PublicUnverified {
            actions.extend(self.withdraw(user, contact).unwrap_or_default());
        }
        let mut entry = self.entry(user, contact);
        (entry.listed, entry.to, entry.asked) = (false, false, false);
        entry.seen.clear();
        self.put(user, contact, entry);
        actions.extend(self.undirect());
        actions
    }

    /// The user does not let the contact see it, or not any more. Presence is withdrawn while the
    /// contact still takes it (RFC 6121 §3.2.2).
    pub(super) fn withdraw(&mut self, user: &Bare, contact: &Bare) -> Result<Vec<Action>, Refusal> {
        let mut entry = self.entry(user, contact);
        if !entry.from && !entry.asks {
            return Err(Refusal::Unasked);
        }
        let mut actions = match entry.from {
            true => self.absent(user, contact),
            false => Vec::new(),
        };
        actions.push(to_partner(presence(user, contact, Some("unsubscribed"))));
        (entry.from, entry.asks) = (false, false);
        self.put(user, contact, entry);
        Ok(actions)
    }

    /// Presence for all who see the user (RFC 6121 §4.2, §4.4, §4.5).
    fn broadcast(
        &mut self,
        user: &Bare,
        resource: &str,
        stanza: &Stanza,
        now: Instant,
    ) -> Result<Vec<Action>, Refusal> {
        match stanza.type_.as_deref() {
            None => {}
            Some("unavailable") => return Ok(self.depart(user, resource, stanza)),
            Some(_) => return Err(Refusal::NotSupported),
        }
        if is_of_a_conference(stanza) {
            return Err(Refusal::Conference);
        }
        let Some(session) = self.sessions.get(user, resource) else {
            return Err(Refusal::Offline);
        };
        let was = session.presence.replace(stanza.clone());
        self.refreshed.entry(user.clone()).or_insert(now);
        let mut actions = self.to_subscribers(user, resource, stanza);
        if was.is_none() {
            actions.extend(self.arrive(user, resource));
        }
        Ok(actions)
    }

    fn to_subscribers(&self, user: &Bare, resource: &str, stanza: &Stanza) -> Vec<Action> {
        let from = format!("{user}/{resource}");
        let subscribers = self
            .roster
            .of(user)
            .filter(|(contact, entry)| entry.from && self.may_talk(user, contact).is_ok());
        subscribers
            .map(|(contact, _)| self.shown(&from, contact, stanza))
            .collect()
    }

    /// The session is not available any more, and may say why in a status note.
    fn depart(&mut self, user: &Bare, resource: &str, stanza: &Stanza) -> Vec<Action> {
        let last_words: Vec<Action> = self.leave(user, resource);
        let said = |action: Action| match action {
            Action::ToPartner(plain) => {
                let (from, to) = (plain.from.unwrap_or_default(), plain.to.unwrap_or_default());
                self.shown(&from, &to, stanza)
            }
            Action::ToUser { .. } => action,
        };
        last_words.into_iter().map(said).collect()
    }
}
