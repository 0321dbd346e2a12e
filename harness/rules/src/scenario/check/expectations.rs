//! Finds expectations that make no sense.

use simulated_partners::nearest::suggestion;

use super::Check;
use crate::case::{Expect, MAIN, Sees};

impl Check<'_> {
    pub(super) fn expectations(&mut self) {
        let list = &self.variant.expect;
        if list.is_empty() {
            self.tell(
                "expect",
                "nothing is expected",
                "add `[[expect]]` with what must be seen",
            );
        } else if list.iter().all(Expect::is_negative) {
            self.tell(
                "expect",
                "nothing must be seen",
                "an absence is proved by something that does happen: expect that, too",
            );
        } else if list
            .iter()
            .all(|one| one.is_negative() || one.is_of_the_partner())
        {
            self.tell(
                "expect",
                "nothing is expected of the target",
                "its partner does all of this by itself: expect what the target has to do, too",
            );
        }
        let gives_up = |one: &Expect| one.sees == Sees::GaveUp && one.is_negative();
        if !list.iter().any(gives_up)
            && let Some(at) = list.iter().position(Expect::is_an_end_by_anyone)
        {
            self.tell(
                &format!("expect.{at}.with.by"),
                "an end by either side is met by a partner that gives up",
                "say `by = \"target\"`, or add `sees = \"gave-up\"` with `never = true`",
            );
        }
        for (at, expect) in list.iter().enumerate() {
            self.expectation(&format!("expect.{at}"), expect, false);
        }
    }

    fn expectation(&mut self, path: &str, expect: &Expect, is_alternative: bool) {
        let mut partners = self.variant.partner_names();
        if let Some(name) = &expect.at
            && !partners.any(|known| known == name)
        {
            self.tell(
                &format!("{path}.at"),
                format!("there is no partner `{name}`"),
                suggestion(name, self.variant.partner_names(), ""),
            );
        }
        let known = expect.sees.conditions();
        if let Some(known) = known.filter(|known| !known.is_empty()) {
            for key in ["condition", "tolerated"] {
                let list = if key == "condition" {
                    &expect.condition
                } else {
                    &expect.tolerated
                };
                for (at, word) in list.iter().enumerate() {
                    if !word.contains('*') && !known.contains(&word.as_str()) {
                        self.tell(
                            &format!("{path}.{key}.{at}"),
                            format!("`{word}` is not a condition of {}", expect.sees),
                            suggestion(
                                word,
                                known.iter().copied(),
                                &format!("expected one of {}", known.join(", ")),
                            ),
                        );
                    }
                }
            }
        } else if !expect.condition.is_empty() && known.is_none() {
            self.tell(
                &format!("{path}.condition"),
                format!("{} has no condition", expect.sees),
                "use `with`, `has` or `text`",
            );
        }
        if !expect.tolerated.is_empty() && expect.condition.is_empty() {
            self.tell(
                &format!("{path}.tolerated"),
                "`tolerated` without `condition`",
                "name the conditions that are right as `condition`",
            );
        }
        let counts = expect.at_least.is_some() || expect.at_most.is_some() || expect.every_stream;
        if expect.never && counts {
            self.tell(
                &format!("{path}.never"),
                "`never` together with a count",
                "leave one of them out",
            );
        }
        if expect.every_stream && expect.at_least.is_some() {
            self.tell(
                &format!("{path}.every-stream"),
                "`every-stream` together with `at-least`",
                "leave one of them out",
            );
        }
        if expect.never && !expect.or.is_empty() {
            self.tell(
                &format!("{path}.or"),
                "an alternative to something forbidden",
                "write one expectation for each forbidden event",
            );
        }
        if is_alternative && (!expect.requirements.is_empty() || expect.level.is_some()) {
            self.tell(
                path,
                "an alternative cannot have its own requirements",
                "put `requirements` and `level` next to `or`, not inside it",
            );
        }
        let by_any = expect.on.is_none() && matches!(expect.at.as_deref(), None | Some(MAIN));
        if expect.sees.ends_a_stream() && by_any && !expect.is_negative() {
            self.tell(
                path,
                "met by the end of any connection, such as that of a verification",
                "say which one: `on = \"inbound\"` or `on = \"outbound\"`",
            );
        }
        for (at, other) in expect.or.iter().enumerate() {
            self.expectation(&format!("{path}.or.{at}"), other, true);
        }
    }
}
