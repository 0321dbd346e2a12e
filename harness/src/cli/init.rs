//! `s2spec init`: the target file of a server, from a few facts.

mod ask;
mod text;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use simulated_partners::pki::Authority;

use super::new_files::{there_already, write_all};
use super::output;
use crate::console::{describe_policy, paragraph};
use crate::error::{CliError, Exit};
use crate::policy::{Level, Policy, PolicyNumber};
use crate::subject::built_in::{self, Folder, Sheet, Site};
use crate::subject::remote::{CertificateNames, PartnerHosts, TargetFile};
use crate::suite::PolicyName;
use ask::{Asking, DomainName};
use text::{Component, ServerFacts, target_file};

/// Where the lab's DNS listens by default.
const DNS_PORT: u16 = 15353;
/// The usual port for components (XEP-0114 §2).
const COMPONENT_PORT: u16 = 5347;
/// The usual port for direct TLS between servers.
const DIRECT_TLS_PORT: u16 = 5270;
const DEFAULT_FILE: &str = "target.toml";
/// In the place of a secret that is not known.
const PLACEHOLDER: &str = "the secret that the server knows";
/// What can be said to whom is asked for a policy.
const POLICIES: &str = "\
A run judges the server by the policy that it is set to, one of 18 rows of TLS,
SASL EXTERNAL and dialback:
   9  all optional: shows most
   7  TLS required, EXTERNAL and dialback possible
   1  TLS and valid certificates required, no dialback
  17  dialback without TLS
  or any other in words, such as required/not-supported/on.";
/// What can be said to whom is asked for a trigger.
const TRIGGERS: &str = "\
In half of the cases the server has to send a stanza to a partner:
  reply      it answers pings; nothing to set up
  component  s2spec is a component of it (XEP-0114): runs many more cases
  command    a command of yours makes it send";

/// Options of `init`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print a configuration and a target file for a server that you set up like a built-in target;
    /// with --out, write both and the certificates to that folder
    #[arg(long, value_parser = built_in_server(), value_name = "TARGET")]
    like: Option<&'static Folder>,

    /// The domain of your server
    #[arg(long, value_name = "DOMAIN", conflicts_with = "like")]
    domain: Option<String>,

    /// Where your server accepts server-to-server connections [default: 127.0.0.1:5269]
    #[arg(long, value_name = "ADDRESS")]
    address: Option<SocketAddr>,

    /// The policy of your server: 9, row09, or tls/sasl/dialback as in optional/optional/on
    /// [default: 9, where all is optional, which shows most]
    #[arg(long, value_name = "POLICY")]
    policy: Option<PolicyName>,

    /// How to make your server send a stanza to a partner
    #[arg(long, value_enum, value_name = "TRIGGER")]
    trigger: Option<TriggerName>,

    /// The domain of the component, with `--trigger component` [default: component.DOMAIN]
    #[arg(long, value_name = "DOMAIN", conflicts_with = "like")]
    component: Option<String>,

    /// Where your server takes components [default: port 5347 of its address]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "like")]
    component_address: Option<SocketAddr>,

    /// The secret of the component
    #[arg(long, value_name = "TEXT", conflicts_with = "like")]
    secret: Option<String>,

    /// Where the lab's DNS server listens; your server must use it [default: port 15353 where
    /// partners listen]
    #[arg(long, value_name = "ADDRESS")]
    dns: Option<SocketAddr>,

    /// Where partners listen: an address of this machine that your server can reach
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    partner_address: IpAddr,

    /// The file to write (a folder with --like), `-` for standard output [default: target.toml]
    #[arg(short, long, value_name = "PATH")]
    out: Option<PathBuf>,
}

impl Args {
    fn dns(&self) -> SocketAddr {
        self.dns
            .unwrap_or_else(|| (self.partner_address, DNS_PORT).into())
    }

    /// The usual port for something, or the next one where that is the server's or the lab's.
    fn beside(&self, address: SocketAddr, usual: u16) -> u16 {
        let taken = [address.port(), self.dns().port()];
        let is_free = |port: &u16| !taken.contains(port);
        (usual..).find(is_free).unwrap_or(usual)
    }

    /// A server elsewhere has to reach the lab.
    fn reachable_from(&self, address: SocketAddr) -> Result<(), CliError> {
        let far = !address.ip().to_canonical().is_loopback();
        if far && self.partner_address.to_canonical().is_loopback() {
            return Err(CliError::Usage(format!(
                "a server at {address} cannot reach partners at {}: --partner-address names an \
                 address of this machine that it can reach",
                self.partner_address
            )));
        }
        Ok(())
    }
}

