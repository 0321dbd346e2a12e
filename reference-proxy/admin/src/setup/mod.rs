//! `s2spec proxy setup`: the whole way from nothing to a proxy that federates.
//!
//! Each step looks at what is there, asks for what it needs, does it and checks it. Nothing but the
//! files themselves says how far the way has been gone, so it can be left at any point and gone on with
//! later.

mod answers;
mod ask;
mod certificates;
mod configuration;
mod partners;
mod published;

use std::io::{self, IsTerminal as _};
use std::path::Path;

use reference_proxy::config::Config;

use crate::error::{Error, Exit};
use crate::output::{folded, print};
use answers::Answers;
pub(crate) use answers::Args;
use ask::Asker;

/// How a step stands.
enum State {
    /// What is done, and needs nothing more.
    Done(String),
    /// What is still to be done, by whom and how.
    Open(String),
}

/// What the steps share.
struct Walk<'a> {
    config: &'a Path,
    answers: Answers,
    asker: Asker,
}

type Step = fn(&mut Walk<'_>) -> Result<State, Error>;

const STEPS: [(&str, Step); 7] = [
    ("Configuration", configuration::step),
    ("Firewall", configuration::firewall),
    ("Policies", configuration::policies),
    ("Certificates", certificates::step),
    ("Partners", partners::step),
    ("DNS", published::step),
    ("Check", check),
];

pub(crate) fn command(config: &Path, args: &Args) -> Result<Exit, Error> {
    let mut walk = Walk {
        config,
        answers: args.answers()?,
        asker: Asker::new(io::stdin().is_terminal()),
    };
    let mut open = Vec::new();
    for (number, (name, step)) in (1..).zip(STEPS) {
        print(&format!("{number}. {name}\n"))?;
        let text = match step(&mut walk)? {
            State::Done(text) => text,
            State::Open(text) => {
                open.push(format!("{number}. {name}"));
                format!("To do: {text}")
            }
        };
        print(&folded(&text, "   "))?;
    }
    if open.is_empty() {
        print("All steps are done.\n")?;
        return Ok(Exit::Good);
    }
    let open = open.join(", ");
    let rest = format!("Still to do: {open}. Then run the command again.");
    print(&folded(&rest, ""))?;
    Ok(Exit::Wanting)
}

/// Whether the proxy can be started with what is there.
fn check(walk: &mut Walk<'_>) -> Result<State, Error> {
    let file = walk.config.display();
    Ok(match Config::load(walk.config) {
        Ok(_) => State::Done(format!(
            "{file} can be used: start the proxy with `s2spec proxy --config {file}`, or have it read the \
             file again with `s2spec proxy reload`"
        )),
        Err(_) => State::Open(format!(
            "{file} cannot be used yet; `s2spec proxy check --config {file}` shows why"
        )),
    })
}
