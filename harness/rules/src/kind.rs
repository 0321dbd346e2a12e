//! The kinds of files that users write, recognised by their content.

use std::path::{Path, PathBuf};

use simulated_partners::diagnostic::Diagnostic;
use simulated_partners::document::{Document, FileError, Source};
use simulated_partners::nearest::meant;
use strum::{Display, VariantArray};

/// What a file describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Display, VariantArray)]
pub enum Kind {
    /// A scenario.
    #[strum(to_string = "a scenario")]
    Scenario,
    /// A kind of partner.
    #[strum(to_string = "a persona")]
    Persona,
    /// Requirements, or known bugs.
    #[strum(to_string = "a list of requirements or bugs")]
    Requirements,
    /// A server under test.
    #[strum(to_string = "a target file")]
    Target,
    /// Known deviations of a target.
    #[strum(to_string = "a baseline")]
    Baseline,
}

impl Kind {
    /// Top-level keys that no other kind has, or none with a similar meaning.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Scenario => &[
                "requirements",
                "bugs",
                "tags",
                "direction",
                "policies",
                "needs",
                "setting",
                "alone",
                "values",
                "partner",
                "partners",
                "local",
                "expect",
                "outcome",
                "alive",
                "seconds",
                "no-control",
                "only-here",
                "control",
                "variants",
            ],
            Self::Persona => &["seen-in", "offer", "facts"],
            Self::Requirements => &["code", "requirement", "bug"],
            Self::Target => &[
                "domain",
                "address",
                "direct-tls",
                "inner",
                "policy",
                "ca",
                "trigger",
                "start",
                "stop",
                "restart",
                "logs",
                "timeouts",
                "partner-address",
                "partner-hosts",
                "partner-domains",
                "partner-back-off",
                "certificate-names",
                "dns-cache",
            ],
            Self::Baseline => &["known"],
        }
    }

    /// The option of the command line that takes such files.
    const fn option(self) -> &'static str {
        match self {
            Self::Scenario => "--scenarios",
            Self::Persona => "--personas",
            Self::Requirements => "--requirements",
            Self::Target => "--target",
            Self::Baseline => "--baseline",
        }
    }

    /// The kind with which a file shares most keys. Misspelt ones count less.
    pub fn of(source: &Source) -> Option<Self> {
        let written = source.keys();
        let likeness = |kind: Self| -> usize {
            let known = kind.keys();
            let points = |key: &String| match known.contains(&key.as_str()) {
                true => 2,
                false => usize::from(meant(key, known.iter().copied()).is_some()),
            };
            written.iter().map(points).sum()
        };
        let kinds = Self::VARIANTS.iter().rev().copied();
        let likely = kinds.max_by_key(|kind| likeness(*kind))?;
        (likeness(likely) > 0).then_some(likely)
    }
}

/// All TOML files at or below paths, in order, with their kinds, and what is wrong with the others.
pub fn files(paths: &[PathBuf]) -> (Vec<(Kind, Source)>, Vec<FileError>) {
    let (mut files, mut wrong) = (Vec::new(), Vec::new());
    for path in paths {
        match below(path) {
            Ok(found) => {
                for path in found {
                    match Source::load(&path).and_then(recognised) {
                        Ok(file) => files.push(file),
                        Err(error) => wrong.push(error),
                    }
                }
            }
            Err(error) => wrong.push(error),
        }
    }
    (files, wrong)
}

/// The files of one kind at or below paths. Other kinds may lie beside them.
///
/// # Errors
/// When a file cannot be read or recognised, or when a path itself names a file of another kind.
pub fn files_of(kind: Kind, paths: &[PathBuf]) -> Result<Vec<Source>, Vec<FileError>> {
    let (found, mut wrong) = files(paths);
    let mut files = Vec::new();
    for (found, source) in found {
        if found == kind {
            files.push(source);
        } else if paths.iter().any(|path| path == Path::new(source.file())) {
            let other = Diagnostic::new(0..0, format!("this is {found}, and not {kind}"));
            let help = format!("`{}` reads it", found.option());
            wrong.push(source.wrong(vec![other.help(help)]));
        }
    }
    if wrong.is_empty() {
        Ok(files)
    } else {
        Err(wrong)
    }
}

