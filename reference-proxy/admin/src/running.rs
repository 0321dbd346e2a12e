//! The running proxy, which has to learn of a change.

use std::path::Path;

use reference_proxy::Reloaded;
use reference_proxy::control::{Client, ClientError};

use crate::output::note;

/// Has the running proxy take the change in, or says how the change gets into force.
pub(crate) fn tell(config: &Path) {
    let told = Client::of_configuration(config).and_then(|client| client.reload());
    note(&match told {
        Ok(reloaded) => shown(&reloaded).trim_end().to_owned(),
        Err(ClientError::NoControl { .. }) => {
            "a running proxy reads its configuration when it is started again; with the setting `control` it \
         does so at once"
                .to_owned()
        }
        Err(ClientError::Unreachable { .. }) => {
            "no proxy is running that could take the change in at once".to_owned()
        }
        Err(ClientError::Refused(why)) => {
            format!("the running proxy keeps the configuration that it has:\n{why}")
        }
        Err(error @ (ClientError::Configuration { .. } | ClientError::Unknown(_))) => {
            format!("it is not known whether the running proxy has taken the change in: {error}")
        }
    });
}

/// What has changed by a reload.
pub(crate) fn shown(reloaded: &Reloaded) -> String {
    let Reloaded {
        added,
        removed,
        changed,
        after_restart,
    } = reloaded;
    let mut text = String::from("The configuration is in force.\n");
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
            shown(&reloaded),
            "The configuration is in force.\n\
             Partners removed: b.example, c.example\n\
             Only after a restart: external.listen\n"
        );
        assert_eq!(
            shown(&Reloaded::default()),
            "The configuration is in force.\n"
        );
    }
}
