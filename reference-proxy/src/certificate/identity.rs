//! Which domains a certificate is for (RFC 6120 §13.7.1.2, RFC 6125, RFC 9525).
//!
//! Only subject alternative names count: DNS-ID, SRV-ID and XmppAddr, each in the string type of
//! its standard. The common name is ignored.

use x509_parser::asn1_rs::{Any, Class, FromDer, Oid, Tag, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use crate::domain::Domain;

/// id-on-xmppAddr (RFC 6120 §13.7.1.4), a UTF8String.
const XMPP_ADDR: Oid<'static> = oid!(1.3.6.1.5.5.7.8.5);
/// id-on-dnsSRV (RFC 4985 §2), an IA5String.
const SRV_NAME: Oid<'static> = oid!(1.3.6.1.5.5.7.8.7);
/// The service of server-to-server streams in SRV-IDs.
const SERVICE: &str = "_xmpp-server.";

/// Whether the certificate names one of the domains.
pub(super) fn names_one_of(certificate: &X509Certificate<'_>, domains: &[Domain]) -> bool {
    // More than one such extension, or an unreadable one, names nothing.
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return false;
    };
    let mut names = names.value.general_names.iter();
    names.any(|name| domains.iter().any(|domain| names_domain(name, domain)))
}

fn names_domain(name: &GeneralName<'_>, domain: &Domain) -> bool {
    match name {
        GeneralName::DNSName(text) => dns_id(text, domain.as_str()),
        GeneralName::OtherName(kind, value) if *kind == SRV_NAME => {
            string(value, Tag::Ia5String).is_some_and(|text| srv_id(text, domain.as_str()))
        }
        GeneralName::OtherName(kind, value) if *kind == XMPP_ADDR => {
            // `Domain` accepts neither local part nor resource nor wildcard.
            string(value, Tag::Utf8String)
                .and_then(|text| Domain::parse(text).ok())
                .is_some_and(|named| named == *domain)
        }
        _ => false,
    }
}

/// A wildcard is the whole leftmost label and stands for exactly one label (RFC 9525 §6.3).
fn dns_id(presented: &str, domain: &str) -> bool {
    if presented.eq_ignore_ascii_case(domain) {
        return true;
    }
    match (presented.strip_prefix("*."), domain.split_once('.')) {
        (Some(parent), Some((_, domain_parent))) => parent.eq_ignore_ascii_case(domain_parent),
        _ => false,
    }
}

fn srv_id(presented: &str, domain: &str) -> bool {
    match presented.split_at_checked(SERVICE.len()) {
        Some((service, name)) => {
            service.eq_ignore_ascii_case(SERVICE) && name.eq_ignore_ascii_case(domain)
        }
        None => false,
    }
}

/// The text inside the explicit tag of an otherName, if it is of the right string type.
fn string(value: &[u8], wanted: Tag) -> Option<&str> {
    let (rest, outer) = Any::from_der(value).ok()?;
    if !rest.is_empty() || outer.class() != Class::ContextSpecific || outer.tag() != Tag(0) {
        return None;
    }
    let (rest, inner) = Any::from_der(outer.data).ok()?;
    if !rest.is_empty() || inner.class() != Class::Universal || inner.tag() != wanted {
        return None;
    }
    let text = std::str::from_utf8(inner.data).ok()?;
    (wanted != Tag::Ia5String || text.is_ascii()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_id_matches_label_by_label_in_any_case() {
        for (presented, matches) in [
            ("fp.example", true),
            ("FP.Example", true),
            ("xfp.example", false),
            ("fp.example.evil.example", false),
            ("fp.exampl", false),
            ("fp.example ", false),
            ("fp.example.", false),
            ("fp.example\0.evil.example", false),
            ("evil.example, DNS:fp.example", false),
            ("", false),
        ] {
            assert_eq!(dns_id(presented, "fp.example"), matches, "{presented:?}");
        }
    }

    #[test]
    fn wildcard_is_the_whole_leftmost_label_and_one_label() {
        for (presented, domain, matches) in [
            ("*.fp.example", "a.fp.example", true),
            ("*.FP.example", "xn--strae-oqa.fp.example", true),
            ("*.fp.example", "fp.example", false),
            ("*.fp.example", "a.b.fp.example", false),
            ("a*.fp.example", "a.fp.example", false),
            ("*a.fp.example", "a.fp.example", false),
            ("a.*.example", "a.fp.example", false),
            ("*.*.example", "a.fp.example", false),
            ("xn--*.fp.example", "xn--strae-oqa.fp.example", false),
            ("*", "example", false),
            ("*.", "example", false),
        ] {
            assert_eq!(dns_id(presented, domain), matches, "{presented} {domain}");
        }
    }

    #[test]
    fn srv_id_is_for_this_service_only() {
        for (presented, matches) in [
            ("_xmpp-server.fp.example", true),
            ("_XMPP-Server.FP.example", true),
            ("_xmpp-client.fp.example", false),
            ("_xmpp-server.*.example", false),
            ("_xmpp-server.", false),
            ("fp.example", false),
            ("_xmpp-serveé", false),
        ] {
            assert_eq!(srv_id(presented, "fp.example"), matches, "{presented}");
        }
    }

    #[test]
    fn other_names_count_in_their_own_string_type_only() {
        let der = |tag: u8, text: &str| {
            let length = u8::try_from(text.len()).expect("a short text");
            let mut value = vec![0xa0, length + 2, tag, length];
            value.extend_from_slice(text.as_bytes());
            value
        };
        let ia5 = der(0x16, "a.example");
        let utf8 = der(0x0c, "a.example");
        assert_eq!(string(&ia5, Tag::Ia5String), Some("a.example"));
        assert_eq!(string(&utf8, Tag::Utf8String), Some("a.example"));
        assert_eq!(string(&utf8, Tag::Ia5String), None);
        assert_eq!(string(&ia5, Tag::Utf8String), None);
        assert_eq!(string(&der(0x16, "é"), Tag::Ia5String), None);
        assert_eq!(string(&utf8[2..], Tag::Utf8String), None);
        assert_eq!(string(&[0xa0, 0x80], Tag::Utf8String), None);
        assert_eq!(string(&[], Tag::Utf8String), None);
    }
}
