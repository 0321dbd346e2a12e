//! The partners of a case: started, published in DNS, observed together.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use simulated_partners::driver::{CONNECTIONS, Partner, PartnerSetup, Place};
use simulated_partners::event::Event;
use simulated_partners::persona::{self, Persona, Tls};
use simulated_partners::pki::Identity;
use simulated_partners::tls::TlsOptions;

use super::case_run::CaseRun;
use super::error::CaseError;
use super::job::Bench;
use super::records;
use crate::case::Role;
use crate::lab::own_loopback;

/// The persona that is accepted whenever possible.
const BEST: &str = "modern";
/// The port of a partner that must be found without SRV records (RFC 6120 §3.2.2).
const DEFAULT_PORT: u16 = 5269;

/// A running partner.
pub(super) struct Started<'a> {
    pub(super) role: &'a Role,
    pub(super) partner: Partner,
    /// What it shows in handshakes.
    pub(super) identity: Option<Arc<Identity>>,
}

pub(super) async fn start(setup: PartnerSetup) -> Result<Partner, CaseError> {
    Partner::start(setup).await.map_err(CaseError::Listen)
}

/// The persona of partners that must be accepted.
pub(super) fn best() -> Result<Arc<Persona>, CaseError> {
    persona::find(BEST)
        .map(Arc::new)
        .ok_or(CaseError::Persona(BEST))
}

/// Starts a partner of a domain that must be accepted, and publishes it.
pub(super) async fn correct(
    bench: Bench<'_>,
    domain: &str,
    answers: bool,
) -> Result<Partner, CaseError> {
    let lab = bench.lab;
    let place = lab.place(domain, lab.partners).map_err(CaseError::Listen)?;
    lab.publish(domain, place.address())?;
    start(PartnerSetup {
        listen: place.address(),
        answers,
        ..setup(bench, domain, &best()?)
    })
    .await
}

/// A partner for a domain with a persona, which answers no requests.
pub(super) fn setup(bench: Bench<'_>, domain: &str, persona: &Arc<Persona>) -> PartnerSetup {
    let Bench { lab, target, .. } = bench;
    PartnerSetup {
        other_domains: target.second.iter().cloned().collect(),
        direct_tls: target.direct_tls,
        secret: format!("{domain}-{:016x}", bench.seed),
        patience: bench.deadlines.patience,
        insists: true,
        seed: bench.seed,
        listen: (lab.partners, 0).into(),
        ..PartnerSetup::new(
            &lab.authority,
            domain,
            Arc::clone(persona),
            &target.domain,
            target.address,
        )
    }
}

/// The address that a partner dials from, if not from any.
fn source_of(role: &Role, target: SocketAddr) -> Option<IpAddr> {
    let has_more = target.is_ipv4() && target.ip().is_loopback();
    (role.own_address && has_more).then(|| own_loopback().into())
}

