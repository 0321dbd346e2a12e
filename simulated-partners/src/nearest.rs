//! Suggests names similar to a wrong one.

use std::borrow::Borrow;

/// The similarity needed to suggest a name.
const ALIKE: f64 = 0.7;
/// The similarity needed to assume that a name was meant.
const MEANT: f64 = 0.8;
/// The similarity of names that differ in one letter, or in the order of two.
const SLIP: f64 = 0.85;
const SHOWN: usize = 3;

/// The names most similar to a wrong one, ignoring case, best first, at most three.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut rated: Vec<(f64, &str)> = names
        .into_iter()
        .map(|name| (likeness(wrong, name), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    rated.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    rated
        .into_iter()
        .take(SHOWN)
        .map(|(_, name)| name)
        .collect()
}

/// `; did you mean a or b?`, or nothing.
pub fn did_you_mean<S: Borrow<str>>(names: &[S]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", names.join(" or "))
    }
}

/// The name that was most likely meant, if there is little doubt.
pub fn meant<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let best = nearest(wrong, names).into_iter().next()?;
    (likeness(wrong, best) >= MEANT).then_some(best)
}

/// "did you mean `a`?", or another text.
pub fn suggestion<'a>(
    wrong: &str,
    names: impl IntoIterator<Item = &'a str>,
    otherwise: &str,
) -> String {
    match meant(wrong, names) {
        Some(name) => format!("did you mean `{name}`?"),
        None => otherwise.to_owned(),
    }
}

/// From 0 to 1, ignoring case. In a short word, one typo changes much.
fn likeness(one: &str, other: &str) -> f64 {
    let (one, other) = (one.to_ascii_lowercase(), other.to_ascii_lowercase());
    let alike = strsim::jaro_winkler(&one, &other);
    if one.len().max(other.len()) > 2 && strsim::damerau_levenshtein(&one, &other) == 1 {
        alike.max(SLIP)
    } else {
        alike
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_name_and_nonsense_finds_none() {
        let names = ["google-talk", "modern", "strict-tls"];
        assert_eq!(nearest("gogle-talk", names), ["google-talk"]);
        assert_eq!(nearest("MODERN", names), ["modern"]);
        assert_eq!(nearest("xyzzy", names), [""; 0]);
        assert_eq!(meant("modren", names), Some("modern"));
        assert_eq!(meant("nds", ["dns", "address"]), Some("dns"));
        assert_eq!(meant("sleep", ["keep", "send"]), None);
    }
}
