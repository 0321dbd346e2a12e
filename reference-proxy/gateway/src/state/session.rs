//! Sessions of local users: who is signed in, and with which presence.

use std::collections::{BTreeMap, BTreeSet};

use reference_proxy::wire::Stanza;

use super::{Action, State, presence, to_partner, to_user};
use crate::address::{Address, Bare};
use crate::refusal::Refusal;

/// The most contacts to which one session may send presence without a subscription.
const DIRECTED: usize = 100;

#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// The presence last sent to all, if the session is available.
    pub(super) presence: Option<Stanza>,
    /// Whom it has sent presence besides (RFC 6121 §4.6).
    pub(super) directed: BTreeSet<Address>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Sessions {
    users: BTreeMap<Bare, BTreeMap<String, Session>>,
}

impl Sessions {
    /// The available sessions of a user: resource and presence.
    pub(super) fn available(&self, user: &Bare) -> impl Iterator<Item = (&str, &Stanza)> {
        let sessions = self.users.get(user).into_iter().flatten();
        sessions
            .filter_map(|(resource, session)| Some((resource.as_str(), session.presence.as_ref()?)))
    }

    pub(super) fn is_available(&self, user: &Bare) -> bool {
        self.available(user).next().is_some()
    }

    pub(super) fn is_signed_in(&self, user: &Bare) -> bool {
        self.users.contains_key(user)
    }

    pub(super) fn contains(&self, user: &Bare, resource: &str) -> bool {
        let sessions = self.users.get(user);
        sessions.is_some_and(|sessions| sessions.contains_key(resource))
    }

    pub(super) fn get(&mut self, user: &Bare, resource: &str) -> Option<&mut Session> {
        self.users.get_mut(user)?.get_mut(resource)
    }

    /// Notes presence for somebody without a subscription. Returns whether there is room for it.
    pub(super) fn direct(
        &mut self,
        user: &Bare,
        resource: &str,
        to: &Address,
        is_there: bool,
    ) -> bool {
        let Some(session) = self.get(user, resource) else {
            return false;
        };
        if !is_there {
            session.directed.remove(to);
            return true;
        }
        if session.directed.len() >= DIRECTED && !session.directed.contains(to) {
            return false;
        }
        session.directed.insert(to.clone());
        true
    }
}

impl Sessions {
    /// To whom sessions have sent presence besides: user, resource, address.
    pub(super) fn directed(&self) -> impl Iterator<Item = (&Bare, &str, &Address)> {
        let sessions = self.users.iter();
        let sessions = sessions.flat_map(|(user, all)| all.iter().map(move |one| (user, one)));
        sessions.flat_map(|(user, (resource, session))| {
            let directed = session.directed.iter();
            directed.map(move |to| (user, resource.as_str(), to))
        })
    }
}

impl State {
    /// Takes presence back from whom sessions have sent it besides, and who may not see them any more. One who also
    /// sees the user by a subscription is told with it.
    pub(super) fn undirect(&mut self) -> Vec<Action> {
        let lost = self.sessions.directed();
        let lost = lost.filter(|(user, _, to)| self.may_talk(user, &to.bare).is_err());
        let lost: Vec<(Bare, String, Address)> = lost
            .map(|(user, resource, to)| (user.clone(), resource.to_owned(), to.clone()))
            .collect();
        let mut actions = Vec::new();
        for (user, resource, to) in lost {
            self.sessions.direct(&user, &resource, &to, false);
            if !self.entry(&user, &to.bare).from {
                let from = format!("{user}/{resource}");
                let gone = presence(&from, &to.to_string(), Some("unavailable"));
                actions.push(to_partner(gone));
            }
        }
        actions
    }

    /// Signs a session in. It gets stanzas from now on; nobody sees it before it sends presence.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`] if the user is none of the local ones.
    pub fn sign_in(&mut self, user: &Bare, resource: &str) -> Result<(), Refusal> {
        if !self.directory.users.contains_key(user) {
            return Err(Refusal::UnknownUser);
        }
        let sessions = self.sessions.users.entry(user.clone()).or_default();
        sessions.entry(resource.to_owned()).or_default();
        Ok(())
    }

    /// Signs a session out: whoever sees it is told (RFC 6121 §4.5.3).
    pub fn sign_out(&mut self, user: &Bare, resource: &str) -> Vec<Action> {
        let actions = self.leave(user, resource);
        if let Some(sessions) = self.sessions.users.get_mut(user) {
            sessions.remove(resource);
            if sessions.is_empty() {
                self.sessions.users.remove(user);
            }
        }
        actions
    }

    /// Tells all who see a session that it is not available any more.
    pub(super) fn leave(&mut self, user: &Bare, resource: &str) -> Vec<Action> {
        let Some(session) = self.sessions.get(user, resource) else {
            return Vec::new();
        };
        let was = session.presence.take();
        let directed = std::mem::take(&mut session.directed);
        if !self.sessions.is_available(user) {
            self.refreshed.remove(user);
        }
        let from = format!("{user}/{resource}");
        let subscribers = self.roster.of(user).filter(|(contact, entry)| {
            was.is_some() && entry.from && self.may_talk(user, contact).is_ok()
        });
        let gone = |to: String| to_partner(presence(&from, &to, Some("unavailable")));
        let subscribers: BTreeSet<&Bare> = subscribers.map(|(contact, _)| contact).collect();
        let others = directed
            .iter()
            .filter(|to| !subscribers.contains(&to.bare) && self.may_talk(user, &to.bare).is_ok());
        let others: Vec<Action> = others.map(|to| gone(to.to_string())).collect();
        let all = subscribers.iter().map(|contact| gone(contact.to_string()));
        all.chain(others).collect()
    }

    /// Makes a session available for the first time: it is told who asks to see the user, and its
    /// contacts are asked for their presence (RFC 6121 §3.1.3, §4.2.2).
    pub(super) fn arrive(&self, user: &Bare, resource: &str) -> Vec<Action> {
        let mut actions = Vec::new();
        for (contact, entry) in self.roster.of(user) {
            if self.may_talk(user, contact).is_err() {
                continue;
            }
            if entry.to {
                actions.push(to_partner(presence(user, contact, Some("probe"))));
            }
            if entry.asks {
                let mut asks = to_user(user, presence(contact, user, Some("subscribe")));
                if let Action::ToUser { resource: one, .. } = &mut asks {
                    *one = Some(resource.to_owned());
                }
                actions.push(asks);
            }
        }
        actions
    }
}
