//! The embedded proxy as a target: started, addressed and stopped in this room, and touched nowhere else.

mod administrator;
mod behind;
mod configuration;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reference_proxy::config::Config;
use reference_proxy::{Clock, Proxy};
use simulated_partners::inner::gateway;
use simulated_partners::persona::{Certificate, Key};
use simulated_partners::pki::Identity;
use tokio::sync::Mutex;

use super::inner_side::{InnerSide, NOBODY};
use super::{Pending, Placement, Running, StartError, Stop, Target, Traces};
use crate::case::{Case, Need, Setting};
use crate::lab::Lab;
use administrator::{Parts, administrator};
use behind::Behind;
use configuration::Configuration;

const DOMAIN: &str = "contoso.example";
const SECOND: &str = "chat.contoso.example";
const GATEWAY: &str = "gateway.contoso.example";

/// What it can do of what scenarios need.
const ABILITIES: [Need; 15] = [
    Need::Bidi,
    Need::BreakableLink,
    Need::DirectTls,
    Need::DirectTlsPort,
    Need::SecondDomain,
    Need::SecondSender,
    Need::ShortTimeouts,
    Need::InnerSide,
    Need::KnownSecret,
    Need::Pool,
    Need::Settings,
    Need::SharedCertificate,
    Need::StreamManagement,
    Need::StrictCertificates,
    Need::LabAddresses,
];

/// Where the clock is moved, by the case that has the proxy to itself.
const TIMED: &str = "timed-";
/// Where the link to the inner side may break.
const LINK: &str = "link-";
/// Where one certificate is for both domains.
const SHARED: &str = "shared-certificate";
/// Where an administrator sets it for one case.
const SET: &str = "set-";
/// Where there are two of it.
const POOL: &str = "pool";
/// Where TLS may come first, and is looked for in DNS.
const DIRECT: &str = "direct";

fn needs_direct_tls(case: &Case) -> bool {
    let direct = |need: &Need| matches!(need, Need::DirectTls | Need::DirectTlsPort);
    case.script.needs.iter().any(direct)
}

fn shares_certificate(case: &Case) -> bool {
    case.script.needs.contains(&Need::SharedCertificate)
}

/// The proxy of the crate `reference-proxy`, in this process.
pub struct Reference {
    /// Whether it refuses TLS with any certificate that it cannot verify.
    pub strict_certificates: bool,
}

impl Target for Reference {
    fn name(&self) -> String {
        format!("reference-proxy {}", env!("CARGO_PKG_VERSION"))
    }

    fn place(&self, case: &Case) -> Placement {
        if let Some(lacking) = super::lacking(case, &ABILITIES) {
            return lacking;
        }
        Placement::Group(if case.waits() {
            // Time that passes for one case must not pass for another.
            format!("{TIMED}{}", case.id)
        } else if case.administration().is_some() {
            format!("{SET}{}", case.id)
        } else if !case.row.policy().valid() {
            format!("invalid-{}", case.row.label())
        } else if case.script.setting == Setting::StrictCertificates {
            "strict".to_owned()
        } else if case.script.needs.contains(&Need::BreakableLink) {
            format!("{LINK}{}", case.id)
        } else if case.script.needs.contains(&Need::Pool) {
            POOL.to_owned()
        } else if shares_certificate(case) {
            SHARED.to_owned()
        } else if needs_direct_tls(case) {
            DIRECT.to_owned()
        } else {
            "patient".to_owned()
        })
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(self.launch(lab, group, cases))
    }
}

