//! Writes a persona file.

use std::fmt::Write as _;

use serde::Serialize;
use toml::Value;

use super::{Deviations, Offer, Persona, Tls};
use crate::document::FORMAT;
use crate::reaction::Reaction;

/// What an offer has to say even if it is as usual.
const ALWAYS: [&str; 3] = ["tls", "external", "dialback"];

/// The reactions of a file.
#[derive(Serialize)]
struct Reactions<'a> {
    reaction: &'a [Reaction],
}

impl Persona {
    /// The text of a file that is read as this persona. Its name is that of the file.
    pub fn to_toml(&self) -> String {
        let Self {
            name: _,
            title,
            seen_in,
            offer,
            facts,
            reactions,
        } = self;
        let mut text = format!("format = {FORMAT}\ntitle = {}\n", quoted(title));
        if let Some(seen_in) = seen_in {
            let _ = writeln!(text, "seen-in = {}", quoted(seen_in));
        }
        text.push_str("\n[offer]\n");
        let usual = Offer {
            tls: Tls::None,
            external: false,
            external_on_plaintext: false,
            dialback: false,
            insists_on_db_namespace: false,
            needs_external: false,
            certificate: Default::default(),
            key: Default::default(),
            tls_versions: Offer::both_versions(),
        };
        text.push_str(&differing(offer, &usual, &ALWAYS));
        let facts = differing(facts, &Deviations::default(), &[]);
        if !facts.is_empty() {
            let _ = write!(text, "\n[facts]\n{facts}");
        }
        if !reactions.is_empty() {
            text.push('\n');
            text.push_str(&lines(&Reactions {
                reaction: reactions,
            }));
        }
        text
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// The lines of a table that are not those of a usual one, and those that are always written.
fn differing<T: Serialize>(one: &T, usual: &T, always: &[&str]) -> String {
    let (one, usual) = (lines(one), lines(usual));
    let usual: Vec<&str> = usual.lines().collect();
    let is_kept = |line: &&str| {
        let key = line.split(' ').next().unwrap_or_default();
        always.contains(&key) || !usual.contains(line)
    };
    let kept = one.lines().filter(is_kept);
    kept.map(|line| format!("{line}\n")).collect()
}

fn lines(table: &impl Serialize) -> String {
    toml::to_string(table).expect("personas are made of tables, lists and texts")
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::super::{Certificate, Key, TlsVersion, builtin};
    use super::*;
    use crate::document::Source;

    fn read(name: &str, text: &str) -> Option<Persona> {
        Persona::parse(name, &Source::new("written.toml", text)).ok()
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        for persona in builtin() {
            let text = persona.to_toml();
            assert_eq!(read(&persona.name, &text), Some(persona), "{text}");
        }
        let odd = Persona::correct(
            "odd",
            "a \"title\"\nof \\ two '''lines'''",
            offers()[0].clone(),
        );
        assert_eq!(read("odd", &odd.to_toml()), Some(odd));
    }

    /// Every offer that makes sense.
    fn offers() -> Vec<Offer> {
        let keys = [Key::P256, Key::Rsa2048, Key::Ed25519];
        let versions = [
            TlsVersion::VARIANTS.to_vec(),
            vec![TlsVersion::V12],
            vec![TlsVersion::V13],
        ];
        let mut all = Vec::new();
        for tls in [Tls::Offered, Tls::None, Tls::Required, Tls::Direct] {
            for bits in 0..32_u8 {
                let is = |bit: u8| bits & (1 << bit) != 0;
                for certificate in Certificate::VARIANTS {
                    let count = all.len();
                    all.push(Offer {
                        tls,
                        external: is(0),
                        external_on_plaintext: is(1),
                        dialback: is(2),
                        insists_on_db_namespace: is(3),
                        needs_external: is(4),
                        certificate: *certificate,
                        key: keys[count % 3],
                        tls_versions: versions[count / 3 % 3].clone(),
                    });
                }
            }
        }
        all
    }

    #[test]
    fn every_offer_that_makes_sense_is_read_back_the_same() {
        let mut count = 0;
        for offer in offers() {
            let persona = Persona::correct("one", "One of many", offer);
            // The reader refuses contradictions.
            if let Some(again) = read("one", &persona.to_toml()) {
                assert_eq!(again, persona);
                count += 1;
            }
        }
        assert!(count > 150, "{count}");
    }

    #[test]
    fn only_what_is_unusual_is_written() {
        let persona = super::super::find("tls13-only").expect("a persona");
        insta::assert_snapshot!(persona.to_toml(), @r#"
        format = 1
        title = "TLS 1.3 or nothing"

        [offer]
        tls = "required"
        external = true
        dialback = true
        tls-versions = ["1.3"]
        "#);
    }
}
