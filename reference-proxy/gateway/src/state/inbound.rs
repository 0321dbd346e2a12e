//! What a partner sends.

use reference_proxy::wire::{Kind, PartnerType, Stanza, escape};
use tokio::time::Instant;

use super::{
    Action, Decision, State, is_of_a_conference, presence, refuse_partner, to_partner, to_user,
};
use crate::address::{Address, Bare};
use crate::directory::PublicVerified;
use crate::refusal::Refusal;

/// Namespace of pings (XEP-0199).
const PING: &str = "urn:xmpp:ping";

impl State {
    pub(super) fn partner_sent(&mut self, stanza: &Stanza, now: Instant) -> Decision {
        let parsed = |address: &Option<String>| Address::parse(address.as_deref()?).ok();
        let (Some(from), Some(to)) = (parsed(&stanza.from), parsed(&stanza.to)) else {
            return refuse_partner(stanza, Refusal::AddressMalformed);
        };
        if !self.directory.partners.contains_key(from.bare.domain()) {
            return refuse_partner(stanza, Refusal::NotAPartner);
        }
        if !self.directory.domains.contains(to.bare.domain()) {
            return refuse_partner(stanza, Refusal::UnknownUser);
        }
        match stanza.kind {
            Kind::Iq => query(stanza, &to),
            Kind::Message => self.message_in(stanza, &from, &to),
            Kind::Presence => self.presence_in(stanza, &from, &to, now),
        }
    }

    fn message_in(&self, stanza: &Stanza, from: &Address, to: &Address) -> Decision {
        let (user, contact) = (&to.bare, &from.bare);
        if let Err(why) = self.may_talk(user, contact) {
            return refuse_partner(stanza, why);
        }
        if is_of_a_conference(stanza) {
            return refuse_partner(stanza, Refusal::Conference);
        }
        if !self.sessions.is_signed_in(user) {
            return refuse_partner(stanza, Refusal::Offline);
        }
        let one = to.resource.as_deref();
        let resource = one.filter(|one| self.sessions.contains(user, one));
        Decision::passed(vec![Action::ToUser {
            user: user.clone(),
            resource: resource.map(str::to_owned),
            stanza: stanza.clone(),
        }])
    }

    fn presence_in(
        &mut self,
        stanza: &Stanza,
        from: &Address,
        to: &Address,
        now: Instant,
    ) -> Decision {
        let (user, contact) = (&to.bare, &from.bare);
        let kind = self.may_talk(user, contact);
        // Whoever asks for a room learns nothing of users.
        if matches!(stanza.type_.as_deref(), None | Some("unavailable"))
            && is_of_a_conference(stanza)
        {
            return refuse_partner(stanza, Refusal::Conference);
        }
        match (stanza.type_.as_deref(), kind) {
            (Some("subscribe"), Ok(kind)) => self.asks(stanza, user, contact, kind),
            // Access may come back, and so does what the contact sees then: it must not give up its subscription.
            (Some("probe"), Err(why)) if self.entry(user, contact).from => {
                let absent = presence(user, contact, Some("unavailable"));
                Decision::refused(why, vec![to_partner(absent)])
            }
            // A denial and the answer to a probe say the same whatever the reason (RFC 6121 §3.1.3, §4.3.2).
            (Some("subscribe" | "probe"), Err(why)) => {
                let denial = presence(user, contact, Some("unsubscribed"));
                Decision::refused(why, vec![to_partner(denial)])
            }
            (Some("probe"), Ok(_)) => self.probed(user, contact),
            (Some("subscribed"), Ok(_)) => self.accepted(stanza, user, contact),
            (Some("unsubscribe"), kind) => self.left_by(stanza, user, contact, kind),
            (Some("unsubscribed"), kind) => self.denied(stanza, user, contact, kind),
            (None | Some("unavailable"), Ok(_)) => self.notified(stanza, user, from, now),
            (Some("error"), Ok(_)) if self.roster.get(user, contact).is_some() => {
                Decision::passed(vec![to_user(user, stanza.clone())])
            }
            (Some("error"), Ok(_)) => Decision::refused(Refusal::Unasked, Vec::new()),
            // Nobody waits for an answer to these (RFC 6121 §8.5.1).
            (None | Some("error" | "unavailable" | "subscribed"), Err(why)) => {
                Decision::refused(why, Vec::new())
            }
            (Some(_), _) => refuse_partner(stanza, Refusal::NotSupported),
        }
    }

    /// The contact asks to see the user (RFC 6121 §3.1.3).
    fn asks(
        &mut self,
        stanza: &Stanza,
        user: &Bare,
        contact: &Bare,
        kind: PartnerType,
    ) -> Decision {
        let mut entry = self.entry(user, contact);
        if !entry.listed && !self.has_room(user, contact, false) {
            return refuse_partner(stanza, Refusal::ContactsFull);
        }
        let by_invitation = kind == PartnerType::PublicVerified
            && self.directory.rules.public_verified == PublicVerified::ByInvitation;
        if by_invitation && !entry.listed && !entry.from {
            entry.asks = true;
            self.put(user, contact, entry);
            let asks = presence(contact, user, Some("subscribe"));
            return Decision::passed(vec![to_user(user, asks)]);
        }
        (entry.from, entry.asks) = (true, false);
        self.put(user, contact, entry);
        let mut actions = vec![to_partner(presence(user, contact, Some("subscribed")))];
        actions.extend(self.present(user, contact));
        Decision::passed(actions)
    }

