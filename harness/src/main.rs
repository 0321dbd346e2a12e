//! The binary. The library does all the work.

use std::process::ExitCode;

fn main() -> ExitCode {
    s2spec::cli::main()
}
