//! What scenarios may name.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use simulated_partners::diagnostic::Diagnostic;
use simulated_partners::document::{FileError, Source};
use simulated_partners::nearest::suggestion;
use simulated_partners::persona::{self, Persona};

use crate::requirement::Registry;

/// How the name of a persona file ends.
const FILE: &str = ".toml";

/// The requirements, known bugs and personas that scenarios may name: the built-in ones, and a user's
/// own.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// The requirements and known bugs.
    pub registry: Arc<Registry>,
    personas: Vec<Persona>,
    /// The files of those that are not built in, by their names.
    files: BTreeMap<String, Source>,
    /// The names of personas whose files have mistakes.
    left_out: Vec<String>,
    /// The files that scenarios mean by words, where no other may be read.
    sealed: Option<BTreeMap<String, Source>>,
}

impl Catalogue {
    /// What is built in.
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Catalogue> = LazyLock::new(|| Catalogue {
            registry: Arc::clone(Registry::builtin()),
            personas: persona::builtin(),
            files: BTreeMap::new(),
            left_out: Vec::new(),
            sealed: None,
        });
        &BUILTIN
    }

    /// What was kept of another run: requirements as they were then, and for each word of a scenario the
    /// file of its persona. Nothing is read from anywhere else.
    ///
    /// # Errors
    /// All mistakes of the files.
    pub fn kept(
        requirements: &[Source],
        personas: BTreeMap<String, Source>,
    ) -> Result<Self, Vec<FileError>> {
        let (registry, wrong) = Registry::builtin().with_instead(requirements);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self {
            registry: Arc::new(registry),
            personas: Vec::new(),
            files: BTreeMap::new(),
            left_out: Vec::new(),
            sealed: Some(personas),
        })
    }

    /// The catalogue with files of requirements and of personas, and the mistakes of those that are left
    /// out, names that are taken among them.
    pub fn with(&self, requirements: &[Source], personas: &[Source]) -> (Self, Vec<FileError>) {
        let mut catalogue = self.clone();
        let mut wrong = Vec::new();
        if !requirements.is_empty() {
            let (registry, errors) = self.registry.with(requirements);
            catalogue.registry = Arc::new(registry);
            wrong = errors;
        }
        for source in personas {
            if let Err(error) = catalogue.add(source) {
                let name = Path::new(source.file()).file_stem().unwrap_or_default();
                catalogue.left_out.push(name.display().to_string());
                wrong.push(error);
            }
        }
        (catalogue, wrong)
    }

    fn add(&mut self, source: &Source) -> Result<(), FileError> {
        let persona = Persona::of_file(source)?;
        match self.named(&persona.name) {
            None => {
                self.files.insert(persona.name.clone(), source.clone());
                self.personas.push(persona);
            }
            Some(known) if *known == persona => {}
            Some(_) => {
                let title = format!("there is a persona `{}` already", persona.name);
                let taken = Diagnostic::new(0..0, title);
                return Err(source.wrong(vec![
                    taken.help("a persona is called as its file: give the file another name"),
                ]));
            }
        }
        Ok(())
    }

    /// All personas: the built-in ones, then others in the order of their files.
    pub fn personas(&self) -> &[Persona] {
        &self.personas
    }

    fn named(&self, name: &str) -> Option<&Persona> {
        self.personas.iter().find(|known| known.name == name)
    }

    /// The file of the persona with this name.
    pub fn file_of(&self, name: &str) -> Option<Source> {
        let builtin = || {
            let (name, text) = persona::files().iter().find(|(known, _)| *known == name)?;
            Some(Source::new(&format!("{name}{FILE}"), text))
        };
        self.files.get(name).cloned().or_else(builtin)
    }

    /// The persona that a word in a scenario means, with its file: a name, or the path of a file from the
    /// scenario's folder.
    fn persona(&self, word: &str, scenario: &Source) -> Result<(Persona, Source), Missing> {
        if let Some(sealed) = &self.sealed {
            let source = sealed.get(word).ok_or_else(|| Missing {
                title: format!("the persona `{word}` was not kept"),
                help: "only personas that were kept with the scenario are used".to_owned(),
            })?;
            let persona = Persona::of_file(source).map_err(|wrong| Missing {
                title: format!("the persona `{word}` has mistakes"),
                help: wrong.to_string(),
            })?;
            return Ok((persona, source.clone()));
        }
        if !word.ends_with(FILE) {
            if let Some((persona, file)) = self.named(word).zip(self.file_of(word)) {
                return Ok((persona.clone(), file));
            }
            if self.left_out.iter().any(|name| name == word) {
                return Err(Missing {
                    title: format!("the persona `{word}` has mistakes"),
                    help: "mend its file first".to_owned(),
                });
            }
            let all = self.personas.iter().map(|known| known.name.as_str());
            return Err(Missing {
                title: format!("there is no persona `{word}`"),
                help: suggestion(
                    word,
                    all,
                    "see `s2spec personas`; `--personas` reads your own, and a word ending in \
                     `.toml` is the path of a file from here",
                ),
            });
        }
        let folder = Path::new(scenario.file())
            .parent()
            .unwrap_or_else(|| Path::new(""));
        let path = folder.join(word);
        let read = Source::load(&path).and_then(|file| Ok((Persona::of_file(&file)?, file)));
        read.map_err(|error| match error {
            FileError::Unreadable { source, .. } => Missing {
                title: format!("there is no persona file `{word}`"),
                help: format!("a path starts from the folder of this file: {source}"),
            },
            FileError::Mistakes(wrong) => Missing {
                title: format!("the persona `{word}` has mistakes"),
                help: format!(
                    "`s2spec check {}` shows all; the first is: {}",
                    path.display(),
                    wrong.list.first().map_or("", |first| &first.title)
                ),
            },
        })
    }

    /// The personas that these words of a scenario mean, their files, and what is wrong with the
    /// other words.
    pub(super) fn cast(
        &self,
        words: &[(Range<usize>, String)],
        scenario: &Source,
    ) -> (Cast, BTreeMap<String, Source>, Vec<Diagnostic>) {
        let mut cast = Cast::new();
        let mut files = BTreeMap::new();
        let mut wrong = Vec::new();
        for (place, word) in words {
            if cast.contains_key(word) {
                continue;
            }
            match self.persona(word, scenario) {
                Ok((persona, file)) => {
                    cast.insert(word.clone(), persona);
                    files.insert(word.clone(), file);
                }
                Err(Missing { title, help }) => {
                    wrong.push(Diagnostic::new(place.clone(), title).help(help));
                }
            }
        }
        (cast, files, wrong)
    }
}

