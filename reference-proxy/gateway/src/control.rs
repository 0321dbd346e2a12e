//! The control socket: how commands of this user have the running gateway read its configuration again, and ask
//! who may talk to whom.

use std::future::pending;
use std::time::Duration;

use reference_proxy::Reloaded;
use reference_proxy::control::{Answer, Request};
use reference_proxy::wire::ControlSocket;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::address::Bare;
use crate::refusal::Refusal;

/// Bytes of the longest request.
const LONGEST: u64 = 16_384;
/// The time limit for a request to arrive, and for an answer to be read.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a failed accept, usually because file descriptors have run out.
const BREATH: Duration = Duration::from_millis(100);

/// Gets what has come of a reload.
pub(crate) type Reload = oneshot::Sender<Result<Reloaded, String>>;

/// What a command waits for.
pub(crate) enum Command {
    /// That the file is read again.
    Reload(Reload),
    /// Whether a user may talk to a contact.
    MayTalk(Bare, Bare, oneshot::Sender<Result<(), Refusal>>),
}

/// Takes commands, one after the other, for as long as somebody carries them out.
pub(crate) async fn listen(socket: ControlSocket, commands: mpsc::Sender<Command>) {
    while !commands.is_closed() {
        match socket.accept().await {
            // If it fails, the command does not read its answer any more.
            Ok(stream) => drop(serve(stream, &commands).await),
            Err(error) => {
                tracing::error!(%error, "could not accept a command");
                let _ = timeout(BREATH, pending::<()>()).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, commands: &mpsc::Sender<Command>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut text = Vec::new();
    let mut read = BufReader::new(read.take(LONGEST));
    let answer = match timeout(PATIENCE, read.read_until(b'\n', &mut text)).await {
        Ok(read) => {
            read?;
            match serde_json::from_slice(&text) {
                Ok(Request::Reload) => reload(commands).await,
                Ok(Request::MayTalk { user, contact }) => may_talk(commands, &user, &contact).await,
                Ok(Request::Log { .. } | Request::Status | Request::TestIm { .. }) => {
                    Answer::Refused("that is no question for a gateway; ask the proxy".to_owned())
                }
                Err(error) => Answer::Refused(format!("not a request: {error}")),
            }
        }
        Err(_) => Answer::Refused("no request came in time".to_owned()),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    timeout(PATIENCE, write.write_all(&line)).await?
}

async fn reload(commands: &mpsc::Sender<Command>) -> Answer {
    match asked(commands, Command::Reload).await {
        Some(Ok(reloaded)) => Answer::Reloaded(reloaded),
        Some(Err(why)) => Answer::Refused(why),
        None => stopping(),
    }
}

async fn may_talk(commands: &mpsc::Sender<Command>, user: &str, contact: &str) -> Answer {
    let (user, contact) = match (Bare::user(user), Bare::user(contact)) {
        (Ok(user), Ok(contact)) => (user, contact),
        (Err(error), _) => return Answer::Refused(format!("`{user}`: {error}")),
        (_, Err(error)) => return Answer::Refused(format!("`{contact}`: {error}")),
    };
    match asked(commands, |reply| Command::MayTalk(user, contact, reply)).await {
        Some(may) => Answer::MayTalk {
            refused: may.err().map(|why| why.to_string()),
        },
        None => stopping(),
    }
}

/// The answer to a command, if there is still one.
async fn asked<T>(
    commands: &mpsc::Sender<Command>,
    command: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    commands.send(command(reply)).await.ok()?;
    answer.await.ok()
}

fn stopping() -> Answer {
    Answer::Refused("the gateway stops".to_owned())
}
