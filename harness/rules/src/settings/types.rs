//! Partner types: who may talk to whom, see whom, and read status notes.

use strum::VariantArray as _;

use super::draft::Draft;
use super::talk::{Fate, Stanza, talk};
use crate::case::{Access, Case, Direction, PartnerType, Rule, Scope, Settings, Users};
use crate::requirement::Level;

/// A combination of the axes.
struct Given {
    kind: PartnerType,
    /// Whether the local user has added the contact.
    has_contact: bool,
    by_invitation: bool,
    stanza: Stanza,
    direction: Direction,
}

/// A line of the table. The first that holds decides.
struct Line {
    rule: Rule,
    holds: fn(&Given) -> bool,
    fate: Fate,
}

/// The error for a user who writes to somebody that has to be added first.
const NOT_ADDED: Fate = Fate::Refused("subscription-required");

static TABLE: [Line; 9] = [
    Line {
        rule: Rule {
            id: "type.user-adds",
            clause: "Lync Server 2013, create or edit XMPP partner configuration, step 10",
            level: Level::Must,
            says: "A user may add a contact of any partner.",
        },
        holds: |given| is(given, Direction::Outbound, Stanza::Subscription),
        fate: Fate::Passes,
    },
    Line {
        rule: Rule {
            id: "type.unverified.stranger",
            clause: "Lync Server 2013, configure XMPP gateway, new gateway, step 8; RFC 6120 §13.11",
            level: Level::Must,
            says: "Whoever is at an unverified public provider cannot communicate with a user who has not \
                   added the contact.",
        },
        holds: |given| given.kind == PartnerType::PublicUnverified && !given.has_contact,
        fate: NOT_ADDED,
    },
    Line {
        rule: Rule {
            id: "type.verified.by-invitation",
            clause: "Lync Server 2013, create or edit XMPP partner configuration, step 10",
            level: Level::Must,
            says: "Where it is set so, a contact at a verified public provider sees a user who has not added \
                   it only with the user's approval.",
        },
        holds: |given| {
            given.by_invitation
                && given.kind == PartnerType::PublicVerified
                && !given.has_contact
                && is(given, Direction::Inbound, Stanza::Subscription)
        },
        fate: Fate::WaitsForApproval,
    },
    Line {
        rule: Rule {
            id: "type.public.sees",
            clause: "Lync Server 2013, configure XMPP gateway, new gateway, step 8",
            level: Level::Must,
            says: "A contact at a public provider that may communicate adds the user, and sees the user's presence \
                   without the status note, at once.",
        },
        holds: |given| {
            given.kind != PartnerType::Federated
                && is(given, Direction::Inbound, Stanza::Subscription)
        },
        fate: Fate::PassesWithoutNote,
    },
    Line {
        rule: Rule {
            id: "type.federated.sees",
            clause: "Lync Server 2013, configure XMPP gateway, new gateway, step 8",
            level: Level::Must,
            says: "A contact at a federated partner adds the user, and sees the user's presence with the status \
                   note, without the user's approval.",
        },
        holds: |given| is(given, Direction::Inbound, Stanza::Subscription),
        fate: Fate::Passes,
    },
    Line {
        rule: Rule {
            id: "type.public.notes",
            clause: "Lync Server 2013, configure XMPP gateway, new gateway, step 8",
            level: Level::Must,
            says: "Nobody at a public provider ever sees a user's status notes.",
        },
        holds: |given| {
            given.kind != PartnerType::Federated
                && is(given, Direction::Outbound, Stanza::StatusNote)
        },
        fate: Fate::PassesWithoutNote,
    },
    Line {
        rule: Rule {
            id: "type.federated.notes",
            clause: "Lync Server 2013, configure XMPP gateway, new gateway, step 8",
            level: Level::Must,
            says: "A contact at a federated partner sees a user's status notes.",
        },
        holds: |given| is(given, Direction::Outbound, Stanza::StatusNote),
        fate: Fate::Passes,
    },
    Line {
        rule: Rule {
            id: "type.message",
            clause: "Lync Server 2013, configure XMPP gateway, new gateway, step 8",
            level: Level::Must,
            says: "A contact that may communicate sends messages to a user, whether the user has added it or not.",
        },
        holds: |given| is(given, Direction::Inbound, Stanza::Message),
        fate: Fate::Passes,
    },
    Line {
        rule: Rule {
            id: "type.open",
            clause: "Lync Server 2013, configure XMPP gateway, new gateway, step 8",
            level: Level::Derived,
            says: "What nothing holds back passes: a user's messages and presence, and a contact's presence with its \
                   own status note.",
        },
        holds: |_| true,
        fate: Fate::Passes,
    },
];

fn is(given: &Given, direction: Direction, stanza: Stanza) -> bool {
    given.direction == direction && given.stanza == stanza
}

pub(super) fn rules() -> impl Iterator<Item = &'static Rule> {
    TABLE.iter().map(|line| &line.rule)
}

/// Each type, with a contact that the user has added and a stranger, with each stanza both ways; and what a contact
/// at a verified provider may do by itself where the users are asked.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &kind in PartnerType::ALL {
        for has_contact in [true, false] {
            for &stanza in Stanza::VARIANTS {
                for &direction in Direction::ALL {
                    cases.push(case(&Given {
                        kind,
                        has_contact,
                        by_invitation: false,
                        stanza,
                        direction,
                    }));
                }
            }
        }
    }
    for kind in [PartnerType::Federated, PartnerType::PublicVerified] {
        for has_contact in [true, false] {
            for stanza in [Stanza::Message, Stanza::Subscription] {
                cases.push(case(&Given {
                    kind,
                    has_contact,
                    by_invitation: true,
                    stanza,
                    direction: Direction::Inbound,
                }));
            }
        }
    }
    cases
}

fn case(given: &Given) -> Case {
    let line = TABLE.iter().find(|line| (line.holds)(given));
    let line = line.expect("the last line always holds");
    let &Given {
        kind,
        has_contact,
        by_invitation,
        stanza,
        direction,
    } = given;
    let axis = match by_invitation {
        true => "types-by-invitation",
        false => "types",
    };
    let contact = match has_contact {
        true => "contact",
        false => "stranger",
    };
    let id = format!("{axis}/{kind}/{contact}/{stanza}");
    let settings = Settings {
        kind: Some(kind),
        users: Some(Users {
            has_contact,
            policies: vec![(Scope::Global, Access::ENOUGH)],
            by_invitation,
            public_needs_cloud: false,
        }),
        ..Settings::default()
    };
    let draft = Draft::new(&id, &line.rule, direction).set_to(settings);
    talk(draft, stanza, direction, line.fate).case()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_combinations_are_there() {
        assert_eq!(cases().len(), 3 * 2 * 4 * 2 + 2 * 2 * 2);
    }
}
