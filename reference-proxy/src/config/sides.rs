//! Converts the settings of addresses, certificates and lists.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::checked::Problem;
use super::file::{Reader, chained};
use super::list::List;
use super::table::{GatewayEntry, RestrictedGateway};
use crate::certificate::{Credentials, CredentialsError, Lists, RevocationPolicy};
use crate::domain::Domain;

impl Reader<'_> {
    pub(super) fn listen(&mut self, setting: &str, list: &List) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        for (place, text) in list.places(setting) {
            match self.address(&place, text) {
                // Port 0 is another one each time.
                Some(address) if address.port() != 0 && addresses.contains(&address) => {
                    let message = format!("`{text}` is listed twice");
                    self.problems.push(Problem::new(&place, message));
                }
                Some(address) => addresses.push(address),
                None => {}
            }
        }
        addresses
    }

    /// Whoever reaches the address sees who talks to whom, so it is of this machine only.
    pub(super) fn metrics(&mut self, text: &str) -> Option<SocketAddr> {
        let address = self.address(&"metrics", text)?;
        let local = address.ip().is_loopback().then_some(address);
        self.keep(local.ok_or_else(|| {
            let message = format!("`{text}` is not a loopback address");
            Problem::new("metrics", message).help("such as \"127.0.0.1:9100\" or \"[::1]:9100\"")
        }))
    }

    /// The names of gateways, and the domains of those that are not for all.
    pub(super) fn gateways(
        &mut self,
        served: &[Domain],
        entries: Vec<GatewayEntry>,
    ) -> (Vec<Domain>, BTreeMap<Domain, BTreeSet<Domain>>) {
        let (mut names, mut restricted) = (Vec::new(), BTreeMap::new());
        for (index, entry) in entries.into_iter().enumerate() {
            let place = format!("internal.gateways[{index}]");
            let RestrictedGateway { name, domains } = match entry {
                GatewayEntry::Name(name) => {
                    names.extend(self.domain(&place, &name));
                    continue;
                }
                GatewayEntry::Restricted(gateway) => gateway,
            };
            let at_domains = format!("{place}.domains");
            let read = self.domains(&at_domains, &domains);
            if domains.is_empty() {
                let problem = Problem::new(&at_domains, "a gateway for no domain");
                let help = "name its domains, or give only its name for all";
                self.problems.push(problem.help(help));
            }
            for domain in read.iter().filter(|domain| !served.contains(domain)) {
                let problem = Problem::new(&at_domains, format!("`{domain}` is not served here"));
                self.problems
                    .push(problem.help("add it to `domains` of the proxy"));
            }
            if let Some(name) = self.domain(&format!("{place}.name"), &name) {
                names.push(name.clone());
                restricted.insert(name, read.into_iter().collect());
            }
        }
        (names, restricted)
    }

    pub(super) fn source(&mut self, list: &List) -> Vec<IpAddr> {
        let mut addresses: Vec<IpAddr> = Vec::new();
        for (place, text) in list.places("external.source") {
            let read = text.parse::<IpAddr>();
            let problem = match read {
                Err(_) => Problem::new(&place, format!("`{text}` is not an IP address"))
                    .help("such as \"192.0.2.1\" or \"2001:db8::1\", without a port"),
                Ok(address) if address.is_unspecified() || address.is_multicast() => {
                    Problem::new(&place, format!("nothing can be sent from `{text}`"))
                        .help("without the setting the system chooses")
                }
                Ok(address)
                    if addresses
                        .iter()
                        .any(|one| one.is_ipv4() == address.is_ipv4()) =>
                {
                    Problem::new(
                        &place,
                        format!("`{text}` is of the same family as another one"),
                    )
                    .help("at most one IPv4 and one IPv6 address")
                }
                Ok(address) => {
                    addresses.push(address);
                    continue;
                }
            };
            self.problems.push(problem);
        }
        addresses
    }

    /// Reads certificates and their keys, or notes why they cannot be used.
    pub fn credentials(&mut self, table: &str, chains: &List, keys: &List) -> Option<Credentials> {
        let at_chains = chains.places(&format!("{table}.certificate"));
        let at_keys = keys.places(&format!("{table}.key"));
        if at_chains.len() != at_keys.len() {
            let message = format!("certificates: {}, keys: {}", at_chains.len(), at_keys.len());
            let problem = Problem::new(&format_args!("{table}.key"), message);
            let help = "each certificate needs its key, in the same order";
            self.problems.push(problem.help(help));
            return None;
        }
        let mut all = None;
        for ((at_chain, chain), (at_key, key)) in at_chains.into_iter().zip(at_keys) {
            let chain = self.pem(&at_chain, chain);
            let key = self.pem(&at_key, key);
            let (Some(chain), Some(key)) = (chain, key) else {
                continue;
            };
            let read = Credentials::from_pem(&chain, &key).map_err(|error| {
                let place = match error {
                    CredentialsError::NoKey | CredentialsError::EncryptedKey => &at_key,
                    _ => &at_chain,
                };
                Problem::new(place, chained(&error))
            });
            if let Some(one) = self.keep(read) {
                all = Some(all.map_or_else(|| one.clone(), |all: Credentials| all.and(&one)));
            }
        }
        all
    }

    pub(super) fn revoked(&mut self, policy: RevocationPolicy, crl: Option<&List>) -> Lists {
        let mut all = Lists::default();
        let Some(crl) = crl else {
            return all;
        };
        if policy == RevocationPolicy::Off {
            let problem = Problem::new(
                "external.crl",
                "the lists are not used while `revocation` is off",
            );
            let help = "set revocation = \"if-there\" or \"required\", or leave the setting out";
            self.problems.push(problem.help(help));
        }
        for (place, text) in crl.places("external.crl") {
            let Some(bytes) = self.bytes(&place, text) else {
                continue;
            };
            let read = Lists::read(&bytes);
            if let Some(lists) =
                self.keep(read.map_err(|error| Problem::new(&place, chained(&error))))
            {
                all = all.and(&lists);
            }
        }
        all
    }
}
