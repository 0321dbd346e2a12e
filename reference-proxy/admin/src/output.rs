//! What a command prints.

use std::io::{self, Write as _};

use crate::error::Error;

/// Prints a result. A reader that went away (`| head`) is not an error: the rest is dropped.
///
/// # Errors
/// When standard output cannot be written for another reason, such as a full disk.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = anstream::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}
