//! The control socket: how commands of this user have the running gateway read its configuration again.

use std::future::pending;
use std::time::Duration;

use reference_proxy::Reloaded;
use reference_proxy::control::{Answer, Request};
use reference_proxy::wire::ControlSocket;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Bytes of the longest request.
const LONGEST: u64 = 16_384;
/// The time limit for a request to arrive, and for an answer to be read.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a failed accept, usually because file descriptors have run out.
const BREATH: Duration = Duration::from_millis(100);

/// A command that waits for the file to be read again, and gets what has come of it.
pub(crate) type Reload = oneshot::Sender<Result<Reloaded, String>>;

/// Takes commands, one after the other, for as long as somebody carries them out.
pub(crate) async fn listen(socket: ControlSocket, reloads: mpsc::Sender<Reload>) {
    while !reloads.is_closed() {
        match socket.accept().await {
            // If it fails, the command does not read its answer any more.
            Ok(stream) => drop(serve(stream, &reloads).await),
            Err(error) => {
                tracing::error!(%error, "could not accept a command");
                let _ = timeout(BREATH, pending::<()>()).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, reloads: &mpsc::Sender<Reload>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut text = Vec::new();
    let mut read = BufReader::new(read.take(LONGEST));
    let answer = match timeout(PATIENCE, read.read_until(b'\n', &mut text)).await {
        Ok(read) => {
            read?;
            match serde_json::from_slice(&text) {
                Ok(Request::Reload) => reload(reloads).await,
                Ok(Request::Log { .. } | Request::Status | Request::TestIm { .. }) => {
                    Answer::Refused("a gateway can only reload; ask the proxy".to_owned())
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

async fn reload(reloads: &mpsc::Sender<Reload>) -> Answer {
    let (reply, reloaded) = oneshot::channel();
    let stopping = || Answer::Refused("the gateway stops".to_owned());
    if reloads.send(reply).await.is_err() {
        return stopping();
    }
    match reloaded.await {
        Ok(Ok(reloaded)) => Answer::Reloaded(reloaded),
        Ok(Err(why)) => Answer::Refused(why),
        Err(_) => stopping(),
    }
}
