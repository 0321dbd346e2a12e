use std::collections::BTreeSet;

use simulated_partners::document::{FileError, Source};

use super::*;
use crate::embedded;

fn read(files: &[(&str, &str)]) -> Result<Registry, Vec<FileError>> {
    let files: Vec<Source> = files
        .iter()
        .map(|(name, text)| Source::new(name, text))
        .collect();
    or_mistakes(Registry::default().with(&files))
}

fn or_mistakes((registry, wrong): (Registry, Vec<FileError>)) -> Result<Registry, Vec<FileError>> {
    if wrong.is_empty() {
        Ok(registry)
    } else {
        Err(wrong)
    }
}

/// The first mistake as shown to the reader.
fn mistake(files: &[(&str, &str)]) -> String {
    let mistakes = read(files).expect_err("there is a mistake");
    mistakes[0].to_string()
}

const TWO_ROWS: &str = "format = 1
code = \"ABC\"
title = \"A\"

[[requirement]]
id = \"ABC-01\"
source = \"RFC 6120 §1\"
level = \"must\"
role = \"both\"
text = \"It holds.\"

[[requirement]]
id = \"ABC-02\"
source = \"RFC 6120 §2\"
level = \"may\"
role = \"initiating\"
text = \"It may hold.\"
unjudgeable = \"Nobody sees it.\"
";

#[test]
fn all_files_are_correct() {
    let files: Vec<(&str, &str)> = embedded::FILES
        .iter()
        .copied()
        .filter(|(name, _)| name.starts_with(embedded::REQUIREMENTS))
        .collect();
    for (name, text) in &files {
        for entry in text.split("[[requirement]]").skip(1) {
            // What is built in leaves nothing to a default.
            for key in ["\nlevel = ", "\nrole = ", "\ntext = "] {
                assert!(entry.contains(key), "{name} has an entry without {key}");
            }
        }
    }
    if let Err(mistakes) = read(&files) {
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        panic!("{}", told.join("\n\n"));
    }
}

#[test]
fn no_row_and_no_bug_is_lost() {
    let registry = Registry::builtin();
    assert_eq!(registry.all().count(), 563);
    assert_eq!(registry.areas().len(), 23);
    let by_area: usize = registry
        .areas()
        .iter()
        .map(|area| registry.of(&area.code).count())
        .sum();
    assert_eq!(by_area, 563);
    let bugs: Vec<&str> = registry.bugs().iter().map(|bug| bug.id.as_str()).collect();
    let expected: Vec<String> = (1..=82)
        .map(|n| format!("B{n:02}"))
        .chain((1..=22).map(|n| format!("S{n:02}")))
        .collect();
    assert_eq!(bugs, expected);
}

#[test]
fn rows_speak_of_target_and_partner() {
    for requirement in Registry::builtin().all() {
        let texts = [
            Some(&requirement.text),
            requirement.note.as_ref(),
            requirement.unjudgeable.as_ref(),
        ];
        for text in texts.into_iter().flatten() {
            for jargon in ["SUT", "FP", "LU", "(check)"] {
                let mut words = text.split([' ', ',', '.', ';']);
                assert!(
                    !words.any(|word| word == jargon),
                    "{}: {jargon}",
                    requirement.id
                );
            }
            assert!(text.len() <= 260, "{} is long: {text}", requirement.id);
        }
    }
}

#[test]
fn sections_of_a_standard_are_written_with_their_sign() {
    for requirement in Registry::builtin().all() {
        for part in requirement.source.split("; ") {
            let mut words = part.split(' ');
            let number = match words.next() {
                Some("RFC") => words.next(),
                Some(first) if first.starts_with("XEP-") => Some(first),
                _ => continue,
            };
            assert!(number.is_some(), "{}: {part}", requirement.id);
            if let Some(section) = words.next() {
                let named = section.starts_with('§')
                    || ["appendix", "schema"].contains(&section)
                    || part.contains(", ");
                assert!(named, "{}: {part}", requirement.id);
            }
        }
    }
}

