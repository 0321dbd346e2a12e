//! What a target does where it dials a partner, and how it treats one that dials.

use simulated_partners::event::{
    ConnectionId, ConnectionKind, EventKind, Method, Party, TlsSession,
};
use simulated_partners::negotiate::dialback::{Answer, read_answer};
use simulated_partners::persona::{AuthorityFact, ExternalFact};
use simulated_partners::wire::{Element, Kind, NS_DIALBACK, Unit};

use crate::doctor::trial_connection::TrialConnection;

/// What it did on the connections that it dialled.
#[derive(Clone, Debug, Default)]
pub(super) struct Conduct {
    /// Its first header, in clear.
    pub(super) header: Option<Element>,
    /// Whether one of its headers in clear did not name it.
    pub(super) hides_its_name: bool,
    /// What TLS agreed on.
    pub(super) session: Option<TlsSession>,
    /// How it first tried to authenticate.
    pub(super) tried: Option<Method>,
    /// Over what it asked about the partner's key.
    pub(super) asked: Option<Method>,
    /// Whether it was authenticated.
    established: bool,
}

impl Conduct {
    /// What it did, if it came at all.
    pub(super) fn of(trial: &TrialConnection) -> Option<Self> {
        let mut conduct = None::<Self>;
        for event in trial.connections(ConnectionKind::Outbound) {
            let conduct = conduct.get_or_insert_with(Self::default);
            match &event.kind {
                EventKind::TlsUp(session) => conduct.session = Some(session.clone()),
                EventKind::Established(_) => conduct.established = true,
                EventKind::Frame {
                    from: Party::Target,
                    encrypted,
                    frame,
                } => match &frame.kind {
                    Kind::Header(header) if !encrypted => {
                        conduct.hides_its_name |= header.attribute("from").is_none();
                        conduct.header.get_or_insert_with(|| header.clone());
                    }
                    Kind::Element(element) => conduct.element(element, *encrypted),
                    Kind::Declaration | Kind::Header(_) | Kind::Whitespace(_) | Kind::End => {}
                },
                _ => {}
            }
        }
        conduct
    }

    fn element(&mut self, element: &Element, encrypted: bool) {
        let dialback = match encrypted {
            true => Method::TlsDialback,
            false => Method::TcpDialback,
        };
        let is_request = element.attribute("type").is_none();
        match Unit::of(element) {
            Some(Unit::Auth) => self.tried = self.tried.or(Some(Method::SaslTls)),
            Some(Unit::DbResult) if is_request => self.tried = self.tried.or(Some(dialback)),
            Some(Unit::DbVerify) if is_request => self.asked = self.asked.or(Some(dialback)),
            _ => {}
        }
    }

    /// Whether it did anything beyond looking at features without TLS.
    pub(super) fn goes_on_in_clear(&self) -> bool {
        [self.tried, self.asked].contains(&Some(Method::TcpDialback))
    }

    /// What it did, in a clause.
    pub(super) fn words(&self) -> String {
        match (self.tried, self.asked) {
            (Some(method), _) if self.established => format!("it uses {method}"),
            (Some(method), _) => format!("it tries {method}"),
            (None, Some(_)) => "it asks about a key, and does not authenticate".to_owned(),
            (None, None) if self.session.is_some() => "it leaves once TLS is up".to_owned(),
            (None, None) => "it leaves".to_owned(),
        }
    }
}

/// Its header's attributes and the namespace of dialback, in words.
pub(super) fn header_words(header: &Element) -> String {
    let mut parts: Vec<String> = ["from", "to", "id"]
        .iter()
        .filter(|name| header.attribute(name).is_some())
        .map(|name| (*name).to_owned())
        .collect();
    parts.push(match header.attribute("version") {
        Some(version) => format!("version {version}"),
        None => "no version".to_owned(),
    });
    if header
        .declarations
        .iter()
        .any(|(_, name)| name == NS_DIALBACK)
    {
        parts.push("xmlns:db".to_owned());
    }
    parts.join(", ")
}

/// How it answers EXTERNAL of a partner with a good certificate; `None` where it was not tried or accepted.
pub(super) fn external(trial: &TrialConnection) -> Option<ExternalFact> {
    let mut refused = None::<ConnectionId>;
    for event in trial.connections(ConnectionKind::Inbound) {
        let on_it = refused == Some(event.connection);
        if let Some(element) = event.kind.element_from(Party::Target) {
            if Unit::SaslFailure.is(element) {
                refused = Some(event.connection);
            } else if on_it && !Unit::StreamError.is(element) {
                return Some(ExternalFact::RefusedKept);
            }
        }
        // What the partner does next shows that the stream is still there.
        if on_it && event.kind.element_from(Party::Partner).is_some() {
            continue;
        }
        if let EventKind::Closed { by, .. } = event.kind
            && on_it
        {
            return Some(match by {
                Party::Target => ExternalFact::RefusedClosed,
                Party::Partner => ExternalFact::RefusedKept,
            });
        }
    }
    refused.map(|_| ExternalFact::RefusedKept)
}

/// Whether it took a partner's key for one: it answers that it is valid or not, or that it could not ask.
pub(super) fn judges_keys(trial: &TrialConnection) -> bool {
    let mut inbound = trial.connections(ConnectionKind::Inbound);
    inbound.any(|event| {
        let element = event.kind.element_from(Party::Target);
        element
            .filter(|element| Unit::DbResult.is(element))
            .is_some_and(|element| match read_answer(element) {
                Some(Answer::Valid | Answer::Invalid) => true,
                Some(Answer::Error(condition)) => condition.starts_with("remote-"),
                None => false,
            })
    })
}

/// How the target of this domain answers for its own keys; `None` where it was not asked.
pub(super) fn authority(trial: &TrialConnection, target: &str) -> Option<AuthorityFact> {
    let mut found = None;
    for event in trial.connections(ConnectionKind::Verification) {
        match &event.kind {
            EventKind::ConnectFailed(..) => found = Some(AuthorityFact::Unreachable),
            kind => {
                if let Some(element) = kind.element_from(Party::Partner)
                    && Unit::DbVerify.is(element)
                {
                    found = found.or(Some(AuthorityFact::Silent));
                }
                if let Some(element) = kind.element_from(Party::Target)
                    && Unit::DbVerify.is(element)
                    && let Some(answer) = read_answer(element)
                {
                    let from = element.attribute("from").unwrap_or_default();
                    return Some(match answer {
                        _ if !from.eq_ignore_ascii_case(target) => AuthorityFact::WrongDomain,
                        Answer::Valid => AuthorityFact::Truthful,
                        Answer::Invalid => AuthorityFact::Invalid,
                        Answer::Error(_) => continue,
                    });
                }
            }
        }
    }
    found
}
