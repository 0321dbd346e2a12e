//! Writes and reads dialback elements (XEP-0220).

use strum::{Display, EnumString};

use crate::domain::{Domain, Pair};
use crate::stanza::StanzaError;
use crate::xml::namespace::{DIALBACK, STANZA_ERRORS};
use crate::xml::{Element, escape};

#[derive(Clone, Copy, Debug, Display, EnumString, PartialEq, Eq)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum Step {
    /// `db:result`, between originating and receiving server.
    Result,
    /// `db:verify`, between receiving and authoritative server.
    Verify,
}

/// This side's verdict on a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyStatus {
    Valid,
    Invalid,
    /// The key was not verified.
    Failed(StanzaError),
}

/// A peer's verdict on a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Valid,
    Invalid,
    /// Neither.
    Error(DialbackError),
}

/// Why a peer has no verdict on a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DialbackError {
    /// The condition, if it is known.
    pub(crate) condition: Option<StanzaError>,
    /// In the peer's words.
    pub(crate) said: String,
}

/// A parsed dialback element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dialback {
    pub(crate) step: Step,
    /// Attribute `from`, if it is a domain.
    pub(crate) from: Option<Domain>,
    /// Attribute `to`, if it is a domain.
    pub(crate) to: Option<Domain>,
    pub(crate) id: Option<String>,
    /// Absent in a request.
    pub(crate) answer: Option<Answer>,
    /// The key without surrounding whitespace.
    pub(crate) key: String,
}

impl Dialback {
    /// Parses an element if it belongs to dialback.
    pub(crate) fn read(element: &Element) -> Option<Self> {
        if element.namespace != DIALBACK {
            return None;
        }
        let step = element.name.parse().ok()?;
        let domain = |name| Domain::parse(element.attribute(name)?).ok();
        let answer = element.attribute("type").map(|kind| match kind {
            "valid" => Answer::Valid,
            "invalid" => Answer::Invalid,
            "error" => Answer::Error(error(element)),
            // An unknown type does not mean success.
            _ => Answer::Error(DialbackError::default()),
        });
        Some(Self {
            step,
            from: domain("from"),
            to: domain("to"),
            id: element.attribute("id").map(str::to_owned),
            answer,
            key: element
                .text
                .trim_matches([' ', '\t', '\r', '\n'])
                .to_owned(),
        })
    }
}

fn error(element: &Element) -> DialbackError {
    // Peers put the error into their stream's default namespace or into dialback's.
    let mut children = element.children.iter();
    let Some(error) = children.find(|child| child.name == "error") else {
        return DialbackError::default();
    };
    let mut children = error.children.iter();
    let condition = children.find(|child| child.namespace == STANZA_ERRORS && child.name != "text");
    DialbackError {
        condition: condition.and_then(|condition| condition.name.parse().ok()),
        said: error.said(STANZA_ERRORS),
    }
}

/// The request for a pair: `db:result` or `db:verify` with a key.
pub(crate) fn request(step: Step, pair: &Pair, id: Option<&str>, key: &str) -> String {
    element(step, pair, id, None, &escape(key))
}

/// The answer to a request of the pair.
pub(crate) fn answer(step: Step, asked: &Pair, id: Option<&str>, answer: KeyStatus) -> String {
    let back = asked.reversed();
    match answer {
        KeyStatus::Valid => element(step, &back, id, Some("valid"), ""),
        KeyStatus::Invalid => element(step, &back, id, Some("invalid"), ""),
        KeyStatus::Failed(error) => element(step, &back, id, Some("error"), &error.element("")),
    }
}

fn element(step: Step, pair: &Pair, id: Option<&str>, kind: Option<&str>, inner: &str) -> String {
    let (from, to) = (pair.from.in_addresses(), pair.to.in_addresses());
    let mut out = format!("<db:{step} from='{from}' to='{to}'");
    if let Some(id) = id {
        out.push_str(&format!(" id='{}'", escape(id)));
    }
    if let Some(kind) = kind {
        out.push_str(&format!(" type='{kind}'"));
    }
    out.push_str(&match inner {
        "" => "/>".to_owned(),
        inner => format!(">{inner}</db:{step}>"),
    });
    out
}
