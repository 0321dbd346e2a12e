//! The proxy's end of its control socket.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Semaphore;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::gather;
use super::protocol::{Answer, Request};
use super::socket::ControlSocket;
use super::status::Listening;
use super::{tap, test_im};
use crate::context::Context;
use crate::domain::Domain;
use crate::reload::Reloader;

/// Commands at the same time.
const COMMANDS: usize = 16;
/// Bytes of the longest request.
const LONGEST: u64 = 16_384;
/// The time limit for a request to arrive, and for an answer to be read.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a failed accept, as for partners.
const BREATH: Duration = Duration::from_millis(100);

/// What commands are answered from.
#[derive(Debug)]
pub(crate) struct Office {
    pub(crate) context: Arc<Context>,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) listeners: Vec<Listening>,
    pub(crate) began: Instant,
}

/// Answers commands until the proxy stops.
pub(crate) async fn listen(office: Arc<Office>, socket: ControlSocket) {
    let context = &office.context;
    let mut stop = context.tasks.stop();
    let places = Arc::new(Semaphore::new(COMMANDS));
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = stop.asked() => return,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::error!(%error, "could not accept a command");
                let _ = context.clock.timeout(BREATH, stop.asked()).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            let refused = line(&Answer::Refused(format!("{COMMANDS} commands are running")));
            let _ = stream.try_write(&refused);
            continue;
        };
        let (context, office) = (context.newest(), Arc::clone(&office));
        office.context.tasks.clone().spawn(async move {
            let (read, write) = stream.into_split();
            let mut command = Command {
                context,
                office,
                read: BufReader::new(read),
                write,
            };
            // If it fails, the command does not read its answer any more.
            let _ = command.serve().await;
            drop(place);
        });
    }
}

struct Command {
    context: Arc<Context>,
    office: Arc<Office>,
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

/// The command has gone.
struct Gone;

impl Command {
    async fn serve(&mut self) -> Result<(), Gone> {
        let mut text = Vec::new();
        let mut reader = (&mut self.read).take(LONGEST);
        let mut stop = self.context.tasks.stop();
        let reading = self
            .context
            .clock
            .timeout(PATIENCE, reader.read_until(b'\n', &mut text));
        let read = tokio::select! {
            read = reading => read,
            () = stop.asked() => return Ok(()),
        };
        let request = match read {
            Ok(Ok(_)) => serde_json::from_slice(&text),
            Ok(Err(_)) => return Err(Gone),
            Err(_) => return self.refuse("no request came in time").await,
        };
        match request {
            Ok(Request::Log { partner }) => self.log(partner.as_deref()).await,
            Ok(Request::Reload) => match self.office.reloader.read_again().await {
                Ok(reloaded) => self.answer(&Answer::Reloaded(reloaded)).await,
                Err(error) => self.refuse(&error.to_string()).await,
            },
            Ok(Request::Status) => {
                let status = gather::status(&self.office);
                self.answer(&Answer::Status(Box::new(status))).await
            }
            Ok(Request::TestIm { to, from }) => {
                let tested = test_im::test(&self.context, &to, from.as_deref()).await;
                self.answer(&Answer::Tested(tested)).await
            }
            Ok(Request::MayTalk { .. }) => {
                self.refuse("a proxy does not know users; ask the gateway")
                    .await
            }
            Err(error) => self.refuse(&format!("not a request: {error}")).await,
        }
    }

    async fn log(&mut self, partner: Option<&str>) -> Result<(), Gone> {
        let domains = match partner.map(|name| self.domains(name)).transpose() {
            Ok(domains) => domains,
            Err(why) => return self.refuse(&why).await,
        };
        let mut lines = tap::follow();
        self.answer(&Answer::Following).await?;
        let mut stop = self.context.tasks.stop();
        let mut rest = [0];
        loop {
            let next = tokio::select! {
                next = lines.recv() => next,
                // The command says no more, so it has ended.
                _ = self.read.read(&mut rest) => return Ok(()),
                () = stop.asked() => return Ok(()),
            };
            let answer = match next {
                Ok(line) if domains.as_ref().is_none_or(|all| tap::names(&line, all)) => {
                    Answer::Line(line)
                }
                Ok(_) => continue,
                Err(RecvError::Lagged(lines)) => Answer::Lost { lines },
                Err(RecvError::Closed) => return Ok(()),
            };
            // Who reads slowly keeps nobody waiting, but loses lines.
            let line = line(&answer);
            tokio::select! {
                written = self.write.write_all(&line) => written.map_err(|_| Gone)?,
                () = stop.asked() => return Ok(()),
            }
        }
    }

    /// All domains of a partner.
    fn domains(&self, name: &str) -> Result<Vec<Domain>, String> {
        let domain = Domain::parse(name).map_err(|error| format!("`{name}`: {error}"))?;
        match self.context.config.partner(&domain) {
            Some(partner) => Ok(partner.domains().cloned().collect()),
            None => Err(format!("`{domain}` is no domain of a partner")),
        }
    }

    async fn refuse(&mut self, why: &str) -> Result<(), Gone> {
        self.answer(&Answer::Refused(why.to_owned())).await
    }

    async fn answer(&mut self, answer: &Answer) -> Result<(), Gone> {
        let line = line(answer);
        let writing = self.write.write_all(&line);
        match self.context.clock.timeout(PATIENCE, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

fn line(answer: &Answer) -> Vec<u8> {
    let mut line = serde_json::to_vec(answer).expect("an answer has only keys that are texts");
    line.push(b'\n');
    line
}
