//! Logs on standard error, on request.

use std::fs::File;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Once;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Identity, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use super::output;

/// The variable with the file that partners add their secrets of TLS to.
const KEYS: &str = "SSLKEYLOGFILE";

/// Logs what `RUST_LOG` selects, such as `debug` or `rustls=trace,info`, or else `default`. A second
/// call has no effect.
pub(super) fn start(default: &str) {
    start_with(default, Identity::new());
}

/// The same, with a second place that the log goes to.
pub(super) fn start_with(default: &str, also: impl Layer<Registry> + Send + Sync + 'static) {
    static ONCE: Once = Once::new();
    ONCE.call_once(say_where_keys_are_lost);
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

/// A run without these secrets is as good as any, so that it is not refused.
fn say_where_keys_are_lost() {
    let file = std::env::var_os(KEYS).filter(|file| !file.is_empty());
    let Some(file) = file else { return };
    let opened = File::options().append(true).create(true).open(&file);
    if let Err(error) = opened {
        let file = Path::new(&file).display();
        output::note(&format!(
            "{KEYS} names {file}, which cannot be written ({error}): no secrets of TLS are kept there"
        ));
    }
}
