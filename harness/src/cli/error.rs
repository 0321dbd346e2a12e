//! What can go wrong before there are results, and the exit codes.

use std::error::Error;
use std::process::ExitCode;

use owo_colors::OwoColorize as _;
use simulated_partners::document::FileError;

use crate::cause::with_causes;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All as expected.
    Expected = 0,
    /// At least one unexpected result.
    Unexpected = 1,
    /// Wrong usage, or an unknown persona.
    Usage = 2,
    /// The environment or the harness failed, or the run was broken off.
    Environment = 3,
    /// No case was selected.
    NothingSelected = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// An argument makes no sense; the text says what would.
    #[error("{0}")]
    Usage(String),
    /// A port, a file or a program.
    #[error("{doing}")]
    Environment {
        /// What was tried, such as `cannot write report.json`.
        doing: String,
        /// Why it failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Files with mistakes, or that cannot be read.
    #[error("{}", listed(.0, false))]
    Files(Vec<FileError>),
    /// No case has such an id; the text names the nearest ones.
    #[error("{0}")]
    NothingSelected(String),
}

impl CliError {
    /// An [`CliError::Environment`].
    pub(super) fn environment(
        doing: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Environment {
            doing: doing.into(),
            source: source.into(),
        }
    }

    /// The exit code for it.
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

    /// As it is shown to who called the program.
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

/// All that is wrong with files, and how much that is.
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
    if coloured {
        format!("{} {text}", "error:".red().bold())
    } else {
        format!("error: {text}")
    }
}
