//! The words of the cmdlets, for files that are written by those who know them.

use serde::de::value::StringDeserializer;
use serde::{Deserialize, Deserializer};

/// Reads a word in the file's spelling, `not-supported`, or the cmdlets', `NotSupported`.
pub(super) fn word<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let mut word = String::new();
    for letter in String::deserialize(from)?.chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.push(letter.to_ascii_lowercase());
    }
    T::deserialize(StringDeserializer::new(word))
}

/// A parameter of `Set-CsXmppAllowedPartner` or `Set-CsXmppGatewayConfiguration`.
struct Parameter {
    name: &'static str,
    /// Its name in the file.
    setting: &'static str,
    /// Where the file has it.
    place: &'static str,
}

const PARTNER: &str = "[[partner]]";
const POLICY: &str = "[[policy]] of the gateway's file";
const LIMITS: &str = "[limits]";
const TOP: &str = "the file, before its tables";

const PARAMETERS: [Parameter; 24] = [
    parameter("Identity", "domain", PARTNER),
    parameter("AdditionalDomains", "additional-domains", PARTNER),
    parameter("Description", "description", PARTNER),
    parameter("EnableKeepAlive", "keep-alive", PARTNER),
    parameter("PartnerType", "type", PARTNER),
    parameter("ProxyFqdn", "proxy-fqdn", PARTNER),
    parameter("SaslNegotiation", "sasl", PARTNER),
    parameter("TlsNegotiation", "tls", PARTNER),
    parameter("SupportDialbackNegotiation", "dialback", PARTNER),
    parameter("Multiplexing", "multiplexing", PARTNER),
    parameter("Bidirectional", "bidirectional", PARTNER),
    parameter("StreamManagement", "stream-management", PARTNER),
    parameter("PartnerConnectionLimit", "partner-connections", LIMITS),
    parameter("KeepAliveInterval", "keep-alive-interval", LIMITS),
    parameter(
        "StreamEstablishmentTimeout",
        "stream-establishment-timeout",
        LIMITS,
    ),
    parameter(
        "StreamInactivityTimeout",
        "stream-inactivity-timeout",
        LIMITS,
    ),
    parameter(
        "ConnectionLimit",
        "connection-limit",
        "[[partner]], `connections` in [limits]",
    ),
    parameter("EnableFederationAccess", "enable-federation-access", POLICY),
    parameter("EnableXmppAccess", "enable-xmpp-access", POLICY),
    parameter(
        "EnablePublicCloudAccess",
        "enable-public-cloud-access",
        POLICY,
    ),
    parameter("PolicyName", "policy", "[[user]] of the gateway's file"),
    parameter("DialbackPassphrase", "secret", TOP),
    parameter("EnableLoggingAllMessageBodies", "log-message-bodies", TOP),
    parameter(
        "SubscriptionRefreshInterval",
        "subscription-refresh-interval",
        "[limits] of the gateway's file",
    ),
];

const fn parameter(name: &'static str, setting: &'static str, place: &'static str) -> Parameter {
    Parameter {
        name,
        setting,
        place,
    }
}

/// What a file has instead of the parameter that a message of the reader calls unknown.
pub(super) fn help(message: &str) -> Option<String> {
    let name = message.strip_prefix("unknown field `")?.split('`').next()?;
    let known = PARAMETERS
        .iter()
        .find(|one| one.name.eq_ignore_ascii_case(name))?;
    let Parameter { setting, place, .. } = known;
    Some(format!("{} is `{setting}` in {place}", known.name))
}