/// A built-in server by its name.
fn built_in_server() -> impl TypedValueParser<Value = &'static Folder> {
    let names = built_in::all().iter();
    let names = names.map(|folder| PossibleValue::new(folder.name).help(folder.about()));
    PossibleValuesParser::new(names)
        .map(|name| built_in::named(&name).expect("only names of these are possible"))
}

/// A kind of trigger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum TriggerName {
    /// Answer a partner's ping; needs no setup
    #[default]
    Reply,
    /// An external component (XEP-0114)
    Component,
    /// A command that you give
    Command,
}

/// Writes what was asked for.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    match args.like {
        Some(like) => set_up(args, like)?,
        None => describe(args, &mut Asking::of_the_terminal())?,
    }
    Ok(Exit::Expected)
}

/// The target file of a server that is there.
fn describe(args: &Args, asking: &mut Asking) -> Result<(), CliError> {
    let output = args.out.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    let is_shown = output == Path::new("-");
    if !is_shown && output.exists() {
        return Err(there_already(&output));
    }
    let DomainName(domain) = asking.or(
        args.domain.as_deref().map(DomainName::of),
        "domain",
        "Domain that the server serves",
        None,
    )?;
    let address = asking.or(
        args.address,
        "address",
        "Where it takes streams from other servers",
        Some(SocketAddr::from(([127, 0, 0, 1], 5269))),
    )?;
    args.reachable_from(address)?;
    if args.policy.is_none() {
        asking.explain(POLICIES);
    }
    let PolicyName(row) = asking.or(
        args.policy,
        "policy",
        "Its policy (a row, or tls/sasl/dialback)",
        Some(PolicyName(default_row())),
    )?;
    if args.trigger.is_none() {
        asking.explain(TRIGGERS);
    }
    let trigger = asking.or(
        args.trigger,
        "trigger",
        "What makes it send (reply, component, command)",
        Some(TriggerName::Reply),
    )?;
    let mut component = Component {
        domain: format!("component.{domain}"),
        address: (address.ip(), args.beside(address, COMPONENT_PORT)).into(),
        secret: PLACEHOLDER.to_owned(),
    };
    if trigger == TriggerName::Component {
        component = component.asked(args, asking)?;
    }
    let facts = ServerFacts {
        component,
        domain,
        address,
        direct_tls: None,
        dns: args.dns(),
        partner_address: args.partner_address,
        row,
        trigger,
        partner_hosts: PartnerHosts::default(),
        certificate_names: CertificateNames::default(),
        stream: None,
        head: String::new(),
    };
    let text = target_file(&facts);
    checked(&output, &text)?;
    if is_shown {
        return output::print(&text);
    }
    write_all(&[(output.clone(), &text, 0o644)])?;
    output::note(&next_steps(&facts, &output));
    Ok(())
}

impl Component {
    /// What is said of it, or answered.
    fn asked(self, args: &Args, asking: &mut Asking) -> Result<Self, CliError> {
        Ok(Self {
            domain: asking
                .or(
                    args.component.as_deref().map(DomainName::of),
                    "component",
                    "Domain of the component",
                    Some(DomainName(self.domain)),
                )?
                .0,
            address: asking.or(
                args.component_address,
                "component-address",
                "Where it takes components",
                Some(self.address),
            )?,
            secret: asking.or(
                args.secret.clone(),
                "secret",
                "Secret of the component",
                Some(self.secret),
            )?,
        })
    }
}

/// What is to do until the first report.
fn next_steps(facts: &ServerFacts, file: &Path) -> String {
    let domain = &facts.domain;
    let target = output::shell_word(file);
    let mut missing = String::new();
    if facts.trigger == TriggerName::Component && facts.component.secret == PLACEHOLDER {
        missing = format!("\n     Put the component's secret into {target}.");
    }
    if facts.trigger == TriggerName::Command {
        missing = format!("\n     Put the command that makes it send into {target}.");
    }
    let set_up = format!(
        "Set up the server: it has that certificate, trusts ca.crt, asks {} for DNS and nobody else, and is set to \
         row {}: {}.",
        facts.dns,
        facts.row.number(),
        describe_policy(&facts.row.policy()),
    );
    let set_up = paragraph("  2. ", 5, &set_up, output::width());
    let like = "`s2spec init --like prosody` and `--like ejabberd` show whole configurations.";
    let like = paragraph("     ", 5, like, output::width());
    format!(
        "{target} is written. Next:
  1. s2spec cert {domain} --target {target}
     It makes {domain}.crt and {domain}.key, and the authority ca.crt.
{}{missing}
{like}  3. s2spec doctor --target {target}
     Until it says that the server is ready.
  4. s2spec run --target {target}",
        set_up.trim_end(),
    )
}

