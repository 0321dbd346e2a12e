//! What somebody may have meant.

use std::borrow::Borrow;

/// How alike two names must be, from 0 to 1.
const ALIKE: f64 = 0.7;
const SHOWN: usize = 3;

/// The names most like a wrong one, best first, at most three.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut rated: Vec<(f64, &str)> = names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_name_and_nonsense_finds_none() {
        let names = ["google-talk", "modern", "strict-tls"];
        assert_eq!(nearest("gogle-talk", names), ["google-talk"]);
        assert_eq!(nearest("xyzzy", names), [""; 0]);
    }
}
