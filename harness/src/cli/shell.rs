//! `s2spec completions` and `s2spec man`: the command line for shells and for man.

use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, new_files, output};
use crate::error::{CliError, Exit};

/// Arguments of `completions`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell that reads them
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Man {
    /// Folder for a page of each command [default: print that of s2spec itself]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the completions.
pub(super) fn completions(args: &Completions) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "s2spec", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Expected)
}

/// Prints a page, or writes all of them.
pub(super) fn man(args: &Man) -> Result<Exit, CliError> {
    let command = Cli::command();
    match &args.out {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command)
                .render(&mut page)
                .map_err(|e| CliError::environment("cannot make the page", e))?;
            output::print(&String::from_utf8_lossy(&page))?;
        }
        Some(folder) => {
            new_files::folder(folder)?;
            clap_mangen::generate_to(command, folder).map_err(|e| {
                CliError::environment(format!("cannot write to {}", folder.display()), e)
            })?;
        }
    }
    Ok(Exit::Expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let args = Man {
            out: Some(folder.path().join("man")),
        };
        man(&args).unwrap();
        for name in ["s2spec.1", "s2spec-run.1", "s2spec-proxy-partner.1"] {
            let page = std::fs::read_to_string(folder.path().join("man").join(name)).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{name}");
        }
    }
}
