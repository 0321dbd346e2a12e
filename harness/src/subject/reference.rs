//! The embedded proxy as a target: started, addressed and stopped here, and touched nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use reference_proxy::Clock;
use reference_proxy::Proxy;
use reference_proxy::config::Config;
use simulated_partners::inner::gateway;
use simulated_partners::persona::{Certificate, Key};
use simulated_partners::pki::Identity;

use super::inner_side::InnerSide;
use super::{Pending, Placement, Running, StartError, Stop, Target, Traces};
use crate::case::Case;
use crate::case::{Need, Setting};
use crate::lab::Lab;

const DOMAIN: &str = "contoso.example";
const SECOND: &str = "chat.contoso.example";
const GATEWAY: &str = "gateway.contoso.example";

/// What it can do of what scenarios need.
const ABILITIES: [Need; 14] = [
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
        Placement::Group(if !case.row.policy().valid() {
            format!("invalid-{}", case.row.label())
        } else if case.script.setting == Setting::StrictCertificates {
            "strict".to_owned()
        } else if case.waits() {
            // Time that passes for one case must not pass for another.
            format!("{TIMED}{}", case.id)
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
        let configuration = self.configuration(lab, group, cases, &side, second.as_deref());
        let text = configuration.whole();
        let clock = match group.starts_with(TIMED) {
            true => Clock::by_hand(),
            false => Clock::default(),
        };
        let proxy = started(&text, &clock)?;
        let other = match group == POOL {
            true => Some(started(&text, &clock)?),
            false => None,
        };
        // In its own name, so that it gets the stanzas of both domains.
        let link = gateway::connect(
            proxy.internal_address(),
            DOMAIN,
            &gateway,
            &lab.authority.roots(),
            GATEWAY,
        )
        .await
        .map_err(|error| StartError::Environment(format!("the proxy's inner side: {error}")))?;
        let inner = InnerSide::new(
            link,
            &format!("barrier@{DOMAIN}"),
            "nobody@unlisted.example",
        );
        let address = proxy.external_address();
        let other_member = other.as_ref().map(Proxy::external_address);
        let moved = clock.rests().is_some();
        let written = BTreeMap::from([("proxy.toml".to_owned(), configuration.text)]);
        let stop: Stop = Box::new(move || {
            Box::pin(async move {
                if let Some(other) = other {
                    other.stop().await;
                }
                match moved {
                    // What it still waits for would take for ever.
                    true => drop(proxy),
                    false => proxy.stop().await,
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
                clock: Some(clock).filter(|_| moved),
                traces: Traces {
                    configuration: Arc::new(written),
                    partners: configuration.partners,
                    ..Traces::default()
                },
            },
            stop,
        ))
    }

    fn configuration(
        &self,
        lab: &Lab,
        group: &str,
        cases: &[Case],
        side: &Identity,
        second: Option<&Identity>,
    ) -> Configuration {
        let pem = format!(
            "certificate = '''{}'''\nkey = '''{}'''\nca = '''{}'''\n",
            side.chain_pem(),
            side.key_pem(),
            lab.authority.root_pem(),
        );
        let idles = cases
            .iter()
            .any(|case| case.script.setting == Setting::ShortIdle);
        let mut text = format!(
            "domains = [\"{DOMAIN}\", \"{SECOND}\"]\n\
             dns = [\"{dns}\"]\n\
             validation = \"matrix\"\n\
             strict-certificates = {strict}\n\
             secret = \"{secret}\"\n\
             [external]\n\
             listen = \"127.0.0.1:0\"\n\
             direct-tls = {direct}\n{pem}\
             [internal]\n\
             listen = \"127.0.0.1:0\"\n{pem}\
             gateways = [\"{GATEWAY}\"]\n\
             [limits]\n\
             connections = 10000\n\
             unauthenticated-connections = 10000\n\
             unauthenticated-by-address = 10000\n\
             verification-connections = 10000\n\
             stream-inactivity-timeout = \"{idle}s\"\n",
            dns = lab.dns.address(),
            direct = cases.iter().any(needs_direct_tls),
            strict = self.strict_certificates || group == "strict",
            secret = secret(lab),
            pem = pem,
            idle = if idles { SHORT_IDLE } else { IDLE }.as_secs(),
        );
        if let Some(second) = second {
            own_certificate(&mut text, SECOND, second);
        }
        let mut written = BTreeSet::new();
        let mut partners = Vec::new();
        for case in cases {
            for domain in case.domains() {
                if written.insert(domain.clone()) {
                    let table = partner(&domain, case);
                    partners.push((domain, table));
                }
            }
        }
        Configuration { text, partners }
    }
}

/// What is written for the proxy.
struct Configuration {
    text: String,
    /// A table for each partner, by its domain.
    partners: Vec<(String, String)>,
}

impl Configuration {
    fn whole(&self) -> String {
        let partners = self.partners.iter().map(|(_, table)| table.as_str());
        std::iter::once(self.text.as_str())
            .chain(partners)
            .collect()
    }
}

/// A proxy with this configuration.
fn started(text: &str, clock: &Clock) -> Result<Proxy, StartError> {
    let config = Config::from_toml(text, "generated proxy.toml")
        .map_err(|error| StartError::ConfigRefused(first_line(&error.to_string())))?;
    Proxy::start_with(config, clock.clone())
        .map_err(|error| StartError::Environment(format!("the embedded proxy: {error}")))
}

/// What the proxy's dialback keys are made from.
fn secret(lab: &Lab) -> String {
    format!("secret-{:016x}", lab.seed)
}

/// How long it keeps a stream without a stanza: longer than any case.
const IDLE: Duration = Duration::from_secs(600);
/// The same where the end of idle streams is the case: sooner than keep-alives would end or prolong them.
const SHORT_IDLE: Duration = Duration::from_secs(100);

fn own_certificate(text: &mut String, domain: &str, identity: &Identity) {
    write!(
        text,
        "[[external.own-certificate]]\ndomain = \"{domain}\"\n\
         certificate = '''{}'''\nkey = '''{}'''\n",
        identity.chain_pem(),
        identity.key_pem(),
    )
    .expect("a String takes all text");
}

/// A partner of the case, with what only some cases need. Thousands are read at once, so what is the default is
/// left out.
fn partner(domain: &str, case: &Case) -> String {
    let policy = case.row.policy();
    let mut text = format!(
        "[[partner]]\ndomain = \"{domain}\"\ntls = \"{}\"\nsasl = \"{}\"\n",
        policy.tls, policy.sasl,
    );
    let needs = |need| case.script.needs.contains(&need);
    for (differs, line) in [
        (!policy.dialback, "dialback = false\n"),
        (needs(Need::Bidi), "bidirectional = true\n"),
        (needs(Need::StreamManagement), "stream-management = true\n"),
    ] {
        text.push_str(if differs { line } else { "" });
    }
    text
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