#[test]
fn texts_are_different() {
    let mut seen = BTreeSet::new();
    for requirement in Registry::builtin().all() {
        assert!(
            seen.insert(&requirement.text),
            "{} says what another says",
            requirement.id
        );
    }
}

#[test]
fn most_rows_can_be_judged() {
    let blind: Vec<String> = Registry::builtin()
        .all()
        .filter(|requirement| requirement.unjudgeable.is_some())
        .map(|requirement| requirement.id.to_string())
        .collect();
    assert!(blind.len() <= 25, "{blind:?}");
}

#[test]
fn a_breach_fails_warns_or_is_recorded() {
    let classes = Level::ALL.iter().map(|level| level.weight());
    use crate::verdict::Weight::{May, Must, Should};
    assert!(classes.eq([Must, Must, Must, Should, Should, May]));
}

#[test]
fn finds_by_id_area_and_bug() {
    let registry = read(&[("x/a-b-c.toml", TWO_ROWS)]).unwrap();
    let requirement = registry.get(&"ABC-02".parse().unwrap()).unwrap();
    assert_eq!(requirement.unjudgeable.as_deref(), Some("Nobody sees it."));
    assert!(registry.get(&"ABC-03".parse().unwrap()).is_none());
    for name in ["ABC", "abc", "a-b-c"] {
        assert_eq!(registry.area(name).unwrap().title, "A");
    }
    assert_eq!(registry.of("ABC").count(), 2);
    let builtin = Registry::builtin();
    let forged: RequirementId = "DB-104".parse().unwrap();
    let bugs: Vec<&str> = builtin.bugs_of(&forged).map(|b| b.id.as_str()).collect();
    assert_eq!(bugs, ["S02"]);
    assert!(builtin.bug("B99").is_none());
}

