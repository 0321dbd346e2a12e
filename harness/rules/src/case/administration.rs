//! What an administrator has set in a case besides the policy, and does while it runs.

use std::fmt;
use std::time::Duration;

use strum::{Display, VariantArray};

use crate::policy::PolicyNumber;
use crate::requirement::Level;

/// A rule of the sets `settings` and `failover`: what a setting means, or what a pool owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// Its name, such as `type.unverified.stranger`.
    pub id: &'static str,
    /// The document and the section behind it.
    pub clause: &'static str,
    /// Whether these say it in so many words.
    pub level: Level,
    /// The rule in a sentence.
    pub says: &'static str,
}

/// An administrator's part in a case.
#[derive(Clone, Debug)]
pub struct Administration {
    /// The rule that decides the case.
    pub rule: &'static Rule,
    /// What is set at the start.
    pub settings: Settings,
    /// What is done while the case runs.
    pub steps: Vec<Step>,
    /// Whether the target is a pool of two.
    pub is_pool: bool,
    /// How far the target's clock is moved in all, where the case is about its times. When it has been moved
    /// so far, that raises the signal `time-is-up`.
    pub passes: Option<Duration>,
    /// Where partners do something now and then: each time that so much more has passed, that raises
    /// `passed-60`, with the seconds, and the clock rests until the target has something of it.
    pub every: Option<Duration>,
}

/// Something that is done while the case runs. When it is done, that raises the signal `done-1` for the first
/// one, and so on.
#[derive(Clone, Debug)]
pub struct Step {
    /// The signal that has to be raised first; at once without.
    pub when: Option<String>,
    /// What is done.
    pub what: What,
}

/// What an administrator, or a calamity, does.
#[derive(Clone, Debug)]
pub enum What {
    /// Other settings are put in force, and streams that they do not touch stay.
    Reload(Box<Settings>),
    /// The first member of the pool is gone from one moment to the next.
    Die,
    /// The first member of the pool is stopped in order.
    Stop,
}

/// What can be set. What is `None` or empty keeps its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `PartnerType`.
    pub kind: Option<PartnerType>,
    /// `EnableKeepAlive` of the partner.
    pub keep_alive: Option<bool>,
    /// `ConnectionLimit` of the partner.
    pub connection_limit: Option<u16>,
    /// `AdditionalDomains` of the partner, with placeholders.
    pub additional_domains: Vec<String>,
    /// `ProxyFqdn` of the partner, with placeholders.
    pub proxy_fqdn: Option<String>,
    /// Another policy than the case's.
    pub policy: Option<PolicyNumber>,
    /// Whether the partner is not listed at all.
    pub unlisted: bool,
    /// `ConnectionLimit` in all.
    pub connections: Option<u16>,
    /// `PartnerConnectionLimit`.
    pub partner_connections: Option<u16>,
    /// `KeepAliveInterval`, in seconds.
    pub keep_alive_interval: Option<u16>,
    /// `StreamEstablishmentTimeout`, in seconds.
    pub establishment_timeout: Option<u16>,
    /// `StreamInactivityTimeout`, in seconds.
    pub inactivity_timeout: Option<u16>,
    /// Whether settings that the control panel does not save are refused.
    pub as_control_panel: bool,
    /// The local users behind the target. Without, its inner side is the harness's own.
    pub users: Option<Users>,
}

/// Three levels of trust in a partner: `PartnerType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Display, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum PartnerType {
    /// The same enterprise, or one in a business relation.
    Federated,
    /// A public provider that is trusted to vouch for its users.
    PublicVerified,
    /// A public provider that is not.
    PublicUnverified,
}

impl PartnerType {
    /// All types, the most trusted first.
    pub const ALL: &'static [Self] = Self::VARIANTS;
}

/// The local users: [`USER`], whom the case is about, and [`WITNESS`], who may talk to [`FRIEND`] whatever the
/// settings are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    /// Whether the user has added [`CONTACT`] to the contact list.
    pub has_contact: bool,
    /// External access policies that count for the user: scope and what it allows.
    pub policies: Vec<(Scope, Access)>,
    /// Whether a contact of a public-verified partner waits for the user's approval.
    pub by_invitation: bool,
    /// Whether public partners take EnablePublicCloudAccess, too.
    pub public_needs_cloud: bool,
}

