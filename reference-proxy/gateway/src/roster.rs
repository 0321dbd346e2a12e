//! Contact lists with the state of each subscription (RFC 6121 §3, appendix A).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::address::Bare;
use crate::directory::Subscription;

/// The most resources of one contact whose presence is remembered.
const RESOURCES: usize = 32;

/// What is between a user and a contact.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Entry {
    /// Whether the user has added the contact.
    pub listed: bool,
    /// Whether the user sees the contact.
    pub to: bool,
    /// Whether the contact sees the user.
    pub from: bool,
    /// Whether the user has asked to see the contact, and waits.
    pub asked: bool,
    /// Whether the contact has asked to see the user, and waits.
    pub asks: bool,
    /// What the configuration said when it was last followed. It is followed again when it changes.
    pub configured: Option<Subscription>,
    /// The contact's resources that are there, and when each was last heard of.
    #[serde(skip)]
    pub(crate) seen: BTreeMap<String, Instant>,
}

impl Entry {
    /// What the configuration says.
    pub(crate) fn configured(subscription: Subscription) -> Self {
        Self {
            listed: true,
            to: subscription.to(),
            from: subscription.from(),
            configured: Some(subscription),
            ..Self::default()
        }
    }

    /// Whether nothing is between the two.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            listed,
            to,
            from,
            asked,
            asks,
            configured,
            seen: _,
        } = self;
        !(*listed || *to || *from || *asked || *asks || configured.is_some())
    }

    /// Remembers that a resource is there, or no longer.
    pub(crate) fn heard(&mut self, resource: &str, available: bool, now: Instant) {
        if !available {
            self.seen.remove(resource);
        } else if self.seen.len() < RESOURCES || self.seen.contains_key(resource) {
            self.seen.insert(resource.to_owned(), now);
        }
    }

    /// Forgets the resources that have not been heard of since then.
    pub(crate) fn silent_since(&mut self, then: Instant) -> Vec<String> {
        let silent = |heard: &Instant| *heard < then;
        let gone = self.seen.iter().filter(|(_, heard)| silent(heard));
        let gone: Vec<String> = gone.map(|(resource, _)| resource.clone()).collect();
        self.seen.retain(|_, heard| !silent(heard));
        gone
    }
}

/// The contact lists of all users. Clones share those that do not change, so that it can be saved while
/// it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    users: BTreeMap<Bare, Arc<BTreeMap<Bare, Entry>>>,
}

impl Roster {
    /// What is between a user and a contact, if anything.
    #[must_use]
    pub fn get(&self, user: &Bare, contact: &Bare) -> Option<&Entry> {
        self.users.get(user)?.get(contact)
    }

    /// The contacts of a user.
    pub fn of(&self, user: &Bare) -> impl Iterator<Item = (&Bare, &Entry)> {
        self.users.get(user).into_iter().flat_map(|all| all.iter())
    }

    /// All entries: user, contact, entry.
    pub fn all(&self) -> impl Iterator<Item = (&Bare, &Bare, &Entry)> {
        let users = self.users.iter();
        users.flat_map(|(user, all)| {
            all.iter()
                .map(move |(contact, entry)| (user, contact, entry))
        })
    }

    pub(crate) fn entry(&mut self, user: &Bare, contact: &Bare) -> Option<&mut Entry> {
        Arc::make_mut(self.users.get_mut(user)?).get_mut(contact)
    }

    /// Puts an entry in place of the present one. One that says nothing is dropped.
    pub(crate) fn put(&mut self, user: &Bare, contact: &Bare, entry: Entry) {
        if !entry.is_empty() {
            let contacts = self.users.entry(user.clone()).or_default();
            Arc::make_mut(contacts).insert(contact.clone(), entry);
        } else if let Some(contacts) = self.users.get_mut(user) {
            Arc::make_mut(contacts).remove(contact);
            if contacts.is_empty() {
                self.users.remove(user);
            }
        }
    }
}
