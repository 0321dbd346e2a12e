//! A server started by the test itself.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustls::RootCertStore;
use simulated_partners::inner::{Inner, InnerError, component, gateway};
use simulated_partners::persona::{Certificate, Key};
use simulated_partners::pki::Identity;

use crate::case::Case;
use crate::cause::with_causes;
use crate::lab::Lab;
use crate::policy::Policy;
use crate::subject::inner_side::InnerSide;
use crate::subject::{
    Hidden, Inside, Pending, Placement, Running, StartError, Stop, Target, Trigger,
};

/// The time limit for starting and for stopping an instance.
const BOUND: Duration = Duration::from_secs(60);

/// Another project's server, started and stopped by its own tests.
///
/// One value represents the server; [`start`](InProcess::start) is called once for each instance that
/// the selected cases need, when the first of them runs. Everything happens on a multi-threaded
/// tokio runtime. Child processes work as well as tasks: keep the child with
/// [`Instance::keeping`] and have it killed on drop.
pub trait InProcess: Send + Sync + 'static {
    /// Name and version, as shown in reports.
    fn name(&self) -> String;

    /// The instance that a case runs on: by default one for each policy. Cases with the same name share
    /// an instance; for a policy that the server cannot be configured for, return
    /// [`Placement::Unsupported`], with the reason.
    ///
    /// A case for which [`Case::waits`] holds ends only with the server's own timeouts. These must be
    /// below ten seconds, or at least on the instance for those cases.
    fn place(&self, case: &Case) -> Placement {
        Placement::Group(case.row.label())
    }

    /// Starts an instance for these cases. Everything it needs is in `setup`: DNS, the
    /// authority, the partners' domains. It may take a minute.
    ///
    /// # Errors
    /// [`StartError::ConfigRefused`] if the server rejected the policy, which is an
    /// outcome of the cases; [`StartError::Environment`] for everything else, which fails them.
    fn start(&self, setup: Setup<'_>) -> impl Future<Output = Result<Instance, StartError>> + Send;
}

/// The input for starting an instance.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    lab: &'a Lab,
    name: &'a str,
    cases: &'a [Case],
}

impl<'a> Setup<'a> {
    /// The instance's name, from [`InProcess::place`].
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The policy to configure. If cases with several policies share the instance, it is that of the
    /// first; then [`Setup::partners`] has the others.
    pub fn policy(&self) -> Policy {
        let first = self.cases.first();
        first
            .expect("an instance is started for a case")
            .row
            .policy()
    }

    /// The partners' domains, each once and with its policy: for servers configured per
    /// domain, or that federate only with listed domains.
    pub fn partners(&self) -> impl Iterator<Item = (String, Policy)> + use<> {
        let partners: BTreeMap<String, Policy> = self
            .cases
            .iter()
            .flat_map(|case| {
                let domains = case.domains().into_iter();
                domains.map(|domain| (domain, case.row.policy()))
            })
            .collect();
        partners.into_iter()
    }

    /// The cases themselves.
    pub fn cases(&self) -> &'a [Case] {
        self.cases
    }

    /// The only DNS server to use, over UDP and TCP. It knows only the names of the
    /// partners.
    pub fn dns(&self) -> SocketAddr {
        self.lab.dns.address()
    }

    /// The only authority to trust, as PEM.
    pub fn ca_pem(&self) -> String {
        self.lab.authority.root_pem()
    }

    /// The same authority as a rustls trust store.
    pub fn roots(&self) -> Arc<RootCertStore> {
        self.lab.authority.roots()
    }

    /// A certificate for the server that all partners trust, valid for both roles in TLS: the chain and
    /// the key as PEM.
    pub fn certificate(&self, domains: &[&str]) -> (String, String) {
        let identity = self.identity(domains);
        (identity.chain_pem(), identity.key_pem())
    }

    /// The same in rustls types.
    pub fn identity(&self, domains: &[&str]) -> Arc<Identity> {
        self.lab
            .authority
            .issue(domains, Certificate::Good, Key::P256)
            .expect("a good certificate can always be issued")
    }

    /// A number to derive secrets and ids from, the same in each run.
    pub fn seed(&self) -> u64 {
        self.lab.seed
    }
}

/// A running instance.
pub struct Instance {
    domain: String,
    address: SocketAddr,
    inner: Option<InnerLink>,
    stop: Option<Pending<'static, ()>>,
    kept: Vec<Box<dyn Any + Send>>,
}

enum InnerLink {
    Component {
        address: SocketAddr,
        domain: String,
        secret: String,
    },
    Gateway {
        address: SocketAddr,
        name: String,
    },
}

impl Instance {
    /// A server for this domain that accepts streams from other servers at this address, with STARTTLS.
    ///
    /// Nothing else is required: a ping to the domain, which the server has to answer, makes it dial.
    /// With [`Instance::component`] or [`Instance::gateway`] more can be observed, and policies that accept
    /// no partner can be tested in both directions.
    pub fn at(domain: impl Into<String>, address: SocketAddr) -> Self {
        Self {
            domain: domain.into(),
            address,
            inner: None,
            stop: None,
            kept: Vec::new(),
        }
    }

    /// The server has a port for components (XEP-0114). Stanzas are then sent and received as this component,
    /// below the server's domain.
    #[must_use]
    pub fn component(
        mut self,
        address: SocketAddr,
        domain: impl Into<String>,
        secret: impl Into<String>,
    ) -> Self {
        self.inner = Some(InnerLink::Component {
            address,
            domain: domain.into(),
            secret: secret.into(),
        });
        self
    }

