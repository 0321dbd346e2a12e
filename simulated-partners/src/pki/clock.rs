//! The one place where the lab asks for the date.

use std::time::SystemTime;

use rustls::pki_types::UnixTime;

/// The date to which the lab's certificates are anchored.
pub(super) fn system_time() -> SystemTime {
    #[expect(
        clippy::disallowed_methods,
        reason = "certificates must be valid for targets that look at the real clock"
    )]
    SystemTime::now()
}

/// The lab's day, as dates in files are compared with.
pub fn today() -> time::Date {
    time::OffsetDateTime::from(system_time()).date()
}

/// The date at which a certificate is judged.
pub(crate) fn unix_time() -> UnixTime {
    // A clock before 1970 finds every certificate not yet valid, as it should.
    UnixTime::since_unix_epoch(
        system_time()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}
