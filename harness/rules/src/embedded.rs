//! The embedded data files: all TOML files below `scenarios/`.

/// Paths below `scenarios/`, with slashes, sorted by folder and name, and the texts.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/scenarios.rs"));

/// The folder in [`FILES`] that holds the requirements; all others hold scenarios.
pub const REQUIREMENTS: &str = "requirements/";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_embedded_once_and_unchanged() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios"));
        let names: BTreeSet<&str> = FILES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), FILES.len());
        for (name, text) in FILES {
            assert_eq!(std::fs::read_to_string(root.join(name)).unwrap(), *text);
        }
        assert!(names.contains("requirements/streams.toml"));
        assert!(!names.iter().any(|name| name.ends_with(".md")));
    }
}
