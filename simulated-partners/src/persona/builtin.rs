//! The built-in personas.

use std::sync::LazyLock;

use super::Persona;
use crate::document::Source;

/// File names without extension, sorted, and texts: everything in `personas/`.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/personas.rs"));

static PERSONAS: LazyLock<Vec<Persona>> = LazyLock::new(|| {
    let all = FILES.iter().map(|(name, text)| {
        let source = Source::new(&format!("personas/{name}.toml"), text);
        Persona::parse(name, &source).expect("a test reads all personas of the crate")
    });
    all.collect()
});

/// Names and texts of the files of all personas, sorted by name.
pub const fn files() -> &'static [(&'static str, &'static str)] {
    FILES
}

/// All personas, sorted by name.
pub fn builtin() -> Vec<Persona> {
    PERSONAS.clone()
}

/// The persona with that name.
pub fn find(name: &str) -> Option<Persona> {
    PERSONAS.iter().find(|known| known.name == name).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_are_embedded_and_sorted() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/personas");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let embedded: Vec<String> = builtin()
            .iter()
            .map(|persona| format!("{}.toml", persona.name))
            .collect();
        assert_eq!(embedded, files);
    }

    #[test]
    fn all_files_are_correct() {
        for (name, text) in FILES {
            if let Err(error) = Persona::parse(name, &Source::new(name, text)) {
                panic!("{error}");
            }
            assert!(text.starts_with("format = 1\n"), "{name}");
        }
    }

    #[test]
    fn finds_by_the_whole_name_only() {
        assert_eq!(find("modern").unwrap().name, "modern");
        assert!(find("moder").is_none());
    }
}