/// The local user whom the case is about.
pub const USER: &str = "juliet";
/// The local user whose stanzas always pass: they show that the way is open, and that what was sent before them
/// would have come.
pub const WITNESS: &str = "witness";
/// Whom the user talks to, at the partner.
pub const CONTACT: &str = "romeo";
/// Whom the witness talks to, at the partner.
pub const FRIEND: &str = "friend";

/// Whom an external access policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Display, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Scope {
    /// All users without another policy.
    Global,
    /// The users of a site.
    Site,
    /// The users that it was granted to.
    User,
}

/// What an external access policy allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// `EnableFederationAccess`.
    pub federation: bool,
    /// `EnableXmppAccess`.
    pub xmpp: bool,
    /// `EnablePublicCloudAccess`.
    pub public_cloud: bool,
}

impl Access {
    /// What it takes to talk to XMPP partners.
    pub const ENOUGH: Self = Self {
        federation: true,
        xmpp: true,
        public_cloud: false,
    };
}

impl fmt::Display for Access {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.federation, "federation"),
            (self.xmpp, "xmpp"),
            (self.public_cloud, "public-cloud"),
        ];
        let parts: Vec<&str> = parts
            .iter()
            .filter_map(|(is_on, name)| is_on.then_some(*name))
            .collect();
        match parts.as_slice() {
            [] => to.write_str("nothing"),
            parts => to.write_str(&parts.join("-and-")),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reload(settings) => write!(to, "reload with {settings}"),
            Self::Die => to.write_str("the first member of the pool dies"),
            Self::Stop => to.write_str("the first member of the pool is stopped"),
        }
    }
}

/// With the names of the original's parameters.
impl fmt::Display for Settings {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        let mut add = |name: &str, value: Option<String>| {
            parts.extend(value.map(|value| format!("{name} {value}")));
        };
        let number = |value: Option<u16>| value.map(|value| value.to_string());
        add("PartnerType", self.kind.map(|kind| kind.to_string()));
        add("EnableKeepAlive", self.keep_alive.map(|on| on.to_string()));
        add(
            "ConnectionLimit of the partner",
            number(self.connection_limit),
        );
        let domains =
            (!self.additional_domains.is_empty()).then(|| self.additional_domains.join(", "));
        add("AdditionalDomains", domains);
        add("ProxyFqdn", self.proxy_fqdn.clone());
        add(
            "policy",
            self.policy
                .map(|row| format!("{} {}", row.label(), row.policy())),
        );
        add("ConnectionLimit", number(self.connections));
        add("PartnerConnectionLimit", number(self.partner_connections));
        add("KeepAliveInterval", number(self.keep_alive_interval));
        add(
            "StreamEstablishmentTimeout",
            number(self.establishment_timeout),
        );
        add("StreamInactivityTimeout", number(self.inactivity_timeout));
        parts.extend(
            self.unlisted
                .then(|| "the partner is not listed".to_owned()),
        );
        parts.extend(
            self.as_control_panel
                .then(|| "validated as in the control panel".to_owned()),
        );
        parts.extend(self.users.as_ref().map(Users::to_string));
        match parts.as_slice() {
            [] => to.write_str("the defaults"),
            parts => to.write_str(&parts.join("; ")),
        }
    }
}

impl fmt::Display for Users {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let contact = if self.has_contact { "has" } else { "has not" };
        write!(to, "the user {contact} added the contact")?;
        for (scope, access) in &self.policies {
            write!(to, "; {scope} policy: {access}")?;
        }
        if self.policies.is_empty() {
            write!(to, "; no policy")?;
        }
        if self.by_invitation {
            write!(to, "; public-verified by invitation")?;
        }
        if self.public_needs_cloud {
            write!(to, "; public partners take public cloud access")?;
        }
        Ok(())
    }
}
