//! What a running target is like, as a persona: what it offers and does, as far as a fixed set of probes
//! shows it.
//!
//! [`learn`] looks and lets partners meet the target, [`portrait`] makes a persona of what was seen.

mod certificate;
mod conduct;
mod portrait;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use simulated_partners::persona::{Certificate, Key, Offer, Persona, Tls, TlsVersion};
use simulated_partners::probe::{self, Probe, ProbeReport};
use strum::VariantArray as _;

use super::error::{DoctorError, TrialError};
use super::preflight::{Preflight, case_of, placed, subject};
use super::trial_connection::{self, Trial, TrialConnection, Until};
use super::{Subject, look};
use crate::case::AllowList;
use crate::lab::Lab;
use crate::policy::Policy;
use crate::subject::Target;

/// A persona, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Its name and title are those of the target.
    pub persona: Persona,
    /// What it does as a receiving entity, in sentences.
    pub receiving: Vec<String>,
    /// What it does as an initiating entity.
    pub initiating: Vec<String>,
    /// What could not be seen, and why.
    pub unseen: Vec<String>,
}

/// Everything that was seen.
struct Sight {
    domain: String,
    address: SocketAddr,
    /// As a correct partner with a good certificate.
    usual: ProbeReport,
    /// The same with one version of TLS.
    versions: Vec<(TlsVersion, ProbeReport)>,
    /// As a partner whose certificate comes from an authority that nobody knows.
    stranger: ProbeReport,
    /// As a partner whose header does not declare the namespace of dialback.
    bare: ProbeReport,
    /// By direct TLS, where its address is known.
    direct: Option<(SocketAddr, ProbeReport)>,
    certificate: Option<certificate::Shown>,
    meetings: Meetings<Result<TrialConnection, TrialError>>,
}

/// How partners meet the target.
struct Meetings<T> {
    /// A partner with all methods.
    all: T,
    /// One that has no method but dialback over TLS.
    dialback: T,
    /// One with all methods, which has no TLS where it is dialled.
    clear_when_dialled: T,
    /// One with all methods, which uses no TLS where it dials.
    clear_when_dialling: T,
    /// One with all methods, and a certificate from an authority that nobody knows.
    stranger: T,
}

/// The partner of a meeting where it dials, and where it is dialled.
struct Pair {
    name: &'static str,
    dials: Persona,
    listens: Persona,
}

impl Meetings<Pair> {
    fn new() -> Self {
        let best = Policy::from(&offer(Tls::Offered, true)).as_offer();
        let persona = |offer: Offer| Persona::correct("trial", "a partner to learn from", offer);
        let same = |name, offer: Offer| Pair {
            name,
            dials: persona(offer.clone()),
            listens: persona(offer),
        };
        let clear = offer(Tls::None, false);
        Self {
            all: same("all", best.clone()),
            dialback: same("dialback", offer(Tls::Offered, false)),
            clear_when_dialled: Pair {
                name: "clear-dialled",
                dials: persona(best.clone()),
                listens: persona(clear.clone()),
            },
            clear_when_dialling: Pair {
                name: "clear-dialling",
                dials: persona(clear),
                listens: persona(best.clone()),
            },
            stranger: same(
                "stranger",
                Offer {
                    certificate: Certificate::UnknownCa,
                    ..best
                },
            ),
        }
    }

    fn all(&self) -> [&Pair; 5] {
        [
            &self.all,
            &self.dialback,
            &self.clear_when_dialled,
            &self.clear_when_dialling,
            &self.stranger,
        ]
    }
}

fn offer(tls: Tls, external: bool) -> Offer {
    Offer {
        tls,
        external,
        external_on_plaintext: false,
        dialback: true,
        insists_on_db_namespace: false,
        needs_external: false,
        certificate: Certificate::Good,
        key: Key::P256,
        tls_versions: TlsVersion::VARIANTS.to_vec(),
    }
}

/// Starts a target if it has to be started, learns what it is like, and stops it.
///
/// # Errors
/// When it does not run, or does not answer a stream header of a correct partner.
pub async fn learn(target: &dyn Target, how: &Preflight) -> Result<Learned, DoctorError> {
    let lab = target.lab(how.seed).map_err(DoctorError::Network)?;
    let learned = of_running(target, how, &lab).await;
    // A run that follows needs its address.
    lab.close().await;
    learned
}

