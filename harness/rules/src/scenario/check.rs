//! Checks the meaning of a scenario file that has the correct form.

mod expectations;
mod names;

use simulated_partners::diagnostic::Diagnostic;
use simulated_partners::document::Document;
use simulated_partners::reaction::Values;

use names::Given;

use super::file::{File, Variant};
use crate::case::names::{KNOWN, insert, stanza};
use crate::case::{CONTROL, Expect, MAIN};
use crate::policy::PolicyNumber;
use crate::requirement::Registry;

/// All mistakes in meaning. `document` is the file without its variants, `wholes` are
/// its scenarios.
pub(super) fn check(
    name: &str,
    file: &File,
    document: &Document<'_>,
    wholes: &[Document<'_>],
) -> Vec<Diagnostic> {
    let mut check = Check::new(&file.plain, document, &file.registry);
    check.head(name, file);
    check.bugs();
    check.control(file);
    let mut found = check.found;
    let given = Given::of(file);
    for ((_, variant), whole) in file.all().zip(wholes) {
        let mut check = Check::new(variant, whole, &file.registry);
        check.requirements();
        check.policies();
        check.partners();
        check.names(&given);
        check.reactions();
        check.expectations();
        check.local();
        found.extend(check.found);
    }
    found
}

struct Check<'a> {
    variant: &'a Variant,
    document: &'a Document<'a>,
    registry: &'a Registry,
    found: Vec<Diagnostic>,
}

impl<'a> Check<'a> {
    fn new(variant: &'a Variant, document: &'a Document<'a>, registry: &'a Registry) -> Self {
        Self {
            variant,
            document,
            registry,
            found: Vec::new(),
        }
    }

    fn tell(&mut self, path: &str, title: impl Into<String>, help: impl Into<String>) {
        let wrong = Diagnostic::new(self.document.place(path), title).help(help);
        self.found.push(wrong);
    }

    fn head(&mut self, name: &str, file: &File) {
        if self.variant.title.trim().is_empty() {
            self.tell("title", "no title", "say in one line what is tested");
        }
        let stem = name.rsplit('/').next().unwrap_or_default();
        let ids = self.variant.requirements.iter().chain(&self.variant.bugs);
        let fits = ids.clone().any(|id| {
            stem.strip_prefix(id.as_str())
                .is_some_and(|rest| rest.starts_with('-'))
        });
        if !fits && !self.variant.requirements.is_empty() {
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
                format!("the file name `{stem}` cannot be part of an id"),
                "use letters, digits and hyphens",
            );
        }
        for variant in file.variants.keys() {
            if !is_name(variant) || variant == CONTROL {
                self.tell(
                    "title",
                    format!("a variant cannot be called `{variant}`"),
                    "use lower-case letters, digits and hyphens; `control` is taken",
                );
            }
        }
    }

    fn bugs(&mut self) {
        for (at, id) in self.variant.bugs.iter().enumerate() {
            if self.registry.bug(id).is_none() {
                self.tell(
                    &format!("bugs.{at}"),
                    format!("there is no known bug `{id}`"),
                    "see scenarios/requirements/bugs.toml",
                );
            }
        }
        self.twice("bugs", &self.variant.bugs);
    }

    fn requirements(&mut self) {
        let named = &self.variant.requirements;
        self.twice("requirements", named);
        for (at, id) in named.iter().enumerate() {
            let place = self.document.place(&format!("requirements.{at}"));
            match self.registry.named(id, place.clone()) {
                Err(wrong) => self.found.push(wrong),
                Ok(row) => {
                    self.found.extend(row.unjudgeable.as_ref().map(|why| {
                        let title = format!("{id} is registered as unjudgeable");
                        Diagnostic::new(place, title).help(format!("the registry says: {why}"))
                    }));
                }
            }
        }
        for (at, expect) in self.variant.expect.iter().enumerate() {
            for (number, row) in expect.requirements.iter().enumerate() {
                if !named.contains(row) {
                    self.tell(
                        &format!("expect.{at}.requirements.{number}"),
                        format!("`{row}` is not among the scenario's requirements"),
                        format!("add it: `requirements = [… \"{row}\"]`"),
                    );
                }
            }
        }
    }

    /// A duplicate id is most likely a misspelling of another one.
    fn twice(&mut self, key: &str, ids: &[String]) {
        for (at, id) in ids.iter().enumerate() {
            if let Some(first) = ids[..at].iter().position(|before| before == id) {
                let place = |at: usize| self.document.place(&format!("{key}.{at}"));
                let twice = Diagnostic::new(place(at), format!("{id} is named twice"))
                    .also(Some(place(first)), "first here")
                    .help("leave one of the two out");
                self.found.push(twice);
            }
        }
    }

    fn policies(&mut self) {
        if self.variant.policies.is_empty() {
            self.tell(
                "policies",
                "no policy",
                "use policies from 1 to 18, such as `[9]`",
            );
        }
        for (at, number) in self.variant.policies.iter().enumerate() {
            let path = format!("policies.{at}");
            match PolicyNumber::new(*number) {
                None => self.tell(
                    &path,
                    format!("there is no row {number}"),
                    "the policies are rows 1 to 18",
                ),
                Some(row) if !row.policy().valid() => self.tell(
                    &path,
                    format!("row {number} allows no method"),
                    "this policy allows no authentication method, so no session can succeed",
                ),
                Some(_) => {}
            }
        }
    }

    fn partners(&mut self) {
        for name in self.variant.partners.keys() {
            let taken = name == MAIN
                || Values::NAMES.contains(&name.as_str())
                || KNOWN.contains(&name.as_str());
            if !is_name(name) || taken {
                self.tell(
                    &format!("partners.{name}"),
                    format!("a partner cannot be called `{name}`"),
                    "use lower-case letters, digits and hyphens, and no name of a placeholder",
                );
            }
        }
    }

    /// What the inner side sends has to be a stanza, whatever its placeholders stand for.
    fn local(&mut self) {
        let raw = self.variant.local.iter().position(|local| local.raw);
        if let Some(at) = raw.filter(|_| self.variant.alive) {
            self.tell(
                &format!("local.{at}.raw"),
                "the link that `raw` may break is needed after the case",
                "set `alive = false`",
            );
        }
        let stanzas = self.variant.local.iter().enumerate();
        for (at, local) in stanzas.filter(|(_, local)| !local.raw) {
            let text = insert(&local.send, &self.variant.values);
            if let Err(error) = stanza(&text) {
                self.tell(
                    &format!("local.{at}.send"),
                    "the inner side can send only a stanza",
                    format!("well-formed XML, as in `<message from='juliet@{{target}}' to='romeo@{{domain}}'/>`: {error}"),
                );
            }
        }
    }

    fn control(&mut self, file: &File) {
        let reason = self.variant.no_control.as_ref();
        if file.control.is_some() && reason.is_some() {
            self.tell(
                "no-control",
                "`no-control` together with a control",
                "leave one of them out",
            );
        }
        let refused = file
            .all()
            .any(|(name, one)| name != Some(CONTROL) && one.expect.iter().any(Expect::is_refusal));
        if refused && file.control.is_none() && reason.is_none() {
            self.tell(
                "expect",
                "a refusal without its control",
                "add `[control]` with what makes it acceptable, or say why there can be none: `no-control = \"…\"`",
            );
        }
        if reason.is_some_and(|reason| reason.trim().is_empty()) {
            self.tell("no-control", "no reason", "say why there can be no control");
        }
    }
}

/// Whether a name can be a part of an id.
fn is_name(name: &str) -> bool {
    name.chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}
