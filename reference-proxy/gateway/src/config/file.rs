//! The TOML file: its format, and its conversion to a checked configuration.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use reference_proxy::wire::{Domain, PartnerType, Problem, SettingsReader, from_toml};
use serde::Deserialize;

use super::{Config, ConfigError, Limits, ProxySettings};
use crate::address::Bare;
use crate::directory::{Directory, PublicVerified, Rules, Subscription, User};
use crate::policy::{Policies, Policy, Scope};

impl Config {
    /// Reads a TOML file, and the one that it names for the partners.
    ///
    /// # Errors
    /// [`ConfigError`] if a file cannot be read, or with each mistake, its line, and what would be valid.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::from_toml(&text(path)?, &path.to_string_lossy())
    }

    /// Reads a TOML text. Messages contain the file's name, and paths in the text are relative
    /// to its folder.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn from_toml(text: &str, file_name: &str) -> Result<Self, ConfigError> {
        let folder = Path::new(file_name).parent();
        let folder = folder.unwrap_or_else(|| Path::new(""));
        let partners = match toml::from_str::<Elsewhere>(text) {
            Ok(Elsewhere {
                partners: Some(name),
            }) => Some(partners_of(&folder.join(name))?),
            // A mistake is shown in the whole.
            Ok(_) | Err(_) => None,
        };
        from_toml(text, file_name, |file, reader| {
            config(file, partners, reader)
        })
    }
}

