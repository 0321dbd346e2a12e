//! `s2spec personas`.

use std::path::PathBuf;

use owo_colors::OwoColorize as _;
use serde::Serialize;
use simulated_partners::persona::{Deviations, Offer, Persona};

use super::output;
use crate::console::{describe_offer, paragraph};
use crate::error::{CliError, Exit};
use crate::suite::Files;

/// Options of `personas`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Also print what each offers and where it was seen
    #[arg(short, long)]
    long: bool,
    /// Print them as JSON
    #[arg(long, conflicts_with = "long")]
    json: bool,
    /// Also read personas from this folder or file; repeat it for several
    #[arg(long, value_name = "PATH", env = "S2SPEC_PERSONAS")]
    personas: Vec<PathBuf>,
}

pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    output::show(shown(args, output::width())?)?;
    Ok(Exit::Expected)
}

fn shown(args: &Args, width: usize) -> Result<String, CliError> {
    let files = Files::default().with_personas(&args.personas);
    let suite = files.read()?;
    let personas = suite.catalogue.personas();
    if args.json {
        return data(personas);
    }
    let widest = personas.iter().map(|one| one.name.chars().count()).max();
    let column = widest.unwrap_or_default() + 2;
    let mut out = String::new();
    for persona in personas {
        let name = format!("{:<column$}", persona.name).bold().to_string();
        let mut line = |start: &str, text: &str| {
            out.push_str(&paragraph(start, column, text, width));
        };
        line(&name, &persona.title);
        if args.long {
            let under = " ".repeat(column);
            line(&under, &describe_offer(&persona.offer));
            if let Some(seen) = &persona.seen_in {
                line(&under, &format!("Seen in: {seen}"));
            }
        }
    }
    Ok(out)
}

/// A persona as data.
#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    title: &'a str,
    seen_in: Option<&'a str>,
    offer: &'a Offer,
    facts: &'a Deviations,
}

fn data(personas: &[Persona]) -> Result<String, CliError> {
    let shown = personas.iter().map(|one| Shown {
        name: &one.name,
        title: &one.title,
        seen_in: one.seen_in.as_deref(),
        offer: &one.offer,
        facts: &one.facts,
    });
    let shown: Vec<Shown<'_>> = shown.collect();
    output::json(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_personas_are_shown_like_built_in_ones() {
        let folder = tempfile::tempdir().unwrap();
        let shy = "format = 1\ntitle = \"Offers nothing\"\nseen-in = \"A dream\"\n[offer]\n\
            tls = \"none\"\nexternal = false\ndialback = false\n";
        std::fs::write(folder.path().join("shy.toml"), shy).unwrap();
        let args = |personas| Args {
            long: true,
            json: false,
            personas,
        };
        let text = shown(&args(vec![folder.path().to_owned()]), 80).unwrap();
        let built_in = shown(&args(Vec::new()), 80).unwrap();
        let plain = anstream::adapter::strip_str(&built_in).to_string();
        let widest = plain.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{plain}");
        let own = text.strip_prefix(built_in.as_str()).unwrap();
        assert!(own.contains("Offers nothing"), "{own}");
        assert!(own.contains("Seen in: A dream"), "{own}");
        let missing = shown(&args(vec![folder.path().join("nobody.toml")]), 80);
        assert_eq!(missing.unwrap_err().exit(), Exit::Environment);
    }
}
