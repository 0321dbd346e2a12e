//! Whether somebody could guess what a target makes up: ids of streams (RFC 6120 §4.7.3), and
//! dialback keys (XEP-0185 §2).

use std::collections::BTreeSet;

use simulated_partners::event::Party;
use simulated_partners::negotiate::guess;

use super::expect::Sees;
use super::judge::value;
use super::sight::Sight;

/// What a value has to hold that cannot be told from the others, in bits.
const BITS: f64 = 48.0;

/// What is wrong with the values of an attribute, or of the text, in what was found among `sights`.
pub(super) fn weakness(name: &str, found: &[&Sight], sights: &[Sight]) -> Option<String> {
    let values: Vec<String> = found
        .iter()
        .map(|sight| value(sight, name).unwrap_or_default())
        .collect();
    if let Some(weak) = predictable(&values) {
        return Some(format!(
            "`{name}` can be guessed: `{weak}` is all that changes"
        ));
    }
    if name != "text" {
        return None;
    }
    found.iter().zip(&values).find_map(|(sight, key)| {
        let way = guess::way(
            key,
            stream_id(sight, sights)?,
            sight.attribute("to").unwrap_or_default(),
            sight.attribute("from").unwrap_or_default(),
        )?;
        Some(format!("the key `{key}` takes no secret: {way}"))
    })
}

/// The id that the partner gave the stream on which something was seen.
fn stream_id<'a>(sight: &Sight, sights: &'a [Sight]) -> Option<&'a str> {
    let header = |other: &&Sight| {
        other.sees == Sees::Header
            && other.by == Party::Partner
            && other.at == sight.at
            && other.leg == sight.leg
            && other.time <= sight.time
    };
    sights.iter().rev().find(header)?.attribute("id")
}

/// A value of which too little changes from one to the next: what does.
fn predictable(values: &[String]) -> Option<String> {
    let first = values.first()?;
    let (mut head, mut tail) = (0, 0);
    if values.len() > 1 {
        head = values
            .iter()
            .map(|one| shared(first.bytes(), one.bytes()))
            .min()?;
        let backwards = |text: &str| text.bytes().rev().collect::<Vec<u8>>();
        let last = backwards(first);
        tail = values
            .iter()
            .map(|one| shared(last.iter().copied(), backwards(one).into_iter()))
            .min()?;
    }
    let changing = |value: &str| {
        let end = value.len().saturating_sub(tail).max(head.min(value.len()));
        String::from_utf8_lossy(&value.as_bytes()[head.min(value.len())..end]).into_owned()
    };
    let cores: Vec<String> = values.iter().map(|value| changing(value)).collect();
    let letters: BTreeSet<char> = cores.iter().flat_map(|core| core.chars()).collect();
    let letter = u32::try_from(letters.len())
        .map_or(0.0, f64::from)
        .max(1.0)
        .log2();
    cores
        .into_iter()
        .find(|core| u32::try_from(core.len()).map_or(0.0, f64::from) * letter < BITS)
}

fn shared(one: impl Iterator<Item = u8>, other: impl Iterator<Item = u8>) -> usize {
    one.zip(other)
        .take_while(|(one, other)| one == other)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weak(values: &[&str]) -> bool {
        let values: Vec<String> = values.iter().map(|one| (*one).to_owned()).collect();
        predictable(&values).is_some()
    }

    #[test]
    fn counters_times_and_short_values_can_be_guessed() {
        assert!(weak(&[
            "stream-0000000000000001",
            "stream-0000000000000002"
        ]));
        assert!(weak(&[
            "1700000000123456",
            "1700000000124999",
            "1700000000130000"
        ]));
        assert!(weak(&["a1f3", "77c0"]));
        assert!(weak(&[""]));
        assert!(weak(&[
            "53dadfd2e2a6f97ca7bd8eeb84d5e390",
            "53dadfd2e2a6f97ca7bd8eeb84d5e390"
        ]));
    }

    #[test]
    fn random_values_cannot() {
        assert!(!weak(&["53dadfd2e2a6f97ca7bd8eeb84d5e390"]));
        assert!(!weak(&[
            "53dadfd2e2a6f97ca7bd8eeb84d5e390",
            "b15e56afd9f54fc00ef49073b1fd32b0"
        ]));
        assert!(!weak(&["12961824013987316034", "4180312209761233907"]));
        assert!(!weak(&[
            "8c3cbbd0-6b2e-4a5d-9b8f-0f5f7d0e3a11",
            "0b1f2c4e-1a7d-4c3b-8d2e-5e6f7a8b9c0d"
        ]));
    }
}
