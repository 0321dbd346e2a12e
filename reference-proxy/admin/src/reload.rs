//! `s2spec proxy reload`: the running proxy reads its configuration file again.

use std::path::Path;

use reference_proxy::Reloaded;
use reference_proxy::control::Client;

use crate::error::{Error, Exit};
use crate::output::print;

pub(crate) fn command(config: &Path) -> Result<Exit, Error> {
    let reloaded = Client::of_configuration(config)?.reload()?;
    print(&shown(&reloaded))?;
    Ok(Exit::Good)
}

fn shown(reloaded: &Reloaded) -> String {
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
