//! The only place where the lab reads the date.

use std::time::SystemTime;

use rustls::pki_types::UnixTime;

/// The date to which the lab's certificates are relative, and captures.
pub(crate) fn system_time() -> SystemTime {
    #[expect(
        clippy::disallowed_methods,
        reason = "certificates must be valid for targets that look at the real clock, and captures are \
                  compared with logs"
    )]
    SystemTime::now()
}

/// The current day, for comparison with dates in files.
pub fn today() -> time::Date {
    time::OffsetDateTime::from(system_time()).date()
}

/// The date at which a certificate is judged.
pub(crate) fn unix_time() -> UnixTime {
    // With a clock before 1970, every certificate is not yet valid, as it should be.
    UnixTime::since_unix_epoch(
        system_time()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}
