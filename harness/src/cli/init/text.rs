//! The commented text of a target file.

use std::net::{IpAddr, SocketAddr};

use super::TriggerName;
use crate::policy::PolicyNumber;
use crate::subject::remote::{CertificateNames, PartnerHosts};
use crate::subject::template::fill;

const TEMPLATE: &str = include_str!("../../../targets/target.toml");

/// A component of a server.
pub(super) struct Component {
    pub(super) domain: String,
    /// Where the server takes it.
    pub(super) address: SocketAddr,
    pub(super) secret: String,
}

/// What is known of a server.
pub(super) struct ServerFacts {
    pub(super) domain: String,
    pub(super) address: SocketAddr,
    pub(super) direct_tls: Option<SocketAddr>,
    pub(super) dns: SocketAddr,
    pub(super) partner_address: IpAddr,
    pub(super) row: PolicyNumber,
    pub(super) trigger: TriggerName,
    pub(super) component: Component,
    pub(super) partner_hosts: PartnerHosts,
    pub(super) certificate_names: CertificateNames,
    /// How many seconds it waits for a partner that is silent, if that is known.
    pub(super) stream: Option<u64>,
    /// Comment lines that come first.
    pub(super) head: String,
}

/// The text. What does not apply stays in it as a comment.
pub(super) fn target_file(facts: &ServerFacts) -> String {
    let policy = facts.row.policy();
    let dialback = if policy.dialback { "on" } else { "off" };
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let Component {
        domain: component,
        address,
        secret,
    } = &facts.component;
    let trigger = match facts.trigger {
        TriggerName::Reply => "kind = \"reply\"".to_owned(),
        TriggerName::Component => format!(
            "kind = \"component\"\naddress = \"{address}\"\ndomain = {}\nsecret = {}",
            quoted(component),
            quoted(secret),
        ),
        TriggerName::Command => "kind = \"command\"\n\
             command = [\"./send-stanza\", \"{sender}\", \"{receiver}\", \"{body}\"]"
            .to_owned(),
    };
    let hosts = match facts.partner_hosts {
        PartnerHosts::Names => "# partner-hosts = \"digits\"",
        PartnerHosts::Digits => "partner-hosts = \"digits\"",
    };
    let names = match facts.certificate_names {
        CertificateNames::All => "# certificate-names = \"without-xmpp-addr\"",
        CertificateNames::WithoutXmppAddr => "certificate-names = \"without-xmpp-addr\"",
    };
    let direct_tls = match facts.direct_tls {
        Some(address) => format!("direct-tls = \"{address}\""),
        None => "# direct-tls = \"127.0.0.1:5270\"".to_owned(),
    };
    let values = [
        ("head", facts.head.clone()),
        ("domain", quoted(&facts.domain)),
        ("address", facts.address.to_string()),
        ("direct-tls", direct_tls),
        ("dns", facts.dns.to_string()),
        ("row", facts.row.number().to_string()),
        (
            "policy",
            format!(
                "TLS {}, SASL {}, dialback {dialback}",
                policy.tls, policy.sasl
            ),
        ),
        ("trigger", trigger),
        ("partner-hosts", hosts.to_owned()),
        ("certificate-names", names.to_owned()),
        (
            "timeouts",
            match facts.stream {
                Some(seconds) => format!("[timeouts]\nstream = {seconds}"),
                None => "# [timeouts]\n# stream = 4".to_owned(),
            },
        ),
        ("partner-address", facts.partner_address.to_string()),
    ];
    fill(TEMPLATE, &values)
}
