//! Stanza errors for what can't be delivered (RFC 6120 §8.3).

use crate::xml::namespace::STANZA_ERRORS;
use crate::xml::{Kind, Stanza, escape};

/// Why a stanza comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undeliverable {
    /// The proxy's peer holds the proxy's key for wrong (XEP-0220 §2.1.1).
    InternalServerError,
    /// An address is none.
    JidMalformed,
    /// The sender's domain is not this side's.
    NotAllowed,
    /// No federation with that domain.
    PolicyViolation,
    /// The domain has no server.
    RemoteServerNotFound,
    /// The domain's server can't be reached, or no stream to it can be opened.
    RemoteServerTimeout,
    /// Too much waits already.
    ResourceConstraint,
    /// No gateway is there.
    ServiceUnavailable,
}

impl Undeliverable {
    /// The condition's name and the error's type.
    pub(crate) fn condition(self) -> (&'static str, &'static str) {
        match self {
            Self::InternalServerError => ("internal-server-error", "cancel"),
            Self::JidMalformed => ("jid-malformed", "modify"),
            Self::NotAllowed => ("not-allowed", "cancel"),
            Self::PolicyViolation => ("policy-violation", "cancel"),
            Self::RemoteServerNotFound => ("remote-server-not-found", "cancel"),
            Self::RemoteServerTimeout => ("remote-server-timeout", "wait"),
            Self::ResourceConstraint => ("resource-constraint", "wait"),
            Self::ServiceUnavailable => ("service-unavailable", "cancel"),
        }
    }
}

/// The error that answers a stanza; `None` where none may: errors and results are never answered
/// (RFC 6120 §8.3.1), and without an address there is nobody to tell.
///
/// The payload is left out, so that an error is never larger than what it is about.
pub(crate) fn bounce(stanza: &Stanza, why: Undeliverable, text: &str) -> Option<Stanza> {
    match (stanza.kind, stanza.type_.as_deref()) {
        (_, Some("error")) | (Kind::Iq, Some("result")) => return None,
        _ => {}
    }
    let name = stanza.kind;
    let sender = stanza.from.as_deref()?;
    let mut bytes = format!("<{name}");
    let mut attribute = |name: &str, value: &str| {
        bytes.push_str(&format!(" {name}='{}'", escape(value)));
    };
    if let Some(target) = stanza.to.as_deref() {
        attribute("from", target);
    }
    attribute("to", sender);
    if let Some(id) = stanza.id.as_deref() {
        attribute("id", id);
    }
    let (condition, kind) = why.condition();
    let text = match text {
        "" => String::new(),
        text => format!(
            "<text xmlns='{STANZA_ERRORS}' xml:lang='en'>{}</text>",
            escape(text)
        ),
    };
    bytes.push_str(&format!(
        " type='error'><error type='{kind}'><{condition} xmlns='{STANZA_ERRORS}'/>{text}</error></{name}>"
    ));
    Some(Stanza {
        kind: stanza.kind,
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
            Undeliverable::RemoteServerNotFound,
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
            let error = bounce(&stanza(kind, type_), Undeliverable::ServiceUnavailable, "");
            assert_eq!(error.is_some(), answered, "{kind:?} {type_:?}");
        }
    }
}