/// A server like a built-in target, with its target file.
fn set_up(args: &Args, like: &'static Folder) -> Result<(), CliError> {
    let row = args.policy.map_or_else(default_row, |PolicyName(row)| row);
    let address = args
        .address
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 5269)));
    if !address.ip().to_canonical().is_loopback() {
        return Err(CliError::Usage(format!(
            "these configurations listen on this machine alone, not at {address}"
        )));
    }
    let folder = match &args.out {
        Some(folder) if folder != Path::new("-") => Some(
            std::path::absolute(folder)
                .map_err(|error| CliError::environment("cannot tell where that is", error))?,
        ),
        _ => None,
    };
    let site = Site {
        folder: folder.clone().unwrap_or_else(|| "/path/to/folder".into()),
        dns: args.dns(),
        s2s: address.port(),
        component: args.beside(address, COMPONENT_PORT),
        direct_tls: args.beside(address, DIRECT_TLS_PORT),
    };
    let sheet = like.by_hand(row.policy(), &site).map_err(|why| {
        CliError::Usage(format!(
            "{why}: {row} ({}) cannot be had from it; another --policy can",
            row.policy()
        ))
    })?;
    let server = &like.description;
    let facts = ServerFacts {
        domain: server.host.clone(),
        address,
        direct_tls: sheet
            .takes_direct_tls
            .then_some((address.ip(), site.direct_tls).into()),
        dns: args.dns(),
        partner_address: args.partner_address,
        row,
        trigger: args.trigger.unwrap_or_default(),
        component: Component {
            domain: server.component.clone(),
            address: (address.ip(), site.component).into(),
            secret: server.secret.clone(),
        },
        partner_hosts: server.partner_hosts,
        certificate_names: server.certificate_names,
        stream: server.patience,
        head: format!("# Start the server first:\n#   {}\n", sheet.command),
    };
    let text = target_file(&facts);
    match folder {
        None => {
            let mut shown = String::new();
            for (name, file) in &sheet.files {
                shown.push_str(&format!("### {name}\n{}\n\n", file.trim_end()));
            }
            output::print(&format!("{shown}### {DEFAULT_FILE}\n{text}"))
        }
        Some(folder) => {
            checked(&folder.join(DEFAULT_FILE), &text)?;
            fill(&folder, like, &sheet, &text)?;
            let target = folder.join(DEFAULT_FILE);
            let target = output::shell_word(&target);
            output::note(&format!(
                "{} is ready. Next:
  1. Start the server:
     {}
  2. s2spec doctor --target {target}
  3. s2spec run --target {target}",
                folder.display(),
                sheet.command,
            ));
            Ok(())
        }
    }
}

fn default_row() -> PolicyNumber {
    Policy {
        tls: Level::Optional,
        sasl: Level::Optional,
        dialback: true,
    }
    .row()
}

/// Writes a folder in which nothing may be lost.
fn fill(folder: &Path, like: &Folder, sheet: &Sheet, target: &str) -> Result<(), CliError> {
    std::fs::create_dir_all(folder)
        .map_err(|e| CliError::environment(format!("cannot make {}", folder.display()), e))?;
    let names = like.description.certificate_names;
    let authority = Authority::new(0).naming(names.into());
    let made = like.certificates(&authority).zip(authority.root_key_pem());
    let (certificates, key) = made.ok_or_else(|| {
        CliError::environment("cannot make certificates", "the authority issued nothing")
    })?;
    let mut files = Vec::new();
    for (name, text) in sheet.files.iter().chain(&certificates) {
        let mode = if name.ends_with(".key") { 0o600 } else { 0o644 };
        files.push((folder.join(name), text.as_str(), mode));
    }
    files.push((folder.join("ca.key"), &key, 0o600));
    files.push((folder.join(DEFAULT_FILE), target, 0o644));
    write_all(&files)
}

/// What is written has to be what is read. Addresses of other machines are the user's to allow later.
fn checked(path: &Path, text: &str) -> Result<(), CliError> {
    TargetFile::parse(path, text, true)?;
    Ok(())
}
