//! `s2spec dump`: a built-in file to start from.

use simulated_partners::nearest::{did_you_mean, nearest};
use simulated_partners::persona;

use super::output;
use crate::embedded::FILES;
use crate::error::{CliError, Exit};

/// Arguments of `dump`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Name of a persona, or id of a scenario or of one of its cases
    id: String,
}

/// Prints the file.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    output::print(find(&args.id)?)?;
    Ok(Exit::Expected)
}

fn find(id: &str) -> Result<&'static str, CliError> {
    let id = id.trim().trim_end_matches('/').trim_end_matches(".toml");
    let scenarios = || {
        FILES
            .iter()
            .map(|(path, text)| (path.trim_end_matches(".toml"), *text))
    };
    let is_of = |name: &str| {
        id.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let personas = persona::files().iter().copied();
    let mut all = scenarios().chain(personas.clone());
    if let Some((_, text)) = all.find(|(name, _)| is_of(name)) {
        return Ok(text);
    }
    let names: Vec<&str> = scenarios().chain(personas).map(|(name, _)| name).collect();
    let alike = nearest(id, names);
    Err(CliError::NothingSelected(format!(
        "no built-in scenario or persona is called {id}{}",
        did_you_mean(&alike)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personas_scenarios_and_their_cases_have_a_file() {
        assert!(find("google-talk").expect("a persona").contains("[offer]"));
        let file = find("tls/TLS-06-failure-is-no-leave-for-clear-text").expect("a scenario");
        assert!(file.contains("requirements"));
        let case = find("tls/TLS-06-failure-is-no-leave-for-clear-text/control").expect("its case");
        assert_eq!(case, file);
        let error = find("gogle-talk").expect_err("it is misspelt");
        assert!(error.to_string().contains("google-talk"), "{error}");
    }
}
