//! What is changed for users and their contacts while a stream is open.

use simulated_partners::event::ConnectionKind;
use simulated_partners::reaction::{Do, When};
use simulated_partners::wire::Unit;

use super::{DONE, FIRST, NEXT, STAYS};
use crate::case::{
    Access, CONTACT, Case, Direction, Expect, FRIEND, PartnerType, Scope, Sees, Settings, USER,
    Users, WITNESS, What,
};
use crate::settings::draft::{
    Draft, failing, message, never, no_end, on, on_the_first, raise, stanza, to_contact, with,
};

/// Another type of partner, other access of the user, another contact list.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [before, after] in [
        [PartnerType::Federated, PartnerType::PublicVerified],
        [PartnerType::PublicVerified, PartnerType::Federated],
    ] {
        cases.push(notes(before, after));
    }
    for is_granted in [true, false] {
        cases.push(access(is_granted));
        cases.push(contact(is_granted));
    }
    cases
}

fn users(has_contact: bool, access: Access) -> Users {
    Users {
        has_contact,
        policies: vec![(Scope::Global, access)],
        by_invitation: false,
        public_needs_cloud: false,
    }
}

/// Another type of partner: status notes pass from then on, or no more, on the same stream.
fn notes(before: PartnerType, after: PartnerType) -> Case {
    let settings = |kind| Settings {
        kind: Some(kind),
        users: Some(users(true, Access::ENOUGH)),
        ..Settings::default()
    };
    let sent = |id: &str| {
        format!(
            "<presence from='{USER}@{{target}}' to='{CONTACT}@{{domain}}' id='{id}'><status>busy</status></presence>"
        )
    };
    let seen = |id: &str, kind| {
        let presence = with(Expect::new(Sees::Unit(Unit::Presence)), "id", id);
        let mut presence = on_the_first(presence, ConnectionKind::Outbound);
        match kind {
            PartnerType::Federated => presence.has.push("status=busy".to_owned()),
            _ => presence.lacks.push("status".to_owned()),
        }
        presence
    };
    let reload = vec![raise("first-is-there"), Do::NoReply];
    Draft::new(
        &format!("reload/type-{before}-{after}"),
        &STAYS,
        Direction::Outbound,
    )
    .set_to(settings(before))
    .then("first-is-there", What::Reload(Box::new(settings(after))))
    .reacting(on(When::Stanza, ConnectionKind::Outbound, reload))
    .local(None, sent(FIRST))
    .local(Some(DONE), sent(NEXT))
    .expecting([seen(FIRST, before), seen(NEXT, after)])
    .expecting(no_end(ConnectionKind::Outbound))
    .case()
}

/// The user's access is granted, or taken away. The stream stays, for others.
fn access(is_granted: bool) -> Case {
    let settings = |access| Settings {
        kind: Some(PartnerType::Federated),
        users: Some(users(true, access)),
        ..Settings::default()
    };
    let (none, enough) = (settings(Access::default()), settings(Access::ENOUGH));
    let id = if is_granted {
        "access-granted"
    } else {
        "access-taken"
    };
    user_says(id, is_granted, none, enough, "forbidden")
}

/// An unverified contact is put into the user's list, or taken out of it.
fn contact(is_added: bool) -> Case {
    let settings = |has_contact| Settings {
        kind: Some(PartnerType::PublicUnverified),
        users: Some(users(has_contact, Access::ENOUGH)),
        ..Settings::default()
    };
    let id = if is_added {
        "contact-added"
    } else {
        "contact-removed"
    };
    user_says(
        id,
        is_added,
        settings(false),
        settings(true),
        "subscription-required",
    )
}

/// The witness opens the stream, and then the user says something, which passes or does not.
fn user_says(id: &str, passes: bool, without: Settings, with: Settings, error: &str) -> Case {
    let (before, after) = match passes {
        true => (without, with),
        false => (with, without),
    };
    let witness = |id: &str| {
        format!(
            "<message from='{WITNESS}@{{target}}' to='{FRIEND}@{{domain}}' id='{id}'><body>hello</body></message>"
        )
    };
    let outbound = ConnectionKind::Outbound;
    let reload = vec![raise("first-is-there"), Do::NoReply];
    let draft = Draft::new(&format!("reload/{id}"), &STAYS, Direction::Outbound)
        .set_to(before)
        .then("first-is-there", What::Reload(Box::new(after)))
        .reacting(on(When::Stanza, outbound, reload))
        .local(None, witness("witness-1"))
        .local(Some(DONE), to_contact("{domain}", FIRST))
        .local(Some(DONE), witness("witness-2"))
        .expecting([on_the_first(message("witness-2"), outbound)])
        .expecting(no_end(outbound));
    match passes {
        true => draft.expecting([on_the_first(message(FIRST), outbound)]),
        false => {
            let returned = failing(stanza(Sees::Returned, FIRST), error);
            draft.expecting([returned, never(message(FIRST))])
        }
    }
    .case()
}
