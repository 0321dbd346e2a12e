//! Logs on standard error, on request.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Identity, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

/// Logs what `RUST_LOG` selects, such as `debug` or `rustls=trace,info`, or else `default`. A second
/// call has no effect.
pub(super) fn start(default: &str) {
    start_with(default, Identity::new());
}

/// The same, with a second place that the log goes to.
pub(super) fn start_with(default: &str, also: impl Layer<Registry> + Send + Sync + 'static) {
    let wanted = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = [wanted.as_str(), default]
        .into_iter()
        .filter(|text| !text.is_empty())
        .find_map(|text| text.parse::<Targets>().ok())
        .unwrap_or_default();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    let _ = tracing_subscriber::registry()
        .with(also)
        .with(lines)
        .with(filter)
        .try_init();
}
