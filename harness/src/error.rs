//! Errors that stop a run before there are results, and the exit codes.

use std::error::Error;
use std::process::ExitCode;

use owo_colors::OwoColorize as _;
use simulated_partners::document::FileError;

use crate::cause::with_causes;
use crate::transcript::printable_lines;

/// The exit status of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything as expected.
    Expected = 0,
    /// At least one unexpected result.
    Unexpected = 1,
    /// Wrong usage, or an unknown persona.
    Usage = 2,
    /// The environment or the harness failed, or the run was interrupted.
    Environment = 3,
    /// No case was selected, or none of those selected can be run.
    NothingSelected = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that stops a command.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// An invalid argument; the text says what would be valid.
    #[error("{0}")]
    Usage(String),
    /// A port, file or program failed.
    #[error("{doing}")]
    Environment {
        /// The failed operation, such as `cannot write report.json`.
        doing: String,
        /// Why it failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Files that have mistakes or cannot be read.
    #[error("{}", listed(.0, false))]
    Files(Vec<FileError>),
    /// No case has this id; the text names the nearest ones.
    #[error("{0}")]
    NothingSelected(String),
}

impl CliError {
    /// Creates a [`CliError::Environment`].
    pub fn environment(
        doing: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Environment {
            doing: doing.into(),
            source: source.into(),
        }
    }

    /// The exit code for this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Environment { .. } => Exit::Environment,
            Self::Files(files) => {
                let unreadable = |error: &FileError| matches!(error, FileError::Unreadable { .. });
                if files.iter().any(unreadable) {
                    Exit::Environment
                } else {
                    Exit::Usage
                }
            }
            Self::NothingSelected(_) => Exit::NothingSelected,
        }
    }

    /// The error with its causes, in one line.
    pub fn chain(&self) -> String {
        with_causes(self)
    }

    /// The message shown to the user.
    pub fn report(&self, coloured: bool) -> String {
        match self {
            Self::Files(files) => listed(files, coloured),
            Self::Usage(_) | Self::Environment { .. } | Self::NothingSelected(_) => {
                said(&self.chain(), coloured)
            }
        }
    }
}

impl From<FileError> for CliError {
    fn from(error: FileError) -> Self {
        Self::Files(vec![error])
    }
}

/// All mistakes in files, and their number.
fn listed(files: &[FileError], coloured: bool) -> String {
    let mut count = 0;
    let mut shown: Vec<String> = files
        .iter()
        .map(|error| match error {
            FileError::Mistakes(wrong) => {
                count += wrong.list.len();
                wrong.render(coloured)
            }
            FileError::Unreadable { .. } => {
                count += 1;
                said(&with_causes(error), coloured)
            }
        })
        .collect();
    if count > 1 {
        let files = match files {
            [FileError::Mistakes(wrong)] => wrong.file.clone(),
            many => format!("{} files", many.len()),
        };
        shown.push(said(&format!("{count} mistakes in {files}"), coloured));
    }
    shown.join("\n\n")
}

fn said(text: &str, coloured: bool) -> String {
    // It may name what somebody else has named.
    let text = printable_lines(text);
    if coloured {
        format!("{} {text}", "error:".red().bold())
    } else {
        format!("error: {text}")
    }
}
