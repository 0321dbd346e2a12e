//! Runs a gateway alone, until a signal stops it.

use std::path::{Path, PathBuf};

use reference_proxy::Reloaded;
use reference_proxy::wire::{ControlSocket, SocketError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::control::{self, Command};
use crate::gateway::{Gateway, StartError};

/// Runs until Ctrl-C or a termination signal. A hang-up signal has the file read again, and so has a command
/// at the control socket.
pub(crate) async fn until_stopped(path: &Path) -> Result<(), Failure> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let config = Config::load(path).map_err(StartError::Config)?;
    let socket = match &config.control {
        Some(path) => {
            let bound = ControlSocket::bind(path);
            Some(bound.map_err(|source| Failure::Control {
                path: path.clone(),
                source,
            })?)
        }
        None => None,
    };
    let mut gateway = Gateway::start(config)?;
    let (sender, mut commands) = mpsc::channel(1);
    let commanded = socket.map(|socket| tokio::spawn(control::listen(socket, sender)));
    loop {
        tokio::select! {
            _ = terminated.recv() => break,
            _ = interrupted.recv() => break,
            // What came of it is in the log.
            _ = hung_up.recv() => if reload(&mut gateway, path).await.is_ok() {
                tokio::spawn(gateway.withdrawn());
            },
            Some(command) = commands.recv() => match command {
                Command::Reload(reply) => {
                    let reloaded = reload(&mut gateway, path).await;
                    tokio::spawn(answer(reply, reloaded, gateway.withdrawn()));
                }
                Command::MayTalk(user, contact, reply) => {
                    if let Some(may) = gateway.may_talk(user, contact).await {
                        let _ = reply.send(may);
                    }
                }
            },
        }
    }
    if let Some(commanded) = commanded {
        commanded.abort();
        // The socket's file goes with it.
        let _ = commanded.await;
    }
    gateway.stop().await;
    Ok(())
}

/// Tells a command what has come of its reload, once partners know of it.
async fn answer(
    reply: control::Reload,
    mut reloaded: Result<Reloaded, String>,
    withdrawn: impl Future<Output = Option<String>>,
) {
    if let Ok(reloaded) = &mut reloaded {
        reloaded.not_withdrawn = withdrawn.await;
    }
    // A command that has gone meanwhile does not need to know.
    let _ = reply.send(reloaded);
}

/// Why a gateway does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("could not listen for commands at {}", path.display())]
    Control {
        path: PathBuf,
        #[source]
        source: SocketError,
    },
    #[error("cannot listen for signals")]
    Signals(#[from] std::io::Error),
}

/// Reads the file again. One with mistakes changes nothing.
async fn reload(gateway: &mut Gateway, path: &Path) -> Result<Reloaded, String> {
    let read = Config::load(path).map_err(StartError::Config);
    let reloaded = match read {
        Ok(config) => gateway.reload(config).await,
        Err(error) => Err(error),
    };
    reloaded.map_err(|error| {
        let error = error.to_string();
        let shown = error.strip_prefix("error: ").unwrap_or(&error);
        tracing::error!("the old configuration stays: {shown}");
        error
    })
}
