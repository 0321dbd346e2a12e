//! Where a value stands that is wrong, if not among the arguments.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};

/// The same error, with the variables that give the values which it names.
pub(super) fn named(
    mut error: clap::Error,
    command: &mut Command,
    arguments: &[OsString],
) -> clap::Error {
    // Arguments have no names before.
    command.build();
    let wrong = options(&error);
    let tips: BTreeSet<String> = all(command)
        .into_iter()
        .filter(|one| wrong.contains(&one.to_string()) && !is_among(one, arguments))
        .filter_map(|one| {
            let variable = one
                .get_env()
                .filter(|name| std::env::var_os(name).is_some())?;
            let (option, variable) = (one.get_long()?, variable.to_string_lossy());
            Some(format!(
                "the environment variable {variable} gives --{option}"
            ))
        })
        .collect();
    if !tips.is_empty() {
        let tips = tips.into_iter().map(Into::into).collect();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

/// The options that an error names, in clap's form: `--jobs <N>`.
fn options(error: &clap::Error) -> Vec<String> {
    let kinds = [ContextKind::InvalidArg, ContextKind::PriorArg];
    let named = kinds.into_iter().filter_map(|kind| error.get(kind));
    named
        .flat_map(|value| match value {
            ContextValue::String(one) => vec![one.clone()],
            ContextValue::Strings(all) => all.clone(),
            _ => Vec::new(),
        })
        .collect()
}

/// The options of a command and of all below it.
fn all(command: &Command) -> Vec<&Arg> {
    let below = command.get_subcommands().flat_map(all);
    command.get_arguments().chain(below).collect()
}

/// Whether an option is given as an argument.
fn is_among(option: &Arg, arguments: &[OsString]) -> bool {
    let long = option.get_long().map(|long| format!("--{long}"));
    arguments.iter().any(|argument| {
        let argument = argument.to_string_lossy();
        let name = argument.split('=').next().unwrap_or_default();
        let is_short = |short| argument.starts_with('-') && argument[1..].starts_with(short);
        long.as_deref() == Some(name) || option.get_short().is_some_and(is_short)
    })
}
