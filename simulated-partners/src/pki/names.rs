//! Encodes names in certificates.

use yasna::Tag;
use yasna::models::ObjectIdentifier;
use yasna::tags::{TAG_IA5STRING, TAG_PRINTABLESTRING, TAG_UTF8STRING};

use super::certificate::Extension;

const ID_ON_XMPP_ADDR: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 8, 5];
const ID_ON_DNS_SRV: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 8, 7];
/// Upper bound of a common name (RFC 5280 Appendix A.1).
const UB_COMMON_NAME: usize = 64;

/// The forms in which certificates name a domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameForms {
    /// dNSName, id-on-xmppAddr and SRVName.
    #[default]
    All,
    /// Without id-on-xmppAddr, as issued by public authorities today: for targets that cannot read
    /// it.
    WithoutXmppAddr,
}

/// An entry of the subject alternative names (RFC 5280 §4.2.1.6).
///
/// Texts are encoded as given, valid or not: one that is not ASCII, or contains a NUL, gives
/// the requested broken certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GeneralName {
    /// Any primitive kind, by its context tag.
    Primitive(u8, Vec<u8>),
    /// otherName with a string.
    Other {
        id: Vec<u64>,
        string: Tag,
        content: Vec<u8>,
    },
}

impl GeneralName {
    pub(super) fn dns(name: &str) -> Self {
        Self::Primitive(2, name.as_bytes().to_vec())
    }

    pub(super) fn uri(uri: &str) -> Self {
        Self::Primitive(6, uri.as_bytes().to_vec())
    }

    /// id-on-xmppAddr, a UTF8String (RFC 6120 §13.7.1.4).
    pub(super) fn xmpp(address: &str) -> Self {
        Self::Other {
            id: ID_ON_XMPP_ADDR.to_vec(),
            string: TAG_UTF8STRING,
            content: address.as_bytes().to_vec(),
        }
    }

    /// SRVName, an IA5String such as `_xmpp-server.a.example` (RFC 4985 §2). rcgen's otherName
    /// cannot hold one.
    pub(super) fn srv(name: &str) -> Self {
        Self::Other {
            id: ID_ON_DNS_SRV.to_vec(),
            string: TAG_IA5STRING,
            content: name.as_bytes().to_vec(),
        }
    }

    /// Its approximate size in bytes.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Primitive(_, content) => content.len() + 4,
            Self::Other { id, content, .. } => content.len() + 2 * id.len() + 12,
        }
    }

    fn write(&self, writer: yasna::DERWriter<'_>) {
        match self {
            Self::Primitive(tag, content) => {
                writer.write_tagged_implicit(Tag::context(u64::from(*tag)), |writer| {
                    writer.write_bytes(content);
                });
            }
            // `otherName [0] { type-id, [0] EXPLICIT value }`.
            Self::Other {
                id,
                string,
                content,
            } => writer.write_tagged_implicit(Tag::context(0), |writer| {
                writer.write_sequence(|fields| {
                    fields.next().write_oid(&ObjectIdentifier::from_slice(id));
                    fields.next().write_tagged(Tag::context(0), |writer| {
                        writer.write_tagged_implicit(*string, |writer| writer.write_bytes(content));
                    });
                });
            }),
        }
    }
}

/// The usual names of XMPP servers: for each domain a dNSName, an id-on-xmppAddr and the SRVName
/// `_xmpp-server.<domain>` (RFC 6120 §13.7.1.2.1). A wildcard is a dNSName alone: the others have none.
pub(super) fn of_domains(domains: &[String], forms: NameForms) -> Vec<GeneralName> {
    let mut names = Vec::new();
    for domain in domains {
        names.push(GeneralName::dns(domain));
        if domain.starts_with("*.") {
            continue;
        }
        if forms == NameForms::All {
            names.push(GeneralName::xmpp(domain));
        }
        names.push(GeneralName::srv(&format!("_xmpp-server.{domain}")));
    }
    names
}

pub(super) fn subject_alt_name(names: &[GeneralName]) -> Extension {
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|general_names| {
            for name in names {
                name.write(general_names.next());
            }
        });
    });
    Extension::new(&[2, 5, 29, 17], content)
}

/// Name constraints on dNSNames (RFC 5280 §4.2.1.10).
pub(super) fn constraints(permitted: &[String], excluded: &[String]) -> Extension {
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|fields| {
            for (tag, domains) in [(0, permitted), (1, excluded)] {
                if domains.is_empty() {
                    continue;
                }
                fields
                    .next()
                    .write_tagged_implicit(Tag::context(tag), |writer| {
                        writer.write_sequence(|subtrees| {
                            for domain in domains {
                                subtrees.next().write_sequence(|subtree| {
                                    GeneralName::dns(domain).write(subtree.next());
                                });
                            }
                        });
                    });
            }
        });
    });
    Extension::new(&[2, 5, 29, 30], content).critical()
}

/// The name of an authority.
pub(super) fn authority(common_name: &str) -> Vec<u8> {
    distinguished_name(&[(&[2, 5, 4, 3], common_name)])
}

/// A subject not meant for name matching, for readers of a log.
pub(super) fn subject(common_name: Option<&str>) -> Vec<u8> {
    const ORGANIZATION: (&[u64], &str) = (&[2, 5, 4, 10], "s2spec lab");
    match common_name {
        Some(name) => distinguished_name(&[ORGANIZATION, (&[2, 5, 4, 3], name)]),
        None => distinguished_name(&[ORGANIZATION]),
    }
}

/// A subject without any name.
pub(super) fn nobody() -> Vec<u8> {
    distinguished_name(&[])
}

/// The common name for a domain, if it is short enough.
pub(super) fn common_name(domain: &str) -> Option<&str> {
    (domain.chars().count() <= UB_COMMON_NAME).then_some(domain)
}

fn distinguished_name(attributes: &[(&[u64], &str)]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|names| {
            for (id, text) in attributes {
                names.next().write_set(|set| {
                    set.next().write_sequence(|attribute| {
                        attribute
                            .next()
                            .write_oid(&ObjectIdentifier::from_slice(id));
                        attribute.next().write_utf8_string(text);
                    });
                });
            }
        });
    })
}

/// The string types of names.
pub(super) const UTF8: Tag = TAG_UTF8STRING;
pub(super) const IA5: Tag = TAG_IA5STRING;
pub(super) const PRINTABLE: Tag = TAG_PRINTABLESTRING;
