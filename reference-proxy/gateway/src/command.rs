//! `s2spec gateway`: the gateway itself, and a way to try it.
//!
//! The program has [`Args`] parsed and hands them to [`run`].

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgGroup, Subcommand, ValueEnum};
use reference_proxy::control::{Client, ClientError};
use reference_proxy::wire::{Kind, ReadError, Stanza, escape, seconds_of};
use tokio::time::{Instant, timeout_at};

use crate::address::{Address, AddressError, Bare};
use crate::config::{Config, ConfigError};
use crate::gateway::StartError;
use crate::serve::{Failure, until_stopped};
use crate::session::stanza;
use crate::talk::{Talk, TalkError};

/// Options of `s2spec gateway`. Without a command, runs the gateway.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file of the gateway (TOML)
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "S2SPEC_GATEWAY_CONFIG"
    )]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send one stanza as a local user, and show what comes back
    Send(Send),
    /// Sign in as a local user and show what comes, until interrupted
    Listen(Listen),
    /// Check the configuration file and show every mistake
    Check,
    /// Have the running gateway read its configuration file again
    Reload,
}

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("what").required(true).args(["body", "presence"])))]
struct Send {
    /// The local user
    #[arg(long, value_name = "USER@DOMAIN")]
    from: String,
    /// The contact
    #[arg(long, value_name = "USER@DOMAIN")]
    to: String,
    /// The text of a message
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
    /// Presence instead of a message
    #[arg(long, value_name = "TYPE")]
    presence: Option<Presence>,
    /// How long answers are shown: a number of seconds, or a text such as 250ms, 60s, 5m
    #[arg(long, value_name = "TIME", default_value = "2", value_parser = seconds_of)]
    wait: Duration,
}

#[derive(Debug, clap::Args)]
struct Listen {
    /// The local user
    #[arg(long = "as", value_name = "USER@DOMAIN")]
    user: String,
    /// A status note for those who see the user
    #[arg(long, value_name = "TEXT")]
    status: Option<String>,
}

/// Types of presence that a user sends (RFC 6121 §4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Presence {
    /// Add the contact, and ask to see it
    Subscribe,
    /// Let a contact that has asked see the user
    Subscribed,
    /// Take the contact off the list
    Unsubscribe,
    /// Do not let the contact see the user
    Unsubscribed,
}

/// What ends a command, and whose fault that is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value of the command line or of a file is wrong; the text says which one, and what would be right.
    #[error("{0}")]
    Usage(String),
    /// A file, a port or the gateway failed.
    #[error("{doing}")]
    Environment {
        /// The failed operation.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + std::marker::Send + Sync>,
    },
}

impl Error {
    fn environment(
        doing: &'static str,
        source: impl Into<Box<dyn std::error::Error + std::marker::Send + Sync>>,
    ) -> Self {
        Self::Environment {
            doing,
            source: source.into(),
        }
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Mistaken { report } => {
                // Whoever prints it says `error:` again.
                Self::Usage(report.strip_prefix("error: ").unwrap_or(&report).to_owned())
            }
            error @ ConfigError::Read { .. } => {
                Self::environment("cannot read the configuration", error)
            }
        }
    }
}

impl Args {
    /// Whether the gateway is run, which logs what it does.
    #[must_use]
    pub fn runs_the_gateway(&self) -> bool {
        self.command.is_none()
    }
}

/// How a command ended that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is as it should be.
    Good,
    /// What was sent came back as an error, which has been shown.
    Returned,
}

