//! What the file says of people, without the certificates that only a running gateway needs.

use std::collections::BTreeMap;
use std::path::Path;

use reference_proxy::wire::{
    Domain, PartnerTable, PartnerType, Problem, SettingsReader, from_toml,
};

use super::table::{File, PolicyTable, UserTable};
use super::{ConfigError, text};
use crate::address::Bare;
use crate::directory::{Directory, Rules, User};
use crate::policy::{Policies, Policy, Scope};

/// A policy as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPolicy {
    /// The identity as it is written.
    pub identity: String,
    /// Whom it is for.
    pub scope: Scope,
    /// Free text for administrators.
    pub description: String,
    /// What it allows.
    pub policy: Policy,
}

/// A file that passed every check which needs no other file.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Who there is, and who may talk to whom. Partners in another file are missing.
    pub directory: Directory,
    /// The policies in the order of the file.
    pub policies: Vec<NamedPolicy>,
    /// The users in the order of the file.
    pub users: Vec<Bare>,
}

impl Draft {
    /// Reads a TOML file, and none of those that it names.
    ///
    /// # Errors
    /// [`ConfigError`] if it cannot be read, or with each mistake, its line, and what would be valid.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::from_toml(&text(path)?, &path.to_string_lossy())
    }

    /// Reads a TOML text as [`Config::from_toml`](super::Config::from_toml) does, but none of the files that
    /// it names.
    ///
    /// # Errors
    /// [`ConfigError`] with each mistake, its line, and what would be valid.
    pub fn from_toml(text: &str, file_name: &str) -> Result<Self, ConfigError> {
        from_toml(text, file_name, |file: File, reader| {
            Some(Self::of(&file, None, reader))
        })
    }

    pub(super) fn of(
        file: &File,
        elsewhere: Option<BTreeMap<Domain, PartnerType>>,
        reader: &mut SettingsReader<'_>,
    ) -> Self {
        let domains = reader.domains("domains", &file.domains);
        if file.domains.is_empty() {
            let message = "at least one domain must be served";
            reader.problem(Problem::new("domains", message));
        }
        let (policies, named) = policies(&file.policy, reader);
        let mut directory = Directory {
            domains: domains.into_iter().collect(),
            users: BTreeMap::new(),
            partners: elsewhere.unwrap_or_else(|| partners(&file.partner, reader)),
            policies,
            rules: Rules {
                public_verified: file.public_verified,
                public_needs_public_cloud: file.public_needs_public_cloud_access,
                refresh: file.limits.subscription_refresh_interval,
                contacts: file.limits.contacts,
            },
        };
        let mut users = Vec::new();
        for (index, table) in file.user.iter().enumerate() {
            let place = format!("user[{index}]");
            let Some((address, user)) = user(&place, table, &directory, reader) else {
                continue;
            };
            users.push(address.clone());
            if directory.users.insert(address, user).is_some() {
                let place = format!("{place}.address");
                let message = format!("`{}` is listed already", table.address);
                reader.problem(Problem::new(&place, message));
            }
        }
        Self {
            directory,
            policies: named,
            users,
        }
    }
}

pub(super) fn partners(
    tables: &[PartnerTable],
    reader: &mut SettingsReader<'_>,
) -> BTreeMap<Domain, PartnerType> {
    let mut partners = BTreeMap::new();
    for (index, table) in tables.iter().enumerate() {
        let Some(partner) = reader.partner(index, table.clone()) else {
            continue;
        };
        for domain in partner.domains() {
            if partners.insert(domain.clone(), partner.kind).is_some() {
                let place = format!("partner[{index}].domain");
                let message = format!("`{domain}` is a partner's domain already");
                reader.problem(Problem::new(&place, message));
            }
        }
    }
    partners
}

fn policies(
    tables: &[PolicyTable],
    reader: &mut SettingsReader<'_>,
) -> (Policies, Vec<NamedPolicy>) {
    let mut policies = Policies::default();
    let mut named = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let place = format!("policy[{index}].identity");
        let identity = &table.identity;
        let scope = Scope::parse(identity);
        let scope = scope.map_err(|error| Problem::new(&place, format!("`{identity}`: {error}")));
        let Some(scope) = reader.keep(scope) else {
            continue;
        };
        let policy = Policy {
            federation: table.enable_federation_access,
            xmpp: table.enable_xmpp_access,
            public_cloud: table.enable_public_cloud_access,
        };
        named.push(NamedPolicy {
            identity: identity.clone(),
            scope: scope.clone(),
            description: table.description.clone(),
            policy,
        });
        if !policies.add(scope, policy) {
            let message = format!("there is a policy `{identity}` already");
            reader.problem(Problem::new(&place, message));
        }
    }
    (policies, named)
}

fn user(
    place: &str,
    table: &UserTable,
    directory: &Directory,
    reader: &mut SettingsReader<'_>,
) -> Option<(Bare, User)> {
    let at_address = format!("{place}.address");
    let address = bare(&at_address, &table.address, reader);
    if let Some(address) = &address
        && !directory.domains.contains(address.domain())
    {
        let message = format!("`{}` is not one of the served domains", address.domain());
        reader.problem(Problem::new(&at_address, message).help("add it to `domains`"));
    }
    let site = table
        .site
        .as_ref()
        .map(|name| Scope::Site(name.to_lowercase()));
    let policy = table.policy.as_ref().and_then(|name| {
        let place = format!("{place}.policy");
        let scope = match Scope::parse(name) {
            Ok(scope @ Scope::User(_)) if directory.policies.contains(&scope) => Ok(scope),
            Ok(Scope::User(_)) => {
                Err("no such policy: add a table `[[policy]]` with this identity")
            }
            Ok(Scope::Global | Scope::Site(_)) => Err("applies by itself and cannot be granted"),
            Err(_) => Err("expected the identity of a policy"),
        };
        reader.keep(scope.map_err(|why| Problem::new(&place, format!("`{name}`: {why}"))))
    });
    let mut contacts = BTreeMap::new();
    for (index, contact) in table.contact.iter().enumerate() {
        let place = format!("{place}.contact[{index}].address");
        if let Some(address) = bare(&place, &contact.address, reader)
            && contacts.insert(address, contact.subscription).is_some()
        {
            let message = format!("`{}` is listed already", contact.address);
            reader.problem(Problem::new(&place, message));
        }
    }
    if contacts.len() > directory.rules.contacts {
        let message = format!("more than {} contacts", directory.rules.contacts);
        let problem = Problem::new(&at_address, message);
        reader.problem(problem.help("raise `limits.contacts`"));
    }
    let user = User {
        site,
        policy,
        branch_appliance: table.branch_appliance,
        contacts,
    };
    Some((address?, user))
}

fn bare(place: &str, text: &str, reader: &mut SettingsReader<'_>) -> Option<Bare> {
    let address = Bare::user(text);
    reader.keep(address.map_err(|error| Problem::new(place, format!("`{text}`: {error}"))))
}
