//! The stream header (RFC 6120 §4.7).

use crate::domain::Domain;
use crate::xml::namespace::{DIALBACK, SERVER, STREAMS, XML};
use crate::xml::{Header, escape};

/// A header of this side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening<'a> {
    /// Who speaks.
    pub(crate) from: &'a str,
    /// Who is spoken to, where known.
    pub(crate) to: Option<&'a str>,
    /// The stream's id: the receiving side's alone to give.
    pub(crate) id: Option<&'a str>,
    /// Whether dialback elements may follow. The prefix `db` is the one that every peer knows.
    pub(crate) dialback: bool,
    /// Whether the stream is one of version 1.0. A peer without a version is answered without.
    pub(crate) versioned: bool,
    /// The language of texts without one.
    pub(crate) language: &'a str,
}

impl Opening<'_> {
    /// The header as text, XML declaration first.
    pub(crate) fn text(&self) -> String {
        let mut out = format!(
            "<?xml version='1.0'?><stream:stream xmlns='{SERVER}' xmlns:stream='{STREAMS}'"
        );
        if self.dialback {
            out.push_str(&format!(" xmlns:db='{DIALBACK}'"));
        }
        let mut attribute = |name: &str, value: &str| {
            out.push_str(&format!(" {name}='{}'", escape(value)));
        };
        if let Some(id) = self.id {
            attribute("id", id);
        }
        attribute("from", self.from);
        if let Some(to) = self.to {
            attribute("to", to);
        }
        attribute("xml:lang", self.language);
        if self.versioned {
            attribute("version", "1.0");
        }
        out.push('>');
        out
    }
}

/// What a header's version makes of a stream (RFC 6120 §4.7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// No version, or one below 1.0: no features.
    Legacy,
    /// 1.0 or later: features follow.
    One,
    /// Not a version at all.
    Illegible,
}

/// Reads the version of a peer's header; its parts are integers and compared as such.
pub(crate) fn version(header: &Header) -> Version {
    let Some(text) = header.element.attribute("version") else {
        return Version::Legacy;
    };
    let number = |digits: &str| {
        let legible = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        legible.then(|| digits.trim_start_matches('0').to_owned())
    };
    match text
        .split_once('.')
        .map(|(major, minor)| (number(major), number(minor)))
    {
        Some((Some(major), Some(_))) if major.is_empty() => Version::Legacy,
        Some((Some(_), Some(_))) => Version::One,
        Some(_) | None => Version::Illegible,
    }
}

/// The language to answer in: the peer's, if it names one (RFC 6120 §4.7.4).
pub(crate) fn language(header: &Header) -> &str {
    header
        .element
        .attributes
        .iter()
        .find(|(namespace, name, _)| namespace == XML && name == "lang")
        .map(|(_, _, value)| value.as_str())
        .filter(|value| {
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !value.is_empty() && value.len() <= 35 && value.bytes().all(legal)
        })
        .unwrap_or("en")
}

/// A domain in a header's attribute: absent, legible, or neither.
pub(crate) fn domain(header: &Header, attribute: &str) -> Result<Option<Domain>, ()> {
    match header.element.attribute(attribute) {
        None => Ok(None),
        Some(text) => Domain::parse(text).map(Some).map_err(|_| ()),
    }
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
            (Some(""), Version::Illegible),
            (Some("1"), Version::Illegible),
            (Some("abc"), Version::Illegible),
            (Some("-1.0"), Version::Illegible),
            (Some("1.0.0"), Version::Illegible),
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
