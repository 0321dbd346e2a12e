//! Signals that ask the program to end.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Returns when the program is asked to end: by Ctrl-C, by a termination signal, or by a terminal
/// that closes, unless hangups are ignored as under `nohup`.
///
/// # Errors
/// When signals cannot be listened to.
pub(super) async fn end_wanted() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = if ignores_hangup() {
        None
    } else {
        Some(signal(SignalKind::hangup())?)
    };
    let hung_up = async {
        match &mut hangup {
            Some(hangup) => hangup.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hung_up => {}
    }
    Ok(())
}

/// Whether the process was started with SIGHUP ignored. Unknown counts as no.
fn ignores_hangup() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return false;
    };
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}
