//! What time and a new configuration do.

use std::collections::BTreeMap;

use reference_proxy::wire::PartnerType;
use tokio::time::Instant;

use super::inbound::gone;
use super::{Action, State, presence, to_partner};
use crate::address::Bare;
use crate::directory::{Directory, Subscription};
use crate::refusal::Refusal;
use crate::roster::Entry;

impl State {
    /// When subscriptions have to be refreshed next.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let earliest = self.refreshed.values().min()?;
        Some(*earliest + self.directory.rules.refresh)
    }

    /// Refreshes the subscriptions of each user whose time has come: asks for the presence of those
    /// whom the user sees, repeats it to those who see the user, and asks again where no answer came.
    /// A contact that has not been heard of since the last time counts as gone.
    pub fn refresh(&mut self, now: Instant) -> Vec<Action> {
        let interval = self.directory.rules.refresh;
        let is_due = |last: &Instant| now.saturating_duration_since(*last) >= interval;
        let due = self.refreshed.iter().filter(|(_, last)| is_due(last));
        let due: Vec<(Bare, Option<Instant>)> = due
            .map(|(user, last)| (user.clone(), Some(*last)))
            .collect();
        self.refresh_all(due, now)
    }

    /// Does the same for everybody at once, but takes nobody for gone: the way to the partners was
    /// interrupted.
    pub fn announce(&mut self, now: Instant) -> Vec<Action> {
        let users = self.refreshed.keys();
        let users = users.map(|user| (user.clone(), None)).collect();
        self.refresh_all(users, now)
    }

    fn refresh_all(&mut self, users: Vec<(Bare, Option<Instant>)>, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        for (user, last) in users {
            self.refreshed.insert(user.clone(), now);
            let contacts: Vec<Bare> = self
                .roster
                .of(&user)
                .map(|(contact, _)| contact.clone())
                .collect();
            for contact in contacts {
                if self.may_talk(&user, &contact).is_ok() {
                    actions.extend(self.refresh_one(&user, &contact, last));
                }
            }
        }
        actions
    }

    fn refresh_one(&mut self, user: &Bare, contact: &Bare, last: Option<Instant>) -> Vec<Action> {
        let Some(entry) = self.roster.entry(user, contact) else {
            return Vec::new();
        };
        let silent = last.map_or_else(Vec::new, |last| entry.silent_since(last));
        let (to, from, asked) = (entry.to, entry.from, entry.asked);
        let mut actions: Vec<Action> = silent.iter().map(|resource| gone(user, resource)).collect();
        if to {
            actions.push(to_partner(presence(user, contact, Some("probe"))));
        }
        if asked {
            actions.push(to_partner(presence(user, contact, Some("subscribe"))));
        }
        if from {
            actions.extend(self.present(user, contact));
        }
        actions
    }

    /// Follows a new configuration. Whoever may not communicate any more has presence withdrawn, in
    /// both directions; whoever may again gets it back. A partner whose type becomes a public one gets it again without
    /// status notes.
    pub fn reload(&mut self, directory: Directory) -> Vec<Action> {
        let pairs = self.roster.all();
        let could: BTreeMap<(Bare, Bare), PartnerType> = pairs
            .filter_map(|(user, contact, _)| {
                let kind = self.may_talk(user, contact).ok()?;
                Some(((user.clone(), contact.clone()), kind))
            })
            .collect();
        self.directory = directory;
        let mut actions = Vec::new();
        let pairs: Vec<(Bare, Bare)> = self
            .roster
            .all()
            .map(|(user, contact, _)| (user.clone(), contact.clone()))
            .collect();
        for (user, contact) in pairs {
            let could = could.get(&(user.clone(), contact.clone()));
            let entry = self.entry(&user, &contact);
            match (could, self.may_talk(&user, &contact)) {
                (None, Ok(_)) => actions.extend(self.introduce(&user, &contact, &entry)),
                // It is not to keep the status notes that it has seen.
                (Some(PartnerType::Federated), Ok(kind))
                    if kind != PartnerType::Federated && entry.from && self.has_note(&user) =>
                {
                    actions.extend(self.present(&user, &contact));
                }
                (Some(_), Err(why)) => actions.extend(self.suspend(&user, &contact, why)),
                (Some(_), Ok(_)) | (None, Err(_)) => {}
            }
        }
        actions.extend(self.follow_configuration());
        actions.extend(self.undirect());
        let users = &self.directory.users;
        self.refreshed.retain(|user, _| users.contains_key(user));
        actions
    }

    /// Whether any session of the user shows a status note.
    fn has_note(&self, user: &Bare) -> bool {
        self.sessions.available(user).any(|(_, presence)| {
            let children = presence.children().unwrap_or_default();
            children.iter().any(|child| child.name == "status")
        })
    }

    /// Hides the two from each other. A subscription is kept only where the user may get access
    /// again: not with a partner that was removed, nor with a contact that is not listed. One that is configured is
    /// asked for again once the partner is back.
    fn suspend(&mut self, user: &Bare, contact: &Bare, why: Refusal) -> Vec<Action> {
        let mut entry = self.entry(user, contact);
        let mut actions = self.unseen(user, &mut entry);
        if matches!(
            why,
            Refusal::NotAPartner | Refusal::NotAdded | Refusal::UnknownUser
        ) {
            self.roster.put(user, contact, entry.clone());
            actions.extend(self.forget(user, contact));
            if let Some(wanted) = self.wanted(user, contact) {
                let listed = entry.listed;
                let entry = Entry {
                    listed,
                    asked: listed && wanted.to(),
                    configured: Some(wanted),
                    ..Entry::default()
                };
                self.put(user, contact, entry);
            }
            return actions;
        }
        if entry.from {
            actions.extend(self.absent(user, contact));
        }
        self.put(user, contact, entry);
        actions
    }

    /// What the configuration says of a contact.
    fn wanted(&self, user: &Bare, contact: &Bare) -> Option<Subscription> {
        let user = self.directory.users.get(user)?;
        user.contacts.get(contact).copied()
    }

    /// Tells the user that the contact is gone.
    fn unseen(&self, user: &Bare, entry: &mut Entry) -> Vec<Action> {
        let seen = std::mem::take(&mut entry.seen);
        seen.into_keys().map(|from| gone(user, &from)).collect()
    }

    /// Ends what is between the two, and tells the contact.
    fn forget(&mut self, user: &Bare, contact: &Bare) -> Vec<Action> {
        let mut actions = self.withdraw(user, contact).unwrap_or_default();
        let mut entry = self.entry(user, contact);
        actions.extend(self.unseen(user, &mut entry));
        if entry.to || entry.asked {
            actions.push(to_partner(presence(user, contact, Some("unsubscribe"))));
        }
        self.put(user, contact, Entry::default());
        actions
    }

    /// Takes over what the configuration says of contacts where that has changed, and forgets who is
    /// not in it any more.
    pub(super) fn follow_configuration(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        let pairs: Vec<(Bare, Bare, bool)> = self
            .roster
            .all()
            .map(|(user, contact, entry)| {
                (user.clone(), contact.clone(), entry.configured.is_some())
            })
            .collect();
        for (user, contact, was_configured) in pairs {
            let is_known = self.directory.users.contains_key(&user);
            let is_configured = self.wanted(&user, &contact).is_some();
            if !is_known || was_configured && !is_configured {
                actions.extend(self.forget(&user, &contact));
            }
        }
        let wanted: Vec<_> = self
            .directory
            .users
            .iter()
            .flat_map(|(user, known)| {
                let contacts = known.contacts.iter();
                contacts.map(|(contact, wanted)| (user.clone(), contact.clone(), *wanted))
            })
            .collect();
        for (user, contact, wanted) in wanted {
            let before = self.entry(&user, &contact);
            if before.configured == Some(wanted) {
                continue;
            }
            let mut after = Entry::configured(wanted);
            if before.from && !after.from {
                actions.extend(self.withdraw(&user, &contact).unwrap_or_default());
            }
            if before.to && !after.to {
                actions.push(to_partner(presence(&user, &contact, Some("unsubscribe"))));
            } else {
                after.seen = before.seen;
            }
            let fresh = Entry {
                to: after.to && !before.to,
                from: after.from && !before.from,
                ..Entry::default()
            };
            // Who has asked waits for an answer.
            let accepts = before.asks && after.from;
            after.asks = before.asks && !after.from;
            self.put(&user, &contact, after);
            if self.may_talk(&user, &contact).is_ok() {
                if accepts {
                    actions.push(to_partner(presence(&user, &contact, Some("subscribed"))));
                }
                actions.extend(self.introduce(&user, &contact, &fresh));
            }
        }
        actions
    }

    /// Brings together what the subscriptions of an entry let see: nothing for a user who is not there.
    fn introduce(&self, user: &Bare, contact: &Bare, entry: &Entry) -> Vec<Action> {
        let mut actions = Vec::new();
        if !self.sessions.is_available(user) {
            return actions;
        }
        if entry.to {
            actions.push(to_partner(presence(user, contact, Some("probe"))));
        }
        if entry.asked {
            actions.push(to_partner(presence(user, contact, Some("subscribe"))));
        }
        if entry.from {
            actions.extend(self.present(user, contact));
        }
        actions
    }
}

#[cfg(test)]
mod tests;
