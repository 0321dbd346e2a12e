//! `s2spec proxy partner`: New-, Set-, Get- and Remove-CsXmppAllowedPartner.

mod change;
mod show;
mod table;

use std::path::Path;

use clap::{Subcommand, ValueHint};
use reference_proxy::config::{Domain, PartnerType, Support};

use crate::confirm::Confirm;
use crate::error::{Error, Exit};
use crate::running::Gateway;
use crate::value::{self, Change, Domains};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    gateway: Gateway,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Allow a partner (New-CsXmppAllowedPartner)
    New(New),
    /// Change the settings of a partner (Set-CsXmppAllowedPartner)
    Set(Set),
    /// Show one partner, or all (Get-CsXmppAllowedPartner)
    Get(Get),
    /// Refuse a partner from now on (Remove-CsXmppAllowedPartner)
    Remove(Remove),
}

/// Who a command is about.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct One {
    /// Domain of the partner
    #[arg(value_name = "DOMAIN", value_parser = value::domain)]
    named: Option<Domain>,
    /// The same
    #[arg(long, value_name = "DOMAIN", value_parser = value::domain)]
    identity: Option<Domain>,
    /// The same
    #[arg(long, value_name = "DOMAIN", value_parser = value::domain)]
    domain: Option<Domain>,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Several {
    /// Domain of the partner
    #[arg(value_name = "DOMAIN", value_parser = value::domain)]
    named: Option<Domain>,
    /// The same
    #[arg(long, value_name = "DOMAIN", value_parser = value::domain)]
    identity: Option<Domain>,
    /// All partners whose domain fits, such as '*.org'
    #[arg(long, value_name = "PATTERN", value_hint = ValueHint::Other)]
    filter: Option<String>,
}

/// What can be set. A setting that is not named keeps its value, or has its default.
#[derive(Debug, Default, clap::Args)]
struct Settings {
    /// Further domains: a,b or @{Add="a";Remove="b"}; nothing or $null for none
    #[arg(long, value_name = "DOMAINS", value_parser = value::domains)]
    additional_domains: Option<Domains>,
    /// Connections at a time; nothing for the limit of all partners
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = value::limit)]
    connection_limit: Option<Change<u32>>,
    /// Text for administrators
    #[arg(long, value_name = "TEXT", value_parser = value::description)]
    description: Option<Change<String>>,
    /// Whether the partner has to keep streams alive [default: true]
    #[arg(long, value_name = "BOOL", visible_alias = "keep-alive", value_parser = value::boolean)]
    enable_keep_alive: Option<bool>,
    /// Federated, PublicVerified or PublicUnverified [default: PublicUnverified]
    #[arg(long, value_name = "TYPE", visible_alias = "type", value_parser = value::word::<PartnerType>)]
    partner_type: Option<PartnerType>,
    /// Where the partner's proxy is, instead of SRV records: FQDN[:port]
    #[arg(long, value_name = "FQDN", value_parser = value::proxy)]
    proxy_fqdn: Option<Change<String>>,
    /// Required, Optional or NotSupported [default: Required]
    #[arg(long, value_name = "SUPPORT", visible_alias = "sasl", value_parser = value::word::<Support>)]
    sasl_negotiation: Option<Support>,
    /// Required, Optional or NotSupported [default: Required]
    #[arg(long, value_name = "SUPPORT", visible_alias = "tls", value_parser = value::word::<Support>)]
    tls_negotiation: Option<Support>,
    /// Whether dialback is used [default: true]
    #[arg(long, value_name = "BOOL", visible_alias = "dialback", value_parser = value::boolean)]
    support_dialback_negotiation: Option<bool>,
    /// Whether several pairs of domains may share a stream (XEP-0220 §2.6) [default: true]
    #[arg(long, value_name = "BOOL", value_parser = value::boolean)]
    multiplexing: Option<bool>,
    /// Whether stanzas go both ways on a stream, if the partner agrees (XEP-0288) [default: false]
    #[arg(long, value_name = "BOOL", value_parser = value::boolean)]
    bidirectional: Option<bool>,
    /// Whether stanzas are acknowledged, and lost streams resumed (XEP-0198) [default: false]
    #[arg(long, value_name = "BOOL", value_parser = value::boolean)]
    stream_management: Option<bool>,
}

impl Settings {
    fn is_empty(&self) -> bool {
        let Self {
            additional_domains: None,
            connection_limit: None,
            description: None,
            enable_keep_alive: None,
            partner_type: None,
            proxy_fqdn: None,
            sasl_negotiation: None,
            tls_negotiation: None,
            support_dialback_negotiation: None,
            multiplexing: None,
            bidirectional: None,
            stream_management: None,
        } = self
        else {
            return false;
        };
        true
    }
}

#[derive(Debug, clap::Args)]
struct New {
    #[command(flatten)]
    who: One,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    confirm: Confirm,
    /// Ask nothing, which is so anyway without --confirm
    #[arg(long)]
    force: bool,
    /// Show the partner, and save nothing
    #[arg(long, visible_alias = "in-memory")]
    what_if: bool,
}

#[derive(Debug, clap::Args)]
struct Set {
    #[command(flatten)]
    who: Several,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    confirm: Confirm,
    /// Ask nothing, which is so anyway without --confirm
    #[arg(long)]
    force: bool,
    /// Show the partners, and save nothing
    #[arg(long)]
    what_if: bool,
}

#[derive(Debug, clap::Args)]
struct Get {
    #[command(flatten)]
    who: Several,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Remove {
    #[command(flatten)]
    who: Several,
    #[command(flatten)]
    confirm: Confirm,
    /// Ask nothing, even on a terminal
    #[arg(long)]
    force: bool,
    /// Say who would be removed, and save nothing
    #[arg(long)]
    what_if: bool,
}

pub(crate) fn command(config: &Path, args: &Args) -> Result<Exit, Error> {
    match &args.command {
        Command::New(new) => change::new(config, &args.gateway, new),
        Command::Set(set) => change::set(config, &args.gateway, set),
        Command::Get(get) => show::get(config, get),
        Command::Remove(remove) => change::remove(config, &args.gateway, remove),
    }
}

/// Allows a partner, with dialback.
pub(crate) fn allow(
    config: &Path,
    domain: &Domain,
    tls: Support,
    sasl: Support,
    keep_alive: bool,
    kind: PartnerType,
) -> Result<(), Error> {
    let settings = Settings {
        enable_keep_alive: Some(keep_alive),
        partner_type: Some(kind),
        sasl_negotiation: Some(sasl),
        tls_negotiation: Some(tls),
        support_dialback_negotiation: Some(true),
        ..Settings::default()
    };
    change::with(config, domain, &settings)?.save().map(drop)
}

impl One {
    fn domain(&self) -> &Domain {
        let mut given = [&self.named, &self.identity, &self.domain].into_iter();
        given
            .find_map(Option::as_ref)
            .expect("clap has asked for one of them")
    }
}

impl Several {
    fn domain(&self) -> Option<&Domain> {
        self.named.as_ref().or(self.identity.as_ref())
    }
}
