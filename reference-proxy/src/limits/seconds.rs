//! A duration in a file: a number of seconds, or a text with a unit.

use std::fmt;
use std::time::Duration;

use serde::de::value::Error as ValueError;
use serde::de::{Deserializer, Error, IntoDeserializer as _, Visitor};

/// Adding this much to a clock never overflows.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Reads `60`, `0.25`, `"250ms"`, `"60s"`, `"5m"` or `"8h"`.
///
/// # Errors
/// If it is another value, zero, or longer than a year.
pub fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(SecondsVisitor)
}

/// Reads the same from a command line, where a number is a text, too.
///
/// # Errors
/// Why it is no duration, in words.
pub fn seconds_of(text: &str) -> Result<Duration, String> {
    let read: Result<Duration, ValueError> = match text.parse::<u64>() {
        Ok(number) => seconds(number.into_deserializer()),
        Err(_) => seconds(text.into_deserializer()),
    };
    read.map_err(|error| error.to_string())
}

struct SecondsVisitor;

impl Visitor<'_> for SecondsVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds as a number, or a text such as \"250ms\", \"60s\", \"5m\", \"8h\"")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Duration, E> {
        let seconds = u64::try_from(value).map_err(|_| E::custom("a duration is not negative"))?;
        bounded(Duration::from_secs(seconds))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Duration, E> {
        bounded(Duration::from_secs(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Duration, E> {
        let duration = Duration::try_from_secs_f64(value)
            .map_err(|_| E::custom("not a duration, or longer than a year"))?;
        bounded(duration)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Duration, E> {
        let digits = value.trim_end_matches(|char: char| char.is_ascii_alphabetic());
        let unit = match &value[digits.len()..] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(E::custom("a duration needs a unit: ms, s, m or h")),
        };
        let plain = digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        match digits.trim_end().parse::<f64>() {
            Ok(number) if plain => self.visit_f64(number * unit),
            _ => Err(E::custom("a duration starts with a number")),
        }
    }
}

fn bounded<E: Error>(duration: Duration) -> Result<Duration, E> {
    if duration.is_zero() {
        Err(E::custom("a duration may not be zero"))
    } else if duration > LONGEST {
        Err(E::custom("longer than a year"))
    } else {
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct One {
        #[serde(deserialize_with = "seconds")]
        time: Duration,
    }

    fn read(text: &str) -> Result<Duration, String> {
        toml::from_str::<One>(&format!("time = {text}"))
            .map(|one| one.time)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn takes_numbers_of_seconds_and_texts_with_units() {
        for (text, milliseconds) in [
            ("60", 60_000),
            ("0.25", 250),
            ("\"250ms\"", 250),
            ("\"1.5s\"", 1_500),
            ("\"5m\"", 300_000),
            ("\"8h\"", 28_800_000),
        ] {
            assert_eq!(
                read(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_everything_else() {
        for (text, message) in [
            ("0", "a duration may not be zero"),
            ("\"0s\"", "a duration may not be zero"),
            ("-1", "a duration is not negative"),
            ("-0.5", "not a duration, or longer than a year"),
            ("nan", "not a duration, or longer than a year"),
            ("inf", "not a duration, or longer than a year"),
            ("1e300", "not a duration, or longer than a year"),
            ("31708800", "longer than a year"),
            ("\"10000h\"", "longer than a year"),
            ("\"60\"", "a duration needs a unit: ms, s, m or h"),
            ("\"5 days\"", "a duration needs a unit: ms, s, m or h"),
            ("\"s\"", "a duration starts with a number"),
            ("\"-5s\"", "a duration starts with a number"),
            ("\"infs\"", "a duration needs a unit: ms, s, m or h"),
        ] {
            assert_eq!(read(text).expect_err("refused"), message, "{text}");
        }
        assert!(
            read("true")
                .expect_err("refused")
                .contains("seconds as a number")
        );
    }
}
