//! The stream header (RFC 6120 §4.7).

use super::condition::{Condition, error};
use crate::domain::{Domain, DomainError};
use crate::xml::namespace::{DIALBACK, SERVER, STREAMS};
use crate::xml::{Header, LANGUAGE, escape};

/// A header of this side.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// This side.
    pub from: &'a str,
    /// The peer, if known.
    pub to: Option<&'a str>,
    /// The stream id, which only the receiving entity chooses.
    pub id: Option<&'a str>,
    /// Whether to declare dialback's namespace, with the prefix `db` that every peer knows.
    pub dialback: bool,
    /// Whether the stream is one of version 1.0.
    pub versioned: bool,
    /// The language of texts (RFC 6120 §4.7.4).
    pub language: &'a str,
}

impl<'a> Opening<'a> {
    /// A header of version 1.0 without dialback, in English.
    pub fn new(from: &'a str, to: Option<&'a str>, id: Option<&'a str>) -> Self {
        Self {
            from,
            to,
            id,
            dialback: false,
            versioned: true,
            language: LANGUAGE,
        }
    }

    /// The header as text, after the XML declaration.
    pub fn text(&self) -> String {
        let mut out = format!(
            "<?xml version='1.0'?><stream:stream xmlns='{SERVER}' xmlns:stream='{STREAMS}'"
        );
        let mut attribute = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                out.push_str(&format!(" {name}='{}'", escape(value)));
            }
        };
        attribute("xmlns:db", self.dialback.then_some(DIALBACK));
        attribute("id", self.id);
        attribute("from", Some(self.from));
        attribute("to", self.to);
        attribute("xml:lang", Some(self.language));
        attribute("version", self.versioned.then_some("1.0"));
        out.push('>');
        out
    }

    /// The header with a stream error inside (RFC 6120 §4.9.1.2).
    pub fn refusal(&self, condition: Condition, text: &str) -> String {
        self.text() + &error(condition, text)
    }
}

/// What a header's version means for the stream (RFC 6120 §4.7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Absent or below 1.0: no features follow.
    Legacy,
    /// 1.0 or later: features follow.
    One,
    /// Not a version.
    Invalid,
}

/// Reads the version of a peer's header, whose parts are compared as integers.
pub(crate) fn version(header: &Header) -> Version {
    let Some(text) = header.element.attribute("version") else {
        return Version::Legacy;
    };
    let number = |digits: &str| {
        let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        valid.then(|| digits.trim_start_matches('0').to_owned())
    };
    match text
        .split_once('.')
        .map(|(major, minor)| (number(major), number(minor)))
    {
        Some((Some(major), Some(_))) if major.is_empty() => Version::Legacy,
        Some((Some(_), Some(_))) => Version::One,
        Some(_) | None => Version::Invalid,
    }
}

/// The language to answer in: the peer's if it names one (RFC 6120 §4.7.4).
pub(crate) fn language(header: &Header) -> &str {
    header.element.language().unwrap_or(LANGUAGE)
}

/// The domain in an attribute, if there is the attribute.
pub(crate) fn domain(header: &Header, attribute: &str) -> Result<Option<Domain>, DomainError> {
    let text = header.element.attribute(attribute);
    text.map(Domain::parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Element;

    #[test]
    fn version_parts_are_integers() {
        for (text, expected) in [
            (Some("1.0"), Version::One),
            (Some("01.00"), Version::One),
            (Some("1.12"), Version::One),
            (Some("2.0"), Version::One),
            (Some("0.9"), Version::Legacy),
            (None, Version::Legacy),
            (Some(""), Version::Invalid),
            (Some("1"), Version::Invalid),
            (Some("abc"), Version::Invalid),
            (Some("-1.0"), Version::Invalid),
            (Some("1.0.0"), Version::Invalid),
        ] {
            let mut element = Element::default();
            if let Some(text) = text {
                let attribute = (String::new(), "version".to_owned(), text.to_owned());
                element.attributes.push(attribute);
            }
            let header = Header {
                element,
                ..Header::default()
            };
            assert_eq!(version(&header), expected, "{text:?}");
        }
    }
}