/// The personas of a scenario, by its words for them.
pub(super) type Cast = BTreeMap<String, Persona>;

struct Missing {
    title: String,
    help: String,
}

#[cfg(test)]
mod tests {
    use super::super::{File, cases};
    use super::*;

    const SHY: &str = "format = 1\ntitle = 'Offers dialback alone'\n\
                       offer = { tls = 'offered', external = false, dialback = true }\n";

    fn with(path: &str, persona: &str) -> Result<Catalogue, String> {
        let (catalogue, wrong) = Catalogue::builtin().with(&[], &[Source::new(path, persona)]);
        match wrong.first() {
            None => Ok(catalogue),
            Some(wrong) => Err(wrong.to_string()),
        }
    }

    /// The persona of a scenario in this folder that names one so.
    fn cast(folder: &Path, word: &str, catalogue: &Catalogue) -> Result<Persona, String> {
        let path = folder.join("late.toml").display().to_string();
        let text = format!(
            "format = 1\ntitle = 'It answers'\ndirection = 'inbound'\n\
             partner = {{ persona = '{word}', offer = {{ tls = 'required' }} }}\n\
             expect = [{{ sees = 'delivered' }}]\n"
        );
        let source = Source::new(&path, &text);
        let file = File::read("x/late", &source, catalogue).map_err(|wrong| wrong.to_string())?;
        let cases = cases("x/late", &file, None);
        Ok(Persona::clone(&cases[0].partner))
    }

    #[test]
    fn a_persona_of_ones_own_stands_beside_the_others() {
        let catalogue = with("mine/shy.toml", SHY).expect("it has no mistakes");
        let builtin = Catalogue::builtin().personas().len();
        assert_eq!(catalogue.personas().len(), builtin + 1);
        assert_eq!(catalogue.personas()[builtin].name, "shy");
        let partner = cast(Path::new("mine"), "shy", &catalogue).expect("it is known");
        assert_eq!(partner.name, "shy");
        assert!(!partner.offer.external, "as its persona");
        assert!(partner.offer.tls.is_demanded(), "as the scenario says");
        let wrong = cast(Path::new("mine"), "shi", &catalogue).expect_err("it is unknown");
        assert!(wrong.contains("did you mean `shy`?"), "{wrong}");
    }

    #[test]
    fn names_are_taken_once() {
        let wrong = with("mine/modern.toml", SHY).expect_err("it is built in");
        assert!(
            wrong.contains("there is a persona `modern` already"),
            "{wrong}"
        );
        let shy = Source::new("mine/shy.toml", SHY);
        let other = Source::new("more/shy.toml", &SHY.replace("offered", "required"));
        let with = |personas: &[Source]| Catalogue::builtin().with(&[], personas).1.len();
        assert_eq!(with(&[shy.clone(), shy.clone()]), 0);
        assert_eq!(with(&[shy, other]), 1);
    }

    #[test]
    fn a_scenario_names_a_file_from_its_own_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("more")).expect("it is empty");
        std::fs::write(folder.path().join("more/shy.toml"), SHY).expect("it has room");
        let wrong = SHY.replace("offered", "ofered");
        std::fs::write(folder.path().join("wrong.toml"), wrong).expect("it has room");
        let of = |word: &str| cast(folder.path(), word, Catalogue::builtin());
        assert_eq!(of("more/shy.toml").expect("it is there").name, "shy");
        let none = of("shy.toml").expect_err("it lies elsewhere");
        assert!(
            none.contains("there is no persona file `shy.toml`"),
            "{none}"
        );
        let wrong = of("wrong.toml").expect_err("it has a mistake");
        assert!(
            wrong.contains("the persona `wrong.toml` has mistakes"),
            "{wrong}"
        );
        assert!(wrong.contains("unknown word `ofered`"), "{wrong}");
    }
}
