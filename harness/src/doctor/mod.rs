//! Whether a target can be tested at all: its ports, stream, certificate, trust, DNS and clock.
//!
//! Each check is a function from observations to a [`CheckResult`]. Checks are in order of
//! cause, so the first finding is the one to fix first. Whether the target follows the
//! standards is the business of a run, not of the doctor. Start at [`examine`].

mod certificate;
mod clock;
mod error;
mod features;
mod finding;
mod learn;
mod partner;
mod port;
mod preflight;
mod public_dns;
mod silence;
mod stream;
mod trial_connection;
mod trials;
mod view;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use simulated_partners::persona::{Certificate, Key, TlsVersion};
use simulated_partners::probe::{self, Probe};
use simulated_partners::tls::Details;
use strum::VariantArray as _;

use crate::lab::Lab;
use crate::oracle::Profile;
use crate::policy::{Methods, PolicyNumber};
use error::TrialError;
use trials::Trials;

pub use error::DoctorError;
pub use finding::{Blame, Check, CheckResult, Checked, Diagnosis, Finding, Severity};
pub use learn::{Learned, learn};
pub use preflight::{Extra, Preflight, WithPreflight, partner_domains, preflight, refusal};
pub use public_dns::PublicDns;
pub use view::{SCHEMA, render, to_json};

/// The doctor's view of a target.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Name and version, or the file.
    pub name: String,
    /// The domain that it serves.
    pub domain: String,
    /// The address for streams from other servers.
    pub address: SocketAddr,
    /// The address for direct TLS (XEP-0368).
    pub direct_tls: Option<SocketAddr>,
    /// The address of a proxy for its gateway.
    pub inner: Option<SocketAddr>,
    /// The policy that it is configured with, if known.
    pub row: Option<PolicyNumber>,
    /// How to interpret that policy.
    pub profile: Profile,
    /// How long at most it waits for a silent partner, as far as it says.
    pub patience: Option<Duration>,
    /// Authorities besides the lab's that may have issued its certificate.
    pub roots: Arc<RootCertStore>,
    /// The name server for its records.
    pub public_dns: PublicDns,
    /// The domains of the trial partners: one with a valid certificate, one with a
    /// certificate from an untrusted authority, one without TLS.
    pub partners: [String; 3],
    /// The address where the partners listen.
    pub listen: IpAddr,
}

impl Subject {
    /// The methods that its policy allows; all if the policy is not known.
    fn methods(&self) -> Methods {
        self.row.map_or(
            Methods {
                sasl_tls: true,
                tls_dialback: true,
                tcp_dialback: true,
            },
            |row| row.policy().methods(self.profile.mode),
        )
    }
}

/// How much to examine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What one connection shows without a partner, within a few milliseconds.
    Quick,
    /// Everything.
    Full,
}

/// Examines a running target.
pub async fn examine(subject: &Subject, lab: &Lab, depth: Depth, patience: Duration) -> Diagnosis {
    let report = probe::look(&look(subject, lab, subject.address, false, patience)).await;
    let details = report
        .secured()
        .and_then(|secured| Details::read(&secured.chain, &subject.roots));
    let skew = clock::skew(subject, lab, &report, patience).await;
    let reachable = report
        .clear
        .as_ref()
        .is_some_and(|opened| opened.header.is_some());
    let met = match depth {
        Depth::Quick => None,
        Depth::Full => Some(meet(subject, lab, reachable, patience).await),
    };
    let trials = met.as_ref().and_then(|(trials, _)| trials.as_ref().ok());

    let mut diagnosis = Diagnosis::of(subject);
    diagnosis.add(Check::Port, port::external(subject, &report));
    let stream = stream::stream(subject, lab, &report, trials, patience).await;
    diagnosis.add(Check::Stream, stream);
    diagnosis.add(Check::Starttls, stream::starttls(subject, &report));
    certificate::checks(subject, &report, details.as_ref(), &mut diagnosis);
    diagnosis.add(Check::Policy, features::policy(subject, &report, trials));
    if let Some(address) = subject.direct_tls {
        let report = probe::look(&look(subject, lab, address, true, patience)).await;
        diagnosis.add(
            Check::DirectTls,
            port::direct_tls(subject, address, &report),
        );
    }
    if let Some(address) = subject.inner {
        let report = probe::look(&look(subject, lab, address, true, patience)).await;
        diagnosis.add(Check::Inner, port::inner(address, &report));
    }
    let good = trials.map(|trials| &trials.good);
    let skew = skew.or_else(|| clock::told_skew(good?));
    let clock = clock::clock(details.as_ref(), good, skew);
    let is_off = clock.blocks();
    if depth == Depth::Full || is_off {
        diagnosis.add(Check::Clock, clock);
    }
    let trust = match is_off {
        true => CheckResult::not_seen("with its clock the target takes no certificate of today"),
        false => partner::trust_in_sight(subject, &report),
    };
    match met {
        None => diagnosis.add(Check::Trust, trust),
        Some((trials, silence)) => {
            if reachable {
                diagnosis.came_as(&subject.partners[1]);
                diagnosis.came_as(&subject.partners[2]);
            }
            partner::checks(lab, trust, reachable, &trials, &mut diagnosis);
            if let Some(silence) = silence {
                diagnosis.add(Check::Silence, silence);
            }
            diagnosis.add(Check::Records, public_dns::records(subject, patience).await);
        }
    }
    diagnosis
}

/// Lets partners come, and one that says nothing.
async fn meet(
    subject: &Subject,
    lab: &Lab,
    reachable: bool,
    patience: Duration,
) -> (Result<Trials, TrialError>, Option<CheckResult>) {
    let trials = async {
        match reachable {
            true => trials::meet(subject, lab, patience).await,
            false => Err(TrialError::NoStream),
        }
    };
    tokio::join!(trials, silence::silence(subject, reachable))
}

fn look(
    subject: &Subject,
    lab: &Lab,
    address: SocketAddr,
    direct_tls: bool,
    patience: Duration,
) -> Probe {
    let from = &subject.partners[0];
    Probe {
        address,
        domain: subject.domain.clone(),
        from: from.clone(),
        identity: lab.authority.issue(&[from], Certificate::Good, Key::P256),
        direct_tls,
        tls_versions: TlsVersion::VARIANTS.to_vec(),
        declares_dialback: true,
        patience,
    }
}
