//! `s2spec proxy`: the proxy itself, until a signal stops it. SIGHUP has it read its configuration again.

use std::path::Path;

use reference_proxy::Proxy;
use reference_proxy::config::Config;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, Exit};

pub(crate) fn command(config: &Path) -> Result<Exit, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::environment("cannot start threads", error))?;
    let config = Config::load(config)?;
    runtime
        .block_on(until_stopped(config))
        .map_err(|error| Error::environment("cannot run the proxy", error))?;
    Ok(Exit::Good)
}

async fn until_stopped(config: Config) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let proxy = Proxy::start(config)?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut changed = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => break interrupted?,
            _ = terminated.recv() => break,
            // What came of it is in the log.
            Some(()) = changed.recv() => drop(proxy.reload().await),
        }
    }
    proxy.stop().await;
    Ok(())
}
