//! SASL EXTERNAL at the receiving entity (RFC 6120 §6, XEP-0178 §3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strum::{Display, IntoStaticStr};

use crate::domain::Domain;
use crate::xml::Element;
use crate::xml::namespace::SASL;

/// Why an authentication fails (RFC 6120 §6.5).
#[derive(Clone, Copy, Debug, Display, IntoStaticStr, PartialEq, Eq)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Failure {
    Aborted,
    EncryptionRequired,
    IncorrectEncoding,
    InvalidAuthzid,
    InvalidMechanism,
    MalformedRequest,
    NotAuthorized,
}

impl Failure {
    /// As a word.
    pub(super) fn word(self) -> &'static str {
        self.into()
    }

    /// The `<failure/>`.
    pub(super) fn element(self) -> String {
        format!("<failure xmlns='{SASL}'><{self}/></failure>")
    }
}

/// The request of an initiating entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// An empty challenge, after `<auth/>` without an initial response.
    Begin,
    /// To be authorized as a domain, or by default as the stream's `from`.
    Identity(Option<Domain>),
}

/// Reads `<auth/>`.
pub(super) fn auth(element: &Element) -> Result<Request, Failure> {
    if element.attribute("mechanism") != Some("EXTERNAL") {
        return Err(Failure::InvalidMechanism);
    }
    if !element.children.is_empty() {
        return Err(Failure::MalformedRequest);
    }
    match element.text.as_str() {
        "" => Ok(Request::Begin),
        text => identity(text).map(Request::Identity),
    }
}

/// Reads `<response/>`.
pub(super) fn response(element: &Element) -> Result<Request, Failure> {
    if !element.children.is_empty() {
        return Err(Failure::MalformedRequest);
    }
    match element.text.as_str() {
        "" => Ok(Request::Identity(None)),
        text => identity(text).map(Request::Identity),
    }
}

fn identity(text: &str) -> Result<Option<Domain>, Failure> {
    if text == "=" {
        return Ok(None);
    }
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| Failure::IncorrectEncoding)?;
    let name = String::from_utf8(bytes).map_err(|_| Failure::InvalidAuthzid)?;
    let domain = Domain::parse(&name).map_err(|_| Failure::InvalidAuthzid)?;
    Ok(Some(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, Failure> {
        let mechanism = (String::new(), "mechanism".to_owned(), "EXTERNAL".to_owned());
        auth(&Element {
            attributes: vec![mechanism],
            text: text.to_owned(),
            ..Element::default()
        })
    }

    #[test]
    fn identity_is_a_domain_alone() {
        let domain = Domain::parse("fp.example").expect("domain");
        for (text, expected) in [
            ("", Ok(Request::Begin)),
            ("=", Ok(Request::Identity(None))),
            (
                "ZnAuZXhhbXBsZQ==",
                Ok(Request::Identity(Some(domain.clone()))),
            ),
            ("RlAuRXhhbXBsZQ==", Ok(Request::Identity(Some(domain)))),
            ("ZnAuZXhhbXBsZQ", Err(Failure::IncorrectEncoding)),
            ("ZnAuZXhh bXBsZQ==", Err(Failure::IncorrectEncoding)),
            ("***", Err(Failure::IncorrectEncoding)),
            ("ZnAuZXhhbXBsZQ===", Err(Failure::IncorrectEncoding)),
            ("AA==", Err(Failure::InvalidAuthzid)),
            ("dUBmcC5leGFtcGxl", Err(Failure::InvalidAuthzid)),
            ("/w==", Err(Failure::InvalidAuthzid)),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }
}
