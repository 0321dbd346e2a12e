//! How many cases a target can run, and how many more with more of it.

use std::fmt;

use super::{TargetFile, TriggerKind};
use crate::case::{AllowList, Case, Direction, Need};
use crate::policy::PolicyNumber;
use crate::subject::{ANYWHERE, lacking};

/// The policy that leaves most open.
pub const OPEN: u8 = 9;

/// What of a target decides which cases run.
#[derive(Clone, Debug)]
struct Reach {
    rows: Vec<PolicyNumber>,
    /// Whether a component shows what is behind it.
    linked: bool,
    /// Whether only pings of partners make it send.
    replies: bool,
    second_domain: bool,
    direct_tls: bool,
    pool: bool,
    allow: AllowList,
}

impl Reach {
    fn of(file: &TargetFile) -> Self {
        let (linked, second_domain) = match &file.trigger {
            TriggerKind::Component { domain, .. } => (true, *domain != file.domain),
            TriggerKind::Reply | TriggerKind::Command(_) => (false, false),
        };
        Self {
            rows: file.rows().collect(),
            linked,
            replies: file.trigger == TriggerKind::Reply,
            second_domain,
            direct_tls: file.direct_tls.is_some(),
            pool: file.other_member.is_some(),
            allow: file.partner_domains.clone(),
        }
    }

    fn runs(&self, case: &Case) -> bool {
        if lacking(case, &ANYWHERE).is_some() || !self.rows.contains(&case.row) {
            return false;
        }
        if self.allow.assign(case, !self.linked, |_| true).is_err() {
            return false;
        }
        let entered = case.row.policy().valid() || case.direction == Direction::Inbound;
        if self.replies && !entered {
            return false;
        }
        let hidden = !self.linked && !case.script.by_oracle();
        if hidden && case.script.from_outside().is_none() {
            return false;
        }
        case.script.needs.iter().all(|need| match need {
            Need::SecondDomain => self.second_domain,
            Need::InnerSide => self.linked,
            Need::DirectTlsPort => self.direct_tls,
            Need::Pool => self.pool,
            _ => true,
        })
    }

    fn count<'a>(&self, cases: impl IntoIterator<Item = &'a Case>) -> usize {
        let cases = cases.into_iter();
        cases.filter(|case| self.runs(case)).count()
    }
}

/// How many more cases of a selection would run with more of a target. Shown as a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gains(Vec<(String, usize)>);

impl Gains {
    /// Compares what runs with what could. `open` is the same selection in the policy that leaves most
    /// open. What would add less than a tenth, and few cases, is left out.
    pub fn of(file: &TargetFile, cases: &[Case], open: &[Case]) -> Self {
        /// As many are worth it however many run already.
        const MANY: usize = 30;
        let now = Reach::of(file);
        let running = now.count(cases);
        let mut gains = Vec::new();
        let mut add = |name: String, then: usize| {
            let more = then.saturating_sub(running);
            if more >= MANY || (more > 0 && more * 10 >= running) {
                gains.push((name, more));
            }
        };
        if let ([row], Some(open_row)) = (now.rows.as_slice(), PolicyNumber::new(OPEN))
            && *row != open_row
        {
            let there = Reach {
                rows: vec![open_row],
                ..now.clone()
            };
            add(format!("policy {OPEN}"), there.count(open));
        }
        if !now.linked {
            let linked = Reach {
                linked: true,
                replies: false,
                second_domain: true,
                ..now.clone()
            };
            add("a component".to_owned(), linked.count(cases));
        } else if !now.second_domain {
            let two = Reach {
                second_domain: true,
                ..now.clone()
            };
            add("a second domain".to_owned(), two.count(cases));
        }
        if !now.direct_tls {
            let direct = Reach {
                direct_tls: true,
                ..now
            };
            add("a direct TLS port".to_owned(), direct.count(cases));
        }
        Self(gains)
    }
}

impl fmt::Display for Gains {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, more)) in self.0.iter().enumerate() {
            match at {
                0 if *more == 1 => write!(to, "{name} would run 1 more case")?,
                0 => write!(to, "{name} would run {more} more cases")?,
                _ => write!(to, ", {name} {more}")?,
            }
        }
        Ok(())
    }
}

impl Gains {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::Library;

    fn gains(area: &str, row: u8, more: &str) -> String {
        let text = format!(
            "format = 1\nname = \"x\"\ndomain = \"x.example\"\naddress = \"127.0.0.1:5269\"\n{more}\n\
             dns = \"127.0.0.1:15353\"\nca = {{ certificate = \"ca.crt\", key = \"ca.key\" }}\n\
             [[policy]]\nrow = {row}\n"
        );
        let file = TargetFile::parse(Path::new("/t/target.toml"), &text, false).unwrap();
        let library = Library::builtin_where(|name, _| name.starts_with(area));
        let rows: Vec<PolicyNumber> = file.rows().collect();
        let cases = library.cases_in(Some(&rows));
        let open = library.cases_in(PolicyNumber::new(OPEN).as_ref().map(std::slice::from_ref));
        Gains::of(&file, &cases, &open).to_string()
    }

    #[test]
    fn what_would_show_more_is_counted() {
        let without_numbers = |text: &str| {
            let is_number = |word: &&str| word.trim_end_matches(',').parse::<usize>().is_ok();
            let words = text.split(' ').filter(|word| !is_number(word));
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            without_numbers(&gains("streams/", 17, "")),
            "policy would run more cases, a component"
        );
        assert_eq!(
            without_numbers(&gains("direct-tls/", 9, "")),
            "a component would run more case, a direct TLS port"
        );
        let direct = "direct-tls = \"127.0.0.1:5270\"";
        assert_eq!(
            without_numbers(&gains("direct-tls/", 9, direct)),
            "a component would run more cases"
        );
    }
}
