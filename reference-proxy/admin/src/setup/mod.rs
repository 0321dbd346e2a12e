//! `s2spec proxy setup`: the whole way from nothing to a proxy that federates.
//!
//! Each step looks at what is there, asks for what it needs, does it and checks it. Nothing but the
//! files themselves says how far the way has been gone, so it can be left at any point and gone on with
//! later.

mod answers;
mod ask;
mod certificates;
mod configuration;
mod firewall;
mod gateway;
mod judged;
mod partners;
mod policies;
mod published;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use reference_proxy::config::Config;
use reference_proxy::control::{Client, Health};

use crate::error::{Error, Exit, chained};
use crate::output::{folded, print};
use crate::store::beside;
use crate::{certificate, running, value};
use answers::Answers;
pub(crate) use answers::Args;
use ask::{Asker, Question};

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

/// Looks whether a setting names authorities: a file beside the configuration that has certificates.
fn authorities(config: &Path, text: &str) -> Result<String, String> {
    let file = beside(config, text).ok_or("expected the name of a file")?;
    match certificate::read(&file) {
        Ok(read) if read.contains("-----BEGIN CERTIFICATE-----") => Ok(text.to_owned()),
        Ok(_) => Err("there is no certificate in it".to_owned()),
        Err(error) => Err(chained(&error)),
    }
}

type Step = fn(&mut Walk<'_>) -> Result<State, Error>;

const STEPS: [(&str, Step); 7] = [
    ("Configuration", configuration::step),
    ("Firewall", firewall::step),
    ("Policies", policies::step),
    ("Certificates", certificates::step),
    ("Partners", partners::step),
    ("DNS", published::step),
    ("Check", check),
];

pub(crate) fn command(config: &Path, args: &Args) -> Result<Exit, Error> {
    let answers = args.answers()?;
    judged::judge(config, &answers)?;
    let mut walk = Walk {
        config,
        answers,
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

/// Whether the proxy runs with what is there, and a message gets through.
fn check(walk: &mut Walk<'_>) -> Result<State, Error> {
    let file = walk.config.display();
    if Config::load(walk.config).is_err() {
        return Ok(State::Open(format!(
            "{file} cannot be used yet; `s2spec proxy check --config {file}` shows why"
        )));
    }
    let client = Client::of_configuration(walk.config)?;
    // The files may say more than what runs.
    running::refresh(walk.config);
    let usual = gateway::file(walk.config, "toml");
    let chosen = walk.answers.gateway_config.as_ref().map(PathBuf::from);
    running::refresh(&chosen.unwrap_or(usual));
    let Ok(status) = client.status() else {
        return Ok(State::Open(format!(
            "start the proxy: `s2spec proxy --config {file}`, best as a service"
        )));
    };
    let concerns = status.concerns.into_iter();
    let broken: Vec<String> = concerns
        .filter(|concern| concern.health == Health::Critical)
        .map(|concern| concern.text)
        .collect();
    if !broken.is_empty() {
        let broken = broken.join("; ");
        return Ok(State::Open(format!("the proxy runs, but {broken}")));
    }
    let question = Question {
        text: "User of a partner who gets a test message (nothing for none)",
        option: "receiver",
        default: Some(""),
    };
    let receiver = walk.answers.receiver.clone();
    let receiver = walk
        .asker
        .ask(&question, receiver.as_deref(), |text| match text {
            "" => Ok(None),
            text => value::user(text).map(Some),
        })?;
    let Some(receiver) = receiver.map(|user| user.to_string()) else {
        return Ok(State::Done(
            "the proxy runs; `s2spec proxy test-im` tries the whole way to a partner".to_owned(),
        ));
    };
    let tested = client.test_im(&receiver, None)?;
    Ok(match tested.broken {
        None => State::Done(format!("the proxy runs, and {receiver} can be reached")),
        Some(step) => {
            let why = tested.error.unwrap_or_default();
            State::Open(format!(
                "{receiver} cannot be reached, the way breaks off at {step}: {why}"
            ))
        }
    })
}