    /// The server is a proxy, and this is its listener for the gateway behind it: direct TLS with
    /// certificates on both sides, then a stream of `jabber:server` in its domain. `name` is the name in the
    /// gateway's certificate. A stanza from there to a domain without a partner must be
    /// returned at once.
    #[must_use]
    pub fn gateway(mut self, address: SocketAddr, name: impl Into<String>) -> Self {
        self.inner = Some(InnerLink::Gateway {
            address,
            name: name.into(),
        });
        self
    }

    /// How to stop it after its last case. It may take a minute.
    #[must_use]
    pub fn stopped_by(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        self.stop = Some(Box::pin(stop));
        self
    }

    /// Keeps a value until the instance has stopped, then drops it: a server that stops when
    /// dropped, a child process, a temporary folder. Values are dropped in reverse order.
    #[must_use]
    pub fn keeping(mut self, value: impl Send + 'static) -> Self {
        self.kept.push(Box::new(value));
        self
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("domain", &self.domain)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The server as a target.
pub(super) fn target(server: impl InProcess) -> Arc<dyn Target> {
    Arc::new(Adapted(server))
}

struct Adapted<T>(T);

impl<T: InProcess> Target for Adapted<T> {
    fn name(&self) -> String {
        self.0.name()
    }

    fn place(&self, case: &Case) -> Placement {
        let lacking = crate::subject::lacking(case, &crate::subject::ANYWHERE);
        lacking.unwrap_or_else(|| self.0.place(case))
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async move {
            let setup = Setup {
                lab,
                name: group,
                cases,
            };
            let instance = tokio::time::timeout(BOUND, whole(self.0.start(setup)))
                .await
                .map_err(|_| late("its start", BOUND))?
                .map_err(|panic| environment(format!("its start panicked: {panic}")))??;
            running(lab, instance).await
        })
    }
}

async fn running(lab: &Lab, instance: Instance) -> Result<(Running, Stop), StartError> {
    let Instance {
        domain,
        address,
        inner,
        stop,
        mut kept,
    } = instance;
    let linked = tokio::time::timeout(BOUND, link(lab, &domain, inner.as_ref())).await;
    let mut linked = linked.unwrap_or_else(|_| Err(late("the link to its inner side", BOUND)));
    if let Ok((Inside::Linked(inner), _)) = &linked
        && let Err(error) = answers(inner).await
    {
        linked = Err(error);
    }
    let stop: Stop = Box::new(move || {
        Box::pin(async move {
            if let Some(stop) = stop {
                // A stop that hangs or panics is abandoned here; the process is about to end.
                let _ = tokio::time::timeout(BOUND, whole(stop)).await;
            }
            while kept.pop().is_some() {}
            Ok(())
        })
    });
    match linked {
        Ok((inner, component)) => Ok((
            Running {
                second: component.as_ref().map(|_| domain.clone()),
                ..Running::new(component.unwrap_or(domain), address, inner)
            },
            stop,
        )),
        Err(error) => {
            // It has no command that could fail.
            let _ = stop().await;
            Err(error)
        }
    }
}

/// Connects to the inner side. Returns the component's domain if it is one.
async fn link(
    lab: &Lab,
    domain: &str,
    inner: Option<&InnerLink>,
) -> Result<(Inside, Option<String>), StartError> {
    match inner {
        Some(InnerLink::Component {
            address,
            domain: component,
            secret,
        }) => {
            let link = component::connect(*address, component, secret).await;
            let link = opened(link, "port for components", *address)?;
            let side = InnerSide::new(link, &format!("barrier@{component}"), domain);
            Ok((side.into(), Some(component.clone())))
        }
        Some(InnerLink::Gateway { address, name }) => {
            let identity = lab
                .authority
                .issue(&[name], Certificate::Good, Key::P256)
                .ok_or_else(|| environment(format!("no certificate could be made for {name}")))?;
            let roots = lab.authority.roots();
            let link = gateway::connect(*address, domain, &identity, &roots, domain).await;
            let link = opened(link, "listener for the gateway", *address)?;
            let barrier = format!("barrier@{domain}");
            let side = InnerSide::new(link, &barrier, "nobody@unlisted.example");
            Ok((side.into(), None))
        }
        None => Ok((Inside::Hidden(Hidden::new(Trigger::Reply)), None)),
    }
}

/// Some servers report a link as open a moment before it accepts stanzas.
async fn answers(inner: &InnerSide) -> Result<(), StartError> {
    tokio::select! {
        () = inner.barrier(|_| false) => match inner.is_mute() {
            false => Ok(()),
            true => Err(environment(format!(
                "{}; without it a refusal cannot be distinguished from a delay",
                inner.muteness()
            ))),
        },
        lost = inner.lost() => Err(environment(format!(
            "the link to its inner side: {}",
            lost.why
        ))),
    }
}

fn opened(
    link: Result<Inner, InnerError>,
    what: &str,
    address: SocketAddr,
) -> Result<Inner, StartError> {
    link.map_err(|error| {
        let why = with_causes(&error);
        environment(format!("its {what} at {address}: {why}"))
    })
}

fn environment(why: String) -> StartError {
    StartError::Environment(why)
}

fn late(what: &str, bound: Duration) -> StartError {
    environment(format!("{what} took more than {} s", bound.as_secs()))
}

/// A future that turns a panic into a value, so that cases waiting for it do not repeat it.
async fn whole<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    poll_fn(
        move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(panic) => Poll::Ready(Err(panic_text(panic.as_ref()))),
        },
    )
    .await
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "with no text".to_owned())
}