impl Reference {
    async fn launch(
        &self,
        lab: &Lab,
        group: &str,
        cases: &[Case],
    ) -> Result<(Running, Stop), StartError> {
        let names = [DOMAIN, SECOND];
        let shared = cases.iter().any(shares_certificate);
        let side = identity(lab, if shared { &names } else { &names[..1] })?;
        let second = match shared {
            true => None,
            false => Some(identity(lab, &names[1..])?),
        };
        let gateway = identity(lab, &[GATEWAY])?;
        let strict = self.strict_certificates || group == "strict";
        let configuration = Configuration::new(lab, strict, cases, &side, second.as_deref());
        let administered = cases
            .iter()
            .find_map(|case| Some((case, case.administration()?)));
        let settings = administered.map(|(_, one)| &one.settings);
        let clock = match group.starts_with(TIMED) {
            true => Clock::by_hand(),
            false => Clock::default(),
        };
        let is_pool = group == POOL || administered.is_some_and(|(_, one)| one.is_pool);
        let text = configuration.text(settings);
        let mut proxies = Vec::new();
        for _ in 0..=u8::from(is_pool) {
            proxies.push(started(&text, &clock)?);
        }
        let inside: Vec<_> = proxies.iter().map(Proxy::internal_address).collect();
        let mut behind = None;
        let (gateway, inner) = match (administered, settings.filter(|one| one.users.is_some())) {
            (Some((case, _)), Some(settings)) => {
                let users = Behind::new(lab, &gateway, inside, case);
                let (gateway, inner) = users.start(settings, &clock).await?;
                behind = Some(users);
                (Some(gateway), inner)
            }
            _ => {
                // In its own name, so that it gets the stanzas of both domains.
                let roots = lab.authority.roots();
                let link = gateway::connect(inside[0], DOMAIN, &gateway, &roots, GATEWAY);
                let link = link.await.map_err(|error| {
                    StartError::Environment(format!("the proxy's inner side: {error}"))
                })?;
                (
                    None,
                    InnerSide::new(link, &format!("barrier@{DOMAIN}"), NOBODY),
                )
            }
        };
        let address = proxies[0].external_address();
        let other_member = proxies.get(1).map(Proxy::external_address);
        let clock = by_runner(&clock);
        let moved = clock.is_some();
        let (text, partners) = configuration.parts(settings);
        let written = BTreeMap::from([("proxy.toml".to_owned(), text)]);
        let parts = Parts {
            proxies,
            gateway,
            configuration,
            behind,
        };
        let parts = Arc::new(Mutex::new(Some(parts)));
        let administrator = administered.map(|_| administrator(&parts));
        let stop: Stop = Box::new(move || {
            Box::pin(async move {
                let parts = parts.lock().await.take();
                if let Some(parts) = parts {
                    parts.stop(moved).await;
                }
                Ok(())
            })
        });
        Ok((
            Running {
                domain: DOMAIN.to_owned(),
                second: Some(SECOND.to_owned()),
                secret: Some(secret(lab)),
                address,
                other_member,
                direct_tls: cases.iter().any(needs_direct_tls).then_some(address),
                inner: inner.into(),
                // Where a case leaves it waiting, its clock is moved.
                patience: Some(Duration::ZERO),
                process: None,
                is_inside: true,
                clock,
                traces: Traces {
                    configuration: Arc::new(written),
                    partners,
                    ..Traces::default()
                },
                administrator,
            },
            stop,
        ))
    }
}

/// A proxy with this configuration.
fn started(text: &str, clock: &Clock) -> Result<Proxy, StartError> {
    let config = Config::from_toml(text, "generated proxy.toml")
        .map_err(|error| StartError::ConfigRefused(first_line(&error.to_string())))?;
    Proxy::start_with(config, clock.clone())
        .map_err(|error| StartError::Environment(format!("the embedded proxy: {error}")))
}

/// The clock as the runner moves it, unless it goes by itself.
fn by_runner(clock: &Clock) -> Option<super::Clock> {
    let (asked, moved) = (clock.clone(), clock.clone());
    Some(super::Clock {
        rests: clock.rests()?,
        at_rest: Box::new(move |lookups| asked.at_rest(lookups)),
        advance: Box::new(move |most| moved.advance(most)),
    })
}

/// What the proxy's dialback keys are made from.
fn secret(lab: &Lab) -> String {
    format!("secret-{:016x}", lab.seed)
}

fn identity(lab: &Lab, names: &[&str]) -> Result<Arc<Identity>, StartError> {
    lab.authority
        .issue(names, Certificate::Good, Key::P256)
        .ok_or_else(|| {
            let names = names.join(" and ");
            StartError::Environment(format!("no certificate could be made for {names}"))
        })
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned()
}

/// Runs the proxy of a configuration file for as long as the future is polled.
///
/// # Errors
/// If the file has mistakes, or an address is not to be had.
pub async fn alone(path: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let _proxy = Proxy::start(Config::load(path)?)?;
    std::future::pending().await
}
