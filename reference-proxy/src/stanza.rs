//! Stanzas, as far as routing needs them: their addresses (RFC 7622 §3.2), and the errors that
//! answer them (RFC 6120 §8.3).

use strum::{Display, EnumString, IntoStaticStr};

use crate::domain::{Domain, Pair};
use crate::xml::namespace::STANZA_ERRORS;
use crate::xml::{Kind, ReadError, Stanza, escape};

/// The maximum number of bytes in a localpart or a resource (RFC 7622 §3.3.1, §3.4.1).
const PART: usize = 1023;

/// An address that is missing or malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The domain of the address of a user.
pub(crate) fn domain_of_user(address: &str) -> Result<Domain, Malformed> {
    match address.contains('@') {
        true => domain_of(address),
        false => Err(Malformed),
    }
}

/// The domain of an address: whatever is left of the first `/` and then right of the first `@`.
pub(crate) fn domain_of(address: &str) -> Result<Domain, Malformed> {
    let (bare, resource) = match address.split_once('/') {
        Some((bare, resource)) => (bare, Some(resource)),
        None => (address, None),
    };
    if resource.is_some_and(|resource| !fits(resource)) {
        return Err(Malformed);
    }
    let domain = match bare.split_once('@') {
        Some((local, domain)) => {
            let forbidden = |character: char| {
                character.is_whitespace()
                    || character.is_control()
                    || "\"&'/:<>@".contains(character)
            };
            if !fits(local) || local.contains(forbidden) {
                return Err(Malformed);
            }
            domain
        }
        None => bare,
    };
    Domain::parse(domain).map_err(|_| Malformed)
}

fn fits(part: &str) -> bool {
    !part.is_empty() && part.len() <= PART
}

/// The domains between which a stanza is sent.
pub(crate) fn pair(stanza: &Stanza) -> Result<Pair, Malformed> {
    let domain = |address: &Option<String>| domain_of(address.as_deref().ok_or(Malformed)?);
    Ok(Pair {
        from: domain(&stanza.from)?,
        to: domain(&stanza.to)?,
    })
}

/// Conditions of stanza errors (RFC 6120 §8.3.3), which dialback uses as well (XEP-0220 §2.5).
#[derive(Clone, Copy, Debug, Display, EnumString, IntoStaticStr, PartialEq, Eq)]
#[strum(serialize_all = "kebab-case")]
#[expect(missing_docs, reason = "the standard describes them")]
pub enum StanzaError {
    BadRequest,
    FeatureNotImplemented,
    Forbidden,
    InternalServerError,
    ItemNotFound,
    JidMalformed,
    NotAcceptable,
    NotAllowed,
    NotAuthorized,
    PolicyViolation,
    RemoteConnectionFailed,
    RemoteServerNotFound,
    RemoteServerTimeout,
    ResourceConstraint,
    ServiceUnavailable,
    SubscriptionRequired,
    UnexpectedRequest,
}

impl StanzaError {
    /// As a word.
    pub(crate) fn word(self) -> &'static str {
        self.into()
    }

    /// The `<error/>` with an optional text.
    pub(crate) fn element(self, text: &str) -> String {
        let kind = match self {
            Self::Forbidden | Self::NotAuthorized | Self::SubscriptionRequired => "auth",
            Self::BadRequest | Self::JidMalformed | Self::NotAcceptable | Self::PolicyViolation => {
                "modify"
            }
            Self::RemoteServerTimeout | Self::ResourceConstraint | Self::UnexpectedRequest => {
                "wait"
            }
            Self::FeatureNotImplemented
            | Self::InternalServerError
            | Self::ItemNotFound
            | Self::NotAllowed
            | Self::RemoteConnectionFailed
            | Self::RemoteServerNotFound
            | Self::ServiceUnavailable => "cancel",
        };
        let text = match text {
            "" => String::new(),
            text => format!(
                "<text xmlns='{STANZA_ERRORS}' xml:lang='en'>{}</text>",
                escape(text)
            ),
        };
        format!("<error type='{kind}'><{self} xmlns='{STANZA_ERRORS}'/>{text}</error>")
    }
}

