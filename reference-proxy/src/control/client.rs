//! The command's end of a control socket. It blocks, as commands have nothing else to do.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::protocol::{Answer, Request, Tested};
use super::status::Status;
use crate::reload::Reloaded;

/// How long an answer may take. A reload reads every file that the configuration names.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of the largest answer.
const LARGEST: u64 = 64 << 20;

/// Why a proxy was not asked, or gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The configuration file cannot be read, even as far as the path of the control socket is concerned.
    #[error("could not read the configuration file {}", path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// The configuration has no control socket.
    #[error("{} sets no `control`, such as control = \"/run/s2spec-proxy/control\"", path.display())]
    NoControl {
        /// The configuration file.
        path: PathBuf,
    },
    /// Nobody answers there.
    #[error("nobody answers at {}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The proxy does not do what it is asked for.
    #[error("{0}")]
    Refused(String),
    /// No answer has come.
    #[error("no answer came within {0:?}")]
    Silent(Duration),
    /// The answer is none, as from a program of another version.
    #[error("the answer is none that this version knows")]
    Unknown(#[source] io::Error),
}

/// Asks a running proxy, or a gateway, which only reloads and knows who may talk to whom.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
    patience: Duration,
}

impl Client {
    /// A client of the control socket at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            patience: PATIENCE,
        }
    }

    /// The same, which waits no longer than this for an answer.
    #[must_use]
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// A client of the proxy that runs with this configuration file. Only `control` is read from it, so that other
    /// mistakes in it do no harm.
    ///
    /// # Errors
    /// [`ClientError::Configuration`] and [`ClientError::NoControl`].
    pub fn of_configuration(file: &Path) -> Result<Self, ClientError> {
        let unreadable = |source| ClientError::Configuration {
            path: file.to_owned(),
            source,
        };
        let text = fs::read_to_string(file).map_err(unreadable)?;
        let table = DeTable::parse(&text)
            .map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        match table.get_ref().get("control").map(|value| value.get_ref()) {
            Some(DeValue::String(path)) => {
                let folder = file.parent().unwrap_or_else(|| Path::new(""));
                Ok(Self::new(folder.join(path.as_ref())))
            }
            _ => Err(ClientError::NoControl {
                path: file.to_owned(),
            }),
        }
    }

    /// What the proxy does at the moment.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn status(&self) -> Result<Status, ClientError> {
        match self.ask(&Request::Status)? {
            Answer::Status(status) => Ok(*status),
            other => Err(unexpected(&other)),
        }
    }

    /// Has the proxy read its configuration file again.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the mistakes of the file, if it has some. See [`ClientError`].
    pub fn reload(&self) -> Result<Reloaded, ClientError> {
        match self.ask(&Request::Reload)? {
            Answer::Reloaded(reloaded) => Ok(reloaded),
            other => Err(unexpected(&other)),
        }
    }

    /// Has the proxy send a test message, and waits for what becomes of it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn test_im(&self, to: &str, from: Option<&str>) -> Result<Tested, ClientError> {
        let request = Request::TestIm {
            to: to.to_owned(),
            from: from.map(str::to_owned),
        };
        match self.ask(&request)? {
            Answer::Tested(tested) => Ok(tested),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks a gateway whether a local user may talk to a partner's user. Returns why not.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn may_talk(&self, user: &str, contact: &str) -> Result<Option<String>, ClientError> {
        let request = Request::MayTalk {
            user: user.to_owned(),
            contact: contact.to_owned(),
        };
        match self.ask(&request)? {
            Answer::MayTalk { refused } => Ok(refused),
            other => Err(unexpected(&other)),
        }
    }

    /// The log lines from now on, of one partner or all.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn log(&self, partner: Option<&str>) -> Result<Lines, ClientError> {
        let partner = partner.map(str::to_owned);
        let stream = self.send(&Request::Log { partner })?;
        let mut stream = BufReader::new(stream);
        match answer(&mut stream)? {
            Answer::Following => {}
            other => return Err(unexpected(&other)),
        }
        let waiting = stream.get_ref().set_read_timeout(None);
        waiting.map_err(ClientError::Unknown)?;
        Ok(Lines(stream))
    }

    /// Asks one thing and waits for the answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn ask(&self, request: &Request) -> Result<Answer, ClientError> {
        let silent = |error| match error {
            ClientError::Unknown(error) if is_silence(&error) => ClientError::Silent(self.patience),
            other => other,
        };
        answer(&mut BufReader::new(self.send(request)?)).map_err(silent)
    }

    fn send(&self, request: &Request) -> Result<UnixStream, ClientError> {
        let unreachable = |source| ClientError::Unreachable {
            path: self.path.clone(),
            source,
        };
        let mut stream = UnixStream::connect(&self.path).map_err(unreachable)?;
        let mut line = serde_json::to_vec(request).expect("a request has only texts");
        line.push(b'\n');
        stream
            .set_read_timeout(Some(self.patience))
            .and_then(|()| stream.set_write_timeout(Some(self.patience)))
            .and_then(|()| stream.write_all(&line))
            .map_err(unreachable)?;
        Ok(stream)
    }
}

/// A part of a log that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// A line.
    Line(String),
    /// So many lines came faster than they were read.
    Lost(u64),
}

/// The lines of a log that is followed, until the proxy ends.
#[derive(Debug)]
pub struct Lines(BufReader<UnixStream>);

impl Iterator for Lines {
    type Item = Result<Followed, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(match read(&mut self.0).transpose()? {
            Ok(Answer::Line(line)) => Ok(Followed::Line(line)),
            Ok(Answer::Lost { lines }) => Ok(Followed::Lost(lines)),
            Ok(other) => Err(unexpected(&other)),
            Err(error) => Err(error),
        })
    }
}

fn answer(stream: &mut BufReader<UnixStream>) -> Result<Answer, ClientError> {
    read(stream)?.ok_or_else(|| ClientError::Unknown(io::ErrorKind::UnexpectedEof.into()))
}

/// The next answer, or `None` at the end of the connection.
fn read(stream: &mut BufReader<UnixStream>) -> Result<Option<Answer>, ClientError> {
    let mut line = Vec::new();
    let count = stream
        .take(LARGEST)
        .read_until(b'\n', &mut line)
        .map_err(ClientError::Unknown)?;
    if count == 0 {
        return Ok(None);
    }
    match serde_json::from_slice(&line) {
        Ok(Answer::Refused(why)) => Err(ClientError::Refused(why)),
        Ok(answer) => Ok(Some(answer)),
        Err(error) => Err(ClientError::Unknown(error.into())),
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn unexpected(answer: &Answer) -> ClientError {
    let text = format!("not expected: {answer:?}");
    ClientError::Unknown(io::Error::new(io::ErrorKind::InvalidData, text))
}