    /// A question of whoever sees the user is answered with the user's presence (RFC 6121 §4.3.2).
    fn probed(&self, user: &Bare, contact: &Bare) -> Decision {
        if self.entry(user, contact).from {
            return Decision::passed(self.present(user, contact));
        }
        let denial = presence(user, contact, Some("unsubscribed"));
        Decision::refused(Refusal::Unasked, vec![to_partner(denial)])
    }

    /// The contact lets the user see it (RFC 6121 §3.1.6).
    fn accepted(&mut self, stanza: &Stanza, user: &Bare, contact: &Bare) -> Decision {
        let mut entry = self.entry(user, contact);
        if !entry.asked {
            return Decision::refused(Refusal::Unasked, Vec::new());
        }
        (entry.to, entry.asked) = (true, false);
        self.put(user, contact, entry);
        Decision::passed(vec![to_user(user, stanza.clone())])
    }

    /// The contact does not want to see the user any more (RFC 6121 §3.3.3). That always counts.
    fn left_by(
        &mut self,
        stanza: &Stanza,
        user: &Bare,
        contact: &Bare,
        kind: Result<PartnerType, Refusal>,
    ) -> Decision {
        let mut entry = self.entry(user, contact);
        if !entry.from && !entry.asks {
            let why = kind.err().unwrap_or(Refusal::Unasked);
            return Decision::refused(why, Vec::new());
        }
        (entry.from, entry.asks) = (false, false);
        self.put(user, contact, entry);
        let mut actions = vec![to_user(user, stanza.clone())];
        if kind.is_ok() {
            actions.extend(self.absent(user, contact));
        }
        Decision::passed(actions)
    }

    /// The contact does not let the user see it, or not any more (RFC 6121 §3.2.3). That always counts.
    fn denied(
        &mut self,
        stanza: &Stanza,
        user: &Bare,
        contact: &Bare,
        kind: Result<PartnerType, Refusal>,
    ) -> Decision {
        let mut entry = self.entry(user, contact);
        if !entry.to && !entry.asked {
            let why = kind.err().unwrap_or(Refusal::Unasked);
            return Decision::refused(why, Vec::new());
        }
        let unseen = std::mem::take(&mut entry.seen);
        (entry.to, entry.asked) = (false, false);
        self.put(user, contact, entry);
        let mut actions: Vec<Action> = unseen.into_keys().map(|from| gone(user, &from)).collect();
        actions.push(to_user(user, stanza.clone()));
        Decision::passed(actions)
    }

    /// Presence of a contact that the user sees, or that the contact sends by itself (RFC 6121 §4.6.6).
    fn notified(&mut self, stanza: &Stanza, user: &Bare, from: &Address, now: Instant) -> Decision {
        let available = stanza.type_.is_none();
        if let Some(entry) = self.roster.entry(user, &from.bare)
            && entry.to
        {
            entry.heard(&from.to_string(), available, now);
        }
        match self.sessions.is_signed_in(user) {
            true => Decision::passed(vec![to_user(user, stanza.clone())]),
            false => Decision::refused(Refusal::Offline, Vec::new()),
        }
    }
}

/// That a contact's resource is not there any more.
pub(super) fn gone(user: &Bare, from: &str) -> Action {
    to_user(user, presence(from, user, Some("unavailable")))
}

/// Queries: the gateway answers pings to its domains, and there is nothing else to ask
/// (RFC 6121 §8.5.1, §8.5.2.1.3).
fn query(stanza: &Stanza, to: &Address) -> Decision {
    let children = stanza.children().unwrap_or_default();
    let pings = children.iter().any(|child| child.is(PING, "ping"));
    let is_for_domain = !to.bare.is_user() && to.resource.is_none();
    if stanza.type_.as_deref() == Some("get") && pings && is_for_domain {
        return Decision::passed(vec![to_partner(result(stanza))]);
    }
    refuse_partner(stanza, Refusal::NotSupported)
}

/// The empty result of a query.
fn result(stanza: &Stanza) -> Stanza {
    let attribute = |name: &str, value: &Option<String>| {
        let value = value.as_deref();
        value.map_or_else(String::new, |value| format!(" {name}='{}'", escape(value)))
    };
    let bytes = format!(
        "<iq type='result'{}{}{}/>",
        attribute("from", &stanza.to),
        attribute("to", &stanza.from),
        attribute("id", &stanza.id)
    );
    Stanza {
        kind: Kind::Iq,
        from: stanza.to.clone(),
        to: stanza.from.clone(),
        id: stanza.id.clone(),
        type_: Some("result".to_owned()),
        bytes: bytes.into_bytes(),
    }
}
