//! Limits of connections: with one partner, with each, and in all.

use std::sync::Arc;
use std::time::Duration;

use simulated_partners::board::Begins;
use simulated_partners::event::ConnectionKind;
use simulated_partners::reaction::{Await, Do, When};

use super::draft::{
    Draft, at, delivered, ended_in_order, exactly, failing, from_contact, message, never, on,
    partner, raise, seen_on, stanza, stream_error, to_contact, wait_for,
};
use crate::case::{Case, Direction, Expect, Role, Rule, Sees, Settings};
use crate::requirement::Level;

static OF_PARTNER: Rule = Rule {
    id: "limit.partner",
    clause: "New-CsXmppAllowedPartner, ConnectionLimit",
    level: Level::Must,
    says: "There are no more connections with a partner at a time than its own limit says.",
};
static OF_EACH: Rule = Rule {
    id: "limit.each-partner",
    clause: "Set-CsXmppGatewayConfiguration, PartnerConnectionLimit",
    level: Level::Must,
    says: "There are no more connections with each partner at a time than the common limit says, unless the partner \
           has its own.",
};
static OF_ALL: Rule = Rule {
    id: "limit.all",
    clause: "Set-CsXmppGatewayConfiguration, ConnectionLimit",
    level: Level::Must,
    says: "There are no more connections with all partners together at a time than the limit says.",
};
static REFUSAL: &str = "resource-constraint";

pub(super) fn rules() -> impl Iterator<Item = &'static Rule> {
    [&OF_PARTNER, &OF_EACH, &OF_ALL].into_iter()
}

/// Raised when the first connection is there.
const THERE: &str = "there";
/// The second message.
const NEXT: &str = "{probe}-2";
/// How many connections with a partner there may be by default.
const DEFAULT: u16 = 20;
/// Longer than a connection over the limit waits for another to end, and too short to end any.
pub(super) const ROOM: Duration = Duration::from_secs(10);

pub(super) fn cases() -> Vec<Case> {
    let own = |limit| Settings {
        connection_limit: Some(limit),
        ..Settings::default()
    };
    let each = |limit| Settings {
        partner_connections: Some(limit),
        ..Settings::default()
    };
    let all = |limit| Settings {
        connections: Some(limit),
        ..Settings::default()
    };
    let over_each = Settings {
        connection_limit: Some(2),
        ..each(1)
    };
    let mut cases = Vec::new();
    for (id, rule, settings, fits) in [
        ("partner/one", &OF_PARTNER, own(1), false),
        ("partner/two", &OF_PARTNER, own(2), true),
        ("each-partner/one", &OF_EACH, each(1), false),
        ("each-partner/two", &OF_EACH, each(2), true),
        (
            "each-partner/one-but-two-of-its-own",
            &OF_EACH,
            over_each,
            true,
        ),
        ("all/one", &OF_ALL, all(1), false),
        ("all/two", &OF_ALL, all(2), true),
    ] {
        cases.push(second_in(id, rule, settings.clone(), fits, "{domain}"));
        if !fits {
            cases.push(second_in_at_rest(id, rule, settings.clone()));
        }
        cases.push(second_out(id, rule, settings, fits));
    }
    for (limit, fits) in [("one", false), ("two", true)] {
        let settings = all(if fits { 2 } else { 1 });
        let id = format!("all-with-another-partner/{limit}");
        cases.push(second_in(&id, &OF_ALL, settings, fits, "again.{domain}"));
    }
    // The limit of one partner is nothing to another.
    let id = "partner/one-with-another-partner";
    cases.push(second_in(id, &OF_PARTNER, own(1), true, "again.{domain}"));
    cases.push(by_default());
    cases
}

/// While the first connection is being used, there is a second one, of the partner or of another.
fn second_in(id: &str, rule: &'static Rule, settings: Settings, fits: bool, domain: &str) -> Case {
    let busy = vec![raise(THERE), wait_for("over"), Do::Await(Await::Nothing)];
    let next = delivered(NEXT);
    let draft = Draft::new(&format!("limits/{id}"), rule, Direction::Inbound)
        .set_to(settings)
        .once_established(busy)
        .beside("again", |role| says_next(role, domain, THERE));
    match fits {
        true => draft.expecting([next]),
        false => draft
            .lasting(ROOM)
            .expecting([at(stream_error(REFUSAL), "again"), never(next)]),
    }
    .case()
}

/// The same where the first one has carried a stanza and rests: it may be ended to make room.
fn second_in_at_rest(id: &str, rule: &'static Rule, settings: Settings) -> Case {
    let end = Expect {
        or: vec![at(stream_error(REFUSAL), "again")],
        ..seen_on(ended_in_order(), ConnectionKind::Inbound)
    };
    Draft::new(&format!("limits/{id}-at-rest"), rule, Direction::Inbound)
        .set_to(settings)
        .beside("again", |role| says_next(role, "{domain}", "delivered"))
        .expecting([delivered("{probe}"), end])
        .case()
}

fn says_next(role: &mut Role, domain: &str, when: &str) {
    domain.clone_into(&mut role.domain);
    role.serves = domain != "{domain}";
    role.dials = Begins::When(when.to_owned());
    // In what it does, its own domain.
    let say = vec![from_contact("{domain}", NEXT), Do::Await(Await::Nothing)];
    let mut persona = partner();
    let reactions = &mut Arc::make_mut(&mut persona).reactions;
    reactions.push(on(When::Established, ConnectionKind::Inbound, say));
    role.persona = persona;
}

/// Once the partner has a connection, the target has a message for it. To make room for a second connection, it may
/// end the one that rests.
fn second_out(id: &str, rule: &'static Rule, settings: Settings, fits: bool) -> Case {
    let draft = Draft::new(&format!("limits/{id}"), rule, Direction::Outbound)
        .set_to(settings)
        .changed(|script| script.roles[0].dials = Begins::Plain(true))
        .local(Some("delivered"), to_contact("{domain}", NEXT));
    let end = Expect {
        on: Some(ConnectionKind::Inbound),
        ..Expect::new(Sees::StreamEnd)
    };
    match fits {
        true => draft.expecting([message(NEXT), never(end)]),
        false => {
            let returned = failing(stanza(Sees::Returned, NEXT), REFUSAL);
            draft.expecting([Expect {
                or: vec![end],
                ..returned
            }])
        }
    }
    .case()
}

/// One connection more than there may be by default, each of them being used.
fn by_default() -> Case {
    let busy = vec![wait_for("over"), Do::Await(Await::Nothing)];
    Draft::new("limits/each-partner/default", &OF_EACH, Direction::Inbound)
        .lasting(ROOM)
        .changed(|script| script.roles[0].times = DEFAULT + 1)
        .once_established(busy)
        .expecting([exactly(stream_error(REFUSAL), 1)])
        .case()
}
