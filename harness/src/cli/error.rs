//! What can go wrong before there are results, and the exit codes.

use std::error::Error;
use std::process::ExitCode;

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
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Environment { .. } => Exit::Environment,
            Self::NothingSelected(_) => Exit::NothingSelected,
        }
    }

    /// The error with its causes, in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}
