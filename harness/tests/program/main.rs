//! The program as its users meet it: each test runs it, or reads what is published of it.

mod administration;
mod command_line;
mod docs;
mod evidence;
mod export;
mod load;
mod mistakes;
mod operation;
mod own_files;
mod page;

use std::process::Command;

/// The program, whatever the settings of the terminal or workflow that the tests are started from.
fn s2spec() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_s2spec"));
    command.env("NO_COLOR", "1").env_remove("RUST_LOG");
    for name in ["GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "SSLKEYLOGFILE"] {
        command.env_remove(name);
    }
    command
}
