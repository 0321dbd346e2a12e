//! `s2spec proxy`: the proxy itself, until a signal stops it. SIGHUP has it read its configuration again.

use std::future::pending;
use std::path::Path;
use std::time::Duration;

use reference_proxy::Proxy;
use reference_proxy::config::Config;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

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
    let mut terminated = signal(SignalKind::terminate())?;
    let mut changed = signal(SignalKind::hangup())?;
    let proxy = Proxy::start(config)?;
    tell(NotifyState::Ready)?;
    let mut beats = beats();
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => break interrupted?,
            _ = terminated.recv() => break,
            // What came of it is in the log.
            Some(()) = changed.recv() => drop(proxy.reload().await),
            () = beat(&mut beats, &proxy) => tell(NotifyState::Watchdog)?,
        }
    }
    tell(NotifyState::Stopping)?;
    proxy.stop().await;
    Ok(())
}

/// Tells the service manager, if there is one.
fn tell(state: NotifyState<'_>) -> std::io::Result<()> {
    sd_notify::notify(&[state])
}

/// When the service manager wants to hear that the proxy works: twice as often as it asks for.
fn beats() -> Option<Interval> {
    let watchdog = sd_notify::watchdog_enabled()?;
    let mut beats = interval((watchdog / 2).max(Duration::from_millis(1)));
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(beats)
}

/// Waits for the next beat, and for a task of the proxy to have its turn.
async fn beat(beats: &mut Option<Interval>, proxy: &Proxy) {
    match beats {
        Some(beats) => {
            beats.tick().await;
            proxy.responds().await;
        }
        None => pending().await,
    }
}
