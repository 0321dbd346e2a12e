//! Refusals: what the peer is told, and what the administrator is.

use super::action::{Action, Fatal};
use super::receiving::Receiving;
use crate::config::Config;
use crate::dialback::KeyStatus;
use crate::domain::{Domain, Pair};
use crate::ledger::{By, Phase};
use crate::stream::{Condition, Opening, StreamError, domain};
use crate::xml::{Element, Header};

/// The most characters of a peer's words that are shown.
const SHOWN: usize = 256;

/// A refusal, by this side or by the peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) phase: Phase,
    pub(super) by: By,
    pub(super) condition: &'static str,
    /// The domain that the peer claims to be.
    pub(super) domain: Option<Domain>,
    pub(super) text: String,
}

impl Refused {
    /// This side ends the stream, with a text for the peer and one for the administrator.
    pub(super) fn fatal(
        phase: Phase,
        (condition, text): Fatal,
        detail: &str,
        domain: Option<&Domain>,
    ) -> Self {
        let text = match (text, detail) {
            (text, "") => text.to_owned(),
            ("", detail) => detail.to_owned(),
            (text, detail) => format!("{text}: {detail}"),
        };
        Self::by_proxy(phase, condition.word(), domain, &text)
    }

    pub(super) fn by_proxy(
        phase: Phase,
        condition: &'static str,
        domain: Option<&Domain>,
        text: &str,
    ) -> Self {
        Self {
            phase,
            by: By::Proxy,
            condition,
            domain: domain.cloned(),
            text: text.to_owned(),
        }
    }

    /// The peer ends the stream with an error.
    pub(super) fn by_peer(phase: Phase, error: &Element, domain: Option<&Domain>) -> Self {
        let StreamError { condition, said } = StreamError::received(error);
        Self {
            phase,
            by: By::Peer,
            condition: condition.word(),
            domain: domain.cloned(),
            text: said,
        }
    }
}

/// As much of a text as is shown.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// Why a header is refused.
pub(super) struct Ground {
    pub(super) phase: Phase,
    pub(super) fatal: Fatal,
    /// More for the administrator.
    pub(super) detail: String,
    /// Who the peer claimed to be in an earlier header.
    pub(super) known: Option<Domain>,
}

/// What was wrong in the header itself.
pub(super) fn detail((condition, _): Fatal, header: &Header) -> String {
    let attribute = if condition == Condition::HostUnknown {
        "to"
    } else if condition == Condition::ImproperAddressing {
        "from"
    } else {
        return String::new();
    };
    let value = header.element.attribute(attribute).unwrap_or_default();
    cut(&format!("{attribute}='{value}'"))
}

/// Sends this side's header with the error inside.
pub(super) fn refuse(
    header: Option<&Header>,
    Ground {
        phase,
        fatal,
        detail,
        known,
    }: Ground,
    id: &str,
    config: &Config,
    out: &mut Vec<Action>,
) -> Receiving {
    let address = |attribute| header.and_then(|header| domain(header, attribute).ok().flatten());
    let asked = address("to").filter(|to| config.serves(to));
    let own = asked.as_ref().unwrap_or_else(|| config.own_domain());
    let claimed = address("from");
    let peer = claimed.as_ref().map(Domain::in_addresses);
    let opening = Opening::new(own.as_str(), peer.as_deref(), Some(id));
    let (condition, text) = fatal;
    let domain = claimed.as_ref().or(known.as_ref());
    let refused = Refused::fatal(phase, fatal, &detail, domain);
    out.push(Action::Refused(refused));
    out.push(Action::Send(opening.refusal(condition, text)));
    Receiving::Ended
}

/// What there is to tell of an answer about a key.
pub(super) fn about_key(pair: &Pair, status: KeyStatus, request: &str) -> Option<Action> {
    let condition = match status {
        KeyStatus::Valid => return None,
        KeyStatus::Invalid => "invalid",
        KeyStatus::Failed(error) => error.word(),
    };
    let text = format!("{request} for {}", pair.to);
    let refused = Refused::by_proxy(Phase::Dialback, condition, Some(&pair.from), &text);
    Some(Action::Refused(refused))
}
