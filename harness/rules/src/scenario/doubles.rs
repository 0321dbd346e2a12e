//! Which cases are known to turn red: each is failed by a double, a small server with one defect.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The list of doubles. The suite `wrong_targets` runs them.
pub const DOUBLES: &str = include_str!("../../doubles.toml");

/// What is known of the double of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubled {
    /// A double fails it.
    Yes,
    /// So far there is none.
    NotYet,
    /// There can be none, for this reason.
    Never(&'static str),
}

/// A double, as far as it matters here.
#[derive(Deserialize)]
struct Double {
    case: String,
}

/// Scenarios that have no double, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Without {
    why: String,
    scenarios: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    double: Vec<Double>,
    without: Vec<Without>,
}

/// Whether a double fails one of the cases of a scenario file, such as `tls/TLS-01-offered`.
pub fn doubled(scenario: &str) -> Doubled {
    static FILES: LazyLock<BTreeMap<String, Doubled>> = LazyLock::new(|| {
        let file: File = toml::from_str(DOUBLES).expect("a test reads the list of the build");
        let parts = |case: &str| case.split('/').take(2).collect::<Vec<_>>().join("/");
        let mut known = BTreeMap::new();
        for group in file.without {
            let why: &'static str = group.why.leak();
            let scenarios = group.scenarios.into_iter();
            known.extend(scenarios.map(|one| (one, Doubled::Never(why))));
        }
        let doubles = file.double.iter();
        known.extend(doubles.map(|one| (parts(&one.case), Doubled::Yes)));
        known
    });
    FILES.get(scenario).copied().unwrap_or(Doubled::NotYet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_known_by_the_cases_of_its_doubles() {
        assert_eq!(
            doubled("tls/TLS-15-injection-behind-starttls"),
            Doubled::Yes
        );
        assert_eq!(doubled("tls/TLS-15"), Doubled::NotYet);
    }

    #[test]
    fn what_can_have_no_double_has_none_and_exists() {
        let file: File = toml::from_str(DOUBLES).unwrap();
        let library = crate::scenario::Library::builtin();
        for name in file.without.iter().flat_map(|group| &group.scenarios) {
            assert!(matches!(doubled(name), Doubled::Never(_)), "{name}");
            assert!(library.files().any(|(file, _)| file == name), "{name}");
        }
    }
}
