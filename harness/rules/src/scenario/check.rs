//! What a scenario file can say in correct words and still get wrong.

mod expectations;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use simulated_partners::persona::{self, Mistake};
use simulated_partners::reaction::{Reaction, Values};
use toml::de::{DeTable, DeValue};

use super::file::{File, Part, Patch};
use crate::case::Expect;
use crate::case::names::KNOWN;
use crate::case::{CONTROL, MAIN};
use crate::case::{Dns, Local};
use crate::policy::Row;
use crate::requirement::{Registry, RowId};

/// The format that this version reads.
const FORMAT: u8 = 1;
/// Below this likeness a guess is no help.
const LIKENESS: f64 = 0.6;

/// All mistakes of meaning, in the order in which they should be read.
pub fn check(name: &str, file: &File, text: &str) -> Vec<Mistake> {
    let Ok(root) = DeTable::parse(text) else {
        // Whoever has a file from this text knows that it can be parsed.
        return Vec::new();
    };
    let mut check = Check {
        name,
        file,
        root: root.into_inner(),
        found: Vec::new(),
    };
    check.head();
    check.requirements();
    check.policies();
    check.partners();
    check.names();
    check.reactions();
    check.taken_names();
    check.expectations();
    check.control();
    check.found
}

struct Check<'a> {
    name: &'a str,
    file: &'a File,
    root: DeTable<'a>,
    found: Vec<Mistake>,
}

/// The base of a file, or one of its variants, as the check sees both.
struct Layer<'a> {
    /// Where it is: empty for the base, else `variants.name` or `control`.
    path: String,
    part: &'a Part,
    parts: &'a BTreeMap<String, Part>,
    reaction: Option<&'a [Reaction]>,
    local: Option<&'a [Local]>,
    dns: Option<&'a [Dns]>,
    expect: Option<&'a [Expect]>,
    values: &'a BTreeMap<String, String>,
}

impl Layer<'_> {
    fn at(&self, rest: &str) -> String {
        if self.path.is_empty() {
            rest.to_owned()
        } else {
            format!("{}.{rest}", self.path)
        }
    }

    /// All lists of reactions, with where they are.
    fn reactions(&self) -> Vec<(String, &[Reaction])> {
        let mut lists: Vec<(String, &[Reaction])> = Vec::new();
        lists.extend(self.reaction.map(|list| (self.at("reaction"), list)));
        lists.extend(
            self.part
                .reaction
                .as_deref()
                .map(|list| (self.at("partner.reaction"), list)),
        );
        for (name, part) in self.parts {
            lists.extend(
                part.reaction
                    .as_deref()
                    .map(|list| (self.at(&format!("partners.{name}.reaction")), list)),
            );
        }
        lists
    }
}

