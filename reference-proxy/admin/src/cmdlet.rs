//! Options as PowerShell has them: `-TlsNegotiation NotSupported`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::{ArgAction, Command};

use crate::value;

/// The arguments of the program with the options of `proxy` as clap reads them: `--tls-negotiation` for
/// `-TlsNegotiation`, in any case, and the value behind a colon behind `=`.
pub(crate) fn understood(
    arguments: impl IntoIterator<Item = OsString>,
    proxy: &Command,
) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let mut read: Vec<OsString> = arguments.by_ref().take(2).collect();
    if read.get(1).is_none_or(|word| word != "proxy") {
        read.extend(arguments);
        return read;
    }
    let mut options = BTreeMap::new();
    collect(proxy, &mut options);
    for word in arguments.by_ref() {
        if word == "--" {
            read.push(word);
            break;
        }
        match word.to_str().and_then(|word| option(word, &options)) {
            None => read.push(word),
            Some((Known { name, .. }, None)) => read.push(format!("--{name}").into()),
            // A switch is there or not.
            Some((Known { name, switch: true }, Some(value))) if value::boolean(value).is_ok() => {
                if value::boolean(value) == Ok(true) {
                    read.push(format!("--{name}").into());
                }
            }
            Some((Known { name, .. }, Some(value))) => {
                read.push(format!("--{name}={value}").into())
            }
        }
    }
    read.extend(arguments);
    read
}

/// An option of clap.
#[derive(Clone)]
struct Known {
    name: String,
    /// Whether it has no value.
    switch: bool,
}

/// An option of PowerShell's form, and its value if it is part of the word.
fn option<'a>(
    word: &'a str,
    options: &BTreeMap<String, Known>,
) -> Option<(Known, Option<&'a str>)> {
    let name = word.strip_prefix('-')?;
    let name = name.strip_prefix('-').unwrap_or(name);
    let (name, value) = match name.split_once(':') {
        Some((name, value)) => (name, Some(value)),
        None => (name, None),
    };
    // One letter is an option of clap's own.
    if name.len() < 2 || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let known = options.get(&name.to_ascii_lowercase()).cloned();
    // Named as a whole it is refused as a whole.
    let unknown = || {
        let is_one = name.starts_with(|letter: char| letter.is_ascii_uppercase());
        let name = name.to_owned();
        is_one.then_some(Known {
            name,
            switch: false,
        })
    };
    Some((known.or_else(unknown)?, value))
}

/// The long options of a command and those below it, by their letters alone.
fn collect(command: &Command, options: &mut BTreeMap<String, Known>) {
    for argument in command.get_arguments() {
        let aliases = argument.get_all_aliases().unwrap_or_default();
        for name in argument.get_long().into_iter().chain(aliases) {
            let known = Known {
                name: name.to_owned(),
                switch: matches!(argument.get_action(), ArgAction::SetTrue),
            };
            options.insert(name.replace('-', ""), known);
        }
    }
    for below in command.get_subcommands() {
        collect(below, options);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> String {
        let proxy = Command::new("proxy").subcommand(
            Command::new("partner")
                .arg(clap::Arg::new("t").long("tls-negotiation").alias("tls"))
                .arg(
                    clap::Arg::new("w")
                        .long("what-if")
                        .action(ArgAction::SetTrue),
                ),
        );
        let words = line.split(' ').map(OsString::from);
        let read = understood(words, &proxy);
        let read: Vec<String> = read
            .into_iter()
            .map(|word| word.into_string().expect("text"))
            .collect();
        read.join(" ")
    }

    #[test]
    fn options_of_powershell_become_those_of_clap() {
        for (line, expected) in [
            ("-TlsNegotiation Optional", "--tls-negotiation Optional"),
            ("-tlsnegotiation:Optional", "--tls-negotiation=Optional"),
            ("--tls-negotiation Optional", "--tls-negotiation Optional"),
            ("--TlsNegotiation Optional", "--tls-negotiation Optional"),
            ("-Tls Optional", "--tls Optional"),
            ("-h", "-h"),
            ("-Other x", "--Other x"),
            ("-WhatIf:$true x", "--what-if x"),
            ("-WhatIf:$false x", "x"),
            ("-WhatIf:perhaps", "--what-if=perhaps"),
            ("-- -TlsNegotiation", "-- -TlsNegotiation"),
        ] {
            let line = format!("s2spec proxy partner {line}");
            assert_eq!(read(&line), format!("s2spec proxy partner {expected}"));
        }
    }

    #[test]
    fn other_commands_are_left_alone() {
        for line in ["s2spec", "s2spec run -TlsNegotiation", "s2spec proxy"] {
            assert_eq!(read(line), line);
        }
    }
}
