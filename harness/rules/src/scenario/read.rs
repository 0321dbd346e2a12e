//! Reads a scenario file: each variant is merged over the file and then read as a whole.

use std::sync::Arc;

use simulated_partners::diagnostic::Diagnostic;
use simulated_partners::document::{Document, FileError, Hints, NOWHERE, Source};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::catalogue::{Cast, Catalogue};
use super::check::check;
use super::file::{File, PartnerSpec, Variant};
use super::merge::{complete, forget_added, lay, personas};
use crate::case::{CONTROL, Expect, Texts};

/// Keys that apply to a file and all its variants.
pub(super) const OF_FILE: [&str; 5] = ["alone", "bugs", "format", "no-control", "tags"];

const HINTS: &Hints = &[
    ("title", "`title = \"what is tested\"`, in one line"),
    (
        "direction",
        "who dials: `direction = \"inbound\"` (the partner) or `direction = \"outbound\"` (the target)",
    ),
    (
        "sees",
        "what is looked for, such as `sees = \"stream-error\"`",
    ),
    (
        "when",
        "the point at which it reacts, such as `when = \"established\"`",
    ),
    ("do", "a list of actions, such as `do = [\"close\"]`"),
    ("send", "the text, such as `send = \"<presence/>\"`"),
    ("times", "how often, such as `times = 100`"),
    (
        "port",
        "the port of a partner, such as `port = \"partner\"`",
    ),
    ("target", "the host, such as `target = \"xmpp.{domain}\"`"),
];

impl File {
    /// Reads a scenario, which may name what is in the catalogue. `name` is its path below `scenarios/`.
    ///
    /// # Errors
    /// All mistakes of the file.
    pub fn read<'a>(
        name: &str,
        source: &'a Source,
        catalogue: &Catalogue,
    ) -> Result<Self, FileError> {
        let mut document = Document::parse(source)?;
        let variants = document.take_table("variants").unwrap_or_default();
        let control = document.take_table(CONTROL);
        let mut words = personas(document.table());
        let differences = variants
            .values()
            .filter_map(|over| over.get_ref().as_table());
        words.extend(differences.chain(&control).flat_map(personas));
        words.push((NOWHERE, PartnerSpec::persona()));
        let (cast, texts, unknown) = catalogue.cast(&words, source);
        document.report_all(unknown);
        complete(document.table(), &cast);
        let plain: Option<Variant> = document.read(HINTS);
        let mut wholes = Vec::new();
        if variants.is_empty() {
            wholes.push(document.clone());
        }
        forget_added(document.table());
        let mut variant = |document: &mut Document<'a>, over, is_control| {
            let mut whole = Document::of(source, laid_over(document, over, is_control, &cast));
            let read = whole.read(HINTS);
            document.absorb(&mut whole);
            wholes.push(whole);
            read
        };
        let variants = variants.into_iter().filter_map(|(name, over)| {
            let over = document.as_table(over)?;
            let variant = variant(&mut document, over, false)?;
            Some((name.into_inner().into_owned(), Box::new(variant)))
        });
        let variants = variants.collect();
        let control = control.and_then(|over| variant(&mut document, over, true));
        let control = control.map(|mut control: Variant| {
            if control.expect.is_empty() {
                control.expect = vec![Expect::gets_through(control.direction)];
            }
            control
        });
        let file = plain.map(|plain| Self {
            plain,
            variants,
            control,
            path: source.file().to_owned(),
            texts: Arc::new(Texts {
                scenario: source.text().to_owned(),
                personas: texts,
            }),
            registry: Arc::clone(&catalogue.registry),
            cast,
        });
        if let Some(file) = file.as_ref().filter(|_| document.is_whole()) {
            let found = check(name, file, &document, &wholes);
            document.report_all(found);
        }
        document.finish(file)
    }
}

/// The table of a variant, or of the control: its differences from the file.
fn laid_over<'a>(
    document: &mut Document<'a>,
    mut over: DeTable<'a>,
    is_control: bool,
    cast: &Cast,
) -> DeTable<'a> {
    for key in OF_FILE {
        if let Some((key, _)) = over.remove_entry(key) {
            let title = format!("`{}` applies to the whole file", key.get_ref());
            let wrong = Diagnostic::new(key.span(), title);
            document.report(wrong.help("write it above the first table"));
        }
    }
    let mut table = document.table().clone();
    if let Some(DeValue::String(title)) = over.get_mut("title").map(Spanned::get_mut)
        && let Some(whole) = table
            .get("title")
            .and_then(|whole| whole.get_ref().as_str())
    {
        *title = format!("{whole}: {title}").into();
    }
    if is_control {
        table.remove("expect");
        table.remove("outcome");
    }
    lay(over, &mut table);
    complete(&mut table, cast);
    table
}
