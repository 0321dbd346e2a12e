//! Which of the 18 negotiation settings can be saved.

use super::draft::{Draft, delivered, never};
use crate::case::{Case, Direction, Expect, OutcomeWord, Rule, Sees, Settings};
use crate::policy::{Level as Support, Policy, PolicyNumber};
use crate::requirement::Level;

static NO_METHOD: Rule = Rule {
    id: "validation.no-method",
    clause: "Lync Server 2013, negotiation settings for XMPP federated partners, rows marked not valid",
    level: Level::Must,
    says: "Settings that leave no method are refused: rows 6, 12, 14, 16 and 18.",
};
static NOT_SAVED: Rule = Rule {
    id: "validation.sasl-without-tls",
    clause: "Lync Server 2013, create or edit XMPP partner configuration, step 11",
    level: Level::Must,
    says: "The control panel does not save SASL without TLS.",
};
static VALID: Rule = Rule {
    id: "validation.valid",
    clause: "Lync Server 2013, negotiation settings for XMPP federated partners",
    level: Level::Must,
    says: "All other settings are taken, rows 5 and 11 outside of the control panel, and a partner that does \
           everything gets in.",
};

pub(super) fn rules() -> impl Iterator<Item = &'static Rule> {
    [&NO_METHOD, &NOT_SAVED, &VALID].into_iter()
}

/// The rule for a policy.
fn decide(policy: Policy, as_control_panel: bool) -> &'static Rule {
    let sasl_without_tls =
        policy.tls == Support::NotSupported && policy.sasl != Support::NotSupported;
    if !policy.valid() {
        &NO_METHOD
    } else if as_control_panel && sasl_without_tls {
        &NOT_SAVED
    } else {
        &VALID
    }
}

pub(super) fn cases() -> Vec<Case> {
    let ways = [("matrix", false), ("control-panel", true)];
    let all = ways.into_iter().flat_map(|(word, as_control_panel)| {
        PolicyNumber::all().map(move |row| {
            let rule = decide(row.policy(), as_control_panel);
            let id = format!("validation/{word}/{}", row.label());
            let settings = Settings {
                as_control_panel,
                ..Settings::default()
            };
            let draft = Draft::new(&id, rule, Direction::Inbound)
                .set_to(settings)
                .in_policy(row);
            match rule.id == VALID.id {
                true => draft
                    .expecting([delivered("{probe}")])
                    .ending(OutcomeWord::Established),
                // Nothing runs that could answer.
                false => draft
                    .expecting([never(Expect::new(Sees::Header))])
                    .ending(OutcomeWord::Refused),
            }
            .case()
        })
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_rows_are_not_saved_in_the_control_panel_and_five_anywhere() {
        let refused = |as_control_panel| -> Vec<u8> {
            let rows = PolicyNumber::all();
            let refused = rows.filter(|row| decide(row.policy(), as_control_panel).id != VALID.id);
            refused.map(PolicyNumber::number).collect()
        };
        assert_eq!(refused(true), [5, 6, 11, 12, 14, 16, 18]);
        assert_eq!(refused(false), [6, 12, 14, 16, 18]);
    }
}
