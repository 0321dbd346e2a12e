//! Runs a gateway alone, until a signal stops it.

use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::gateway::{Gateway, StartError};

/// Runs until Ctrl-C or a termination signal. A hang-up signal has the file read again.
pub(crate) async fn until_stopped(path: &Path) -> Result<(), Failure> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let config = Config::load(path).map_err(StartError::Config)?;
    let mut gateway = Gateway::start(config)?;
    loop {
        tokio::select! {
            _ = terminated.recv() => break,
            _ = interrupted.recv() => break,
            _ = hung_up.recv() => reload(&mut gateway, path).await,
        }
    }
    gateway.stop().await;
    Ok(())
}

/// Why a gateway does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot listen for signals")]
    Signals(#[from] std::io::Error),
}

/// Reads the file again. One with mistakes changes nothing.
async fn reload(gateway: &mut Gateway, path: &Path) {
    let read = Config::load(path).map_err(StartError::Config);
    let reloaded = match read {
        Ok(config) => gateway.reload(config).await,
        Err(error) => Err(error),
    };
    if let Err(error) = reloaded {
        let error = error.to_string();
        let error = error.strip_prefix("error: ").unwrap_or(&error);
        tracing::error!("the old configuration stays: {error}");
    }
}
