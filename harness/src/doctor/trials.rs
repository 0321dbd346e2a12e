//! The partners that meet the target once each.

use std::time::Duration;

use super::Subject;
use super::error::TrialError;
use super::trial_connection::{self, TrialConnection};
use crate::lab::Lab;

/// All methods and a good certificate.
pub(super) const GOOD: &str = "modern";
/// The same with a certificate from an untrusted authority.
pub(super) const UNKNOWN: &str = "cert-unknown-ca";
/// Dialback without TLS.
pub(super) const BARE: &str = "google-talk";

/// What partners saw of the target.
pub(super) struct Trials {
    /// [`GOOD`].
    pub(super) good: TrialConnection,
    /// [`UNKNOWN`].
    pub(super) unknown: TrialConnection,
    /// [`BARE`], if a policy is known that says whether it may come in.
    pub(super) bare: Option<TrialConnection>,
}

/// Lets all of them come.
///
/// # Errors
/// When a partner could not be put on the network.
pub(super) async fn meet(
    subject: &Subject,
    lab: &Lab,
    patience: Duration,
) -> Result<Trials, TrialError> {
    let [good, unknown, bare] = &subject.partners;
    let open = |persona, domain| trial_connection::open(subject, lab, persona, domain, patience);
    // If no policy is known, nobody knows whether this one may come in.
    let open_bare = async {
        match subject.row {
            Some(_) => open(BARE, bare).await.map(Some),
            None => Ok(None),
        }
    };
    // Those that share a domain come one after the other.
    let (good, unknown, bare) = if good != unknown && good != bare && unknown != bare {
        let (good, unknown, bare) =
            tokio::join!(open(GOOD, good), open(UNKNOWN, unknown), open_bare);
        (good?, unknown?, bare?)
    } else {
        (
            open(GOOD, good).await?,
            open(UNKNOWN, unknown).await?,
            open_bare.await?,
        )
    };
    Ok(Trials {
        good,
        unknown,
        bare,
    })
}
