//! `s2spec proxy policy`: New-, Set-, Grant-, Get- and Remove-CsExternalAccessPolicy.
//!
//! The policies are in the file of the gateway, not of the proxy.

mod change;
mod show;

pub(crate) use change::allow_all;

use std::path::Path;

use clap::{Subcommand, ValueHint};
use reference_gateway::address::Bare;
use reference_gateway::config::{Draft, NamedPolicy};
use reference_gateway::policy::{Policies, Policy, Scope};

use crate::confirm::Confirm;
use crate::error::{Error, Exit};
use crate::running::Gateway;
use crate::store::Store;
use crate::value::{self, Change};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    gateway: Gateway,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a policy for a site, or one to grant (New-CsExternalAccessPolicy)
    New(New),
    /// Change what a policy allows (Set-CsExternalAccessPolicy)
    Set(Set),
    /// Give users a policy of their own, or take it away (Grant-CsExternalAccessPolicy)
    Grant(Grant),
    /// Show one policy, or all, or the one that counts for a user (Get-CsExternalAccessPolicy)
    Get(Get),
    /// Remove a policy, or reset the global one (Remove-CsExternalAccessPolicy)
    Remove(Remove),
}

/// What a policy is called: `Global`, `site:NAME`, or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    text: String,
    scope: Scope,
}

pub(crate) fn identity(text: &str) -> Result<Identity, String> {
    match Scope::parse(text) {
        Ok(scope) => {
            let text = text.trim();
            // It only says that the policy is granted to users, which its own name does, too.
            let text = match text.split_once(':') {
                Some((_, name)) if matches!(scope, Scope::User(_)) => name,
                _ => text,
            };
            Ok(Identity {
                text: text.to_owned(),
                scope,
            })
        }
        Err(error) => Err(error.to_string()),
    }
}

