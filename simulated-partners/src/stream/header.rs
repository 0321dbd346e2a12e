//! Writes our stream headers and reads the peer's (RFC 6120 §4.7).

use super::config::PartnerConfig;
use crate::wire::{Attribute, Element, NS_DIALBACK, NS_SERVER, NS_STREAM};

const NS_XML: &str = "http://www.w3.org/XML/1998/namespace";

/// The declaration before each header of ours (RFC 6120 §11.5).
pub(super) const DECLARATION: &str = "<?xml version='1.0'?>";

/// A header to the target.
pub(super) struct Outgoing<'a> {
    /// Who sends it.
    pub(super) config: &'a PartnerConfig,
    /// The id, given by the listening side.
    pub(super) id: Option<&'a str>,
    /// The domain that it answers; on the dialling side the one being dialled.
    pub(super) to: Option<&'a str>,
    /// Whether `xmlns:db` is declared.
    pub(super) dialback: bool,
    /// Whether `version='1.0'` is given; not to a peer without one (RFC 6120 §4.7.5).
    pub(super) version: bool,
}

impl Outgoing<'_> {
    /// The element, without the attributes named.
    pub(super) fn element(&self, without: &[String]) -> Element {
        let mut declarations = vec![
            (None, NS_SERVER.to_owned()),
            (Some("stream".to_owned()), NS_STREAM.to_owned()),
        ];
        if self.dialback {
            declarations.push((Some("db".to_owned()), NS_DIALBACK.to_owned()));
        }
        let attribute = |name: &str, value: &str| Attribute {
            prefix: None,
            name: name.to_owned(),
            namespace: String::new(),
            value: value.to_owned(),
        };
        let mut attributes = vec![attribute("from", &self.config.domain)];
        if let Some(to) = self.to {
            attributes.push(attribute("to", to));
        }
        if let Some(id) = self.id {
            attributes.push(attribute("id", id));
        }
        if self.version {
            attributes.push(attribute("version", "1.0"));
        }
        attributes.push(Attribute {
            prefix: Some("xml".to_owned()),
            name: "lang".to_owned(),
            namespace: NS_XML.to_owned(),
            value: "en".to_owned(),
        });
        attributes.retain(|attribute| !without.contains(&attribute.name));
        declarations.retain(|(prefix, _)| {
            prefix
                .as_ref()
                .is_none_or(|prefix| !without.contains(&format!("xmlns:{prefix}")))
        });
        Element {
            prefix: Some("stream".to_owned()),
            name: "stream".to_owned(),
            namespace: NS_STREAM.to_owned(),
            attributes,
            declarations,
            children: Vec::new(),
        }
    }
}

/// Whether the root is a stream with the content namespace of servers.
pub(super) fn has_right_namespaces(header: &Element) -> bool {
    header.is(NS_STREAM, "stream")
        && header
            .declarations
            .iter()
            .any(|(prefix, name)| prefix.is_none() && name == NS_SERVER)
}

/// Whether any prefix is bound to the dialback namespace (XEP-0220 §2.4.1).
pub(super) fn declares_dialback(header: &Element) -> bool {
    header
        .declarations
        .iter()
        .any(|(_, name)| name == NS_DIALBACK)
}

/// Whether the peer supports features: `version` is 1.0 or higher (RFC 6120 §4.7.5).
pub(super) fn has_version(header: &Element) -> bool {
    header
        .attribute("version")
        .and_then(|version| version.split_once('.'))
        .and_then(|(major, minor)| {
            let minor_is_number = !minor.is_empty() && minor.bytes().all(|b| b.is_ascii_digit());
            major.parse::<u32>().ok().filter(|_| minor_is_number)
        })
        .is_some_and(|major| major >= 1)
}

/// Whether two domains are the same, ignoring case and label form (RFC 7622 §3.2).
pub(super) fn same_domain(left: &str, right: &str) -> bool {
    if left.is_ascii() && right.is_ascii() {
        return left.eq_ignore_ascii_case(right);
    }
    let a_labels = |name: &str| {
        let name = hickory_proto::rr::Name::from_utf8(name).ok()?;
        Some(name.to_ascii().to_ascii_lowercase())
    };
    a_labels(left).is_some_and(|left| a_labels(right) == Some(left))
}

/// Whether this could be a domain at all (RFC 7622 §3.2): otherwise it must not reach a
/// resolver.
pub(super) fn could_be_domain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .chars()
                    .all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_the_same_in_either_case_and_form() {
        for (left, right, same) in [
            ("p.example", "P.Example", true),
            ("bücher.example", "xn--bcher-kva.example", true),
            ("BÜCHER.example", "bücher.example", true),
            ("bücher.example", "bucher.example", false),
            ("bü cher.example", "bücher.example", false),
            ("p.example", "q.example", false),
        ] {
            assert_eq!(same_domain(left, right), same, "{left} {right}");
        }
    }
}
