//! Which cases are known to turn red: each is failed by a double, a small server with one defect.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

/// The list of doubles. The suite `wrong_targets` runs them.
pub const DOUBLES: &str = include_str!("../../doubles.toml");

/// A double, as far as it matters here.
#[derive(Deserialize)]
struct Double {
    case: String,
}

#[derive(Deserialize)]
struct File {
    double: Vec<Double>,
}

/// Whether a double fails one of the cases of a scenario file, such as `tls/TLS-01-offered`.
pub fn has_double(scenario: &str) -> bool {
    static FILES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let file: File = toml::from_str(DOUBLES).expect("a test reads the list of the build");
        let parts = |case: &str| case.split('/').take(2).collect::<Vec<_>>().join("/");
        file.double.iter().map(|one| parts(&one.case)).collect()
    });
    FILES.contains(scenario)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_known_by_the_cases_of_its_doubles() {
        assert!(has_double("tls/TLS-15-injection-behind-starttls"));
        assert!(!has_double("tls/TLS-15"));
    }
}
