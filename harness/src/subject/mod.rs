//! Servers under test. The runner knows them by [`Target`] alone.

pub mod built_in;
mod call;
pub mod inner_side;
mod inside;
#[cfg(feature = "program")]
pub(crate) mod own_process;
pub mod port;
mod process;
#[cfg(feature = "program")]
pub mod reference;
pub mod remote;
mod server;
pub(crate) mod template;
mod traces;
mod warden;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;

use crate::case::{AllowList, Case, Need, What};
use crate::lab::Lab;
pub use call::{Call, CallError, UNSUPPORTED};
pub use inside::{Hidden, Inside, Trigger};
pub use process::{Words, end_all};
pub use traces::Traces;

/// A boxed future, so that targets can be chosen at run time.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A kind of server that can be put under test.
pub trait Target: Send + Sync {
    /// Name and version, as reports show it.
    fn name(&self) -> String;

    /// Which instance a case belongs to. Cases of one group share a running instance.
    fn place(&self, case: &Case) -> Placement;

    /// The domains that it takes partners from.
    fn allow_list(&self) -> AllowList {
        AllowList::Any
    }

    /// The domains that partners of a case may have.
    fn partners_of(&self, case: &Case) -> Vec<String> {
        case.domains()
    }

    /// Opens the test network that the target can be run in.
    ///
    /// # Errors
    /// When an address or a file of it cannot be had.
    fn lab(&self, seed: u64) -> io::Result<Lab> {
        Lab::open(seed)
    }

    /// Starts the instance for a group.
    ///
    /// # Errors
    /// See [`StartError`].
    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>>;

    /// Starts it again, after a case took the last instance down.
    ///
    /// # Errors
    /// See [`StartError`].
    fn restart<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        self.start(lab, group, cases)
    }
}

/// Where a case runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// On the instance with this name.
    Group(String),
    /// Nowhere: the target cannot be set so, for this reason.
    Unsupported(String),
}

/// What may be there with any server: it shows once an instance runs.
pub(crate) const ANYWHERE: [Need; 4] = [
    Need::SecondDomain,
    Need::InnerSide,
    Need::DirectTlsPort,
    Need::Pool,
];

/// The name of a group, apart from others where the case wants an instance of its own.
pub(crate) fn apart(case: &Case, group: String) -> String {
    match case.scenario() {
        Some(scenario) if case.script.alone => {
            format!("{group}-{}", scenario.file.replace('/', "-"))
        }
        _ => group,
    }
}

/// Where a case does not run because of what it needs of the target.
pub(crate) fn lacking(case: &Case, abilities: &[Need]) -> Option<Placement> {
    if let Some(why) = &case.script.unfit {
        return Some(Placement::Unsupported(why.clone()));
    }
    let lacks = |need: &&Need| !abilities.contains(need);
    let need = case.script.needs.iter().find(lacks)?;
    Some(Placement::Unsupported(need.lacking().to_owned()))
}

/// Why an instance does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The target looked at its configuration and refused it: the outcome of its cases.
    #[error("the configuration was refused: {0}")]
    ConfigRefused(String),
    /// The target cannot be set so after all, for this reason.
    #[error("{0}")]
    Unsupported(String),
    /// Something else is in the way: a port, a missing program, a crash.
    #[error("{0}")]
    Environment(String),
}

/// An instance that runs.
pub struct Running {
    /// The domain that it serves.
    pub domain: String,
    /// Another domain that it serves, where it does.
    pub second: Option<String>,
    /// What its dialback keys are made from, where that is known and they are made as XEP-0185 says.
    pub secret: Option<String>,
    /// Where it takes streams from other servers.
    pub address: SocketAddr,
    /// Where the second member of its pool takes them, if it has one.
    pub other_member: Option<SocketAddr>,
    /// Where it takes them with TLS from the first byte, if it does.
    pub direct_tls: Option<SocketAddr>,
    /// Its other side, as far as there is a way to it.
    pub inner: Inside,
    /// How long at most it waits for a partner that is silent, where that is known.
    pub patience: Option<Duration>,
    /// Tells when its process has ended, and how; none where it was not started from here.
    pub process: Option<watch::Receiver<Option<String>>>,
    /// Whether it runs in this process.
    pub is_inside: bool,
    /// Its clock, if that is moved from here.
    pub clock: Option<Clock>,
    /// Its configuration and its log.
    pub traces: Traces,
    /// Who changes it while a case runs, if that can be done from here.
    pub administrator: Option<Administrator>,
}

impl Running {
    /// One of which nothing else is known.
    pub fn new(domain: impl Into<String>, address: SocketAddr, inner: Inside) -> Self {
        Self {
            domain: domain.into(),
            second: None,
            secret: None,
            address,
            other_member: None,
            direct_tls: None,
            inner,
            patience: None,
            process: None,
            is_inside: false,
            clock: None,
            traces: Traces::default(),
            administrator: None,
        }
    }

    /// What of these it cannot do, as far as it shows once the instance runs.
    pub fn lacks(&self, needs: &[Need]) -> Option<Need> {
        needs.iter().copied().find(|need| match need {
            Need::SecondDomain => self.second.is_none(),
            Need::KnownSecret => self.secret.is_none(),
            Need::InnerSide => !matches!(self.inner, Inside::Linked(_)),
            Need::DirectTlsPort => self.direct_tls.is_none(),
            Need::Pool => self.other_member.is_none(),
            // Told before it is started, by what kind of target it is.
            Need::SecondSender
            | Need::BreakableLink
            | Need::SharedCertificate
            | Need::ShortTimeouts
            | Need::Bidi
            | Need::StreamManagement
            | Need::DirectTls
            | Need::StrictCertificates
            | Need::LabAddresses
            | Need::Settings => false,
        })
    }
}

/// A clock that is moved from here, and stands still else.
pub struct Clock {
    /// Changes when the target has come to rest, so that only time can make it do something.
    pub rests: watch::Receiver<()>,
    /// How often a task of the target has had its turn so far, if none has it now, or is about to. The
    /// argument tells whether a question to DNS may wait.
    pub at_rest: Box<dyn Fn(bool) -> Option<u64> + Send + Sync>,
    /// Moves it to the next moment that the target waits for, but at most so far. Returns by how much, if
    /// anything waits.
    pub advance: Box<dyn Fn(Duration) -> Option<Duration> + Send + Sync>,
}

/// Changes a running target, or says why that cannot be done.
pub type Administrator =
    Box<dyn for<'a> Fn(&'a What) -> Pending<'a, Result<(), String>> + Send + Sync>;

/// Ends an instance in order, within a bounded time. Fails where a command for that does.
pub type Stop = Box<dyn FnOnce() -> Pending<'static, Result<(), CallError>> + Send>;
