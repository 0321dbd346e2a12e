//! Questions before a change, as `-Confirm` and `-Force` of the cmdlets have them.

use std::io::{self, BufRead, IsTerminal as _, Write as _};

use crate::error::Error;
use crate::output::note;
use crate::store::Store;
use crate::value;

/// Whether somebody is asked before a change is saved.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Confirm {
    /// Ask before anything is saved; --confirm=false asks nothing
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = value::boolean
    )]
    confirm: Option<bool>,
}

/// What a command does on a terminal where it is not told whether to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usually {
    /// Unless it is forced, as what it takes away does not come back.
    Asks,
    DoesNotAsk,
}

/// What comes before the change.
#[derive(Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    Question,
    /// It was to be asked, and nobody is there.
    Nobody,
}

impl Confirm {
    /// Whether the change may be saved. Others may use the file while somebody is asked.
    ///
    /// # Errors
    /// When nobody can be asked who has to be, and when the file has been changed meanwhile.
    pub(crate) fn agreed(
        &self,
        store: &mut Store,
        (usually, force): (Usually, bool),
        question: &str,
    ) -> Result<bool, Error> {
        match self.before(usually, force, io::stdin().is_terminal()) {
            Before::Nothing => Ok(true),
            Before::Nobody => Err(Error::Usage(
                "--confirm asks on a terminal, and there is none: leave it out, or say \
                 --confirm=false"
                    .to_owned(),
            )),
            Before::Question => {
                let agreed = store.released(|| ask(question, &mut io::stdin().lock()))??;
                if !agreed {
                    note(&format!("{} is unchanged", store.name().display()));
                }
                Ok(agreed)
            }
        }
    }

    fn before(&self, usually: Usually, force: bool, terminal: bool) -> Before {
        match (self.confirm, terminal) {
            (Some(true), false) => Before::Nobody,
            (Some(true), true) => Before::Question,
            (None, true) if usually == Usually::Asks && !force => Before::Question,
            (Some(false) | None, _) => Before::Nothing,
        }
    }
}

/// Asks a question that is answered with yes or no.
fn ask(question: &str, input: &mut dyn BufRead) -> Result<bool, Error> {
    let mut out = anstream::stderr();
    let _ = write!(out, "{question} [y/N] ").and_then(|()| out.flush());
    let mut line = String::new();
    input
        .read_line(&mut line)
        .map_err(|error| Error::environment("cannot read the answer", error))?;
    let answer = line.trim().to_lowercase();
    Ok(answer == "y" || answer == "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removals_ask_on_a_terminal_and_others_on_demand() {
        use Before::{Nobody, Nothing, Question};
        use Usually::{Asks, DoesNotAsk};
        for (confirm, usually, force, terminal, before) in [
            (None, Asks, false, true, Question),
            (None, Asks, true, true, Nothing),
            (None, Asks, false, false, Nothing),
            (None, DoesNotAsk, false, true, Nothing),
            (Some(true), DoesNotAsk, true, true, Question),
            (Some(true), Asks, false, false, Nobody),
            (Some(false), Asks, false, true, Nothing),
        ] {
            let asked = Confirm { confirm }.before(usually, force, terminal);
            assert_eq!(asked, before, "{confirm:?} {usually:?} {force} {terminal}");
        }
    }

    #[test]
    fn only_yes_is_yes() {
        for (answer, agreed) in [("y\n", true), ("YES\n", true), ("\n", false), ("", false)] {
            let read = ask("Remove it?", &mut answer.as_bytes());
            assert_eq!(read.ok(), Some(agreed), "{answer:?}");
        }
    }
}