fn text(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The partners in a file of their own, which may be the proxy's.
fn partners_of(path: &Path) -> Result<BTreeMap<Domain, PartnerType>, ConfigError> {
    from_toml(
        &text(path)?,
        &path.to_string_lossy(),
        |file: PartnersFile, reader| Some(partners(&file.partner, reader)),
    )
}

#[derive(Deserialize)]
struct Elsewhere {
    partners: Option<String>,
}

#[derive(Deserialize)]
struct PartnersFile {
    #[serde(default)]
    partner: Vec<PartnerTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    domains: Vec<String>,
    /// Read before, in [`Elsewhere`].
    partners: Option<String>,
    state: Option<String>,
    local: Option<String>,
    #[serde(default)]
    public_verified: PublicVerified,
    #[serde(default)]
    public_needs_public_cloud_access: bool,
    link: LinkTable,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    proxy: Vec<ProxyTable>,
    #[serde(default)]
    partner: Vec<PartnerTable>,
    #[serde(default)]
    policy: Vec<PolicyTable>,
    #[serde(default)]
    user: Vec<UserTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkTable {
    name: String,
    certificate: String,
    key: String,
    ca: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProxyTable {
    address: String,
    name: Option<String>,
}

/// What a gateway needs to know of a partner; the rest is the proxy's.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PartnerTable {
    domain: String,
    #[serde(default)]
    additional_domains: Vec<String>,
    #[serde(default, rename = "type")]
    kind: PartnerType,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PolicyTable {
    identity: String,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default)]
    enable_federation_access: bool,
    #[serde(default)]
    enable_xmpp_access: bool,
    #[serde(default)]
    enable_public_cloud_access: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct UserTable {
    address: String,
    site: Option<String>,
    policy: Option<String>,
    #[serde(default)]
    branch_appliance: bool,
    #[serde(default)]
    contact: Vec<ContactTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContactTable {
    address: String,
    #[serde(default)]
    subscription: Subscription,
}

fn config(
    file: File,
    elsewhere: Option<BTreeMap<Domain, PartnerType>>,
    reader: &mut SettingsReader<'_>,
) -> Option<Config> {
    let File { link, limits, .. } = file;
    let credentials = reader.credentials("link", &link.certificate, &link.key);
    let authorities = reader.authorities(&"link.ca", &link.ca);
    let name = reader.domain(&"link.name", &link.name);
    let proxies = proxies(&file.proxy, reader);
    let domains = reader.domains("domains", &file.domains);
    if domains.is_empty() {
        reader.problem(Problem::new(
            "domains",
            "at least one domain must be served",
        ));
    }
    if let (Some(_), false) = (&file.partners, file.partner.is_empty()) {
        let problem = Problem::new("partners", "partners are listed here and in another file");
        reader.problem(problem.help("keep either `partners` or the tables `[[partner]]`"));
    }
    if limits.stanza_bytes < 10_000 {
        let problem = Problem::new("limits.stanza-bytes", "at least 10000 (RFC 6120 §13.12)");
        reader.problem(problem);
    }
    for (setting, value) in [
        ("queue-stanzas", limits.queue_stanzas),
        ("contacts", limits.contacts),
        ("sessions", limits.sessions),
    ] {
        if value == 0 {
            let place = format!("limits.{setting}");
            reader.problem(Problem::new(&place, "at least 1"));
        }
    }
    let policies = policies(&file.policy, reader);
    let mut directory = Directory {
        domains: domains.into_iter().collect(),
        users: BTreeMap::new(),
        partners: elsewhere.unwrap_or_else(|| partners(&file.partner, reader)),
        policies,
        rules: Rules {
            public_verified: file.public_verified,
            public_needs_public_cloud: file.public_needs_public_cloud_access,
            refresh: limits.subscription_refresh_interval,
            contacts: limits.contacts,
        },
    };
    for (index, table) in file.user.iter().enumerate() {
        let place = format!("user[{index}]");
        if let Some((address, user)) = user(&place, table, &directory, reader)
            && directory.users.insert(address, user).is_some()
        {
            let place = format!("{place}.address");
            let message = format!("`{}` is listed already", table.address);
            reader.problem(Problem::new(&place, message));
        }
    }
    let path = |text: Option<String>| text.map(|text| reader.folder().join(text));
    let (state, local) = (path(file.state), path(file.local));
    Some(Config {
        directory,
        state,
        local,
        credentials: credentials?,
        authorities: authorities?,
        name: name?,
        proxies,
        limits,
    })
}

fn proxies(tables: &[ProxyTable], reader: &mut SettingsReader<'_>) -> Vec<ProxySettings> {
    let mut proxies: Vec<ProxySettings> = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let place = format!("proxy[{index}].address");
        let address = table.address.as_str();
        let host = match address.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok_and(|port| port != 0) => host,
            Some(_) | None => {
                let message = format!("`{address}` is not `HOST:PORT`");
                let problem = Problem::new(&place, message);
                reader.problem(problem.help("such as \"edge1.contoso.com:23456\""));
                continue;
            }
        };
        let name = match &table.name {
            Some(name) => reader.domain(&format!("proxy[{index}].name"), name),
            None if host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok() => {
                let problem = Problem::new(&place, "the proxy has an address and no name");
                reader.problem(problem.help("add `name`: one that its internal certificate has"));
                None
            }
            None => reader.domain(&place, host),
        };
        let Some(name) = name else { continue };
        let address = address.to_owned();
        if proxies.iter().any(|proxy| proxy.address == address) {
            reader.problem(Problem::new(
                &place,
                format!("`{address}` is listed already"),
            ));
        }
        proxies.push(ProxySettings { address, name });
    }
    if tables.is_empty() {
        let problem = Problem::new("link", "at least one proxy must be listed");
        reader.problem(problem.help("add a table `[[proxy]]` for each proxy of the pool"));
    }
    proxies
}

fn partners(
    tables: &[PartnerTable],
    reader: &mut SettingsReader<'_>,
) -> BTreeMap<Domain, PartnerType> {
    let mut partners = BTreeMap::new();
    for (index, table) in tables.iter().enumerate() {
        let place = format!("partner[{index}].domain");
        let further = format!("partner[{index}].additional-domains");
        let domain = reader.domain(&place, &table.domain);
        for domain in domain
            .into_iter()
            .chain(reader.domains(&further, &table.additional_domains))
        {
            if partners.insert(domain.clone(), table.kind).is_some() {
                let message = format!("`{domain}` is a partner's domain already");
                reader.problem(Problem::new(&place, message));
            }
        }
    }
    partners
}

fn policies(tables: &[PolicyTable], reader: &mut SettingsReader<'_>) -> Policies {
    let mut policies = Policies::default();
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
        if policy.xmpp && !policy.federation {
            tracing::warn!(
                identity,
                "enable-xmpp-access has no effect without enable-federation-access"
            );
        }
        if !policies.add(scope, policy) {
            let message = format!("there is a policy `{identity}` already");
            reader.problem(Problem::new(&place, message));
        }
    }
    policies
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
