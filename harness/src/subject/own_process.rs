//! The embedded proxy as a process of its own, so that what it uses can be told from what s2spec does.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::call::Call;
use super::server::{Launch, Ours};
use super::{StartError, Stop, warden};

/// How long it may take to listen.
const READY: Duration = Duration::from_secs(20);
/// How long it may take to end in order, which it has a timeout of its own for.
const FAREWELL: Duration = Duration::from_secs(10);

/// Starts `s2spec proxy` with a configuration (`program` is s2spec), and waits until it answers at its external address.
///
/// # Errors
/// When it does not run.
pub(crate) async fn proxy(
    program: &Path,
    config: &str,
    external: SocketAddr,
) -> Result<Stop, StartError> {
    let trouble = |error| StartError::Environment(format!("the proxy's folder: {error}"));
    let folder = tempfile::Builder::new().prefix("s2spec-load-").tempdir();
    let folder = folder.map_err(trouble)?;
    warden::folder(folder.path());
    let file = folder.path().join("proxy.toml");
    std::fs::write(&file, config).map_err(trouble)?;
    let words = [program, "proxy".as_ref(), "--config".as_ref(), &file];
    let launch = Launch {
        start: Some(Call {
            purpose: "start",
            command: words.map(|word| word.to_string_lossy().into_owned()).into(),
            folder: folder.path().to_owned(),
            environment: Vec::new(),
            timeout: READY,
        }),
        ready: Vec::new(),
        ports: vec![external],
        stop: None,
        stop_timeout: FAREWELL,
        logs: Vec::new(),
        timeout: READY,
        ours: Some(Ours {
            folder,
            ends_with_input: false,
        }),
    };
    let server = launch.run().await?;
    Ok(Box::new(move || Box::pin(server.stop())))
}
