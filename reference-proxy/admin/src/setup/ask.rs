//! Questions on the terminal.

use std::io::{self, BufRead, Write as _};

use crate::error::Error;

/// How often an answer may be wrong.
const TRIES: usize = 5;

/// What is asked.
pub(super) struct Question<'a> {
    /// The question, a line.
    pub(super) text: &'a str,
    /// The option that answers it beforehand.
    pub(super) option: &'a str,
    /// The answer if there is none.
    pub(super) default: Option<&'a str>,
}

/// Takes answers: those that are given, then those of the terminal.
pub(super) struct Asker {
    /// None where nobody can be asked.
    input: Option<Box<dyn BufRead>>,
}

impl Asker {
    pub(super) fn new(terminal: bool) -> Self {
        let input: Option<Box<dyn BufRead>> = match terminal {
            true => Some(Box::new(io::stdin().lock())),
            false => None,
        };
        Self { input }
    }

    /// The answer to a question, as `read` understands it.
    ///
    /// # Errors
    /// When a given answer is wrong, or there is none.
    pub(super) fn ask<T>(
        &mut self,
        question: &Question<'_>,
        given: Option<&str>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Error> {
        let Question {
            text,
            option,
            default,
        } = question;
        if let Some(given) = given {
            let wrong = |error| Error::Usage(format!("`{given}` for --{option}: {error}"));
            return read(given).map_err(wrong);
        }
        for _ in 0..TRIES {
            let Some(line) = self.line(text, *default)? else {
                break;
            };
            let answer = match line.trim() {
                "" => default.unwrap_or_default(),
                answer => answer,
            };
            match read(answer) {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    let _ = writeln!(anstream::stderr(), "   `{answer}`: {error}");
                }
            }
        }
        let missing = || {
            Error::Usage(format!(
                "no answer to \"{text}\": give it by --{option}, or as `{option}` in the file of answers"
            ))
        };
        let default = default.ok_or_else(missing)?;
        read(default).map_err(|error| Error::Usage(format!("`{default}` for --{option}: {error}")))
    }

    /// A line of the terminal, or nothing where there is none, or it has ended.
    fn line(&mut self, text: &str, default: Option<&str>) -> Result<Option<String>, Error> {
        let Some(input) = &mut self.input else {
            return Ok(None);
        };
        let hint = match default {
            None | Some("") => String::new(),
            Some(default) => format!(" [{default}]"),
        };
        let mut out = anstream::stderr();
        let _ = write!(out, "   {text}{hint}: ").and_then(|()| out.flush());
        let mut line = String::new();
        match input.read_line(&mut line) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(line)),
            Err(error) => Err(Error::environment("cannot read the answer", error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(
        input: Option<&'static str>,
        given: Option<&str>,
        default: Option<&str>,
    ) -> Result<u8, String> {
        let mut asker = Asker {
            input: input.map(|text| Box::new(text.as_bytes()) as Box<dyn BufRead>),
        };
        let question = Question {
            text: "How many?",
            option: "number",
            default,
        };
        let read = |text: &str| text.parse().map_err(|_| "expected a number".to_owned());
        asker
            .ask(&question, given, read)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn answers_come_from_options_then_the_terminal_then_the_default() {
        assert_eq!(ask(Some("1\n"), Some("2"), Some("3")), Ok(2));
        assert_eq!(ask(Some("1\n"), None, Some("3")), Ok(1));
        assert_eq!(ask(Some("\n"), None, Some("3")), Ok(3));
        assert_eq!(ask(Some("x\ny\n 4 \n"), None, None), Ok(4), "it asks again");
        assert_eq!(ask(None, None, Some("3")), Ok(3));
    }

    #[test]
    fn a_wrong_or_missing_answer_names_the_option() {
        let wrong = ask(Some("1\n"), Some("x"), None).expect_err("refused");
        assert_eq!(wrong, "`x` for --number: expected a number");
        for input in [None, Some(""), Some("x\nx\nx\nx\nx\n5\n")] {
            let missing = ask(input, None, None).expect_err("refused");
            assert!(missing.contains("--number"), "{missing}");
        }
    }
}
