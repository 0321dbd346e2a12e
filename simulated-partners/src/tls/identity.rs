//! Checks whether a certificate is valid for a domain.

use x509_parser::asn1_rs::{FromDer, Ia5String, Utf8String};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

const ID_ON_XMPP_ADDR: &str = "1.3.6.1.5.5.7.8.5";
const ID_ON_DNS_SRV: &str = "1.3.6.1.5.5.7.8.7";
const SERVICE: &str = "_xmpp-server.";

/// A name in a certificate (RFC 6125 §1.8, RFC 6120 §13.7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// dNSName; the leftmost label may be `*`.
    Dns(String),
    /// SRVName, whatever its service (RFC 4985).
    Srv(String),
    /// id-on-xmppAddr.
    Xmpp(String),
}

impl Name {
    /// Whether it covers this domain. Case does not matter; a wildcard matches exactly one label.
    pub fn covers(&self, domain: &str) -> bool {
        match self {
            Self::Dns(pattern) => dns_covers(pattern, domain),
            Self::Srv(name) => name
                .get(..SERVICE.len())
                .filter(|service| service.eq_ignore_ascii_case(SERVICE))
                .is_some_and(|_| dns_covers(&name[SERVICE.len()..], domain)),
            Self::Xmpp(address) => address.eq_ignore_ascii_case(domain),
        }
    }

    /// A readable form: only the domain if it is one.
    pub fn text(&self) -> &str {
        match self {
            Self::Dns(name) | Self::Xmpp(name) => name,
            Self::Srv(name) => name.strip_prefix(SERVICE).unwrap_or(name),
        }
    }
}

/// All names valid for an XMPP server. A common name does not count, nor does a name in a
/// string of the wrong type.
pub(super) fn names(certificate: &X509Certificate<'_>) -> Vec<Name> {
    // webpki refuses a certificate with two of these extensions before names matter.
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(Name::Dns((*name).to_owned())),
            GeneralName::OtherName(id, value) => other_name(&id.to_id_string(), value),
            _ => None,
        })
        .collect()
}

/// Whether one of the names covers the domain.
pub(super) fn any_covers(names: &[Name], domain: &str) -> bool {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    names.iter().any(|name| name.covers(domain))
}

/// The value is still inside its explicit `[0]`.
fn other_name(id: &str, value: &[u8]) -> Option<Name> {
    let (_, value) = x509_parser::asn1_rs::Any::from_der(value).ok()?;
    let inner = value.data;
    match id {
        ID_ON_XMPP_ADDR => {
            let (_, address) = Utf8String::from_der(inner).ok()?;
            Some(Name::Xmpp(address.string()))
        }
        ID_ON_DNS_SRV => {
            let (_, name) = Ia5String::from_der(inner).ok()?;
            Some(Name::Srv(name.string()))
        }
        _ => None,
    }
}

fn dns_covers(pattern: &str, domain: &str) -> bool {
    let pattern = pattern.strip_suffix('.').unwrap_or(pattern);
    match pattern.strip_prefix("*.") {
        Some(parent) => domain
            .split_once('.')
            .is_some_and(|(first, rest)| !first.is_empty() && rest.eq_ignore_ascii_case(parent)),
        None => pattern.eq_ignore_ascii_case(domain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(name: Name, domain: &str) -> bool {
        any_covers(&[name], domain)
    }

    #[test]
    fn a_dns_name_covers_itself_in_any_case() {
        assert!(covers(Name::Dns("A.example".into()), "a.EXAMPLE"));
        assert!(covers(Name::Dns("a.example".into()), "a.example."));
        assert!(!covers(Name::Dns("a.example".into()), "b.example"));
        assert!(!covers(Name::Dns("a.example".into()), "x.a.example"));
    }

    #[test]
    fn a_wildcard_stands_for_exactly_the_leftmost_label() {
        let wildcard = || Name::Dns("*.example".into());
        assert!(covers(wildcard(), "a.example"));
        assert!(!covers(wildcard(), "example"));
        assert!(!covers(wildcard(), "b.a.example"));
        assert!(!covers(wildcard(), ".example"));
        assert!(!covers(Name::Dns("a.*.example".into()), "a.b.example"));
        assert!(!covers(Name::Dns("a*.example".into()), "ab.example"));
        assert!(!covers(Name::Xmpp("*.example".into()), "a.example"));
    }

    #[test]
    fn an_srv_name_counts_for_its_service_only() {
        assert!(covers(
            Name::Srv("_xmpp-server.a.example".into()),
            "a.example"
        ));
        assert!(!covers(
            Name::Srv("_xmpp-client.a.example".into()),
            "a.example"
        ));
        assert!(!covers(Name::Srv("a.example".into()), "a.example"));
        assert!(!covers(Name::Srv("ÄÖÜäöüß".into()), "a.example"));
    }
}
