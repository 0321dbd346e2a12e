//! What passes, and what follows from it: a pure core without sockets, clocks and files.
//!
//! [`State::decide`] takes one stanza and gives the stanzas that follow from it. Start there;
//! `inbound` has the rules for partners, `outbound` those for local users, `upkeep` what time and a
//! new configuration do.

mod inbound;
mod outbound;
mod session;
mod upkeep;

use std::collections::BTreeMap;

use reference_proxy::wire::namespace::SERVER;
use reference_proxy::wire::{Kind, PartnerType, Stanza, StanzaError, bounce, escape};
use tokio::time::Instant;

use crate::address::{Address, Bare};
use crate::directory::Directory;
use crate::refusal::Refusal;
use crate::roster::{Entry, Roster};
use session::Sessions;

/// Namespaces that conferences are known by.
const CONFERENCES: [&str; 3] = [
    "http://jabber.org/protocol/muc",
    "http://jabber.org/protocol/muc#user",
    "jabber:x:conference",
];

/// Where a stanza comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A partner, through a proxy.
    Partner,
    /// A session of a local user.
    User {
        /// The user.
        user: &'a Bare,
        /// The session's resource.
        resource: &'a str,
    },
}

/// A stanza that follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Goes out to a partner.
    ToPartner(Stanza),
    /// Goes to a local user.
    ToUser {
        /// The user.
        user: Bare,
        /// The one session that gets it, or `None` for all of the user.
        resource: Option<String>,
        /// The stanza.
        stanza: Stanza,
    },
}

/// What follows from a stanza.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The stanzas, in order.
    pub actions: Vec<Action>,
    /// Why the stanza itself did not pass, if it did not. Its sender is told by one of the actions
    /// unless it may not be answered.
    pub refused: Option<Refusal>,
}

impl Decision {
    fn passed(actions: Vec<Action>) -> Self {
        Self {
            actions,
            refused: None,
        }
    }

    /// Refused, with an answer in a form of its own or with none.
    fn refused(why: Refusal, actions: Vec<Action>) -> Self {
        Self {
            actions,
            refused: Some(why),
        }
    }
}

/// All that decisions depend on.
#[derive(Clone, Debug)]
pub struct State {
    directory: Directory,
    roster: Roster,
    sessions: Sessions,
    /// When the subscriptions of each user who is available were last refreshed.
    refreshed: BTreeMap<Bare, Instant>,
    changed: bool,
}

impl State {
    /// A state in which nobody is signed in, and what follows from what the configuration says
    /// otherwise than what was saved.
    #[must_use]
    pub fn new(directory: Directory, saved: Roster) -> (Self, Vec<Action>) {
        let mut state = Self {
            directory,
            roster: saved,
            sessions: Sessions::default(),
            refreshed: BTreeMap::new(),
            changed: false,
        };
        let actions = state.follow_configuration();
        (state, actions)
    }

    /// Decides what becomes of a stanza.
    pub fn decide(&mut self, source: Source<'_>, stanza: &Stanza, now: Instant) -> Decision {
        match source {
            Source::Partner => self.partner_sent(stanza, now),
            Source::User { user, resource } => self.user_sent(user, resource, stanza, now),
        }
    }

