//! The running proxy, which has to learn of a change.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reference_proxy::Reloaded;
use reference_proxy::control::{Client, ClientError};

use crate::output::note;

/// How long a gateway may take that withdraws presence: it waits for ten seconds itself.
const WITHDRAWING: Duration = Duration::from_secs(15);

/// Has the running proxy take the change in, or says how the change gets into force.
pub(crate) fn tell(config: &Path) {
    has_taken("proxy", config, Client::reload);
}

/// The same with the running gateway.
pub(crate) fn tell_gateway(config: &Path) {
    has_taken("gateway", config, Client::reload);
}

/// Has whoever runs take in what its file says. Nothing is said, as nothing may run, or have changed.
pub(crate) fn refresh(config: &Path) {
    let _ = Client::of_configuration(config).and_then(|client| client.reload());
}

/// Configuration file of the gateway.
#[derive(Debug, clap::Args)]
pub(crate) struct Gateway {
    /// Configuration file of the gateway (TOML)
    #[arg(
        long = "gateway",
        global = true,
        value_name = "FILE",
        env = "S2SPEC_GATEWAY_CONFIG"
    )]
    pub(crate) file: Option<PathBuf>,
}

impl Gateway {
    /// The file, which may be named, or lie beside that of the proxy.
    fn file(&self, proxy: &Path) -> Option<PathBuf> {
        let beside = || Some(proxy.with_file_name("gateway.toml")).filter(|file| file.is_file());
        self.file.clone().or_else(beside)
    }

    /// Has the running gateway take in a change of the proxy's partners, if its file is known.
    pub(crate) fn tell(&self, proxy: &Path) {
        if let Some(file) = self.file(proxy) {
            tell_gateway(&file);
        }
    }

    /// The same where presence has to be withdrawn before the proxy learns of the change.
    pub(crate) fn tell_first(&self, proxy: &Path) {
        let Some(file) = self.file(proxy) else {
            return note(
                "warning: no gateway was told to take presence back: name its file with --gateway FILE, or with the \
                 variable S2SPEC_GATEWAY_CONFIG",
            );
        };
        let is_done = has_taken("gateway", &file, |client| {
            client.clone().within(WITHDRAWING).reload()
        });
        if !is_done {
            note("warning: partners may still see users who are withdrawn from them");
        }
    }
}

/// Returns whether it has.
fn has_taken(
    which: &str,
    config: &Path,
    reload: impl FnOnce(&Client) -> Result<Reloaded, ClientError>,
) -> bool {
    let told = Client::of_configuration(config).and_then(|client| reload(&client));
    let is_done = told.is_ok();
    note(&match told {
        Ok(reloaded) => shown(which, &reloaded).trim_end().to_owned(),
        Err(ClientError::NoControl { .. }) => format!(
            "a running {which} takes the change in when it gets a hang-up signal (kill -HUP); with the setting \
             `control` it does so at once"
        ),
        Err(ClientError::Unreachable { .. }) => {
            format!("no {which} is running that could take the change in at once")
        }
        Err(ClientError::Refused(why)) => {
            format!("the running {which} keeps the configuration that it has:\n{why}")
        }
        Err(
            error @ (ClientError::Configuration { .. }
            | ClientError::Silent(_)
            | ClientError::Unknown(_)),
        ) => {
            format!("it is not known whether the running {which} has taken the change in: {error}")
        }
    });
    is_done
}

/// What has changed by a reload of the proxy or the gateway.
pub(crate) fn shown(which: &str, reloaded: &Reloaded) -> String {
    let Reloaded {
        added,
        removed,
        changed,
        after_restart,
        not_withdrawn,
    } = reloaded;
    let mut text = format!("The {which} has read its configuration again.\n");
    for (how, names) in [
        ("New partners", added),
        ("Partners removed", removed),
        ("Partners changed", changed),
        ("Only after a restart", after_restart),
    ] {
        if !names.is_empty() {
            text += &format!("{how}: {}\n", names.join(", "));
        }
    }
    if let Some(why) = not_withdrawn {
        text +=
            &format!("warning: partners may still see users who are withdrawn from them: {why}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_has_changed_and_what_has_not() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let reloaded = Reloaded {
            removed: names(&["b.example", "c.example"]),
            after_restart: names(&["external.listen"]),
            ..Reloaded::default()
        };
        assert_eq!(
            shown("proxy", &reloaded),
            "The proxy has read its configuration again.\n\
             Partners removed: b.example, c.example\n\
             Only after a restart: external.listen\n"
        );
        assert_eq!(
            shown("gateway", &Reloaded::default()),
            "The gateway has read its configuration again.\n"
        );
    }
}