async fn of_running(
    target: &dyn Target,
    how: &Preflight,
    lab: &Lab,
) -> Result<Learned, DoctorError> {
    let (row, group) = placed(target, how.row)?;
    let pairs = Meetings::new();
    let cases = pairs.all().map(|pair| {
        let partner = Arc::new(pair.dials.clone());
        case_of(&format!("learn-{}", pair.name), row, partner)
    });
    let allowed = target.allow_list();
    let domains = domains(&allowed, &cases.each_ref().map(|case| case.domain()));
    if let Some(finding) = how.extra.absent(how.patience).await {
        return Err(DoctorError::Absent(finding.what));
    }
    let (running, stop) = target
        .start(lab, &group, &cases)
        .await
        .map_err(DoctorError::Start)?;
    let [first, second, ..] = &domains;
    let partners = [first, second, second].map(Clone::clone);
    let subject = subject(target, &running, lab, row, how.profile, &partners);
    let answering = running.inner.answering(&domains);
    let sight = see(&subject, lab, pairs, &domains, how.patience).await;
    drop(answering);
    drop(running);
    // What was learned does not depend on how it ends.
    let _ = stop().await;
    portrait::learned(&target.name(), &sight)
}

/// The domains of the partners. The target may take only some.
fn domains(allowed: &AllowList, own: &[String; 5]) -> [String; 5] {
    let all: Vec<String> = match allowed {
        AllowList::Any => own.to_vec(),
        AllowList::Below(parent) => own.iter().map(|name| below(name, parent)).collect(),
        AllowList::Only(listed) => listed.iter().cycle().take(own.len()).cloned().collect(),
    };
    all.try_into().unwrap_or_else(|_| own.clone())
}

/// The name in place of its reserved domain.
fn below(name: &str, parent: &str) -> String {
    let kept = name.rsplit_once('.').map_or(name, |(kept, _)| kept);
    format!("{kept}.{parent}")
}

async fn see(
    subject: &Subject,
    lab: &Lab,
    pairs: Meetings<Pair>,
    domains: &[String; 5],
    patience: Duration,
) -> Sight {
    let usual = look(subject, lab, subject.address, false, patience);
    let from = &subject.partners[0];
    let one_version = |version: TlsVersion| Probe {
        tls_versions: vec![version],
        ..usual.clone()
    };
    let stranger = Probe {
        identity: lab
            .authority
            .issue(&[from], Certificate::UnknownCa, Key::P256),
        ..usual.clone()
    };
    let bare = Probe {
        declares_dialback: false,
        ..usual.clone()
    };
    let direct = match subject.direct_tls {
        Some(address) => {
            let what = look(subject, lab, address, true, patience);
            Some((address, probe::look(&what).await))
        }
        None => None,
    };
    let mut versions = Vec::new();
    for version in TlsVersion::VARIANTS {
        versions.push((*version, probe::look(&one_version(*version)).await));
    }
    let usual = probe::look(&usual).await;
    let chain = usual.secured().or_else(|| direct.as_ref()?.1.secured());
    let chain = chain.map(|secured| secured.chain.clone());
    Sight {
        domain: subject.domain.clone(),
        address: subject.address,
        versions,
        stranger: probe::look(&stranger).await,
        bare: probe::look(&bare).await,
        direct,
        certificate: chain.and_then(|chain| certificate::shown(&chain, subject, lab)),
        meetings: meet(subject, lab, pairs, domains, patience).await,
        usual,
    }
}

/// Lets all partners meet the target, side by side if each has a domain of its own.
async fn meet(
    subject: &Subject,
    lab: &Lab,
    pairs: Meetings<Pair>,
    domains: &[String; 5],
    patience: Duration,
) -> Meetings<Result<TrialConnection, TrialError>> {
    let one = |pair: usize| {
        let Pair { dials, listens, .. } = pairs.all()[pair];
        let trial = Trial {
            domain: &domains[pair],
            dials,
            listens,
            until: Until::Dialled,
        };
        trial_connection::open(subject, lab, trial, patience)
    };
    let shared = domains[1..].contains(&domains[0]);
    let (all, dialback, clear_when_dialled, clear_when_dialling, stranger) = match shared {
        true => (
            one(0).await,
            one(1).await,
            one(2).await,
            one(3).await,
            one(4).await,
        ),
        false => tokio::join!(one(0), one(1), one(2), one(3), one(4)),
    };
    Meetings {
        all,
        dialback,
        clear_when_dialled,
        clear_when_dialling,
        stranger,
    }
}
