//! All scenarios: the embedded ones, or those of a user.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use simulated_partners::diagnostic::Diagnostic;
use simulated_partners::document::{FileError, Source};

use super::catalogue::Catalogue;
use super::file::File;
use super::script;
use crate::case::Case;
use crate::embedded;
use crate::policy::PolicyNumber;

/// The area of scenarios in a folder whose name cannot be part of an id.
const NAMELESS: &str = "own";

/// Scenarios by their path below `scenarios/`, such as `streams/STR-08-header-then-features`.
#[derive(Clone, Debug, Default)]
pub struct Library {
    files: BTreeMap<String, Box<File>>,
}

impl Library {
    /// The embedded scenarios.
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Library> = LazyLock::new(|| Library::builtin_where(|_, _| true));
        &BUILTIN
    }

    /// The embedded scenarios selected by name and text; the others are not parsed.
    pub fn builtin_where(wanted: impl Fn(&str, &str) -> bool) -> Self {
        let files = builtin_files(wanted);
        Self {
            files: files
                .map(|(name, file)| (name.to_owned(), Box::new(file)))
                .collect(),
        }
    }

    /// The cases of these, as of [`Library::cases_in`]. No file is kept beside them.
    pub fn builtin_cases(
        wanted: impl Fn(&str, &str) -> bool,
        policies: Option<&[PolicyNumber]>,
    ) -> Vec<Case> {
        let files = builtin_files(wanted);
        files
            .flat_map(|(name, file)| script::cases(name, &file, policies))
            .collect()
    }

    /// The scenarios of these files, each named after its folder and its file, and the mistakes of those
    /// that are left out.
    pub fn read(sources: &[Source], catalogue: &Catalogue) -> (Self, Vec<FileError>) {
        let mut library = Self::default();
        let mut wrong = Vec::new();
        // Ids are told apart in any letter case.
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        for source in sources {
            let name = name(Path::new(source.file()));
            if let Some(other) = taken.insert(name.to_ascii_lowercase(), source.file()) {
                let twice = Diagnostic::new(0..0, format!("{other} has the id `{name}`, too"));
                wrong.push(source.wrong(vec![
                    twice.help("an id is the folder and the name of a file: rename one of them"),
                ]));
                continue;
            }
            match File::read(&name, source, catalogue) {
                Ok(file) => {
                    library.files.insert(name, Box::new(file));
                }
                Err(error) => wrong.push(error),
            }
        }
        (library, wrong)
    }

    /// The number of scenarios.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// All scenarios with their names, in order.
    pub fn files(&self) -> impl Iterator<Item = (&str, &File)> {
        self.files
            .iter()
            .map(|(name, file)| (name.as_str(), &**file))
    }

    /// The cases of all scenarios in the policies that they name, in order.
    pub fn cases(&self) -> Vec<Case> {
        self.cases_in(None)
    }

    /// The cases of all scenarios in these policies, or else in those that they name.
    pub fn cases_in(&self, policies: Option<&[PolicyNumber]>) -> Vec<Case> {
        self.files
            .iter()
            .flat_map(|(name, file)| script::cases(name, file, policies))
            .collect()
    }
}

/// The embedded scenarios selected by name and text, in order.
fn builtin_files(
    wanted: impl Fn(&str, &str) -> bool,
) -> impl Iterator<Item = (&'static str, File)> {
    let catalogue = Catalogue::builtin();
    let mut files: Vec<(&str, &str, &str)> = embedded::FILES
        .iter()
        .filter(|(path, _)| !path.starts_with(embedded::REQUIREMENTS))
        .map(|(path, text)| (path.trim_end_matches(".toml"), *path, *text))
        .filter(|(name, _, text)| wanted(name, text))
        .collect();
    files.sort_unstable();
    files.into_iter().map(|(name, path, text)| {
        let source = Source::new(&format!("scenarios/{path}"), text);
        let file = File::read(name, &source, catalogue)
            .unwrap_or_else(|error| panic!("a test reads all scenarios of the build:\n{error}"));
        (name, file)
    })
}

/// The id of a scenario file: its folder, wherever the path starts, and its name. What cannot be part of an
/// id is a hyphen in it.
fn name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let folder = folder.file_name().unwrap_or_default().to_string_lossy();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let area = folder.replace(|c| !fits(c), "-");
    let area = match area.trim_matches('-') {
        "" => NAMELESS,
        area => area,
    };
    format!("{area}/{}", stem.display())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TEXT: &str = "format = 1\ntitle = 'It answers'\ndirection = 'inbound'\n\
                        expect = [{ sees = 'delivered' }]\n";

    #[test]
    fn cases_of_files_that_are_not_kept_are_the_same() {
        let is_wanted = |name: &str, _: &str| name.starts_with("d");
        let ids = |cases: Vec<Case>| cases.into_iter().map(|case| case.id).collect::<Vec<_>>();
        let kept = ids(Library::builtin_where(is_wanted).cases());
        assert_eq!(ids(Library::builtin_cases(is_wanted, None)), kept);
        assert!(kept.len() > 100, "only {}", kept.len());
    }

    #[rstest]
    #[case("streams/late.toml", "streams/late")]
    #[case("a/b/late.toml", "b/late")]
    #[case("/a b/late.toml", "a-b/late")]
    #[case("/.hidden/late.toml", "hidden/late")]
    #[case("/late.toml", "own/late")]
    #[case("/tmp/../late.toml", "own/late")]
    fn a_scenario_is_named_after_its_folder_and_its_file(#[case] path: &str, #[case] wanted: &str) {
        assert_eq!(name(Path::new(path)), wanted);
    }

    #[rstest]
    #[case("late.toml")]
    #[case("./late.toml")]
    #[case("src/../late.toml")]
    fn a_folder_that_a_path_does_not_name_is_the_one_that_it_is_in(#[case] path: &str) {
        let here = std::env::current_dir().expect("there is one");
        let here = here
            .file_name()
            .expect("it has a name")
            .display()
            .to_string();
        assert_eq!(name(Path::new(path)), format!("{here}/late"));
    }

    #[test]
    fn no_two_scenarios_have_one_id() {
        let read = |paths: [&str; 2]| {
            let sources = paths.map(|path| Source::new(path, TEXT));
            let (library, wrong) = Library::read(&sources, Catalogue::builtin());
            (library.len(), wrong.first().map(ToString::to_string))
        };
        assert_eq!(read(["a/x/late.toml", "b/y/late.toml"]), (2, None));
        let (found, wrong) = read(["a/x/late.toml", "b/x/Late.toml"]);
        assert_eq!(found, 1);
        let wrong = wrong.expect("the second is left out");
        assert!(
            wrong.contains("a/x/late.toml has the id `x/Late`, too"),
            "{wrong}"
        );
    }
}
