//! A stanza between a local user and a contact at the partner, and what becomes of it.
//!
//! Another user and another contact, who may talk whatever is set, send a message behind it on the same way. So a
//! stanza that is not seen before that message was held back, and did not just come too late.

use simulated_partners::reaction::{Await, Do};
use simulated_partners::wire::Unit;
use strum::{Display, VariantArray};

use super::draft::{Draft, delivered, failing, message, never, send, stanza, wait_for, with};
use crate::case::{CONTACT, Direction, Expect, FRIEND, Sees, USER, WITNESS};

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Stanza {
    /// A message.
    Message,
    /// The wish to see the other's presence.
    Subscription,
    /// Presence.
    Presence,
    /// Presence with a status note.
    StatusNote,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrives as it is. A contact that wants to see the user does so at once.
    Passes,
    /// It arrives without its status note.
    PassesWithoutNote,
    /// The local user is asked.
    WaitsForApproval,
    /// It does not arrive. A local sender gets an error with this condition; a partner's one that does not tell
    /// whether there is such a user.
    Refused(&'static str),
}

/// The text of status notes.
const NOTE: &str = "in a meeting";
/// The id of the stanza that the case is about.
const ID: &str = "{probe}";

/// A case with this stanza and this end.
pub(super) fn talk(draft: Draft, stanza: Stanza, direction: Direction, fate: Fate) -> Draft {
    match direction {
        Direction::Inbound => inbound(draft, stanza, fate),
        Direction::Outbound => outbound(draft, stanza, fate),
    }
}

/// The contact sends it, once a message of the other contact has shown that the way is open.
fn inbound(draft: Draft, stanza: Stanza, fate: Fate) -> Draft {
    let text = |number: u8| {
        format!(
            "<message from='{FRIEND}@{{domain}}' to='{WITNESS}@{{target}}' id='witness-{number}'>\
             <body>hello</body></message>"
        )
    };
    let addresses = format!("from='{CONTACT}@{{domain}}/r' to='{USER}@{{target}}' id='{ID}'");
    draft
        .local(None, available())
        .once_established(vec![
            send(text(1)),
            wait_for("delivered"),
            send(written(stanza, &addresses)),
            send(text(2)),
            Do::Await(Await::Nothing),
        ])
        .expecting(seen_inside(stanza, fate))
        .expecting([delivered("witness-2")])
}

/// The user sends it, and then the other user a message.
fn outbound(draft: Draft, stanza: Stanza, fate: Fate) -> Draft {
    let addresses = format!("from='{USER}@{{target}}' to='{CONTACT}@{{domain}}' id='{ID}'");
    let witness = format!(
        "<message from='{WITNESS}@{{target}}' to='{FRIEND}@{{domain}}' id='witness-1'>\
         <body>hello</body></message>"
    );
    draft
        .local(None, available())
        .local(None, written(stanza, &addresses))
        .local(None, witness)
        .expecting(seen_outside(stanza, fate))
        .expecting([message("witness-1")])
}

/// The user's presence, for those who see the user.
fn available() -> String {
    format!("<presence from='{USER}@{{target}}' id='there'><status>{NOTE}</status></presence>")
}

fn written(stanza: Stanza, addresses: &str) -> String {
    match stanza {
        Stanza::Message => format!("<message {addresses}><body>hello</body></message>"),
        Stanza::Subscription => format!("<presence type='subscribe' {addresses}/>"),
        Stanza::Presence => format!("<presence {addresses}><show>away</show></presence>"),
        Stanza::StatusNote => {
            format!("<presence {addresses}><show>away</show><status>{NOTE}</status></presence>")
        }
    }
}

/// Presence of the user at the contact.
fn presence() -> Expect {
    let expect = Expect::new(Sees::Unit(Unit::Presence));
    let expect = with(expect, "from", &format!("{USER}@{{target}}*"));
    with(expect, "to", &format!("{CONTACT}@{{domain}}*"))
}

/// With a status note, or without.
fn noted(mut expect: Expect, has_note: bool) -> Expect {
    match has_note {
        true => expect.has.push(format!("status={NOTE}")),
        false => expect.lacks.push("status".to_owned()),
    }
    expect
}

/// What has to be seen where the contact sends.
fn seen_inside(what: Stanza, fate: Fate) -> Vec<Expect> {
    let subscribed = with(presence(), "type", "subscribed");
    let unsubscribed = with(presence(), "type", "unsubscribed");
    let shown = Expect {
        without: vec!["type".to_owned()],
        ..presence()
    };
    match (what, fate) {
        (Stanza::Subscription, Fate::Passes) => vec![subscribed, noted(shown, true)],
        (Stanza::Subscription, Fate::PassesWithoutNote) => {
            vec![
                subscribed,
                noted(shown.clone(), false),
                never(noted(shown, true)),
            ]
        }
        (Stanza::Subscription, Fate::WaitsForApproval) => {
            let asked = with(Expect::new(Sees::Delivered), "type", "subscribe");
            let asked = with(asked, "from", &format!("{CONTACT}@{{domain}}"));
            vec![asked, never(subscribed), never(shown)]
        }
        (Stanza::Subscription, Fate::Refused(_)) => {
            let asked = with(Expect::new(Sees::Delivered), "type", "subscribe");
            vec![unsubscribed, never(subscribed), never(shown), never(asked)]
        }
        (Stanza::Message, Fate::Refused(_)) => {
            let answer = with(message(ID), "from", &format!("{USER}@{{target}}"));
            vec![failing(answer, "service-unavailable"), never(delivered(ID))]
        }
        // Presence is not answered (RFC 6121 §4.6.3).
        (Stanza::Presence | Stanza::StatusNote, Fate::Refused(_)) => vec![never(delivered(ID))],
        (Stanza::StatusNote, Fate::PassesWithoutNote) => vec![noted(delivered(ID), false)],
        (Stanza::StatusNote, _) => vec![noted(delivered(ID), true)],
        (Stanza::Message | Stanza::Presence, _) => vec![delivered(ID)],
    }
}

/// What has to be seen where the user sends.
fn seen_outside(what: Stanza, fate: Fate) -> Vec<Expect> {
    let unit = match what {
        Stanza::Message => Unit::Message,
        Stanza::Subscription | Stanza::Presence | Stanza::StatusNote => Unit::Presence,
    };
    let sent = with(
        Expect::new(Sees::Unit(unit)),
        "to",
        &format!("{CONTACT}@{{domain}}"),
    );
    let sent = match what {
        Stanza::Subscription => with(sent, "type", "subscribe"),
        Stanza::Message | Stanza::Presence | Stanza::StatusNote => with(sent, "id", ID),
    };
    match fate {
        Fate::Refused(condition) => {
            vec![failing(stanza(Sees::Returned, ID), condition), never(sent)]
        }
        Fate::PassesWithoutNote => {
            vec![noted(sent.clone(), false), never(noted(sent, true))]
        }
        Fate::Passes if what == Stanza::StatusNote => vec![noted(sent, true)],
        Fate::Passes | Fate::WaitsForApproval => vec![sent],
    }
}