    /// The configuration in force.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The contact lists, which have to survive a restart.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Whether contact lists have changed since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn entry(&self, user: &Bare, contact: &Bare) -> Entry {
        self.roster.get(user, contact).cloned().unwrap_or_default()
    }

    fn put(&mut self, user: &Bare, contact: &Bare, entry: Entry) {
        if self.roster.get(user, contact) != Some(&entry) {
            self.changed = true;
            self.roster.put(user, contact, entry);
        }
    }

    /// Whether there is room for a contact that the user adds, or for one that adds the user. They are
    /// counted apart, so that strangers do not fill the user's list.
    fn has_room(&self, user: &Bare, contact: &Bare, listed: bool) -> bool {
        let is_known = self
            .roster
            .get(user, contact)
            .is_some_and(|entry| entry.listed == listed);
        let like_it = self
            .roster
            .of(user)
            .filter(|(_, entry)| entry.listed == listed);
        is_known || like_it.count() < self.directory.rules.contacts
    }

    /// Whether the two may communicate, contact list included.
    pub(crate) fn may_talk(&self, user: &Bare, contact: &Bare) -> Result<PartnerType, Refusal> {
        let kind = self.directory.access(user, contact.domain())?;
        let listed = self
            .roster
            .get(user, contact)
            .is_some_and(|entry| entry.listed);
        match kind {
            PartnerType::PublicUnverified if !listed => Err(Refusal::NotAdded),
            PartnerType::Federated
            | PartnerType::PublicVerified
            | PartnerType::PublicUnverified => Ok(kind),
        }
    }

    /// The presence of all the user's sessions, for a contact. Where there is none, that the user is away.
    fn present(&self, user: &Bare, contact: &Bare) -> Vec<Action> {
        let full = self.sessions.available(user).map(|(resource, presence)| {
            let from = format!("{user}/{resource}");
            self.shown(&from, contact, presence)
        });
        let all: Vec<Action> = full.collect();
        match all.is_empty() {
            true => vec![to_partner(presence(user, contact, Some("unavailable")))],
            false => all,
        }
    }

    /// That none of the user's sessions is available to a contact any more.
    fn absent(&self, user: &Bare, contact: &Bare) -> Vec<Action> {
        let resources = self.sessions.available(user);
        resources
            .map(|(resource, _)| {
                let from = format!("{user}/{resource}");
                to_partner(presence(&from, contact, Some("unavailable")))
            })
            .collect()
    }

    /// A user's presence as this contact may see it.
    fn shown(&self, from: &str, to: &(impl ToString + ?Sized), presence: &Stanza) -> Action {
        let to = to.to_string();
        let mut shown = presence
            .addressed(Some(from), Some(&to))
            .unwrap_or_else(|_| self::presence(from, &to, presence.type_.as_deref()));
        let address = Address::parse(&to).ok();
        let kind = address.and_then(|to| self.directory.partners.get(to.bare.domain()).copied());
        if kind != Some(PartnerType::Federated) && shown.remove(SERVER, "status").is_err() {
            shown = self::presence(from, &to, presence.type_.as_deref());
        }
        Action::ToPartner(shown)
    }
}

/// A presence stanza without content.
fn presence(
    from: &(impl ToString + ?Sized),
    to: &(impl ToString + ?Sized),
    type_: Option<&str>,
) -> Stanza {
    let (from, to) = (from.to_string(), to.to_string());
    let type_attribute = type_.map_or_else(String::new, |type_| format!(" type='{type_}'"));
    let bytes = format!(
        "<presence from='{}' to='{}'{type_attribute}/>",
        escape(&from),
        escape(&to)
    );
    Stanza {
        kind: Kind::Presence,
        from: Some(from),
        to: Some(to),
        id: None,
        type_: type_.map(str::to_owned),
        bytes: bytes.into_bytes(),
    }
}

fn to_partner(stanza: Stanza) -> Action {
    Action::ToPartner(stanza)
}

fn to_user(user: &Bare, stanza: Stanza) -> Action {
    Action::ToUser {
        user: user.clone(),
        resource: None,
        stanza,
    }
}

/// Whether a stanza belongs to a conference (XEP-0045, XEP-0249).
fn is_of_a_conference(stanza: &Stanza) -> bool {
    if stanza.kind == Kind::Message && stanza.type_.as_deref() == Some("groupchat") {
        return true;
    }
    let children = stanza.children().unwrap_or_default();
    let mut children = children.iter();
    children.any(|child| CONFERENCES.contains(&child.namespace.as_str()))
}

/// The error that answers a partner's stanza. It says no more than that it does not pass.
fn refuse_partner(stanza: &Stanza, why: Refusal) -> Decision {
    let error = bounce(stanza, why.to_partner(), "");
    Decision::refused(why, error.map(to_partner).into_iter().collect())
}

/// The error that answers a user's stanza, for the session that sent it.
fn refuse_user(user: &Bare, resource: &str, stanza: &Stanza, why: Refusal) -> Decision {
    let error = answer_user(user, resource, stanza, why.to_user(), &why.to_string());
    Decision::refused(why, error.into_iter().collect())
}

/// An error for the session that sent a stanza, if the stanza may be answered.
pub(crate) fn answer_user(
    user: &Bare,
    resource: &str,
    stanza: &Stanza,
    error: StanzaError,
    text: &str,
) -> Option<Action> {
    let full = format!("{user}/{resource}");
    let asked = Stanza {
        from: Some(full),
        ..stanza.clone()
    };
    let stanza = bounce(&asked, error, text)?;
    Some(Action::ToUser {
        user: user.clone(),
        resource: Some(resource.to_owned()),
        stanza,
    })
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod tests;
