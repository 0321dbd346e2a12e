//! How a report is read, and what no report has.

use std::collections::BTreeSet;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use strum::VariantArray as _;

use super::Saved;
use crate::report::json::SCHEMA;
use crate::transcript::printable;
use crate::verdict::Verdict;

/// The oldest version of the format that has all that is needed here.
const OLDEST: u32 = 4;

/// Why a text is not a report that can be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is not JSON, or a part of it.
    #[error("it is not a whole JSON document: {0}")]
    Json(serde_json::Error),
    /// It is another document.
    #[error("it is JSON, but no report of s2spec: it has no number `schema`")]
    Other,
    /// It is too old or too new.
    #[error("its schema is {0}; this s2spec reads {OLDEST} to {SCHEMA}")]
    Schema(u64),
    /// It does not have the fields of its schema.
    #[error("it says that its schema is {schema}, but does not keep to it: {why}")]
    Fields {
        /// The version.
        schema: u64,
        /// What is wrong.
        why: serde_json::Error,
    },
}

/// A text in which whatever is no plain character is shown, not obeyed.
pub(super) fn shown<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    String::deserialize(reader).map(|text| printable(&text))
}

pub(super) fn shown_if_any<'de, D: Deserializer<'de>>(
    reader: D,
) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(reader)?;
    Ok(text.map(|text| printable(&text)))
}

/// An id, which goes into pages and file names as it is.
pub(super) fn plain<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let id = String::deserialize(from)?;
    match printable(&id) {
        shown if shown == id => Ok(id),
        shown => Err(D::Error::custom(format!(
            "the id `{shown}` has characters that no id has"
        ))),
    }
}

/// A verdict that there is.
pub(super) fn verdict<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let word = String::deserialize(from)?;
    match Verdict::VARIANTS.iter().any(|one| one.to_string() == word) {
        true => Ok(word),
        false => Err(D::Error::custom(format!(
            "no verdict is called `{}`",
            printable(&word)
        ))),
    }
}

pub(super) fn plain_if_any<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct Id(#[serde(deserialize_with = "plain")] String);
    let id = Option::<Id>::deserialize(from)?;
    Ok(id.map(|Id(id)| id))
}

impl Saved {
    /// Reads a report.
    ///
    /// # Errors
    /// [`Unreadable`] says what the text is instead.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Version {
            schema: Option<u64>,
        }
        let version: Version =
            serde_json::from_str(text).map_err(|error| match error.is_data() {
                true => Unreadable::Other,
                false => Unreadable::Json(error),
            })?;
        let schema = version.schema.ok_or(Unreadable::Other)?;
        if !(u64::from(OLDEST)..=u64::from(SCHEMA)).contains(&schema) {
            return Err(Unreadable::Schema(schema));
        }
        let wrong = |why| Unreadable::Fields { schema, why };
        let saved: Self = serde_json::from_str(text).map_err(wrong)?;
        match saved.contradiction() {
            Some(contradiction) => Err(wrong(serde_json::Error::custom(contradiction))),
            None => Ok(saved),
        }
    }

    /// What its parts say against each other.
    fn contradiction(&self) -> Option<String> {
        let mut ids = BTreeSet::new();
        if let Some(twice) = self.cases.iter().find(|case| !ids.insert(&case.id)) {
            return Some(format!("the case {} is there twice", twice.id));
        }
        Verdict::VARIANTS.iter().find_map(|verdict| {
            let word = verdict.to_string();
            let summed = self.summary.get(&word)?.as_u64()?;
            let cases = self.cases.iter().filter(|case| case.verdict == word);
            let listed = cases.count();
            (u64::try_from(listed) != Ok(summed)).then(|| {
                format!("its summary counts {summed} with `{word}`, but it lists {listed}")
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{fixture, to_json};

    #[test]
    fn a_report_that_contradicts_itself_is_none() {
        let text = to_json(&fixture::report(fixture::run(false))).expect("it has a JSON form");
        Saved::read(&text).expect("it is a report");
        let whole: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let refused = |changed: serde_json::Value| {
            let error = Saved::read(&changed.to_string()).expect_err("it contradicts itself");
            let mut text = error.to_string();
            if let Some(why) = std::error::Error::source(&error) {
                text += &format!(": {why}");
            }
            text
        };

        let mut counted = whole.clone();
        let fails = counted["summary"]["fail"].as_u64().expect("a number");
        counted["summary"]["fail"] = (fails + 1).into();
        let why = refused(counted);
        let wanted = format!(
            "its summary counts {} with `fail`, but it lists {fails}",
            fails + 1
        );
        assert!(why.contains(&wanted), "{why}");

        let mut twice = whole;
        let first = twice["cases"][0].clone();
        let cases = twice["cases"].as_array_mut().expect("cases");
        cases.push(first);
        let why = refused(twice);
        assert!(why.contains("is there twice"), "{why}");
    }
}
