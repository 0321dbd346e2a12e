//! Whether what a reload takes back from partners has got through to them.

use std::collections::BTreeSet;

use reference_proxy::wire::{Kind, Stanza};
use tokio::sync::watch;

use crate::address::{Address, Bare};

/// How far the withdrawals of one reload are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Withdrawal {
    /// Whose sight of users is withdrawn.
    contacts: BTreeSet<Bare>,
    /// What each link has to have got through.
    marks: Vec<(watch::Receiver<u64>, u64)>,
    /// Why some of it has not got through, if so.
    pub(crate) failed: Option<&'static str>,
}

impl Withdrawal {
    /// What these stanzas take back, without the links yet.
    pub(crate) fn of<'a>(stanzas: impl Iterator<Item = &'a Stanza>) -> Self {
        Self {
            contacts: stanzas.filter_map(withdrawn_from).collect(),
            ..Self::default()
        }
    }

    /// The same with what an earlier reload took back and is still under way: whoever waits for that looks here.
    pub(crate) fn after(mut self, earlier: Self) -> Self {
        if !earlier.is_through() {
            self.contacts.extend(earlier.contacts);
            self.failed = earlier.failed;
        }
        self
    }

    fn is_through(&self) -> bool {
        let mut marks = self.marks.iter();
        self.contacts.is_empty()
            || !self.marks.is_empty() && marks.all(|(through, mark)| *through.borrow() >= *mark)
    }

    /// All of it is on its way once the links have got so much through.
    pub(crate) fn mark(&mut self, marks: Vec<(watch::Receiver<u64>, u64)>) {
        if self.marks.is_empty() {
            self.marks = marks;
        }
    }

    /// Takes down a withdrawal that comes back as an error.
    pub(crate) fn look_at(&mut self, stanza: &Stanza) {
        let failed = stanza.kind == Kind::Presence && stanza.type_.as_deref() == Some("error");
        if failed && !self.contacts.is_empty() && self.is_from_one(stanza) {
            self.failed = Some("what was sent came back as an error");
        }
    }

    /// Takes down a withdrawal for which there is no room.
    pub(crate) fn loses(&mut self, stanza: &Stanza) {
        if withdrawn_from(stanza).is_some_and(|contact| self.contacts.contains(&contact)) {
            self.failed = Some("more has to be sent than may wait for the proxy");
        }
    }

    fn is_from_one(&self, stanza: &Stanza) -> bool {
        let from = stanza.from.as_deref().map(Address::parse);
        matches!(from, Some(Ok(from)) if self.contacts.contains(&from.bare))
    }

    /// Waits until all is through.
    pub(crate) async fn through(&mut self) -> Result<(), &'static str> {
        if self.contacts.is_empty() {
            return Ok(());
        }
        if self.marks.is_empty() {
            return Err("no proxy is connected");
        }
        for (through, mark) in &mut self.marks {
            let reached = through.wait_for(|through| through >= mark).await;
            reached.map_err(|_| "the link to the proxy broke")?;
        }
        Ok(())
    }
}

/// Who sees less of a user by a stanza.
fn withdrawn_from(stanza: &Stanza) -> Option<Bare> {
    let kind = stanza.type_.as_deref()?;
    let is_one = matches!(kind, "unavailable" | "unsubscribed");
    let to = Address::parse(stanza.to.as_deref()?).ok()?;
    is_one.then_some(to.bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(from: &str, to: &str, kind: &str) -> Stanza {
        Stanza {
            kind: Kind::Presence,
            from: Some(from.to_owned()),
            to: Some(to.to_owned()),
            id: None,
            type_: Some(kind.to_owned()),
            bytes: Vec::new(),
        }
    }

    fn taken_back(from: &str) -> Withdrawal {
        Withdrawal::of([presence("ana@contoso.com", from, "unsubscribed")].iter())
    }

    fn error_of(contact: &str) -> Stanza {
        presence(contact, "ana@contoso.com", "error")
    }

    #[test]
    fn an_error_counts_for_a_reload_that_another_has_followed() {
        let (through, link) = watch::channel(0);
        let mut first = taken_back("fay@a.example");
        first.mark(vec![(link, 1)]);
        let mut both = taken_back("sam@b.example").after(first.clone());
        both.look_at(&error_of("fay@a.example"));
        assert!(both.failed.is_some());

        through.send_replace(1);
        let mut second = taken_back("sam@b.example").after(first);
        second.look_at(&error_of("fay@a.example"));
        assert!(second.failed.is_none(), "that one is over");
        second.look_at(&error_of("sam@b.example"));
        assert!(second.failed.is_some());
    }

    #[test]
    fn what_finds_no_room_is_not_through() {
        let mut withdrawal = taken_back("fay@a.example");
        withdrawal.loses(&presence("ana@contoso.com", "fay@a.example", "probe"));
        withdrawal.loses(&presence("ana@contoso.com", "sam@b.example", "unavailable"));
        assert!(withdrawal.failed.is_none());
        withdrawal.loses(&presence("ana@contoso.com", "fay@a.example", "unavailable"));
        assert!(withdrawal.failed.is_some());
    }
}
