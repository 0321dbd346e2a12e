//! `s2spec learn`: a persona from a running server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use simulated_partners::document::Source;
use simulated_partners::persona::Persona;

use super::doctor::unless_ended;
use super::judging::Judging;
use super::new_files::{free, write_all};
use super::target::Tested;
use super::{logging, number, output};
use crate::console::paragraph;
use crate::doctor::{self, Depth, Learned, Preflight, PublicDns};
use crate::error::{CliError, Exit};
use crate::suite::PolicyName;
use crate::transcript::printable;

/// Comments are as wide as everywhere in files.
const WIDTH: usize = 110;

/// Options of `learn`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Partners of the lab meet the server, as in `doctor`: it has to ask the lab's name server, and trust the lab's
authority. What could not be seen is said in the file.")]
pub(super) struct Args {
    #[command(flatten)]
    tested: Tested,

    /// The policy that the server is set to [default: the one that shows most]
    #[arg(long, value_name = "POLICY")]
    policy: Option<PolicyName>,

    /// Time limit for each probe
    #[arg(long, value_name = "SECONDS", default_value = "5",
          value_parser = number::timeout, env = "S2SPEC_TIMEOUT")]
    timeout: Duration,

    /// Seed of stream ids, dialback secrets and certificate serials
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = number::seed, env = "S2SPEC_SEED")]
    seed: u64,

    /// The file to write; its name is the persona's [default: print it]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    logging::start("off");
    let file = args.out.as_deref();
    let file = file.filter(|file| *file != Path::new("-"));
    file.map_or(Ok(()), free)?;
    let (target, extra) = args.tested.read()?.open(Judging::default().profile())?;
    let how = Preflight {
        row: args.policy.map(|PolicyName(row)| row),
        profile: Judging::default().profile(),
        seed: args.seed,
        patience: args.timeout,
        depth: Depth::Full,
        public_dns: PublicDns::System { remote: false },
        extra,
    };
    let learned = unless_ended("nothing learned", doctor::learn(target.as_ref(), &how))?;
    let text = text(&learned);
    // What is written has to be what is read.
    let name = file.unwrap_or_else(|| Path::new("learned.toml"));
    Persona::of_file(&Source::new(&name.display().to_string(), &text))?;
    let Some(file) = file else {
        output::print(&text)?;
        return Ok(Exit::Expected);
    };
    write_all(&[(file.to_owned(), &text, 0o644)])?;
    output::note(&format!(
        "{} is written. {} could not be seen, which the file says. It is a partner now:\n  \
         s2spec run --personas {} 'personas/**'",
        file.display(),
        match learned.unseen.len() {
            1 => "One thing".to_owned(),
            many => format!("{many} things"),
        },
        output::shell_word(file),
    ));
    Ok(Exit::Expected)
}

/// The file: what was seen as comments, then the persona.
fn text(learned: &Learned) -> String {
    let Learned {
        persona,
        receiving,
        initiating,
        unseen,
    } = learned;
    let mut text = format!("# Learned by s2spec {}.\n", crate::VERSION);
    for (heading, sentences) in [
        ("Where it is dialled:", receiving),
        ("Where it dials:", initiating),
        ("Not seen, so that the file has what is usual:", unseen),
    ] {
        if sentences.is_empty() {
            continue;
        }
        text.push_str(&format!("#\n# {heading}\n"));
        for sentence in sentences {
            // A server's own text may hold anything.
            text.push_str(
                &paragraph("# - ", 4, &printable(sentence), WIDTH).replace("\n    ", "\n#   "),
            );
        }
    }
    let persona = Persona {
        title: printable(&persona.title),
        ..persona.clone()
    };
    text + "\n" + &persona.to_toml()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(sentence: &str) -> Learned {
        let persona = simulated_partners::persona::find("google-talk").expect("a persona");
        Learned {
            persona: Persona {
                title: sentence.to_owned(),
                ..persona
            },
            receiving: vec![sentence.to_owned(), "words ".repeat(40)],
            initiating: Vec::new(),
            unseen: vec!["nothing".to_owned()],
        }
    }

    #[test]
    fn the_file_begins_with_what_was_seen_and_is_read_back() {
        let learned = learned("it says \u{202e}<a>\n[offer]\u{1b}[31m");
        let text = text(&learned);
        assert!(!text.contains(['\u{202e}', '\u{1b}']), "{text}");
        assert!(!text.contains("Where it dials"), "{text}");
        let until = text.find("format = 1").expect("it is a persona");
        assert!(
            text[..until]
                .trim_end()
                .lines()
                .all(|line| line.starts_with('#')),
            "{text}"
        );
        let mut comments = text[..until].lines();
        assert!(comments.all(|line| line.chars().count() <= WIDTH), "{text}");
        let read = Persona::parse("google-talk", &Source::new("one.toml", &text));
        let read = read.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read.offer, learned.persona.offer);
    }
}
