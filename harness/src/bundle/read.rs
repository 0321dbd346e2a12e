//! Takes a bundle from its text.

use serde::Deserialize;

use super::{Bundle, VERSION};

/// The longest time limit, in seconds: that of `--timeout`.
const LONGEST: f64 = 3600.0;

/// Why a text is no bundle that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is not JSON, or a part of it.
    #[error("it is not a whole JSON document: {0}")]
    Json(serde_json::Error),
    /// It is another document.
    #[error("it is JSON, but no bundle of s2spec: it has no number `bundle`")]
    Other,
    /// It is too old or too new.
    #[error("its version is {0}; this s2spec reads {VERSION}")]
    Version(u64),
    /// It does not have the fields of its version.
    #[error("it says that it is of version {VERSION}, but does not keep to it: {0}")]
    Fields(serde_json::Error),
    /// A number is out of bounds.
    #[error("its timeout is {0}; expected seconds, more than 0 and at most {LONGEST}")]
    Timeout(f64),
}

impl Bundle {
    /// Reads a bundle.
    ///
    /// # Errors
    /// [`Unreadable`] says what the text is instead.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Version {
            bundle: Option<u64>,
        }
        let version: Version =
            serde_json::from_str(text).map_err(|error| match error.is_data() {
                true => Unreadable::Other,
                false => Unreadable::Json(error),
            })?;
        match version.bundle {
            Some(version) if version == u64::from(VERSION) => {}
            Some(other) => return Err(Unreadable::Version(other)),
            None => return Err(Unreadable::Other),
        }
        let bundle: Self = serde_json::from_str(text).map_err(Unreadable::Fields)?;
        let timeout = bundle.options.timeout;
        if !(timeout > 0.0 && timeout <= LONGEST) {
            return Err(Unreadable::Timeout(timeout));
        }
        Ok(bundle)
    }
}