impl<'a> Check<'a> {
    fn layers(&self) -> Vec<Layer<'a>> {
        let file = self.file;
        let mut layers = vec![Layer {
            path: String::new(),
            part: &file.partner,
            parts: &file.partners,
            reaction: Some(&file.reaction),
            local: Some(&file.local),
            dns: Some(&file.dns),
            expect: Some(&file.expect),
            values: &file.values,
        }];
        let patch = |path: String, patch: &'a Patch| Layer {
            path,
            part: &patch.partner,
            parts: &patch.partners,
            reaction: patch.reaction.as_deref(),
            local: patch.local.as_deref(),
            dns: patch.dns.as_deref(),
            expect: patch.expect.as_deref(),
            values: &patch.values,
        };
        for (name, variant) in &file.variants {
            layers.push(patch(format!("variants.{name}"), variant));
        }
        layers.extend(
            file.control
                .as_ref()
                .map(|control| patch("control".to_owned(), control)),
        );
        layers
    }

    /// Where something is: keys and numbers, parted by dots. The nearest thing around it where it is
    /// not written.
    fn place(&self, path: &str) -> Range<usize> {
        let mut span = 0..0;
        let mut table = Some(&self.root);
        let mut array: Option<&[toml::Spanned<DeValue<'_>>]> = None;
        for step in path.split('.') {
            let found = match (table, array) {
                (Some(table), _) => table.get(step),
                (None, Some(array)) => step.parse::<usize>().ok().and_then(|at| array.get(at)),
                (None, None) => None,
            };
            let Some(found) = found else { break };
            span = found.span();
            table = found.get_ref().as_table();
            array = found.get_ref().as_array().map(|array| &**array);
        }
        span
    }

    fn tell(&mut self, path: &str, title: impl Into<String>, help: impl Into<String>) {
        let mistake = Mistake::new(self.place(path), title).help(help);
        self.found.push(mistake);
    }

    fn head(&mut self) {
        if self.file.format != FORMAT {
            self.tell(
                "format",
                "unknown format",
                format!("this version reads `format = {FORMAT}`"),
            );
        }
        if self.file.title.trim().is_empty() {
            self.tell(
                "title",
                "no title",
                "say in one line what happens and what has to come of it",
            );
        }
        let stem = self.name.rsplit('/').next().unwrap_or_default();
        let ids = self.file.requirements.iter().chain(&self.file.bugs);
        let fits = ids.clone().any(|id| {
            stem.strip_prefix(id.as_str())
                .is_some_and(|rest| rest.starts_with('-'))
        });
        if !fits && !self.file.requirements.is_empty() {
            let ids: Vec<&str> = ids.map(String::as_str).collect();
            self.tell(
                "requirements",
                format!("the file is called `{stem}`"),
                format!(
                    "its name has to begin with one of the ids and a hyphen: `{}-…`",
                    ids.join("-…` or `")
                ),
            );
        }
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !stem.chars().all(letters) {
            self.tell(
                "title",
                format!("the file's name `{stem}` cannot be a part of an id"),
                "use letters, digits and hyphens",
            );
        }
        for name in self.file.variants.keys() {
            let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if !name.chars().all(letters) || name == CONTROL {
                self.tell(
                    &format!("variants.{name}"),
                    format!("a variant cannot be called `{name}`"),
                    "use lower-case letters, digits and hyphens; `control` is taken",
                );
            }
        }
    }

    fn requirements(&mut self) {
        if self.file.requirements.is_empty() {
            self.tell(
                "requirements",
                "no requirement is judged",
                "name at least one: `requirements = [\"STR-08\"]`",
            );
        }
        let registry = Registry::builtin();
        let mut lists = vec![("requirements".to_owned(), self.file.requirements.clone())];
        for (name, variant) in &self.file.variants {
            lists.extend(
                variant
                    .requirements
                    .clone()
                    .map(|list| (format!("variants.{name}.requirements"), list)),
            );
        }
        for (path, list) in &lists {
            for (at, id) in list.iter().enumerate() {
                let place = format!("{path}.{at}");
                match id.parse::<RowId>() {
                    Err(error) => self.tell(&place, error.to_string(), "see `s2spec coverage`"),
                    Ok(row) => match registry.get(&row) {
                        None => {
                            let mistake = registry.unknown_row(self.place(&place), &row);
                            self.found.push(mistake);
                        }
                        Some(found) => {
                            if let Some(why) = &found.unjudgeable {
                                self.tell(
                                    &place,
                                    format!("{row} is registered as one that nobody can judge"),
                                    format!("the registry says: {why}"),
                                );
                            }
                        }
                    },
                }
            }
        }
        for (at, id) in self.file.bugs.iter().enumerate() {
            if registry.bug(id).is_none() {
                self.tell(
                    &format!("bugs.{at}"),
                    format!("no known failure is called `{id}`"),
                    "see scenarios/requirements/bugs.toml",
                );
            }
        }
        let named: BTreeSet<String> = lists.into_iter().flat_map(|(_, list)| list).collect();
        for layer in self.layers() {
            for (at, expect) in layer.expect.into_iter().flatten().enumerate() {
                for (number, row) in expect.rows.iter().enumerate() {
                    if !named.contains(row) {
                        self.tell(
                            &layer.at(&format!("expect.{at}.rows.{number}")),
                            format!("`{row}` is not among the scenario's requirements"),
                            format!("add it: `requirements = [… \"{row}\"]`"),
                        );
                    }
                }
            }
        }
    }

    fn policies(&mut self) {
        let mut lists = vec![("policies".to_owned(), self.file.policies.clone())];
        for (name, variant) in &self.file.variants {
            lists.extend(
                variant
                    .policies
                    .clone()
                    .map(|list| (format!("variants.{name}.policies"), list)),
            );
        }
        for (path, list) in lists {
            if list.is_empty() {
                self.tell(&path, "no policy", "name rows from 1 to 18, such as `[9]`");
            }
            for (at, number) in list.iter().enumerate() {
                match Row::new(*number) {
                    None => self.tell(
                        &format!("{path}.{at}"),
                        format!("there is no row {number}"),
                        "the policies are rows 1 to 18",
                    ),
                    Some(row) if !row.policy().valid() => self.tell(
                        &format!("{path}.{at}"),
                        format!("row {number} leaves no method"),
                        "nobody gets through there, so that nothing could be shown",
                    ),
                    Some(_) => {}
                }
            }
        }
    }

    fn partners(&mut self) {
        for layer in self.layers() {
            let mut parts = vec![("partner".to_owned(), layer.part)];
            for (name, part) in layer.parts {
                parts.push((format!("partners.{name}"), part));
                let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                let taken = name == MAIN
                    || Values::NAMES.contains(&name.as_str())
                    || KNOWN.contains(&name.as_str());
                if !name.chars().all(letters) || taken {
                    self.tell(
                        &layer.at(&format!("partners.{name}")),
                        format!("a partner cannot be called `{name}`"),
                        "use lower-case letters, digits and hyphens, and no name of a placeholder",
                    );
                }
            }
            for (path, part) in parts {
                let Some(word) = &part.persona else { continue };
                if persona::find(word).is_none() {
                    let all: Vec<String> =
                        persona::builtin().into_iter().map(|one| one.name).collect();
                    let known: Vec<&str> = all.iter().map(String::as_str).collect();
                    self.tell(
                        &layer.at(&format!("{path}.persona")),
                        format!("there is no persona `{word}`"),
                        meant(word, &known, "see `s2spec personas`"),
                    );
                }
            }
        }
    }

    fn control(&mut self) {
        let file = self.file;
        if file.control.is_some() && file.no_control.is_some() {
            self.tell(
                "no-control",
                "`no-control` beside a control",
                "leave one of them out",
            );
        }
        let refusal = self
            .layers()
            .iter()
            .filter(|layer| layer.path != CONTROL)
            .flat_map(|layer| layer.expect.into_iter().flatten())
            .any(Expect::is_refusal);
        if refusal && file.control.is_none() && file.no_control.is_none() {
            self.tell(
                "expect",
                "a refusal without its control",
                "add `[control]` with what makes it acceptable, or say why there can be none: `no-control = \"…\"`",
            );
        }
        if let Some(reason) = &file.no_control
            && reason.trim().is_empty()
        {
            self.tell("no-control", "no reason", "say why there can be no control");
        }
    }
}

/// What was perhaps meant, or else what is said otherwise.
fn meant(word: &str, known: &[&str], otherwise: &str) -> String {
    let best = known
        .iter()
        .map(|one| (strsim::jaro_winkler(word, one), one))
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .filter(|(likeness, _)| *likeness >= LIKENESS);
    match best {
        Some((_, one)) => format!("did you mean `{one}`?"),
        None => otherwise.to_owned(),
    }
}
