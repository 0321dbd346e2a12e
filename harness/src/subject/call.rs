//! Commands: run without a shell, in a process group of their own, with a deadline, and with the end of
//! their output kept for messages.

use std::fmt;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::timeout;

use super::process::{Process, Words};
use super::template::fill;

/// The exit status by which a command says that the server cannot be set so.
pub const UNSUPPORTED: i32 = 89;

/// A command with its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it is for, such as `switch`.
    pub purpose: &'static str,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// What it finds in its environment beside that of s2spec.
    pub environment: Vec<(String, String)>,
    /// How long it may take.
    pub timeout: Duration,
}

/// How a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It did not start.
    #[error("the {purpose} command {command} could not be started: {source}")]
    Start {
        /// What it was for.
        purpose: &'static str,
        /// The command as one would type it.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It ended in failure.
    #[error("the {purpose} command {command} failed with {status}{words}")]
    Failed {
        /// What it was for.
        purpose: &'static str,
        /// The command as one would type it.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said last.
        words: Words,
    },
    /// It did not end.
    #[error("the {purpose} command {command} did not end within {} s and was killed{words}", after.as_secs_f64())]
    Hung {
        /// What it was for.
        purpose: &'static str,
        /// The command as one would type it.
        command: String,
        /// The time that it had.
        after: Duration,
        /// What it said last.
        words: Words,
    },
}

impl CallError {
    /// Whether the command says that this cannot be had from the server.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Failed { status, .. } if status.code() == Some(UNSUPPORTED))
    }
}

impl Call {
    /// The command with `{name}` replaced in its arguments.
    pub fn filled(&self, values: &[(&str, &str)]) -> Self {
        let fill = |argument: &String| fill(argument, values);
        Self {
            command: self.command.iter().map(fill).collect(),
            ..self.clone()
        }
    }

    /// The command with one variable more.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it does not start, fails, or takes too long; it is killed then with all that it started.
    pub async fn run(&self) -> Result<(), CallError> {
        let mut process = self.start(&[], Stdio::null())?;
        match timeout(self.timeout, process.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => {
                process.finish_reading().await;
                Err(self.failed(status, process.words()))
            }
            Ok(Err(source)) => Err(self.not_started(source)),
            Err(_) => Err(CallError::Hung {
                purpose: self.purpose,
                command: self.to_string(),
                after: self.timeout,
                words: process.words(),
            }),
        }
    }

    /// Starts it. Its output is searched for all of the marks.
    pub(super) fn start(&self, marks: &[String], input: Stdio) -> Result<Process, CallError> {
        let started = self
            .prepared()
            .and_then(|command| Process::start(command.into(), marks, input));
        started.map_err(|source| self.not_started(source))
    }

    /// Starts it and leaves it to itself. It may outlive the program, and nobody hears how it ends.
    pub(super) fn leave(&self) {
        let started = self.prepared().and_then(|mut command| {
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .process_group(0)
                .spawn()
        });
        match started {
            // Somebody has to wait for it, or it would stay as a zombie.
            Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
            Err(source) => tracing::warn!("{}", self.not_started(source)),
        }
    }

    fn prepared(&self) -> io::Result<Command> {
        let (program, arguments) = self
            .command
            .split_first()
            .ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder);
        Ok(command)
    }

    pub(super) fn failed(&self, status: ExitStatus, words: Words) -> CallError {
        CallError::Failed {
            purpose: self.purpose,
            command: self.to_string(),
            status,
            words,
        }
    }

    pub(super) fn not_started(&self, source: io::Error) -> CallError {
        CallError::Start {
            purpose: self.purpose,
            command: self.to_string(),
            source,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self
            .command
            .iter()
            .map(|word| {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
                if !word.is_empty() && word.chars().all(plain) {
                    word.clone()
                } else {
                    format!("{word:?}")
                }
            })
            .collect();
        write!(to, "`{}`", words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(command: &[&str], seconds: f64) -> Call {
        Call {
            purpose: "switch",
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            folder: std::env::temp_dir(),
            environment: Vec::new(),
            timeout: Duration::from_secs_f64(seconds),
        }
    }

    #[tokio::test]
    async fn a_command_that_succeeds_is_no_error_and_sees_its_variables() {
        let call = call(&["sh", "-c", "test \"$S2SPEC_ROW\" = 7"], 10.0);
        assert!(call.run().await.is_err());
        assert!(call.with("S2SPEC_ROW", "7").run().await.is_ok());
    }

    #[tokio::test]
    async fn a_command_that_fails_tells_its_last_words() {
        let error = call(&["sh", "-c", "echo first; echo last >&2; exit 3"], 10.0)
            .run()
            .await
            .expect_err("it exits with 3");
        let text = error.to_string();
        assert!(text.starts_with("the switch command `sh -c "), "{text}");
        assert!(text.ends_with("failed with exit status: 3: last"), "{text}");
        assert!(!error.is_unsupported());
    }

    #[tokio::test]
    async fn a_command_can_say_that_something_is_not_to_be_had() {
        let error = call(&["sh", "-c", "exit 89"], 10.0).run().await;
        assert!(error.is_err_and(|error| error.is_unsupported()));
    }

    #[tokio::test]
    async fn a_command_that_is_not_there_is_named() {
        let error = call(&["s2spec-no-such-program"], 10.0).run().await;
        let text = error.expect_err("there is none").to_string();
        assert!(
            text.starts_with(
                "the switch command `s2spec-no-such-program` could not be started: No such file"
            ),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_its_children() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("child");
        let script = format!(
            "sleep 60 & echo $! > {}; echo waiting; wait",
            file.display()
        );
        let error = call(&["sh", "-c", &script], 1.0).run().await;
        let text = error.expect_err("it hangs").to_string();
        assert!(
            text.ends_with("did not end within 1 s and was killed: waiting"),
            "{text}"
        );
        let child = std::fs::read_to_string(&file).expect("the script wrote it");
        let stat = format!("/proc/{}/stat", child.trim());
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        loop {
            // A killed process without a parent may stay a zombie until init looks.
            let gone = std::fs::read_to_string(&stat)
                .map_or(true, |stat| stat.contains(") Z ") || stat.contains(") X "));
            if gone {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "the child lives on");
            tokio::task::yield_now().await;
        }
    }
}
