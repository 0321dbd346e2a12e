//! What ends a command, and whose fault that is.

use std::io;

use reference_proxy::config::ConfigError;
use reference_proxy::control::ClientError;

/// How a command ended that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is as it should be.
    Good,
    /// What was checked or tried is not as it should be. What it lacks has been printed.
    Wanting,
    /// What was looked at does not work. What is wrong with it has been printed.
    Critical,
}

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value of the command line or of the configuration is wrong; the text says which one, and what
    /// would be right.
    #[error("{0}")]
    Usage(String),
    /// The proxy that was to be looked at is not there.
    #[error("the proxy does not run")]
    Critical(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A file, a port or another program failed.
    #[error("{doing}")]
    Environment {
        /// The failed operation, such as `cannot write proxy.toml`.
        doing: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Creates an [`Error::Environment`].
    pub(crate) fn environment(
        doing: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Environment {
            doing: doing.into(),
            source: source.into(),
        }
    }
}

/// An error with its sources on one line.
pub(crate) fn chained(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| (*error).source());
    let texts: Vec<String> = sources.map(ToString::to_string).collect();
    texts.join(": ")
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Read { path, source } => {
                let file = path.display();
                Self::environment(format!("cannot read the configuration file {file}"), source)
            }
            ConfigError::Mistaken { report } => {
                // Whoever prints it says `error:` again.
                let report = report.strip_prefix("error: ").unwrap_or(&report);
                Self::Usage(report.to_owned())
            }
        }
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NoControl { .. } => Self::Usage(error.to_string()),
            // Whoever prints it says `error:` again.
            ClientError::Refused(text) => {
                Self::Usage(text.strip_prefix("error: ").unwrap_or(&text).to_owned())
            }
            ClientError::Configuration { .. }
            | ClientError::Unreachable { .. }
            | ClientError::Silent(_)
            | ClientError::Unknown(_) => Self::environment("cannot ask the proxy", error),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::environment("cannot write to standard output", error)
    }
}
