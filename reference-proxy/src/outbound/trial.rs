//! A test message to a partner, on a stream of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::connect::{Reached, connect, farewell, partner_of};
use super::dial::Unreachable;
use super::plan::{At, Failure};
use super::undelivered::Unavailable;
use crate::context::Context;
use crate::domain::Pair;
use crate::ledger::Phase;
use crate::negotiation::Method;
use crate::partner::Partner;
use crate::random::stream_id;
use crate::stream::{Connection, StreamError, is_error};
use crate::task::Stop;
use crate::trial::{Broken, Step};
use crate::xml::namespace::STANZA_ERRORS;
use crate::xml::{Frame, Stanza, escape};

/// The longest time until the stream is open.
const OPENING: Duration = Duration::from_secs(40);
/// The longest time until the partner has answered.
const ANSWERING: Duration = Duration::from_secs(15);

/// Sends a message and then a ping (XEP-0199) to the recipient's domain. Its answer says that the message
/// has been taken as well. Returns how this side has authenticated.
pub(crate) async fn trial(
    context: &Arc<Context>,
    pair: &Pair,
    [from, to]: [&str; 2],
    stop: &mut Stop,
) -> Result<Method, Broken> {
    let id = stream_id().map_err(|error| Broken::at(Step::LocalPolicy, error.to_string()))?;
    let from = format!("{from}/{id}");
    let partner = partner_of(context, pair).map_err(|unavailable| broken(&unavailable))?;
    // The stream is for the trial alone: what others have to say takes another.
    let partner = Partner {
        bidirectional: false,
        ..partner.clone()
    };
    let opening = connect(context, &partner, pair, stop);
    let opened = context.clock.timeout(OPENING, opening).await;
    let slow = || Broken::at(Step::Method, "the stream is not open in time");
    let reached = opened.map_err(|_| slow())?;
    let Reached {
        mut connection,
        opened,
        places: _places,
        undecided,
        ..
    } = reached.map_err(|unavailable| broken(&unavailable))?;
    if undecided.is_some() {
        farewell(context, connection).await;
        let why = "the partner could not verify the dialback key";
        return Err(Broken::at(Step::Method, why));
    }
    let bytes = context.config.settings.limits.stanza_bytes;
    connection.incoming().trust(bytes);
    let mut answers = context.router.trials.begin(&from);
    let mut talk = Talk {
        connection: &mut connection,
        answers: &mut answers,
        id: &id,
    };
    let answered = context
        .clock
        .timeout(ANSWERING, talk.talk(pair, &from, to, stop))
        .await;
    context.router.trials.end(&from);
    farewell(context, connection).await;
    let answered = answered.unwrap_or_else(|_| {
        let why =
            "the message is with the partner, but no answer has come back; can it connect to here?";
        Err(Broken::at(Step::Answer, why))
    });
    match answered {
        Ok(()) => Ok(opened.method),
        Err(broken) => Err(Broken {
            method: Some(opened.method),
            ..broken
        }),
    }
}

struct Talk<'a> {
    connection: &'a mut Connection,
    answers: &'a mut mpsc::Receiver<Stanza>,
    id: &'a str,
}

impl Talk<'_> {
    async fn talk(
        &mut self,
        pair: &Pair,
        from: &str,
        to: &str,
        stop: &mut Stop,
    ) -> Result<(), Broken> {
        let (id, domain) = (self.id, pair.to.in_addresses());
        let (from, to) = (escape(from), escape(to));
        let text = format!(
            "<message from='{from}' to='{to}' id='m{id}' type='chat'>\
             <body>A test of the connection between {} and {}.</body></message>\
             <iq from='{from}' to='{domain}' id='p{id}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
            pair.from, pair.to
        );
        let lost = |_| Broken::at(Step::Answer, "the stream broke");
        self.connection.send(text).await.map_err(lost)?;
        loop {
            let stanza = tokio::select! {
                Some(stanza) = self.answers.recv() => stanza,
                frame = self.connection.next() => match frame.map_err(lost)? {
                    Frame::Stanza(stanza) => stanza,
                    Frame::Closed => {
                        return Err(Broken::at(Step::Answer, "the partner closed the stream"));
                    }
                    Frame::Element(element) if is_error(&element) => {
                        let error = StreamError::received(&element);
                        let why = format!("the partner closed the stream: {error}");
                        return Err(Broken::at(Step::Answer, why));
                    }
                    _ => continue,
                },
                () = stop.asked() => return Err(Broken::at(Step::Answer, "the proxy stops")),
            };
            if let Some(verdict) = self.verdict(&stanza) {
                return verdict;
            }
        }
    }

    /// What an answer says, if it is one to this trial.
    fn verdict(&self, stanza: &Stanza) -> Option<Result<(), Broken>> {
        let id = stanza.id.as_deref()?;
        let failed = stanza.type_.as_deref() == Some("error");
        match id.strip_suffix(self.id)? {
            "m" if failed => {
                let why = format!("the partner refused the message: {}", condition(stanza));
                Some(Err(Broken::at(Step::Recipient, why)))
            }
            // Who does not know pings says so, which is an answer.
            "p" => Some(Ok(())),
            _ => None,
        }
    }
}

/// The condition of a stanza error (RFC 6120 §8.3.2).
fn condition(stanza: &Stanza) -> String {
    let text = String::from_utf8_lossy(&stanza.bytes);
    let before = text.split(STANZA_ERRORS).next().unwrap_or_default();
    let name = before.rsplit('<').next().unwrap_or_default();
    let name = name
        .split([' ', '\t', '\n', '\r'])
        .next()
        .unwrap_or_default();
    match name.is_empty() || name.len() == before.len() {
        true => "an error without a condition".to_owned(),
        false => name.to_owned(),
    }
}

/// Where the way breaks off.
fn broken(unavailable: &Unavailable) -> Broken {
    let step = match unavailable {
        Unavailable::Full(_) => Step::LocalPolicy,
        Unavailable::NoPartner => Step::Route,
        Unavailable::Unreachable(Unreachable::Unresolved(_)) => Step::Dns,
        Unavailable::Unreachable(Unreachable::Unanswered { .. }) => Step::Tcp,
        Unavailable::Failed(
            Failure::BadCertificate(_)
            | Failure::NoCertificate
            | Failure::PeerRequiresTls
            | Failure::TlsMissing
            | Failure::TlsRefused(_),
            _,
        )
        | Unavailable::Failed(
            _,
            Some(At {
                phase: Phase::Tls, ..
            }),
        ) => Step::Tls,
        _ => Step::Method,
    };
    Broken::at(step, unavailable.to_string())
}
