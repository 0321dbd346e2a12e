//! The target of a load: the embedded proxy as a process of its own, or any other one.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use simulated_partners::inner::gateway;
use simulated_partners::persona::{Certificate, Key};
use simulated_partners::pki::Identity;

use super::Wanted;
use super::inner::Link;
use super::method::{in_turn, only};
use crate::case::{AllowList, Case};
use crate::cause::with_causes;
use crate::lab::Lab;
use crate::matrix::cases_of;
use crate::policy::PolicyNumber;
use crate::subject::port::free_address;
use crate::subject::{Inside, Placement, StartError, Stop, Target, own_process};

const DOMAIN: &str = "contoso.example";
const GATEWAY: &str = "gateway.contoso.example";
/// Whose partners a target without a list of them has.
const PARTNERS: &str = "load.example";
/// The policy that lets in partners of all methods.
const PERMISSIVE: u8 = 9;

/// A target that runs.
pub(super) struct Opened {
    pub(super) name: String,
    pub(super) lab: Lab,
    pub(super) domain: String,
    pub(super) address: SocketAddr,
    /// The domains of the partners.
    pub(super) partners: Vec<String>,
    /// The link to its inner side, where there is one.
    pub(super) link: Option<Link>,
    pub(super) stop: Stop,
}

/// Why a load has no target.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The test network cannot be had.
    #[error("no test network")]
    Lab(#[from] io::Error),
    /// It does not run.
    #[error("the target does not run")]
    Start(#[from] StartError),
    /// It cannot be run with any policy.
    #[error("the target cannot be run: {0}")]
    Unsupported(String),
    /// It takes fewer partners.
    #[error(
        "its file names {listed} of the {wanted} partners that are wanted (--partners), and it takes no others"
    )]
    TooFew {
        /// Those of the list.
        listed: usize,
        /// What was asked for.
        wanted: usize,
    },
    /// Its inner side is not there.
    #[error("the proxy's inner side: {0}")]
    Inner(String),
}

/// Starts the embedded proxy as a process of its own.
///
/// # Errors
/// See [`TargetError`].
pub(super) async fn embedded(wanted: &Wanted) -> Result<Opened, TargetError> {
    let lab = Lab::open(wanted.seed)?;
    let (external, internal) = (free_address()?, free_address()?);
    let partners: Vec<String> = domains(&AllowList::Any, wanted)?;
    let config = configuration(&lab, wanted, external, internal, &partners)?;
    let stop = own_process::proxy(&wanted.program, &config, external).await?;
    let gateway = identity(&lab, GATEWAY)?;
    let roots = lab.authority.roots();
    // In its own name, so that nothing but the domain of the target is served.
    let line = gateway::line(internal, DOMAIN, &gateway, &roots, GATEWAY).await;
    let line = match line {
        Ok(line) => line,
        Err(error) => {
            // What is wrong with the inner side is worth more than how the end went.
            let _ = stop().await;
            return Err(TargetError::Inner(with_causes(&error)));
        }
    };
    Ok(Opened {
        name: format!("reference-proxy {}", env!("CARGO_PKG_VERSION")),
        lab,
        domain: DOMAIN.to_owned(),
        address: external,
        partners,
        link: Some(Link::Line(Box::new(line))),
        stop,
    })
}

/// Starts any other target.
///
/// # Errors
/// See [`TargetError`].
pub(super) async fn other(target: &dyn Target, wanted: &Wanted) -> Result<Opened, TargetError> {
    let (case, group) = permissive(target)?;
    let partners = domains(&target.allow_list(), wanted)?;
    let lab = target.lab(wanted.seed)?;
    let (running, stop) = target.start(&lab, &group, &[case]).await?;
    let link = match running.inner {
        Inside::Linked(inner) => Some(Link::of(inner, &partners)),
        Inside::Hidden(_) => None,
    };
    Ok(Opened {
        name: target.name(),
        lab,
        domain: running.domain,
        address: running.address,
        partners,
        link,
        stop,
    })
}

/// A case with the policy that lets in the most partners, of those that the target can be set to.
fn permissive(target: &dyn Target) -> Result<(Case, String), TargetError> {
    let rank = |row: PolicyNumber| (row.number() != PERMISSIVE, row.number());
    let mut cases: Vec<Case> = cases_of(crate::case::Set::Policies, &[])
        .into_iter()
        .filter(|case| case.row.policy().valid())
        .collect();
    cases.sort_by_key(|case| rank(case.row));
    let mut refused = None;
    for case in cases {
        match target.place(&case) {
            Placement::Group(group) => return Ok((case, group)),
            Placement::Unsupported(why) => drop(refused.get_or_insert(why)),
        }
    }
    Err(TargetError::Unsupported(refused.unwrap_or_default()))
}

fn domains(allow: &AllowList, wanted: &Wanted) -> Result<Vec<String>, TargetError> {
    let below = |parent: &str| {
        let numbers = 0..wanted.partners;
        numbers
            .map(|number| format!("p{number}.{parent}"))
            .collect()
    };
    match allow {
        AllowList::Any => Ok(below(PARTNERS)),
        AllowList::Below(parent) => Ok(below(parent)),
        AllowList::Only(listed) if listed.len() < wanted.partners => Err(TargetError::TooFew {
            listed: listed.len(),
            wanted: wanted.partners,
        }),
        AllowList::Only(listed) => Ok(listed[..wanted.partners].to_vec()),
    }
}

fn identity(lab: &Lab, name: &str) -> Result<Arc<Identity>, TargetError> {
    let identity = lab.authority.issue(&[name], Certificate::Good, Key::P256);
    identity.ok_or_else(|| TargetError::Inner(format!("no certificate could be made for {name}")))
}

/// The file of the embedded proxy: its partners, and otherwise what it is delivered with.
fn configuration(
    lab: &Lab,
    wanted: &Wanted,
    external: SocketAddr,
    internal: SocketAddr,
    partners: &[String],
) -> Result<String, TargetError> {
    let side = identity(lab, DOMAIN)?;
    let pem = format!(
        "certificate = '''{}'''\nkey = '''{}'''\nca = '''{}'''\n",
        side.chain_pem(),
        side.key_pem(),
        lab.authority.root_pem(),
    );
    let limit = match wanted.limit {
        // Where only partners dial, all places are for them.
        Some(limit) => format!("[limits]\nconnections = {limit}\noutbound-reserve = 0\n"),
        None => String::new(),
    };
    let mut text = format!(
        "domains = [\"{DOMAIN}\"]\n\
         dns = [\"{dns}\"]\n\
         validation = \"matrix\"\n\
         [external]\n\
         listen = \"{external}\"\n{pem}\
         [internal]\n\
         listen = \"{internal}\"\n{pem}\
         gateways = [\"{GATEWAY}\"]\n{limit}",
        dns = lab.dns.address(),
    );
    for (number, domain) in partners.iter().enumerate() {
        let policy = only(in_turn(&wanted.methods, number));
        write!(
            text,
            "[[partner]]\ndomain = \"{domain}\"\ntls = \"{}\"\nsasl = \"{}\"\ndialback = {}\n",
            policy.tls, policy.sasl, policy.dialback,
        )
        .expect("a String takes all text");
    }
    Ok(text)
}
