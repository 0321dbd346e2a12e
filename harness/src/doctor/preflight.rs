//! Starts, examines and stops a target; the cheap part runs before every run.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use simulated_partners::persona::{self, Persona};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::error::DoctorError;
use super::finding::{Blame, Check, Checked, Diagnosis, Finding, Severity};
use super::trials::{BARE, GOOD, UNKNOWN};
use super::{Depth, PublicDns, Subject, examine, port};
use crate::case::{AllowList, Case, Direction, Script, Set, Setting};
use crate::console::describe_policy;
use crate::lab::Lab;
use crate::oracle::Profile;
use crate::policy::PolicyNumber;
use crate::subject::{Pending, Placement, Running, StartError, Stop, Target};

/// Policies that show the most, best first; the others follow.
const TELLING: [u8; 4] = [7, 9, 8, 1];

/// How a target is examined.
#[derive(Clone, Debug)]
pub struct Preflight {
    /// The policy to configure; by default the most informative one that the target supports.
    pub row: Option<PolicyNumber>,
    /// How to interpret policies.
    pub profile: Profile,
    /// The seed of stream ids, dialback secrets and certificate serials.
    pub seed: u64,
    /// The time limit of each check.
    pub patience: Duration,
    /// How much to examine.
    pub depth: Depth,
    /// The name server for the target's records.
    pub public_dns: PublicDns,
    /// More information about it.
    pub extra: Extra,
}

/// Information from a target file beyond what a [`Target`] has.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// Its domain and address, if known before it is started.
    pub place: Option<(String, SocketAddr)>,
    /// Whether it must already be running: nothing here starts or configures it.
    pub runs_already: bool,
    /// A proxy's port for its gateway.
    pub inner: Option<SocketAddr>,
}

impl Extra {
    /// The error for a server that must already be running and is not.
    pub(super) async fn absent(&self, patience: Duration) -> Option<Finding> {
        let (_, address) = self.place.as_ref().filter(|_| self.runs_already)?;
        let connected = timeout(patience, TcpStream::connect(address)).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        Some(port::no_connection(*address, &connected.err()?).await)
    }
}

/// Starts a target, examines it and stops it. A failure to start is a finding.
///
/// # Errors
/// When there is no test network, or no policy to examine it with.
pub async fn preflight(
    target: &dyn Target,
    preflight: &Preflight,
) -> Result<Diagnosis, DoctorError> {
    let lab = target.lab(preflight.seed).map_err(DoctorError::Network)?;
    let diagnosis = diagnose(target, preflight, &lab).await;
    // A run that follows needs its address.
    lab.close().await;
    diagnosis
}

async fn diagnose(
    target: &dyn Target,
    preflight: &Preflight,
    lab: &Lab,
) -> Result<Diagnosis, DoctorError> {
    let (row, group) = placed(target, preflight.row)?;
    let cases = cases(row)?;
    let partners = partner_domains(target, row)?;
    if let Some(finding) = preflight.extra.absent(preflight.patience).await {
        return Ok(only(target, row, &preflight.extra, Check::Port, finding));
    }
    match target.start(lab, &group, &cases).await {
        Ok((running, stop)) => {
            let subject = subject(target, &running, lab, row, preflight.profile, &partners);
            let subject = Subject {
                public_dns: preflight.public_dns.clone(),
                inner: preflight.extra.inner,
                ..subject
            };
            let answering = running.inner.answering(&partners[..1]);
            let patience = preflight.patience;
            let mut diagnosis = match preflight.depth {
                Depth::Quick => twice(&subject, lab, patience).await,
                Depth::Full => examine(&subject, lab, Depth::Full, patience).await,
            };
            drop(answering);
            drop(running);
            if let Err(error) = stop().await {
                let finding = Finding::new(
                    Severity::Warning,
                    Blame::Configuration,
                    error.to_string(),
                    "run it by hand while the server runs",
                );
                let result = finding.into();
                let check = Check::Start;
                diagnosis.checks.insert(0, Checked { check, result });
            }
            Ok(diagnosis)
        }
        Err(error) => {
            let finding = Finding::new(
                Severity::Blocking,
                Blame::Configuration,
                error.to_string(),
                "start it by hand with the same configuration and read its log",
            );
            Ok(only(target, row, &preflight.extra, Check::Start, finding))
        }
    }
}

pub(super) fn subject(
    target: &dyn Target,
    running: &Running,
    lab: &Lab,
    row: PolicyNumber,
    profile: Profile,
    partners: &[String; 3],
) -> Subject {
    Subject {
        name: target.name(),
        domain: running.domain.clone(),
        address: running.address,
        direct_tls: running.direct_tls,
        inner: None,
        patience: running.patience,
        row: Some(row),
        profile,
        roots: lab.authority.roots(),
        public_dns: PublicDns::System { remote: false },
        partners: partners.clone(),
        listen: lab.partners,
    }
}

/// A diagnosis that ended after its first check.
fn only(
    target: &dyn Target,
    row: PolicyNumber,
    extra: &Extra,
    check: Check,
    finding: Finding,
) -> Diagnosis {
    Diagnosis {
        target: target.name(),
        domain: extra.place.as_ref().map(|(domain, _)| domain.clone()),
        address: extra.place.as_ref().map(|(_, address)| address.to_string()),
        policy: Some(format!("{row}: {}", describe_policy(&row.policy()))),
        partners: Vec::new(),
        checks: vec![Checked {
            check,
            result: finding.into(),
        }],
    }
}

