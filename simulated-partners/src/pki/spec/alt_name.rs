//! Entries of the subject alternative names, as in a file.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::error::SpecError;
use crate::pki::names::{self, GeneralName};

/// How often an entry may be repeated.
const MOST_TIMES: u32 = 100_000;

/// One subject alternative name: exactly one of the kinds, and a count.
///
/// Texts are encoded byte for byte, whatever they contain: TOML's `"\u0000"` puts a NUL into a dNSName.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AltName {
    /// dNSName (RFC 5280 §4.2.1.6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<String>,
    /// SRVName with its service, `_xmpp-server.{domain}` (RFC 4985 §2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub srv: Option<String>,
    /// id-on-xmppAddr (RFC 6120 §13.7.1.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xmpp: Option<String>,
    /// iPAddress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// uniformResourceIdentifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// otherName of any type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<OtherName>,
    /// Any other kind, and bytes that are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawName>,
    /// Repeat it this many times; `{n}` in the text is the number, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100_000)))]
    pub times: Option<u32>,
}

/// An otherName (RFC 5280 §4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OtherName {
    /// Its type, an object identifier in dotted form.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[0-2](\\.[0-9]+)+$")))]
    pub oid: String,
    /// Its value.
    pub text: String,
    /// Its string type.
    #[serde(default)]
    pub string: StringType,
}

/// A string type of ASN.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StringType {
    /// IA5String.
    Ia5,
    /// PrintableString.
    Printable,
    /// UTF8String.
    #[default]
    Utf8,
}

/// A name by its tag (RFC 5280 §4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawName {
    /// The number of the context tag: 1 is rfc822Name, 2 dNSName.
    #[cfg_attr(feature = "schema", schemars(range(max = 30)))]
    pub tag: u8,
    /// The content, in which `\xHH` stands for any byte.
    pub text: String,
}

impl AltName {
    /// A dNSName.
    pub fn dns(name: &str) -> Self {
        Self {
            dns: Some(name.to_owned()),
            ..Self::default()
        }
    }

    /// An SRVName, `_service.name`.
    pub fn srv(name: &str) -> Self {
        Self {
            srv: Some(name.to_owned()),
            ..Self::default()
        }
    }

    /// An id-on-xmppAddr.
    pub fn xmpp(address: &str) -> Self {
        Self {
            xmpp: Some(address.to_owned()),
            ..Self::default()
        }
    }

    /// Whether it is one name of one kind, as far as can be checked before texts are filled in.
    pub(super) fn check(&self) -> Result<(), SpecError> {
        let kinds = [
            self.dns.is_some(),
            self.srv.is_some(),
            self.xmpp.is_some(),
            self.ip.is_some(),
            self.uri.is_some(),
            self.other.is_some(),
            self.raw.is_some(),
        ];
        if kinds.into_iter().filter(|given| *given).count() != 1 {
            return Err(SpecError::NotOneKind);
        }
        if let Some(times) = self.times
            && !(1..=MOST_TIMES).contains(&times)
        {
            return Err(SpecError::OutOfRange {
                field: "times",
                given: u64::from(times),
                least: 1,
                most: u64::from(MOST_TIMES),
            });
        }
        if let Some(other) = &self.other {
            object_identifier(&other.oid)?;
        }
        if let Some(raw) = &self.raw {
            if raw.tag > 30 {
                return Err(SpecError::OutOfRange {
                    field: "tag",
                    given: u64::from(raw.tag),
                    least: 0,
                    most: 30,
                });
            }
            unescape(&raw.text)?;
        }
        Ok(())
    }

    /// How many names it produces.
    pub(super) fn count(&self) -> u32 {
        self.times.unwrap_or(1)
    }

    /// The name with this number, with its placeholders filled in.
    pub(super) fn written(
        &self,
        number: u32,
        fill: &dyn Fn(&str) -> String,
    ) -> Result<GeneralName, SpecError> {
        let fill = |text: &str| match self.times {
            Some(_) => fill(&text.replace("{n}", &number.to_string())),
            None => fill(text),
        };
        let name = if let Some(name) = &self.dns {
            GeneralName::dns(&fill(name))
        } else if let Some(name) = &self.srv {
            GeneralName::srv(&fill(name))
        } else if let Some(address) = &self.xmpp {
            GeneralName::xmpp(&fill(address))
        } else if let Some(address) = &self.ip {
            let text = fill(address);
            let octets = match text.parse() {
                Ok(IpAddr::V4(address)) => address.octets().to_vec(),
                Ok(IpAddr::V6(address)) => address.octets().to_vec(),
                Err(_) => return Err(SpecError::BadAddress(text)),
            };
            GeneralName::Primitive(7, octets)
        } else if let Some(uri) = &self.uri {
            GeneralName::uri(&fill(uri))
        } else if let Some(other) = &self.other {
            GeneralName::Other {
                id: object_identifier(&other.oid)?,
                string: match other.string {
                    StringType::Ia5 => names::IA5,
                    StringType::Printable => names::PRINTABLE,
                    StringType::Utf8 => names::UTF8,
                },
                content: fill(&other.text).into_bytes(),
            }
        } else if let Some(raw) = &self.raw {
            GeneralName::Primitive(raw.tag, unescape(&fill(&raw.text))?)
        } else {
            return Err(SpecError::NotOneKind);
        };
        Ok(name)
    }
}

/// An object identifier that can be written: the first arc leaves the second 40 numbers at most
/// (X.690 §8.19.4).
fn object_identifier(text: &str) -> Result<Vec<u64>, SpecError> {
    const LARGEST: u64 = 1 << 62;
    let bad = || SpecError::BadObjectIdentifier(text.to_owned());
    let arcs = text
        .split('.')
        .map(|arc| arc.parse().map_err(|_| bad()))
        .collect::<Result<Vec<u64>, _>>()?;
    match arcs.as_slice() {
        [0 | 1, second, ..] if *second >= 40 => Err(bad()),
        [0..=2, _, ..] if arcs.len() <= 64 && arcs.iter().all(|arc| *arc < LARGEST) => Ok(arcs),
        _ => Err(bad()),
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, SpecError> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part
            .get(..2)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .ok_or_else(|| SpecError::BadEscape(text.to_owned()))?;
        bytes.push(byte);
        bytes.extend(&part.as_bytes()[2..]);
    }
    Ok(bytes)
}
