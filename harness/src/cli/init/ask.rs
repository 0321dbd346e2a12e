//! Questions to who sits at the terminal.

use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal as _};
use std::str::FromStr;

use clap::ValueEnum as _;
use rustls::pki_types::DnsName;

use super::TriggerName;
use crate::cli::output;
use crate::error::CliError;

/// Wrong answers to one question before it is given up.
const TRIES: usize = 3;

/// Where answers come from; nowhere without a terminal.
pub(super) struct Asking {
    answers: Option<Box<dyn BufRead>>,
}

/// Something that can be asked for.
pub(super) trait Answer: Sized {
    /// Reads an answer.
    fn read(text: &str) -> Result<Self, String>;
    /// Shows a proposal.
    fn show(&self) -> String;
}

impl Answer for String {
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

/// A domain as a target file has it.
pub(super) struct DomainName(pub(super) String);

impl DomainName {
    /// In lower case, and without the dot of DNS at its end (RFC 7622 §3.2).
    pub(super) fn of(text: &str) -> Self {
        Self(text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase())
    }
}

impl Answer for DomainName {
    fn read(text: &str) -> Result<Self, String> {
        let domain = Self::of(text);
        match DnsName::try_from(domain.0.as_str()) {
            Ok(_) => Ok(domain),
            Err(_) => Err(format!(
                "`{text}` is no domain name; expected one such as example.org, others as A-labels \
                 (xn--…)"
            )),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl Answer for std::net::SocketAddr {
    fn read(text: &str) -> Result<Self, String> {
        parsed(text)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Answer for super::PolicyName {
    fn read(text: &str) -> Result<Self, String> {
        parsed(text)
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

impl Answer for TriggerName {
    fn read(text: &str) -> Result<Self, String> {
        Self::from_str(text, true).map_err(|_| "expected reply, component or command".to_owned())
    }

    fn show(&self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

impl Asking {
    /// Asks who sits at the terminal, if somebody does.
    pub(super) fn of_the_terminal() -> Self {
        let there = io::stdin().is_terminal() && io::stderr().is_terminal();
        Self {
            answers: there.then(|| Box::new(io::stdin().lock()) as Box<dyn BufRead>),
        }
    }

    /// Takes answers from a text.
    #[cfg(test)]
    pub(super) fn of(text: Option<&'static str>) -> Self {
        Self {
            answers: text.map(|text| Box::new(text.as_bytes()) as Box<dyn BufRead>),
        }
    }

    /// Says something to whoever is asked.
    pub(super) fn explain(&self, text: &str) {
        if self.answers.is_some() {
            output::note(text);
        }
    }

    /// The value that an option gave; else what is answered; else, where nobody can be asked, the
    /// proposal.
    ///
    /// # Errors
    /// When there is no value at all, or the terminal cannot be read.
    pub(super) fn or<T: Answer>(
        &mut self,
        given: Option<T>,
        option: &str,
        question: &str,
        proposal: Option<T>,
    ) -> Result<T, CliError> {
        if let Some(given) = given {
            return Ok(given);
        }
        let Some(answers) = &mut self.answers else {
            return proposal.ok_or_else(|| {
                CliError::Usage(format!(
                    "--{option} is required when there is no terminal to ask at"
                ))
            });
        };
        for _ in 0..TRIES {
            output::ask(&match &proposal {
                Some(proposal) => format!("{question} [{}]:", proposal.show()),
                None => format!("{question}:"),
            });
            let mut line = String::new();
            let length = answers
                .read_line(&mut line)
                .map_err(|e| CliError::environment("cannot read the answer", e))?;
            if length == 0 {
                break;
            }
            match (line.trim(), &proposal) {
                ("", Some(_)) => break,
                ("", None) => {}
                (text, _) => match T::read(text) {
                    Ok(answer) => return Ok(answer),
                    Err(why) => output::note(&why),
                },
            }
        }
        proposal.ok_or_else(|| CliError::Usage(format!("no answer; --{option} gives it, too")))
    }
}
