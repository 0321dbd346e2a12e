//! The personas that come with the crate.

use super::Persona;

/// File names without ending, sorted, and texts.
const FILES: [(&str, &str); 27] = [
    (
        "authority-invalid",
        include_str!("../../personas/authority-invalid.toml"),
    ),
    (
        "authority-silent",
        include_str!("../../personas/authority-silent.toml"),
    ),
    (
        "authority-unreachable",
        include_str!("../../personas/authority-unreachable.toml"),
    ),
    (
        "authority-wrong-domain",
        include_str!("../../personas/authority-wrong-domain.toml"),
    ),
    (
        "cert-expired",
        include_str!("../../personas/cert-expired.toml"),
    ),
    (
        "cert-missing-intermediate",
        include_str!("../../personas/cert-missing-intermediate.toml"),
    ),
    (
        "cert-no-client-auth",
        include_str!("../../personas/cert-no-client-auth.toml"),
    ),
    (
        "cert-self-signed",
        include_str!("../../personas/cert-self-signed.toml"),
    ),
    (
        "cert-unknown-ca",
        include_str!("../../personas/cert-unknown-ca.toml"),
    ),
    (
        "cert-wrong-name",
        include_str!("../../personas/cert-wrong-name.toml"),
    ),
    (
        "dialback-only",
        include_str!("../../personas/dialback-only.toml"),
    ),
    (
        "external-on-plaintext",
        include_str!("../../personas/external-on-plaintext.toml"),
    ),
    (
        "external-refused-closed",
        include_str!("../../personas/external-refused-closed.toml"),
    ),
    (
        "external-refused-kept",
        include_str!("../../personas/external-refused-kept.toml"),
    ),
    (
        "google-talk",
        include_str!("../../personas/google-talk.toml"),
    ),
    (
        "handshake-broken",
        include_str!("../../personas/handshake-broken.toml"),
    ),
    ("legacy-tls", include_str!("../../personas/legacy-tls.toml")),
    ("modern", include_str!("../../personas/modern.toml")),
    ("no-methods", include_str!("../../personas/no-methods.toml")),
    (
        "no-stream-id",
        include_str!("../../personas/no-stream-id.toml"),
    ),
    ("no-version", include_str!("../../personas/no-version.toml")),
    (
        "reset-at-features",
        include_str!("../../personas/reset-at-features.toml"),
    ),
    (
        "silent-after-accept",
        include_str!("../../personas/silent-after-accept.toml"),
    ),
    (
        "starttls-failure",
        include_str!("../../personas/starttls-failure.toml"),
    ),
    ("strict-tls", include_str!("../../personas/strict-tls.toml")),
    (
        "tls-required-dialback",
        include_str!("../../personas/tls-required-dialback.toml"),
    ),
    ("tls12-only", include_str!("../../personas/tls12-only.toml")),
];

/// All of them, sorted by name.
pub fn builtin() -> Vec<Persona> {
    FILES.iter().map(|(name, text)| read(name, text)).collect()
}

/// The one of that name.
pub fn find(name: &str) -> Option<Persona> {
    FILES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(name, text)| read(name, text))
}

fn read(name: &str, text: &str) -> Persona {
    Persona::parse(name, &format!("personas/{name}.toml"), text)
        .expect("a test reads all personas of the crate")
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
            if let Err(error) = Persona::parse(name, name, text) {
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
