//! The TOML file: its format, and its conversion to a checked configuration.

use std::collections::BTreeMap;
use std::path::Path;

use reference_proxy::wire::{
    Domain, PartnerTable, PartnerType, Problem, SettingsReader, from_toml,
};
use serde::Deserialize;

use super::draft::{Draft, NamedPolicy, partners};
use super::table::{File, ProxyTable};
use super::{Config, ConfigError, ProxySettings, text};
use crate::policy::LACKS_FEDERATION;

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

fn config(
    file: File,
    elsewhere: Option<BTreeMap<Domain, PartnerType>>,
    reader: &mut SettingsReader<'_>,
) -> Option<Config> {
    let (link, limits) = (&file.link, &file.limits);
    let credentials = reader.credentials("link", &link.certificate, &link.key);
    let authorities = reader.authorities(&"link.ca", &link.ca);
    let name = reader.domain(&"link.name", &link.name);
    let proxies = proxies(&file.proxy, reader);
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
    let draft = Draft::of(&file, elsewhere, reader);
    warn(&draft);
    let path = |text: Option<String>| text.map(|text| reader.folder().join(text));
    let [state, local, control] = [file.state, file.local, file.control].map(path);
    Some(Config {
        directory: draft.directory,
        state,
        local,
        control,
        credentials: credentials?,
        authorities: authorities?,
        name: name?,
        proxies,
        limits: file.limits,
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

/// Warns of policies that are written as if they did more.
fn warn(draft: &Draft) {
    for NamedPolicy {
        identity, policy, ..
    } in &draft.policies
    {
        if policy.lacks_federation() {
            tracing::warn!(identity, "{LACKS_FEDERATION}");
        }
    }
}