impl Identity {
    /// Whether there is such a policy, and it lets those for whom it counts talk to XMPP partners.
    pub(crate) fn lets_talk(&self, policies: &Policies) -> bool {
        let policy = match &self.scope {
            Scope::Global => policies.of(None, None),
            scope if !policies.contains(scope) => return false,
            Scope::Site(_) => policies.of(None, Some(&self.scope)),
            Scope::User(_) => policies.of(Some(&self.scope), None),
        };
        policy.federation && policy.xmpp
    }
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct One {
    /// `site:NAME`, or a name
    #[arg(value_name = "IDENTITY", value_parser = identity)]
    named: Option<Identity>,
    /// The same
    #[arg(long, value_name = "IDENTITY", value_parser = identity)]
    identity: Option<Identity>,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct AtMostOne {
    /// `global`, `site:NAME`, or a name
    #[arg(value_name = "IDENTITY", value_parser = identity)]
    named: Option<Identity>,
    /// The same
    #[arg(long, value_name = "IDENTITY", value_parser = identity)]
    identity: Option<Identity>,
}

/// What can be set. A setting that is not named keeps its value, or is false.
#[derive(Debug, Default, clap::Args)]
struct Settings {
    /// Text for administrators
    #[arg(long, value_name = "TEXT", value_parser = value::description)]
    description: Option<Change<String>>,
    /// Whether users may talk to partners at all [default: false]
    #[arg(long, value_name = "BOOL", value_parser = value::boolean)]
    enable_federation_access: Option<bool>,
    /// Whether users may talk to XMPP partners, which needs the former [default: false]
    #[arg(long, value_name = "BOOL", value_parser = value::boolean)]
    enable_xmpp_access: Option<bool>,
    /// Whether users may talk to public partners, where the gateway asks for it [default: false]
    #[arg(long, value_name = "BOOL", value_parser = value::boolean)]
    enable_public_cloud_access: Option<bool>,
}

impl Settings {
    fn is_empty(&self) -> bool {
        let Self {
            description: None,
            enable_federation_access: None,
            enable_xmpp_access: None,
            enable_public_cloud_access: None,
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
    which: One,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    confirm: Confirm,
    /// Ask nothing, which is so anyway without --confirm
    #[arg(long)]
    force: bool,
    /// Show the policy, and save nothing
    #[arg(long, visible_alias = "in-memory")]
    what_if: bool,
}

#[derive(Debug, clap::Args)]
struct Set {
    /// The policy; the global one if none is named
    #[command(flatten)]
    which: AtMostOne,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    confirm: Confirm,
    /// Ask nothing, which is so anyway without --confirm
    #[arg(long)]
    force: bool,
    /// Show the policy, and save nothing
    #[arg(long)]
    what_if: bool,
}

#[derive(Debug, clap::Args)]
struct Grant {
    /// The users
    #[arg(value_name = "USER@DOMAIN", value_parser = value::user, required_unless_present_any = ["identity", "all"])]
    users: Vec<Bare>,
    /// A user
    #[arg(long, value_name = "USER@DOMAIN", value_parser = value::user)]
    identity: Vec<Bare>,
    /// All users
    #[arg(long, conflicts_with_all = ["users", "identity"])]
    all: bool,
    /// The policy; nothing or $null to take the users' own policy away
    #[arg(long, value_name = "NAME", value_parser = value::description)]
    policy_name: Change<String>,
    #[command(flatten)]
    confirm: Confirm,
    /// Say who would be granted it, and save nothing
    #[arg(long)]
    what_if: bool,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Which {
    /// `global`, `site:NAME`, or a name
    #[arg(value_name = "IDENTITY", value_parser = identity)]
    named: Option<Identity>,
    /// The same
    #[arg(long, value_name = "IDENTITY", value_parser = identity)]
    identity: Option<Identity>,
    /// All policies whose identity fits, such as 'site:*'
    #[arg(long, value_name = "PATTERN", value_hint = ValueHint::Other)]
    filter: Option<String>,
    /// The policy that counts for this user
    #[arg(long, value_name = "USER@DOMAIN", value_parser = value::user)]
    user: Option<Bare>,
}

#[derive(Debug, clap::Args)]
struct Get {
    #[command(flatten)]
    which: Which,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Remove {
    #[command(flatten)]
    which: One,
    #[command(flatten)]
    confirm: Confirm,
    /// Ask nothing, and take it away from the users to whom it was granted
    #[arg(long)]
    force: bool,
    /// Say what would be removed, and save nothing
    #[arg(long)]
    what_if: bool,
}

pub(crate) fn command(args: &Args) -> Result<Exit, Error> {
    let file = args.gateway.file.as_deref().ok_or_else(|| {
        Error::Usage(
            "no configuration file of the gateway: name it with --gateway FILE, or with the \
             variable S2SPEC_GATEWAY_CONFIG"
                .to_owned(),
        )
    })?;
    match &args.command {
        Command::New(new) => change::new(file, new),
        Command::Set(set) => change::set(file, set),
        Command::Grant(grant) => change::grant(file, grant),
        Command::Get(get) => show::get(file, get),
        Command::Remove(remove) => change::remove(file, remove),
    }
}

impl One {
    fn identity(&self) -> &Identity {
        let given = self.named.as_ref().or(self.identity.as_ref());
        given.expect("clap has asked for one of them")
    }
}

/// What the document says as a configuration of the gateway.
fn draft(store: &Store) -> Result<Draft, Error> {
    let text = store.document.to_string();
    Ok(Draft::from_toml(&text, &store.name().to_string_lossy())?)
}

/// The policies as the cmdlets show them: the global one is always there.
fn all(draft: &Draft) -> Vec<NamedPolicy> {
    let mut policies = draft.policies.clone();
    if !draft.directory.policies.contains(&Scope::Global) {
        policies.push(NamedPolicy {
            identity: "Global".to_owned(),
            scope: Scope::Global,
            description: String::new(),
            policy: Policy::default(),
        });
    }
    policies.sort_by(|one, other| one.scope.cmp(&other.scope));
    policies
}

/// The users to whom the policy was granted.
fn granted<'a>(draft: &'a Draft, scope: &'a Scope) -> impl Iterator<Item = &'a Bare> {
    let users = draft.directory.users.iter();
    let granted = users.filter(move |(_, user)| user.policy.as_ref() == Some(scope));
    granted.map(|(address, _)| address)
}

fn unknown(draft: &Draft, name: &str) -> Error {
    let all = all(draft);
    let known: Vec<&str> = all.iter().map(|policy| policy.identity.as_str()).collect();
    let known = known.join(", ");
    Error::Usage(format!("there is no policy `{name}`; there are {known}"))
}

/// The path as it is shown.
fn shown(file: &Path) -> String {
    file.display().to_string()
}