fn recognised(source: Source) -> Result<(Kind, Source), FileError> {
    if let Some(kind) = Kind::of(&source) {
        return Ok((kind, source));
    }
    let is_json = |text: &str| text.trim_start().starts_with('"');
    if source
        .text()
        .trim_start()
        .strip_prefix('{')
        .is_some_and(is_json)
    {
        let wrong = Diagnostic::new(0..0, "this is JSON, not TOML")
            .help("`s2spec replay` reads a bundle, `s2spec report` the report of a run");
        return Err(source.wrong(vec![wrong]));
    }
    Document::parse(&source)?;
    let wrong = Diagnostic::new(0..0, "nothing says what kind of file this is").help(
        "a scenario has `direction` and `[[expect]]`, a persona `[offer]`, a list of requirements \
         `[[requirement]]`, a target file `domain` and `address`, a baseline `[[known]]`",
    );
    Err(source.wrong(vec![wrong]))
}

/// The TOML files at or below a path, in order.
fn below(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(|source| FileError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
    let mut paths = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            paths.extend(below(&entry)?);
        } else if entry.extension().is_some_and(|ending| ending == "toml") {
            paths.push(entry);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "title = 'x'\ndirection = 'inbound'\n[[expect]]\nsees = 'tls'\n",
        Some(Kind::Scenario)
    )]
    #[case(
        "title = 'x'\n[offer]\ntls = 'none'\n[[reaction]]\nwhen = 'auth'\n",
        Some(Kind::Persona)
    )]
    #[case("title = 'x'\n[ofer]\ntls = 'none'\n", Some(Kind::Persona))]
    #[case("[[requirement]]\nid = 'MY-01'\n", Some(Kind::Requirements))]
    #[case("[[bug]]\nid = 'B01'\n", Some(Kind::Requirements))]
    #[case(
        "domain = 'a'\naddress = 'b'\ndns = 'c'\n[policy]\nrow = 7\n",
        Some(Kind::Target)
    )]
    #[case("[[known]]\ncase = 'x'\n", Some(Kind::Baseline))]
    #[case("requirements = ['STR-01']\n", Some(Kind::Scenario))]
    #[case("titel = 'x'\n", None)]
    #[case("", None)]
    fn a_file_is_known_by_its_keys(#[case] text: &str, #[case] kind: Option<Kind>) {
        assert_eq!(Kind::of(&Source::new("x.toml", text)), kind);
    }

    #[test]
    fn every_file_of_the_project_is_of_its_kind() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        for (folder, kind) in [
            ("simulated-partners/personas", Kind::Persona),
            ("harness/baselines", Kind::Baseline),
            ("scenarios/requirements", Kind::Requirements),
            ("scenarios/streams", Kind::Scenario),
            ("scenarios/dns", Kind::Scenario),
        ] {
            let paths = [root.join(folder)];
            let (all, wrong) = files(&paths);
            assert!(wrong.is_empty(), "{wrong:?}");
            assert!(!all.is_empty(), "{folder}");
            for (found, source) in all {
                assert_eq!(found, kind, "{}", source.file());
            }
        }
    }

    #[test]
    fn other_kinds_lie_beside_and_are_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a.toml"), "format = 1\n[offer]\n").expect("it has room");
        std::fs::write(at("b.toml"), "format = 1\n[[expect]]\n").expect("it has room");
        let names = |kind, path: &Path| {
            let found = files_of(kind, &[path.to_owned()]).map_err(|wrong| wrong[0].to_string())?;
            Ok::<_, String>(found.len())
        };
        assert_eq!(names(Kind::Scenario, folder.path()), Ok(1));
        assert_eq!(names(Kind::Baseline, folder.path()), Ok(0));
        assert_eq!(names(Kind::Persona, &at("a.toml")), Ok(1));
        let wrong = names(Kind::Scenario, &at("a.toml")).expect_err("it is a persona");
        assert!(
            wrong.contains("this is a persona, and not a scenario"),
            "{wrong}"
        );
        assert!(wrong.contains("`--personas` reads it"), "{wrong}");
    }
}