impl From<ReadError> for StanzaError {
    /// The error that answers a stanza which was passed over.
    fn from(fault: ReadError) -> Self {
        match fault {
            ReadError::TooLarge => Self::PolicyViolation,
            ReadError::Encoding
            | ReadError::Malformed
            | ReadError::Prefix
            | ReadError::Restricted
            | ReadError::Text => Self::BadRequest,
        }
    }
}

/// The error that answers a stanza. Errors and results are never answered (RFC 6120 §8.3.1), and
/// without a sender there is no one to answer.
///
/// The payload is omitted, so an error is never larger than its stanza.
pub fn bounce(stanza: &Stanza, why: StanzaError, text: &str) -> Option<Stanza> {
    let kind = stanza.kind;
    match (kind, stanza.type_.as_deref()) {
        (_, Some("error")) | (Kind::Iq, Some("result")) => return None,
        _ => {}
    }
    let sender = stanza.from.as_deref()?;
    let mut bytes = format!("<{kind}");
    let mut attribute = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            bytes.push_str(&format!(" {name}='{}'", escape(value)));
        }
    };
    attribute("from", stanza.to.as_deref());
    attribute("to", Some(sender));
    attribute("id", stanza.id.as_deref());
    attribute("type", Some("error"));
    bytes.push_str(&format!(">{}</{kind}>", why.element(text)));
    Some(Stanza {
        kind,
        from: stanza.to.clone(),
        to: stanza.from.clone(),
        id: stanza.id.clone(),
        type_: Some("error".to_owned()),
        bytes: bytes.into_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slash_divides_before_at() {
        for (address, domain) in [
            ("fp.example", "fp.example"),
            ("u@FP.example", "fp.example"),
            ("u@fp.example/r", "fp.example"),
            ("fp.example/a@bank.example", "fp.example"),
            ("u@fp.example/x/y@z", "fp.example"),
        ] {
            assert_eq!(
                domain_of(address).map(|d| d.to_string()),
                Ok(domain.to_owned())
            );
        }
    }

    #[test]
    fn malformed_addresses_have_no_domain() {
        let long = format!("{}@fp.example", "x".repeat(1024));
        for address in [
            "",
            "@fp.example",
            "u@",
            "a b@fp.example",
            "u@fp.example/",
            "u@fp.example@evil.example",
            "u@fp.example%00.x",
            "[::1]",
            &long,
        ] {
            assert_eq!(domain_of(address), Err(Malformed), "{address}");
        }
        assert!(domain_of(&long[1..]).is_ok());
    }

    fn stanza(kind: Kind, type_: Option<&str>) -> Stanza {
        Stanza {
            kind,
            from: Some("a@a.example/'".to_owned()),
            to: Some("b@b.example".to_owned()),
            id: Some("1".to_owned()),
            type_: type_.map(str::to_owned),
            bytes: Vec::new(),
        }
    }

    #[test]
    fn error_goes_back_with_its_id_and_without_payload() {
        let error = bounce(
            &stanza(Kind::Message, None),
            StanzaError::RemoteServerNotFound,
            "",
        )
        .expect("an error");
        assert_eq!(
            String::from_utf8(error.bytes).expect("UTF-8"),
            "<message from='b@b.example' to='a@a.example/&apos;' id='1' type='error'>\
             <error type='cancel'><remote-server-not-found \
             xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        );
    }

    #[test]
    fn errors_and_results_are_never_answered() {
        for (kind, type_, answered) in [
            (Kind::Message, Some("error"), false),
            (Kind::Presence, Some("error"), false),
            (Kind::Iq, Some("error"), false),
            (Kind::Iq, Some("result"), false),
            (Kind::Iq, Some("get"), true),
            (Kind::Iq, Some("set"), true),
            (Kind::Presence, None, true),
            (Kind::Message, Some("chat"), true),
        ] {
            let error = bounce(&stanza(kind, type_), StanzaError::ServiceUnavailable, "");
            assert_eq!(error.is_some(), answered, "{kind:?} {type_:?}");
        }
    }
}
