//! External access policies: which of the scopes counts, and what it takes to talk to a partner.

use strum::VariantArray as _;

use super::draft::Draft;
use super::talk::{Fate, Stanza, talk};
use crate::case::{Access, Case, Direction, PartnerType, Rule, Scope, Settings, Users};
use crate::requirement::Level;

/// What is set.
struct Given {
    /// The words for it in ids.
    id: String,
    kind: PartnerType,
    policies: Vec<(Scope, Access)>,
    public_needs_cloud: bool,
}

/// A line of the table. The first that holds decides.
struct Line {
    rule: Rule,
    holds: fn(&Given) -> bool,
    fate: Fate,
}

/// Who has no access is told so; a partner is not told whether there is such a user (RFC 6120 §13.11).
const NO_ACCESS: Fate = Fate::Refused("forbidden");

static TABLE: [Line; 8] = [
    Line {
        rule: Rule {
            id: "policy.default",
            clause: "Set-CsExternalAccessPolicy, defaults; Lync Server 2013, configure policies to control XMPP \
                     federated user access",
            level: Level::Must,
            says: "Without a policy that says otherwise a user neither sends to partners nor gets anything of them.",
        },
        holds: |given| given.policies.is_empty(),
        fate: NO_ACCESS,
    },
    Line {
        rule: Rule {
            id: "policy.scopes.denied",
            clause: "Lync Server 2013, manage external access policy for your organization, scopes",
            level: Level::Must,
            says: "The policy of the user counts before that of the site, and this before the global one: what a \
                   wider one allows does not help.",
        },
        holds: |given| given.policies.len() > 1 && !suffices(given),
        fate: NO_ACCESS,
    },
    Line {
        rule: Rule {
            id: "policy.scopes.allowed",
            clause: "Lync Server 2013, manage external access policy for your organization, scopes",
            level: Level::Must,
            says: "The policy of the user counts before that of the site, and this before the global one: what a \
                   wider one denies does no harm.",
        },
        holds: |given| given.policies.len() > 1,
        fate: Fate::Passes,
    },
    Line {
        rule: Rule {
            id: "policy.federation",
            clause: "Set-CsExternalAccessPolicy, EnableFederationAccess",
            level: Level::Must,
            says: "Without EnableFederationAccess a user reaches no partner, whatever else is allowed.",
        },
        holds: |given| !counting(given).federation,
        fate: NO_ACCESS,
    },
    Line {
        rule: Rule {
            id: "policy.xmpp",
            clause: "Set-CsExternalAccessPolicy, EnableXmppAccess",
            level: Level::Must,
            says: "Without EnableXmppAccess a user reaches no XMPP partner.",
        },
        holds: |given| !counting(given).xmpp,
        fate: NO_ACCESS,
    },
    Line {
        rule: Rule {
            id: "policy.cloud.needed",
            clause: "Set-CsExternalAccessPolicy, EnablePublicCloudAccess",
            level: Level::Derived,
            says: "Where public partners take EnablePublicCloudAccess, a user without it reaches none of them.",
        },
        holds: |given| !suffices(given),
        fate: NO_ACCESS,
    },
    Line {
        rule: Rule {
            id: "policy.cloud.enough",
            clause: "Set-CsExternalAccessPolicy, EnablePublicCloudAccess",
            level: Level::Derived,
            says: "EnablePublicCloudAccess is about public partners alone, and only where these are set to take it.",
        },
        holds: |given| given.public_needs_cloud || given.kind != PartnerType::Federated,
        fate: Fate::Passes,
    },
    Line {
        rule: Rule {
            id: "policy.enough",
            clause: "Lync Server 2013, configure policies to control XMPP federated user access",
            level: Level::Must,
            says: "With EnableFederationAccess and EnableXmppAccess a user reaches each listed partner.",
        },
        holds: |_| true,
        fate: Fate::Passes,
    },
];

/// The policy of the narrowest scope.
fn counting(given: &Given) -> Access {
    let narrowest = given.policies.iter().max_by_key(|(scope, _)| *scope);
    narrowest.map(|(_, access)| *access).unwrap_or_default()
}

fn suffices(given: &Given) -> bool {
    let access = counting(given);
    let takes_cloud = given.public_needs_cloud && given.kind != PartnerType::Federated;
    access.federation && access.xmpp && (access.public_cloud || !takes_cloud)
}

pub(super) fn rules() -> impl Iterator<Item = &'static Rule> {
    TABLE.iter().map(|line| &line.rule)
}

/// No policy; each set of two switches in each scope; each pair of scopes that contradict each other; and the third
/// switch with each type of partner.
pub(super) fn cases() -> Vec<Case> {
    let plain = |id: String, policies: Vec<(Scope, Access)>| Given {
        id,
        kind: PartnerType::Federated,
        policies,
        public_needs_cloud: false,
    };
    let mut all = vec![plain("none".to_owned(), Vec::new())];
    for &scope in Scope::VARIANTS {
        for (federation, xmpp) in [(false, false), (true, false), (false, true), (true, true)] {
            let access = Access {
                federation,
                xmpp,
                public_cloud: false,
            };
            all.push(plain(format!("{scope}/{access}"), vec![(scope, access)]));
        }
    }
    for (narrow, wide) in [
        (Scope::User, Scope::Site),
        (Scope::User, Scope::Global),
        (Scope::Site, Scope::Global),
    ] {
        let all_or_nothing = [Access::ENOUGH, Access::default()];
        for (word, [of_narrow, of_wide]) in [
            ("allows", all_or_nothing),
            ("denies", [Access::default(), Access::ENOUGH]),
        ] {
            let policies = vec![(wide, of_wide), (narrow, of_narrow)];
            all.push(plain(format!("{narrow}-over-{wide}/{word}"), policies));
        }
    }
    for public_needs_cloud in [true, false] {
        for &kind in PartnerType::ALL {
            for public_cloud in [true, false] {
                let access = Access {
                    public_cloud,
                    ..Access::ENOUGH
                };
                let axis = match public_needs_cloud {
                    true => "public-needs-cloud",
                    false => "public-needs-no-cloud",
                };
                all.push(Given {
                    id: format!("{axis}/{kind}/{access}"),
                    kind,
                    policies: vec![(Scope::Global, access)],
                    public_needs_cloud,
                });
            }
        }
    }
    let both = all
        .iter()
        .flat_map(|given| Direction::ALL.iter().map(move |way| case(given, *way)));
    both.collect()
}

fn case(given: &Given, direction: Direction) -> Case {
    let line = TABLE.iter().find(|line| (line.holds)(given));
    let line = line.expect("the last line always holds");
    let settings = Settings {
        kind: Some(given.kind),
        users: Some(Users {
            has_contact: true,
            policies: given.policies.clone(),
            by_invitation: false,
            public_needs_cloud: given.public_needs_cloud,
        }),
        ..Settings::default()
    };
    let draft = Draft::new(&format!("access/{}", given.id), &line.rule, direction);
    talk(
        draft.set_to(settings),
        Stanza::Message,
        direction,
        line.fate,
    )
    .case()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_combinations_are_there_both_ways() {
        assert_eq!(cases().len(), 2 * (1 + 3 * 4 + 3 * 2 + 2 * 3 * 2));
    }
}
