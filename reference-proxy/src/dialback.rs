//! Dialback's elements (XEP-0220): requests, answers and errors, as text and as values.

use crate::domain::{Domain, Pair};
use crate::xml::namespace::{DIALBACK, STANZA_ERRORS};
use crate::xml::{Element, escape};

/// Which of the two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `db:result`, between originating and receiving server.
    Result,
    /// `db:verify`, between receiving and authoritative server.
    Verify,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Verify => "verify",
        }
    }
}

/// Why a dialback element is answered by an error (XEP-0220 §2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The key is wrong, and the stream goes on for other pairs.
    Forbidden,
    /// The target is not served here.
    ItemNotFound,
    /// The asserted domain can't be accepted at all.
    NotAcceptable,
    /// A good certificate is demanded and missing.
    NotAuthorized,
    /// A local rule forbids it: above all, TLS is demanded and missing.
    PolicyViolation,
    /// No connection to the authoritative server.
    RemoteConnectionFailed,
    /// No authoritative server is known, or it does not know its domain.
    RemoteServerNotFound,
    /// The authoritative server did not answer.
    RemoteServerTimeout,
    /// Too many pairs.
    ResourceConstraint,
}

impl Problem {
    const ALL: [(Self, &'static str, &'static str); 9] = [
        (Self::Forbidden, "forbidden", "auth"),
        (Self::ItemNotFound, "item-not-found", "cancel"),
        (Self::NotAcceptable, "not-acceptable", "modify"),
        (Self::NotAuthorized, "not-authorized", "auth"),
        (Self::PolicyViolation, "policy-violation", "cancel"),
        (
            Self::RemoteConnectionFailed,
            "remote-connection-failed",
            "cancel",
        ),
        (
            Self::RemoteServerNotFound,
            "remote-server-not-found",
            "cancel",
        ),
        (Self::RemoteServerTimeout, "remote-server-timeout", "wait"),
        (Self::ResourceConstraint, "resource-constraint", "wait"),
    ];

    /// The condition's name.
    pub(crate) fn name(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> (Self, &'static str, &'static str) {
        Self::ALL
            .into_iter()
            .find(|(problem, ..)| *problem == self)
            .unwrap_or((self, "undefined-condition", "cancel"))
    }
}

/// The word of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The key is right.
    Valid,
    /// The key is wrong.
    Invalid,
    /// No verdict; the condition, where it is a known one.
    Error(Option<Problem>),
    /// A type that no standard knows. It is not success.
    Unknown,
}

/// A dialback element as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dialback {
    /// `db:result` or `db:verify`.
    pub(crate) step: Step,
    /// Attribute `from`, if it is a domain.
    pub(crate) from: Option<Domain>,
    /// Attribute `to`, if it is a domain.
    pub(crate) to: Option<Domain>,
    /// Attribute `id`.
    pub(crate) id: Option<String>,
    /// The answer, or `None` for a request.
    pub(crate) answer: Option<Answer>,
    /// The key as sent, outer blanks trimmed.
    pub(crate) key: String,
}

impl Dialback {
    /// Reads an element; `None` if it is none of dialback's.
    pub(crate) fn read(element: &Element) -> Option<Self> {
        let step = match element.name.as_str() {
            "result" if element.namespace == DIALBACK => Step::Result,
            "verify" if element.namespace == DIALBACK => Step::Verify,
            _ => return None,
        };
        let domain = |name| {
            element
                .attribute(name)
                .and_then(|text| Domain::parse(text).ok())
        };
        let answer = element.attribute("type").map(|kind| match kind {
            "valid" => Answer::Valid,
            "invalid" => Answer::Invalid,
            "error" => Answer::Error(problem(element)),
            _ => Answer::Unknown,
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

fn problem(element: &Element) -> Option<Problem> {
    // Peers put the error into their stream's default namespace or into dialback's.
    let error = element
        .children
        .iter()
        .find(|child| child.name == "error")?;
    let condition = error
        .children
        .iter()
        .find(|child| child.namespace == STANZA_ERRORS && child.name != "text")?;
    Problem::ALL
        .into_iter()
        .find(|(_, name, _)| *name == condition.name)
        .map(|(problem, ..)| problem)
}

/// The request for a pair: `db:result` or `db:verify` with a key.
pub(crate) fn request(step: Step, pair: &Pair, id: Option<&str>, key: &str) -> String {
    element(step, pair, id, None, &escape(key))
}

/// The answer to a request, which named the pair the other way round.
pub(crate) fn answer(step: Step, asked: &Pair, id: Option<&str>, answer: Verdict) -> String {
    let back = asked.reversed();
    match answer {
        Verdict::Valid => element(step, &back, id, Some("valid"), ""),
        Verdict::Invalid => element(step, &back, id, Some("invalid"), ""),
        Verdict::Failed(problem) => {
            let (_, name, kind) = problem.row();
            let error = format!("<error type='{kind}'><{name} xmlns='{STANZA_ERRORS}'/></error>");
            element(step, &back, id, Some("error"), &error)
        }
    }
}

/// What this side says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is right.
    Valid,
    /// It is wrong.
    Invalid,
    /// There is no telling.
    Failed(Problem),
}

fn element(step: Step, pair: &Pair, id: Option<&str>, kind: Option<&str>, inner: &str) -> String {
    let name = step.name();
    let mut out = format!(
        "<db:{name} from='{}' to='{}'",
        pair.from.in_addresses(),
        pair.to.in_addresses()
    );
    if let Some(id) = id {
        out.push_str(&format!(" id='{}'", escape(id)));
    }
    if let Some(kind) = kind {
        out.push_str(&format!(" type='{kind}'"));
    }
    match inner {
        "" => out.push_str("/>"),
        inner => out.push_str(&format!(">{inner}</db:{name}>")),
    }
    out
}
