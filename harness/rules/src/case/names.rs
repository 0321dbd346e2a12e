//! The values of placeholders in a case.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use simulated_partners::board::Board;
use simulated_partners::reaction::{Reaction, Values};
use simulated_partners::wire::{Element, Framer, Kind, Limits, NS_DIALBACK, NS_SERVER, NS_STREAM};

use super::domains::Domains;
use super::script::{Role, Script};

/// The names of a case and their values.
#[derive(Clone, Debug)]
pub struct Names {
    domains: Domains,
    /// The domain of the target that the main partner addresses.
    target: String,
    first: String,
    second: Option<String>,
    secret: Option<String>,
    probe: String,
    values: BTreeMap<String, String>,
    /// The domains of partners.
    roles: BTreeMap<String, String>,
    listening: BTreeMap<String, SocketAddr>,
    /// The host names in SRV records.
    hosts: BTreeMap<String, String>,
}

/// Names that a scenario can use besides its own, as known to [`Names::fill`].
pub const KNOWN: [&str; 8] = [
    "domain",
    "target",
    "target-host",
    "target1",
    "target2",
    "secret",
    "probe",
    "alive",
];

impl Names {
    /// The names for a script in a case with these domains.
    pub fn of(script: &Script, domains: Domains, target: &str, second: Option<&str>) -> Self {
        let mut names = Self {
            target: target.to_owned(),
            first: target.to_owned(),
            second: second.map(str::to_owned),
            secret: None,
            probe: format!("probe-{}", domains.base()),
            values: script.values.clone(),
            roles: BTreeMap::new(),
            listening: BTreeMap::new(),
            hosts: BTreeMap::new(),
            domains,
        };
        if let Some(main) = script.roles.first() {
            names.target = names.of_target(main);
        }
        for role in &script.roles {
            let filled = match names.domains.other(&role.name) {
                Some(domain) => domain.to_owned(),
                None => names.fill(&role.domain, names.domain(), &Board::default()),
            };
            names.roles.insert(role.name.to_string(), filled);
        }
        names
    }

    /// As above, with a known secret for the target's dialback keys.
    #[must_use]
    pub fn with_secret(self, secret: Option<&str>) -> Self {
        let secret = secret.map(str::to_owned);
        Self { secret, ..self }
    }

    /// As above, with another id for the stanza that must get through: cases that share a domain
    /// must not share it.
    #[must_use]
    pub fn with_probe(self, probe: String) -> Self {
        Self { probe, ..self }
    }

    /// The case's own domain.
    pub fn domain(&self) -> &str {
        self.domains.base()
    }

    /// The id of the stanza that must get through.
    pub fn probe(&self) -> &str {
        &self.probe
    }

    /// The domain of the partner that checks afterwards whether the target still works.
    pub fn living(&self) -> &str {
        self.domains.living()
    }

    /// The domain of the partner whose ping ends the wait for another's.
    pub fn control(&self) -> &str {
        self.domains.control()
    }

    /// A partner's domain.
    pub fn of_role(&self, role: &Role) -> String {
        self.roles
            .get(&*role.name)
            .cloned()
            .unwrap_or_else(|| self.domain().to_owned())
    }

    /// The domain of the partner that the case is about.
    pub fn of_main(&self, script: &Script) -> String {
        let main = script.roles.first();
        main.map_or_else(|| self.domain().to_owned(), |role| self.of_role(role))
    }

    /// The domain of the target that a partner addresses.
    pub fn of_target(&self, role: &Role) -> String {
        self.fill(&role.target, self.domain(), &Board::default())
    }

    /// The domain of the target that the case is about.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// All domains of the target.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        let second = self.second.as_deref();
        std::iter::once(self.first.as_str()).chain(second)
    }

    /// The domains from which stanzas may come.
    pub fn domains(&self, script: &Script) -> BTreeSet<String> {
        script.roles.iter().map(|role| self.of_role(role)).collect()
    }

    /// Remembers where a partner listens.
    pub fn listens(&mut self, name: &Arc<str>, address: SocketAddr) {
        self.listening.insert(name.to_string(), address);
    }

    /// Remembers the host name of a partner in SRV records.
    pub fn is_hosted(&mut self, name: &Arc<str>, host: String) {
        self.hosts.insert(name.to_string(), host);
    }

    /// The port of a partner.
    pub fn port(&self, name: &str) -> Option<u16> {
        self.listening.get(name).map(SocketAddr::port)
    }

    /// The values of placeholders for a partner with this domain.
    pub fn values(&self, domain: &str) -> BTreeMap<String, String> {
        let mut values = self.roles.clone();
        for (name, at) in &self.listening {
            values.insert(format!("{name}-address"), at.ip().to_string());
            values.insert(format!("{name}-port"), at.port().to_string());
        }
        for (name, host) in &self.hosts {
            values.insert(format!("{name}-host"), host.clone());
        }
        let own = [
            ("domain", domain.to_owned()),
            ("target", self.target.clone()),
            ("target1", self.first.clone()),
            ("probe", self.probe.clone()),
            ("alive", self.living().to_owned()),
        ];
        values.extend(own.map(|(name, value)| (name.to_owned(), value)));
        values.extend(
            self.secret
                .clone()
                .map(|secret| ("secret".to_owned(), secret)),
        );
        values.extend(self.second.clone().map(|name| ("target2".to_owned(), name)));
        values
    }

    /// A text with its placeholders filled in, for a partner of this domain.
    pub fn fill(&self, text: &str, domain: &str, board: &Board) -> String {
        let text = insert(text, &self.values);
        if !text.contains('{') {
            return text;
        }
        let (fixed, board) = (self.values(domain), board.snapshot());
        Values {
            domain,
            target: &self.target,
            fixed: Some(&fixed),
            board: Some(&board),
            ..Values::default()
        }
        .fill_plain(&text)
    }
}

/// Parses a text as one stanza of `jabber:server`.
///
/// # Errors
/// Why it is not a stanza.
pub fn stanza(text: &str) -> Result<Element, String> {
    let mut framer = Framer::new(Limits::default());
    let header = format!(
        "<stream:stream xmlns='{NS_SERVER}' xmlns:stream='{NS_STREAM}' xmlns:db='{NS_DIALBACK}'>"
    );
    framer.push(header.as_bytes());
    framer.push(text.trim().as_bytes());
    let mut next = || framer.next().map_err(|error| error.to_string());
    next()?;
    match next()?.map(|frame| frame.kind) {
        Some(Kind::Element(element)) => Ok(element),
        _ => Err(format!("`{}` is no stanza", text.trim())),
    }
}

/// A reaction with the scenario's values in its texts. Values may contain placeholders and XML, because
/// they are part of the script and not untrusted input.
pub fn with_values(reaction: &Reaction, values: &BTreeMap<String, String>) -> Reaction {
    reaction.map_texts(|text| insert(text, values))
}

/// How deeply values may refer to other values.
const DEPTH: usize = 8;

/// A text with values in place of their names.
pub(crate) fn insert(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for _ in 0..DEPTH {
        let mut done = text.clone();
        for (name, value) in values {
            done = done.replace(&format!("{{{name}}}"), value);
        }
        if done == text {
            break;
        }
        text = done;
    }
    text
}
