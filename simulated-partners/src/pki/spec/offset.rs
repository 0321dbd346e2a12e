//! Points in time relative to the lab's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Two centuries: beyond that, a year cannot be encoded everywhere.
const LIMIT: i64 = 73_000 * DAY;
const DAY: i64 = 86_400;

/// An offset before or after the start of the run: `-1h`, `+365d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", schemars(with = "String", extend("pattern" = "^[+-][0-9]{1,10}[smhd]$")))]
pub struct Offset {
    seconds: i64,
}

impl Offset {
    /// This many days.
    pub const fn days(days: i32) -> Self {
        Self {
            seconds: days as i64 * DAY,
        }
    }

    pub(in crate::pki) fn duration(self) -> time::Duration {
        time::Duration::seconds(self.seconds)
    }
}

/// A text that is not an offset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no time relative to now: a sign, a number and a unit (s, m, h or d) up to 73000d, \
     such as `-1h` or `+365d`"
)]
pub struct BadOffset(String);

impl FromStr for Offset {
    type Err = BadOffset;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (sign, rest) = match text.as_bytes().first()? {
                b'+' => (1, &text[1..]),
                b'-' => (-1, &text[1..]),
                _ => return None,
            };
            let (unit, number) = match rest.as_bytes().last()? {
                b's' => (1, &rest[..rest.len() - 1]),
                b'm' => (60, &rest[..rest.len() - 1]),
                b'h' => (3600, &rest[..rest.len() - 1]),
                b'd' => (DAY, &rest[..rest.len() - 1]),
                _ => return None,
            };
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let seconds = number.parse::<i64>().ok()?.checked_mul(unit)?;
            (seconds <= LIMIT).then_some(Self {
                seconds: sign * seconds,
            })
        };
        parse().ok_or_else(|| BadOffset(text.to_owned()))
    }
}

impl TryFrom<String> for Offset {
    type Error = BadOffset;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Offset> for String {
    fn from(offset: Offset) -> Self {
        offset.to_string()
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = [(DAY, 'd'), (3600, 'h'), (60, 'm')]
            .into_iter()
            .find(|(unit, _)| self.seconds % unit == 0)
            .unwrap_or((1, 's'));
        write!(f, "{:+}{name}", self.seconds / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_sign_a_number_and_a_unit() {
        for text in ["-1h", "+365d", "+90m", "-5s", "+0d", "+73000d"] {
            assert_eq!(text.parse::<Offset>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "+",
            "1h",
            "+h",
            "+1",
            "+1w",
            "-1.5h",
            "+-1h",
            "+73001d",
            "-1hä",
            "+99999999999999999999s",
        ] {
            let error = text.parse::<Offset>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is no time")));
        }
    }
}
