//! Ids of requirements.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// The id of a requirement, such as `STR-01`: its area and its number there.
///
/// Sorts by area, then by number, so that `DB-13` comes before `DB-104`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct RequirementId {
    area: String,
    number: u16,
}

impl RequirementId {
    /// The area's name, such as `STR`.
    pub fn area(&self) -> &str {
        &self.area
    }

    /// The number within the area.
    pub const fn number(&self) -> u16 {
        self.number
    }
}

/// A text that is not a requirement id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a requirement id, expected an area and a number, such as `STR-01`")]
pub struct NotARequirementId(String);

impl FromStr for RequirementId {
    type Err = NotARequirementId;

    fn from_str(text: &str) -> Result<Self, NotARequirementId> {
        let wrong = || NotARequirementId(text.to_owned());
        let (area, digits) = text.split_once('-').ok_or_else(wrong)?;
        let capitals = area.starts_with(|c: char| c.is_ascii_uppercase())
            && area
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        let number = digits.parse().map_err(|_| wrong())?;
        let id = Self {
            area: area.to_owned(),
            number,
        };
        // Each id has one spelling, because ids are compared as text elsewhere.
        if capitals && (2..=3).contains(&area.len()) && id.to_string() == text {
            Ok(id)
        } else {
            Err(wrong())
        }
    }
}

impl<'de> Deserialize<'de> for RequirementId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Id;

        impl Visitor<'_> for Id {
            type Value = RequirementId;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("the id of a requirement")
            }

            // A malformed id is reported at its own place, even in a list.
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RequirementId, E> {
                text.parse().map_err(E::custom)
            }
        }

        from.deserialize_str(Id)
    }
}

impl From<RequirementId> for String {
    fn from(id: RequirementId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for RequirementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02}", self.area, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        for good in ["STR-01", "T90-15", "DB-104", "NG-01"] {
            let id: RequirementId = good.parse().unwrap();
            assert_eq!(id.to_string(), good);
        }
        for bad in [
            "",
            "STR",
            "STR-",
            "STR-1",
            "STR-001",
            "str-01",
            "STRX-01",
            "S-01",
            "90-01",
            "STR-+1",
            "STR--1",
            "STR-01 ",
            "STR_01",
            "STR-99999",
        ] {
            assert!(bad.parse::<RequirementId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_sort_by_number_and_not_by_digits() {
        let of = |text: &str| text.parse::<RequirementId>().unwrap();
        assert!(of("DB-13") < of("DB-104"));
        assert!(of("ADR-17") < of("DB-01"));
    }
}