#[test]
fn mistakes_are_shown_with_their_place() {
    let replaced = |from: &str, to: &str| {
        assert!(TWO_ROWS.contains(from), "{from}");
        let text = TWO_ROWS.replacen(from, to, 1);
        mistake(&[("requirements/abc.toml", &text)])
    };
    let shown = [
        replaced("format = 1\n", ""),
        replaced("format = 1", "format = 2"),
        replaced("level = \"must\"", "level = \"MUST\""),
        replaced("role = \"both\"", "roles = \"both\""),
        replaced("ABC-02", "ABC-01"),
        replaced("ABC-02", "ABD-02"),
        replaced("ABC-02", "ABC-2"),
        replaced("It holds.", "It holds"),
        replaced("It holds.", ""),
        replaced("RFC 6120 §1", " "),
    ];
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn a_requirement_of_ones_own_needs_an_id_a_title_and_a_source() {
    let text = "format = 1\n\n[[requirement]]\nid = \"MY-01\"\ntitle = \"A late answer is taken\"\n\
                source = \"our incident of May\"\n";
    let own = [Source::new("mine/own.toml", text)];
    let registry = or_mistakes(Registry::builtin().with(&own)).unwrap();
    let requirement = registry.get(&"MY-01".parse().unwrap()).unwrap();
    assert_eq!(requirement.text, "A late answer is taken");
    assert_eq!(requirement.level, Level::Practice);
    assert_eq!(requirement.role, Role::Both);
    assert_eq!(registry.area("MY").unwrap().title, "own requirements");
    assert_eq!(
        registry.areas().len(),
        Registry::builtin().areas().len() + 1
    );
    assert!(Registry::builtin().get(&requirement.id).is_none());
}

#[test]
fn what_is_built_in_stays_as_it_is() {
    let (name, text) = embedded::FILES
        .iter()
        .find(|(name, _)| *name == "requirements/streams.toml")
        .unwrap();
    let with = |text: &str| or_mistakes(Registry::builtin().with(&[Source::new(name, text)]));
    assert_eq!(&with(text).unwrap(), Registry::builtin().as_ref());
    let lower = text.replacen("level = \"must\"", "level = \"may\"", 1);
    let wrong = with(&lower).unwrap_err()[0].to_string();
    assert!(
        wrong.contains("the area STR has another file already"),
        "{wrong}"
    );
}

#[test]
fn mistakes_in_a_requirement_of_ones_own_are_shown_with_their_place() {
    let text = "format = 1\n\n[[requirement]]\nid = \"MY-01\"\ntitle = \"A late answer is taken\"\n\
                source = \"our incident of May\"\n";
    let replaced = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let text = text.replacen(from, to, 1);
        let own = [Source::new("own.toml", &text)];
        or_mistakes(Registry::builtin().with(&own)).unwrap_err()[0].to_string()
    };
    let shown = [
        replaced("title", "titel"),
        replaced("title = \"A late answer is taken\"\n", ""),
        replaced("source = \"our incident of May\"\n", ""),
        replaced("A late answer is taken", " "),
        replaced("MY-01", "STR-08"),
        replaced("MY-01", "late"),
        replaced("[[requirement]]", "[[requirment]]"),
    ];
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn an_area_has_one_file() {
    let changed = TWO_ROWS.replace("It holds.", "It does not hold.");
    let shown = mistake(&[("abc.toml", TWO_ROWS), ("more/abc.toml", &changed)]);
    assert!(shown.contains("the area ABC has another file"), "{shown}");
    let other = TWO_ROWS.replace("ABC", "ABD");
    assert!(read(&[("abc.toml", TWO_ROWS), ("more/abd.toml", &other)]).is_ok());
    // The same file by two paths.
    assert!(read(&[("abc.toml", TWO_ROWS), ("more/abc.toml", TWO_ROWS)]).is_ok());
}

#[test]
fn a_bug_names_existing_requirements() {
    let bug = |requirements: &str| {
        let text = format!(
            "format = 1\n\n[[bug]]\nid = \"B01\"\nsource = \"x\"\ntext = \"It broke.\"\n\
             requirements = {requirements}\n"
        );
        read(&[("abc.toml", TWO_ROWS), ("bugs.toml", &text)])
    };
    assert_eq!(bug("[\"ABC-01\"]").unwrap().bugs().len(), 1);
    let shown: Vec<String> = ["[]", "[\"ABC-09\"]", "[\"XY-01\"]", "[\"abc\"]"]
        .into_iter()
        .map(|requirements| bug(requirements).unwrap_err()[0].to_string())
        .collect();
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn files_of_another_version_take_the_place_of_those_of_their_area() {
    let now = read(&[("abc.toml", TWO_ROWS)]).expect("it has no mistakes");
    let then = TWO_ROWS.replace("level = \"must\"", "level = \"should\"");
    let then = Source::new("abc.toml", &then);
    let bug = Source::new(
        "bugs.toml",
        "format = 1\n\n[[bug]]\nid = \"B01\"\nsource = \"a server\"\ntext = \"It has it.\"\n\
         requirements = [\"ABC-09\"]\n",
    );
    let (old, wrong) = now.with_instead(&[then.clone(), bug.clone()]);
    assert!(wrong.is_empty(), "{wrong:?}");
    let level = |registry: &Registry| {
        let all = registry.all().map(|one| one.level);
        all.collect::<Vec<_>>()
    };
    assert_eq!(level(&now), [Level::Must, Level::May]);
    assert_eq!(level(&old), [Level::Should, Level::May]);
    // What was removed since is no mistake of the bug.
    assert!(old.bug("B01").is_some());

    let of = |registry: &Registry, id: &str| {
        let sources = registry.sources_of(&BTreeSet::from([id]));
        sources.into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(of(&now, "ABC-02"), [Source::new("abc.toml", TWO_ROWS)]);
    assert_eq!(of(&old, "ABC-02"), [then]);
    assert_eq!(of(&old, "B01"), [bug]);
    assert_eq!(of(&now, "B01"), []);
}