impl CaseRun<'_> {
    /// Holds an address for every partner of the script, so that DNS can name them from the start.
    pub(super) fn take_places(&mut self) -> Result<(), CaseError> {
        let script = self.script;
        for role in &script.roles {
            let place = self.place_of(role).map_err(CaseError::Listen)?;
            self.names.listens(&role.name, place.address());
            self.places.push(place);
        }
        Ok(())
    }

    fn place_of(&self, role: &Role) -> io::Result<Arc<Place>> {
        let lab = self.bench.lab;
        if role.default_port {
            return Place::at((own_loopback(), DEFAULT_PORT).into()).map(Arc::new);
        }
        let address = if role.over_ipv6 {
            Ipv6Addr::LOCALHOST.into()
        } else {
            lab.partners
        };
        let domain = self.names.of_role(role);
        if role.serves {
            lab.place(&domain, address)
        } else {
            lab.place(&format!("{}/{domain}", role.name), address)
        }
    }

    /// Where partners of the case's own domain listen.
    pub(super) fn own_places(&self) -> Vec<SocketAddr> {
        let roles = self.script.roles.iter().zip(&self.places);
        roles
            .filter(|(role, _)| self.names.of_role(role) == self.main_domain())
            .map(|(_, place)| place.address())
            .collect()
    }

    /// Starts every partner of the script.
    pub(super) async fn start_partners(&mut self) -> Result<(), CaseError> {
        let script = self.script;
        for (at, role) in script.roles.iter().enumerate() {
            let domain = self.names.of_role(role);
            let listen = self.places[at].address();
            let setup = self.setup_of(role, &domain)?;
            let identity = setup.identity.clone();
            let partner = start(PartnerSetup { listen, ..setup }).await?;
            self.partners.push(Started {
                role,
                partner,
                identity,
            });
        }
        Ok(())
    }

    fn setup_of(&self, role: &Role, domain: &str) -> Result<PartnerSetup, CaseError> {
        let plain = setup(self.bench, domain, &role.persona);
        let fill = |text: &str| self.names.fill(text, domain, &self.board);
        let identity = match &role.certificate {
            None => plain.identity.clone(),
            Some(spec) => {
                let made = self.bench.lab.authority.issue_from(spec, &fill);
                Some(made.map_err(|error| CaseError::Certificate {
                    role: role.name.to_string(),
                    why: error.to_string(),
                })?)
            }
        };
        let target_domain = self.names.of_target(role);
        let others = self.names.targets().filter(|one| *one != target_domain);
        let target = match role.other_member {
            true => self.bench.target.other_member.unwrap_or(plain.target),
            false => plain.target,
        };
        Ok(PartnerSetup {
            target,
            source: source_of(role, target),
            other_domains: others.map(str::to_owned).collect(),
            target_domain,
            identity,
            tls: TlsOptions {
                server_name: role.handshake.server_name.as_deref().map(fill),
                ..role.handshake.clone()
            },
            connections: CONNECTIONS + usize::from(role.times),
            insists: role.insists,
            answers: role.answers || (self.awaits_answer() && !self.is_inbound()),
            patience: role.patience.map_or(plain.patience, |ms| {
                self.bench.stretch * Duration::from_millis(ms.into())
            }),
            accepts: role.accepts.clone(),
            board: self.board.clone(),
            values: Arc::new(self.names.values(domain)),
            capture: self.capture.clone(),
            ..plain
        })
    }

    /// Sets the records that apply from the start.
    pub(super) fn publish(&mut self) -> Result<(), CaseError> {
        let script = self.script;
        let lab = self.bench.lab;
        let roles = || script.roles.iter().zip(&self.places);
        if !script.dns.is_empty() {
            for (role, place) in roles() {
                let host = format!("{}-host.{}", role.name, self.names.domain());
                let host = lab.host(&host, place.address().ip())?;
                self.names.is_hosted(&role.name, host);
            }
            // A port of its own at an address of the partners may be any partner's.
            let host = format!("target-host.{}", self.names.domain());
            let host = lab.host(&host, self.bench.target.address.ip())?;
            self.names.is_hosted(&Arc::from("target"), host);
        }
        for (role, place) in roles().filter(|(role, _)| role.serves) {
            let domain = self.names.of_role(role);
            // An invalid domain is part of the script.
            let _ = match role.persona.offer.tls {
                Tls::Direct => lab.publish_direct(&domain, place.address()),
                _ => lab.publish(&domain, place.address()),
            };
        }
        for at in 0..self.script.dns.len() {
            if self.script.dns[at].when.is_none() {
                self.set_records(at)?;
            }
        }
        Ok(())
    }

    pub(super) fn set_records(&self, at: usize) -> Result<(), CaseError> {
        records::set(
            &self.script.dns[at],
            self.bench.lab.dns.records(),
            &self.fill(),
            &|name| {
                self.names
                    .port(name)
                    .or_else(|| (name == "target").then(|| self.bench.target.address.port()))
            },
        )?;
        Ok(())
    }
}

/// The next event of any partner; cancel-safe.
pub(super) async fn next_event(partners: &mut [Started<'_>]) -> (usize, Event) {
    poll_fn(|context| {
        for (at, one) in partners.iter_mut().enumerate() {
            if let Poll::Ready(Some(event)) = pin!(one.partner.next_event()).poll(context) {
                return Poll::Ready((at, event));
            }
        }
        Poll::Pending
    })
    .await
}

/// An event that is available without waiting.
pub(super) fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    // Tokio makes a busy task wait now and then, even for what is there.
    match pin!(tokio::task::unconstrained(future)).poll(&mut context) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