/// A policy that the target supports, with the instance's name.
pub(super) fn placed(
    target: &dyn Target,
    wanted: Option<PolicyNumber>,
) -> Result<(PolicyNumber, String), DoctorError> {
    if let Some(policy) = wanted {
        return match target.place(&case(GOOD, policy)?) {
            Placement::Group(group) => Ok((policy, group)),
            Placement::Unsupported(why) => Err(DoctorError::Policy { policy, why }),
        };
    }
    let telling = TELLING.into_iter().filter_map(PolicyNumber::new);
    let mut why = String::new();
    for row in telling.chain(PolicyNumber::all().filter(|row| row.policy().valid())) {
        match target.place(&case(GOOD, row)?) {
            Placement::Group(group) => return Ok((row, group)),
            Placement::Unsupported(reason) => why = reason,
        }
    }
    Err(DoctorError::NoPolicy(why))
}

/// As whom the doctor comes: a partner with a good certificate, one with another, and one without TLS. Where
/// the target takes only some domains, it has to take these.
///
/// # Errors
/// When the partners cannot be made.
pub fn partner_domains(target: &dyn Target, row: PolicyNumber) -> Result<[String; 3], DoctorError> {
    let cases = cases(row)?;
    Ok(match target.allow_list() {
        AllowList::Any => cases.map(|case| case.domain()),
        AllowList::Below(parent) => cases.map(|case| case.domain_below(&parent)),
        AllowList::Only(listed) => {
            let one = |at: usize| listed.get(at).or_else(|| listed.first()).cloned();
            [one(0), one(1), one(2)].map(Option::unwrap_or_default)
        }
    })
}

fn cases(row: PolicyNumber) -> Result<[Case; 3], DoctorError> {
    Ok([case(GOOD, row)?, case(UNKNOWN, row)?, case(BARE, row)?])
}

/// A case for the doctor.
fn case(persona: &'static str, row: PolicyNumber) -> Result<Case, DoctorError> {
    let partner = persona::find(persona).ok_or(DoctorError::Persona(persona))?;
    Ok(case_of(persona, row, Arc::new(partner)))
}

/// A case of this name with a partner that dials.
pub(super) fn case_of(name: &str, row: PolicyNumber, partner: Arc<Persona>) -> Case {
    let direction = Direction::Inbound;
    Case {
        id: format!("doctor/{row}/{name}/inbound"),
        set: Set::Personas,
        row,
        script: Arc::new(Script::of_matrix(&partner, direction, Setting::Usual)),
        partner,
        direction,
    }
}

/// How much longer a second look takes than the first one.
const MORE: u32 = 3;

/// A target that is examined after each start, before any case: a run does not begin if a
/// finding makes it meaningless.
pub struct WithPreflight {
    target: Arc<dyn Target>,
    extra: Extra,
    profile: Profile,
    patience: Duration,
}

impl WithPreflight {
    /// Wraps a target with the cheap checks.
    pub fn new(
        target: Arc<dyn Target>,
        extra: Extra,
        profile: Profile,
        patience: Duration,
    ) -> Self {
        Self {
            target,
            extra,
            profile,
            patience,
        }
    }
}

/// Examines a target, and once more with more patience where silence would end a run before it begins: on a busy
/// machine, a server that has just been started may be late.
async fn twice(subject: &Subject, lab: &Lab, patience: Duration) -> Diagnosis {
    let began = Instant::now();
    let diagnosis = examine(subject, lab, Depth::Quick, patience).await;
    if diagnosis.blocking().is_none() || began.elapsed() < patience {
        return diagnosis;
    }
    examine(subject, lab, Depth::Quick, MORE * patience).await
}

/// Why a run does not begin, in one line.
pub fn refusal(check: Check, finding: &Finding, partners: &[String]) -> String {
    let came = match partners.first() {
        Some(partner) => format!(" (the partner came as {partner})"),
        None => String::new(),
    };
    format!(
        "{}: {}{came}; to do: {} (`s2spec doctor` says more, --no-doctor runs the cases anyway)",
        check, finding.what, finding.advice
    )
}

impl Target for WithPreflight {
    fn name(&self) -> String {
        self.target.name()
    }

    fn place(&self, case: &Case) -> Placement {
        self.target.place(case)
    }

    fn allow_list(&self) -> AllowList {
        self.target.allow_list()
    }

    fn partners_of(&self, case: &Case) -> Vec<String> {
        self.target.partners_of(case)
    }

    fn lab(&self, seed: u64) -> io::Result<Lab> {
        self.target.lab(seed)
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async move {
            if let Some(finding) = self.extra.absent(self.patience).await {
                return Err(StartError::Environment(refusal(Check::Port, &finding, &[])));
            }
            let (running, stop) = self.target.start(lab, group, cases).await?;
            let Some(first) = cases.iter().find(|case| case.row.policy().valid()) else {
                return Ok((running, stop));
            };
            let target = self.target.as_ref();
            let partners = partner_domains(target, first.row)
                .map_err(|error| StartError::Environment(error.to_string()))?;
            let subject = subject(target, &running, lab, first.row, self.profile, &partners);
            let diagnosis = twice(&subject, lab, self.patience).await;
            match diagnosis.blocking() {
                None => Ok((running, stop)),
                Some((check, finding)) => {
                    let why = refusal(check, finding, &diagnosis.partners);
                    drop(running);
                    Err(StartError::Environment(match stop().await {
                        Ok(()) => why,
                        Err(error) => format!("{why}; {error}"),
                    }))
                }
            }
        })
    }

    fn restart<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        self.target.restart(lab, group, cases)
    }
}