/// Runs what the arguments ask for.
///
/// # Errors
/// See [`Error`].
pub fn run(args: &Args) -> Result<Outcome, Error> {
    let config = args.config.as_deref().ok_or_else(|| {
        let missing = "no configuration file: name it with --config FILE, or with the variable \
                       S2SPEC_GATEWAY_CONFIG";
        Error::Usage(missing.to_owned())
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::environment("cannot start threads", error))?;
    runtime.block_on(async {
        let done = match &args.command {
            None => until_stopped(config)
                .await
                .map_err(|failure| match failure {
                    Failure::Start(StartError::Config(error)) => error.into(),
                    other => Error::environment("cannot run the gateway", other),
                }),
            Some(Command::Send(options)) => return send(config, options).await,
            Some(Command::Listen(options)) => listen(config, options).await,
            Some(Command::Reload) => reload(config),
            Some(Command::Check) => {
                Config::load(config)?;
                print(&format!("{} can be used", config.display()))
            }
        };
        done.map(|()| Outcome::Good)
    })
}

fn reload(config: &Path) -> Result<(), Error> {
    let reloaded = Client::of_configuration(config).and_then(|client| client.reload());
    let reloaded = reloaded.map_err(|error| match error {
        ClientError::NoControl { .. } => Error::Usage(
            "the gateway has no control socket: add `control = \"gateway.control\"` to its \
             configuration, and start it again"
                .to_owned(),
        ),
        // Whoever prints it says `error:` again.
        ClientError::Refused(why) => {
            Error::Usage(why.strip_prefix("error: ").unwrap_or(&why).to_owned())
        }
        other => Error::environment("cannot ask the gateway", other),
    })?;
    print("The gateway has read its configuration again.")?;
    if let Some(why) = &reloaded.not_withdrawn {
        print(&format!(
            "Partners may still see users who are withdrawn from them: {why}"
        ))?;
    }
    match reloaded.after_restart.as_slice() {
        [] => Ok(()),
        settings => print(&format!("Only after a restart: {}", settings.join(", "))),
    }
}

async fn send(config: &Path, options: &Send) -> Result<Outcome, Error> {
    let from = user("--from", &options.from)?;
    let to = user("--to", &options.to)?;
    let id = format!("send-{}", std::process::id());
    let stanza = options.stanza(&to, &id).map_err(|error| {
        Error::Usage(format!("--body has a character that XML has not: {error}"))
    })?;
    let mut talk = begin(config, &from).await?;
    let talking = async {
        talk.send(&stanza).await?;
        let mut outcome = Outcome::Good;
        let end = Instant::now() + options.wait;
        while let Ok(next) = timeout_at(end, talk.next()).await {
            let next = next?;
            show(&next)?;
            if is_returned(&next, &stanza, &to) {
                outcome = Outcome::Returned;
            }
        }
        Ok::<Outcome, Problem>(outcome)
    };
    let talked = talking.await;
    talk.end().await;
    Ok(talked?)
}

/// Whether it is an error for what was sent. Presence of a subscription goes out in the user's name, without its id.
fn is_returned(stanza: &Stanza, sent: &Stanza, to: &Bare) -> bool {
    let from = stanza.from.as_deref().map(Address::parse);
    stanza.type_.as_deref() == Some("error")
        && stanza.kind == sent.kind
        && (sent.kind == Kind::Presence || stanza.id == sent.id)
        && matches!(from, Some(Ok(from)) if from.bare == *to)
}

async fn listen(config: &Path, options: &Listen) -> Result<(), Error> {
    let user = user("--as", &options.user)?;
    let status = options
        .status
        .as_deref()
        .map_or_else(String::new, |status| {
            format!("<status>{}</status>", escape(status))
        });
    let presence = stanza(&format!("<presence>{status}</presence>")).map_err(|error| {
        Error::Usage(format!(
            "--status has a character that XML has not: {error}"
        ))
    })?;
    let mut talk = begin(config, &user).await?;
    let talking = async {
        talk.send(&presence).await?;
        loop {
            let next = tokio::select! {
                next = talk.next() => next?,
                interrupted = tokio::signal::ctrl_c() => {
                    return Ok::<(), Problem>(interrupted?);
                }
            };
            show(&next)?;
        }
    };
    let talked = talking.await;
    talk.end().await;
    Ok(talked?)
}

impl Send {
    fn stanza(&self, to: &Bare, id: &str) -> Result<Stanza, ReadError> {
        let to = escape(&to.to_string());
        match (&self.presence, &self.body) {
            (Some(presence), _) => {
                let type_ = presence.to_possible_value();
                let type_ = type_.as_ref().map_or("subscribe", |value| value.get_name());
                stanza(&format!("<presence to='{to}' type='{type_}'/>"))
            }
            (None, body) => {
                let body = escape(body.as_deref().unwrap_or_default());
                stanza(&format!(
                    "<message to='{to}' id='{id}' type='chat'><body>{body}</body></message>"
                ))
            }
        }
    }
}

fn user(option: &str, text: &str) -> Result<Bare, Error> {
    let said = |error: AddressError| Error::Usage(format!("{option} {text}: {error}"));
    Bare::user(text).map_err(said)
}

async fn begin(config: &Path, user: &Bare) -> Result<Talk, Error> {
    let Some(socket) = Config::load(config)?.local else {
        let missing = "the gateway has no local socket: add `local = \"gateway.sock\"` to its \
                       configuration, and start it again";
        return Err(Error::Usage(missing.to_owned()));
    };
    let begun = Talk::begin(&socket, &user.to_string()).await;
    begun.map_err(|error| Error::environment("cannot sign in", error))
}

/// What ends a talk early.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Talk(#[from] TalkError),
    #[error("cannot write")]
    Output(#[from] io::Error),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::environment("the talk with the gateway ended", problem)
    }
}

fn show(stanza: &Stanza) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(&stanza.bytes)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

fn print(line: &str) -> Result<(), Error> {
    let written = writeln!(io::stdout().lock(), "{line}");
    written.map_err(|error| Error::environment("cannot write", error))
}
