//! The binary. All work is done by the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    s2spec::cli::main()
}
