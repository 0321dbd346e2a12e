//! Policies as one writes them on the command line.

use std::fmt;
use std::str::FromStr;

use crate::policy::{Level, Policy, PolicyNumber};

/// A policy as one writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyName(pub PolicyNumber);

impl FromStr for PolicyName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const WANTED: &str = "a row from 1 to 18 is wanted, such as 7 or row07, or \
             tls/sasl/dialback such as required/optional/on";
        let text = text.to_ascii_lowercase();
        let number = text.strip_prefix("row").unwrap_or(&text);
        if let Ok(number) = number.parse() {
            return PolicyNumber::new(number)
                .map(Self)
                .ok_or_else(|| WANTED.to_owned());
        }
        let level = |word: &str| {
            Level::ALL.iter().copied().find(|level| {
                let letter = level.letter().to_string();
                level.to_string() == word || letter.eq_ignore_ascii_case(word)
            })
        };
        let mut words = text.split('/');
        let (Some(tls), Some(sasl), Some(dialback), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(WANTED.to_owned());
        };
        let dialback = match dialback {
            "on" | "true" | "t" => true,
            "off" | "false" | "f" => false,
            other => return Err(format!("dialback is on or off, not {other:?}")),
        };
        match (level(tls), level(sasl)) {
            (Some(tls), Some(sasl)) => {
                let policy = Policy {
                    tls,
                    sasl,
                    dialback,
                };
                Ok(Self(policy.row()))
            }
            _ => Err("TLS and SASL are required, optional or not-supported".to_owned()),
        }
    }
}

/// Policies by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policies(pub Vec<PolicyNumber>);

impl FromStr for Policies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("all") {
            let valid = PolicyNumber::all().filter(|row| row.policy().valid());
            return Ok(Self(valid.collect()));
        }
        let one = |word: &str| word.trim().parse().map(|PolicyName(row)| row);
        let rows: Vec<PolicyNumber> = text.split(',').map(one).collect::<Result<_, _>>()?;
        let mut once = Vec::new();
        for row in rows {
            if !once.contains(&row) {
                once.push(row);
            }
        }
        Ok(Self(once))
    }
}

impl fmt::Display for Policies {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(|row| row.number().to_string()).collect();
        to.write_str(&numbers.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_is_named_twice_is_one() {
        let policies: Policies = "9,row07,7,9".parse().expect("policies");
        assert_eq!(policies.to_string(), "9,7");
    }

    #[test]
    fn a_policy_is_the_same_in_capitals() {
        for text in ["ROW07", "Required/Optional/True", "r/o/t", "R/O/T"] {
            let policies: Policies = text.parse().expect(text);
            assert_eq!(policies.to_string(), "7", "{text}");
        }
    }
}
