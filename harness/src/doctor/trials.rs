//! The partners that meet the target once each.

use std::time::Duration;

use simulated_partners::persona::{self, Certificate, TlsVersion};
use strum::VariantArray as _;

use super::Subject;
use super::error::TrialError;
use super::trial_connection::{self, Trial, TrialConnection, Until};
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
    let open = |persona, domain| open(subject, lab, persona, domain, patience);
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

/// Lets one of them come, with all versions of TLS: that a target has only an older one is no reason for a finding here.
pub(super) async fn open(
    subject: &Subject,
    lab: &Lab,
    persona: &'static str,
    domain: &str,
    patience: Duration,
) -> Result<TrialConnection, TrialError> {
    let mut persona = persona::find(persona).ok_or(TrialError::Persona(persona))?;
    persona.offer.tls_versions = TlsVersion::VARIANTS.to_vec();
    let until = match persona.offer.certificate {
        Certificate::Good => Until::Answered,
        _ => Until::LetIn,
    };
    let trial = Trial::of(domain, &persona, until);
    trial_connection::open(subject, lab, trial, patience).await
}
