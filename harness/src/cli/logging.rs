//! Logs on standard error, for those who ask for them.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Shows what `RUST_LOG` asks for, or else `default`. A second call changes nothing.
pub(super) fn start(default: &str) {
    let filter = std::env::var("RUST_LOG")
        .ok()
        .filter(|value| !value.is_empty())
        .and_then(|value| EnvFilter::try_new(value).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .try_init();
}
