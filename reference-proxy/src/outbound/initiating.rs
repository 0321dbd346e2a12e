//! The initiating entity, from its header to an authenticated stream.
//!
//! ```text
//! Header ─► Features ─starttls─► Proceed ─► Handshake ─► Header (TLS) ─► Features
//!            │  │  └───auth────► Success ─► Header (SASL) ─► Features ─► open
//!            │  └────db:result─► Result ─► open
//!            └───────db:verify─► Answer ─► told
//! ```
//!
//! Each state is consumed by the input that it waits for. No state touches a socket or a clock.

use std::ops::ControlFlow::{self, Break, Continue};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::awaiting::{Action, Awaiting, Input, Request, Stage};
use super::plan::{Failure, Opened, Plan, Purpose, Stream};
use crate::certificate::Judged;
use crate::config::Config;
use crate::dialback::{self, Answer, Dialback, DialbackError, KeyStatus, Step};
use crate::ledger::{By, NOT_ACCEPTED, Phase};
use crate::negotiation::Method;
use crate::stanza::StanzaError;
use crate::stream::{
    CLOSING, Condition, Offered, Opening, Starttls, StreamError, Version, error, is_error, version,
};
use crate::xml::namespace::{BIDI, SASL, TLS};
use crate::xml::{Element, Frame, Header};

/// A stream being opened.
#[derive(Debug)]
pub(super) struct Initiating {
    plan: Plan,
    pub(super) awaiting: Awaiting,
}

/// How it ends.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Stanzas may flow.
    Open(Opened),
    /// The request has been answered.
    Told(KeyStatus),
    /// The partner could not judge the key; the stream stays open for another try.
    Undecided(Undecided),
    /// As much as the caller needs to know.
    Failed(Failure),
}

#[derive(Debug)]
pub(super) struct Undecided {
    /// The stream as it would be if the key had been accepted.
    pub(super) opened: Opened,
    pub(super) error: DialbackError,
}

pub(super) type Progress = ControlFlow<Outcome, Initiating>;

impl Initiating {
    /// Opens a stream with a header, or with direct TLS first (XEP-0368).
    pub(super) fn open(plan: Plan, direct: bool, out: &mut Vec<Action>) -> Self {
        let awaiting = match direct {
            true => {
                out.push(Action::StartTls);
                Awaiting::Handshake
            }
            false => {
                out.push(Action::Send(header(&plan)));
                Awaiting::Header(Stage::Plain)
            }
        };
        Self { plan, awaiting }
    }

    /// Handles an input and adds actions to `out`.
    pub(super) fn on(self, input: Input, config: &Config, out: &mut Vec<Action>) -> Progress {
        let Self { plan, awaiting } = self;
        let turn = Turn { plan, config, out };
        match (awaiting, input) {
            (Awaiting::Handshake, Input::Secured(judged)) => turn.secured(judged),
            (_, Input::Secured(_)) => Break(Outcome::Failed(Failure::Confused)),
            (awaiting, Input::Frame(frame)) => turn.frame(awaiting, frame),
        }
    }

    /// How far the stream has come.
    pub(super) fn phase(&self) -> Phase {
        self.awaiting.phase()
    }

    /// The error if the connection is lost now.
    pub(super) fn lost(&self) -> Failure {
        self.awaiting.lost()
    }

    /// Whether a dialback answer is due, which has its own time limit.
    pub(super) fn awaits_answer(&self) -> bool {
        matches!(self.awaiting, Awaiting::Result(_) | Awaiting::Answer)
    }
}

/// A transition between states.
struct Turn<'a> {
    plan: Plan,
    config: &'a Config,
    out: &'a mut Vec<Action>,
}

impl Turn<'_> {
    fn send(&mut self, text: impl Into<String>) {
        self.out.push(Action::Send(text.into()));
    }

    fn wait(self, awaiting: Awaiting) -> Progress {
        let plan = self.plan;
        Continue(Initiating { plan, awaiting })
    }

    fn close(mut self, outcome: Outcome) -> Progress {
        self.send(CLOSING);
        Break(outcome)
    }

    fn fail(mut self, failure: Failure, condition: Condition) -> Progress {
        self.send(error(condition, ""));
        Break(Outcome::Failed(failure))
    }

    fn frame(self, awaiting: Awaiting, frame: Frame) -> Progress {
        match (awaiting, frame) {
            (awaiting, Frame::Closed) => self.close(Outcome::Failed(awaiting.lost())),
            (_, Frame::Element(element)) if is_error(&element) => {
                let error = Some(StreamError::received(&element));
                self.close(Outcome::Failed(Failure::Closed(error)))
            }
            (Awaiting::Header(stage), Frame::Header(header)) => self.header(stage, &header),
            (Awaiting::Features(stage, stream), Frame::Element(element)) => {
                match Offered::read(&element) {
                    Some(offered) => self.features(stage, stream, &offered),
                    None => self.unexpected(&element, Awaiting::Features(stage, stream)),
                }
            }
            (Awaiting::Proceed, Frame::Element(element)) => {
                if element.is(TLS, "proceed") {
                    self.out.push(Action::StartTls);
                    return self.wait(Awaiting::Handshake);
                }
                // Anything else means no TLS, and continuing in plaintext would be a downgrade.
                self.close(Outcome::Failed(Failure::TlsRefused(None)))
            }
            (Awaiting::Success { stream, challenged }, Frame::Element(element)) => {
                self.success(stream, challenged, &element)
            }
            (Awaiting::Result(request), Frame::Element(element)) => {
                match self.answer(&element, Step::Result, None) {
                    Some(answer) => self.result(request, answer),
                    None => self.unexpected(&element, Awaiting::Result(request)),
                }
            }
            (Awaiting::Answer, Frame::Element(element)) => {
                let id = match &self.plan.purpose {
                    Purpose::Verify { stream_id, .. } => Some(stream_id.as_str()),
                    Purpose::Deliver { .. } => None,
                };
                match self.answer(&element, Step::Verify, id) {
                    Some(answer) => self.told(&answer),
                    None => self.unexpected(&element, Awaiting::Answer),
                }
            }
            // Without bidi, only answers may arrive here; stanzas are ignored.
            (
                awaiting @ (Awaiting::Features(..) | Awaiting::Result(_) | Awaiting::Answer),
                Frame::Stanza(_),
            ) => self.wait(awaiting),
            _ => self.fail(Failure::Confused, Condition::BadFormat),
        }
    }

    /// Begins a stream, after TLS or SASL.
    fn restart(mut self, stage: Stage) -> Progress {
        self.out.push(Action::Restart);
        self.send(header(&self.plan));
        self.wait(Awaiting::Header(stage))
    }

    fn header(self, stage: Stage, header: &Header) -> Progress {
        if !header.is_server_stream() {
            return self.fail(Failure::Confused, Condition::InvalidNamespace);
        }
        let id = header.element.attribute("id").unwrap_or_default();
        if id.is_empty() {
            // RFC 6120 §4.7.3; besides, a key cannot be bound to an empty id.
            return self.fail(Failure::Confused, Condition::BadFormat);
        }
        let stream = Stream {
            id: id.to_owned(),
            dialback: header.dialback,
            bidi: stage == Stage::Authenticated { bidi: true },
            ..Stream::default()
        };
        match (version(header), stage) {
            (Version::One, _) => self.wait(Awaiting::Features(stage, stream)),
            (_, Stage::Authenticated { .. }) => Break(Outcome::Open(Opened {
                method: Method::SaslTls,
                stream,
            })),
            (_, Stage::Plain) if self.plan.terms.requires_tls() => {
                self.fail(Failure::TlsMissing, Condition::UnsupportedVersion)
            }
            // Without features, such a server can support only dialback.
            (_, stage) => {
                let stream = Stream {
                    dialback: true,
                    ..stream
                };
                let otherwise = (Failure::NoMethod, Condition::UnsupportedVersion);
                self.dialback(stage, stream, otherwise)
            }
        }
    }

    fn features(mut self, stage: Stage, stream: Stream, offered: &Offered) -> Progress {
        let terms = self.plan.terms;
        let stream = stream.offering(offered);
        let nothing_in_common = (Failure::NoMethod, Condition::UnsupportedFeature);
        match stage {
            Stage::Plain => match (terms.allows_tls(), offered.starttls) {
                (true, Starttls::Offered | Starttls::Required) => {
                    self.send(format!("<starttls xmlns='{TLS}'/>"));
                    self.wait(Awaiting::Proceed)
                }
                (false, Starttls::Required) => {
                    self.fail(Failure::PeerRequiresTls, Condition::UnsupportedFeature)
                }
                (true, Starttls::Absent) if terms.requires_tls() => {
                    self.fail(Failure::TlsMissing, Condition::PolicyViolation)
                }
                (_, Starttls::Absent | Starttls::Offered) => {
                    self.dialback(stage, stream, nothing_in_common)
                }
            },
            Stage::Secured(judged) => {
                let external = offered.external
                    && terms.allows(Method::SaslTls)
                    && self.plan.purpose
                        == Purpose::Deliver {
                            external_failed: false,
                        };
                let failure = match judged {
                    _ if !external => return self.dialback(stage, stream, nothing_in_common),
                    Judged::Good => return self.authenticate(stream),
                    Judged::Bad(fault) => {
                        if stream.dialback && terms.allows(Method::TlsDialback) {
                            let text = format!("{NOT_ACCEPTED}: {fault}");
                            self.out.push(Action::WithoutSasl(By::Proxy, text));
                        }
                        Failure::BadCertificate(fault)
                    }
                    Judged::Absent => Failure::NoCertificate,
                };
                self.dialback(stage, stream, (failure, Condition::PolicyViolation))
            }
            Stage::Authenticated { .. } if offered.unknown_required => {
                self.fail(Failure::NoMethod, Condition::UnsupportedFeature)
            }
            Stage::Authenticated { .. } => Break(Outcome::Open(Opened {
                method: Method::SaslTls,
                stream,
            })),
        }
    }

    fn secured(mut self, judged: Judged) -> Progress {
        let needs_good = match self.plan.purpose {
            Purpose::Deliver { .. } => {
                self.plan.strict || !self.plan.terms.allows(Method::TlsDialback)
            }
            Purpose::Verify { .. } => self.plan.strict,
        };
        let (failure, text) = match judged {
            Judged::Bad(fault) if needs_good => (Failure::BadCertificate(fault), fault.to_string()),
            Judged::Absent if needs_good => (Failure::NoCertificate, "absent".to_owned()),
            Judged::Good | Judged::Bad(_) | Judged::Absent => {
                return self.restart(Stage::Secured(judged));
            }
        };
        let text = format!("certificate not acceptable: {text}");
        self.send(header(&self.plan) + &error(Condition::PolicyViolation, &text));
        Break(Outcome::Failed(failure))
    }

    /// SASL EXTERNAL. The identity is sent for older servers that want it (XEP-0178 §3).
    fn authenticate(mut self, mut stream: Stream) -> Progress {
        self.ask_for_bidi(&mut stream);
        let identity = self.identity();
        self.send(format!(
            "<auth xmlns='{SASL}' mechanism='EXTERNAL'>{identity}</auth>"
        ));
        self.wait(Awaiting::Success {
            stream,
            challenged: false,
        })
    }

    /// Asks for the other direction, after TLS and before authentication (XEP-0288 §2.2).
    fn ask_for_bidi(&mut self, stream: &mut Stream) {
        if self.plan.bidi && stream.offers_bidi && !stream.bidi {
            stream.bidi = true;
            self.send(format!("<bidi xmlns='{BIDI}'/>"));
        }
    }

    fn identity(&self) -> String {
        STANDARD.encode(&*self.plan.pair.from.in_addresses())
    }

    fn success(mut self, stream: Stream, challenged: bool, element: &Element) -> Progress {
        match element.name.as_str() {
            // Characters outside the alphabet must not be ignored (RFC 6120 §13.9.1).
            "success" | "challenge" if element.namespace == SASL && !is_base64(&element.text) => {
                self.fail(Failure::SaslRefused(None), Condition::BadFormat)
            }
            "success" if element.namespace == SASL => {
                let bidi = stream.bidi;
                self.restart(Stage::Authenticated { bidi })
            }
            "challenge" if element.namespace == SASL && !challenged => {
                let identity = self.identity();
                self.send(format!("<response xmlns='{SASL}'>{identity}</response>"));
                self.wait(Awaiting::Success {
                    stream,
                    challenged: true,
                })
            }
            "failure" if element.namespace == SASL => {
                let said = Some(element.said(SASL)).filter(|said| !said.is_empty());
                let refused = Failure::SaslRefused(said);
                match stream.dialback && self.plan.terms.allows(Method::TlsDialback) {
                    true => {
                        let text = format!("dialback instead of SASL: {refused}");
                        self.out.push(Action::WithoutSasl(By::Peer, text));
                        self.request(Method::TlsDialback, stream, true)
                    }
                    false => self.close(Outcome::Failed(refused)),
                }
            }
            _ => self.fail(Failure::Confused, Condition::UnsupportedStanzaType),
        }
    }

    /// Sends the request that the stream is for, or else authenticates by dialback if possible.
    fn dialback(
        mut self,
        stage: Stage,
        stream: Stream,
        otherwise: (Failure, Condition),
    ) -> Progress {
        if let Purpose::Verify { stream_id, key } = &self.plan.purpose {
            let request = dialback::request(Step::Verify, &self.plan.pair, Some(stream_id), key);
            self.send(request);
            return self.wait(Awaiting::Answer);
        }
        let method = Method::dialback(stage != Stage::Plain);
        if stream.dialback && self.plan.terms.allows(method) {
            return self.request(method, stream, false);
        }
        let (failure, condition) = otherwise;
        self.fail(failure, condition)
    }

    fn request(mut self, method: Method, mut stream: Stream, external_failed: bool) -> Progress {
        self.ask_for_bidi(&mut stream);
        let key = self.config.keys().issue(&self.plan.pair, &stream.id);
        let request = dialback::request(Step::Result, &self.plan.pair, None, &key);
        self.send(request);
        self.wait(Awaiting::Result(Request {
            method,
            stream,
            external_failed,
        }))
    }

    /// The answer to this side's own request, if the element is one.
    fn answer(&self, element: &Element, step: Step, id: Option<&str>) -> Option<Answer> {
        let dialback = Dialback::read(element)?;
        let pair = &self.plan.pair;
        let fits = dialback.step == step
            && dialback.from.as_ref() == Some(&pair.to)
            && dialback.to.as_ref() == Some(&pair.from)
            && (id.is_none() || dialback.id.as_deref() == id);
        dialback.answer.filter(|_| fits)
    }

    fn result(self, request: Request, answer: Answer) -> Progress {
        let Request { method, stream, .. } = request;
        let opened = Opened { method, stream };
        match answer {
            Answer::Valid => Break(Outcome::Open(opened)),
            Answer::Invalid => self.close(Outcome::Failed(Failure::KeyInvalid)),
            Answer::Error(error) => Break(Outcome::Undecided(Undecided { opened, error })),
        }
    }

    fn told(self, answer: &Answer) -> Progress {
        let status = match answer {
            Answer::Valid => KeyStatus::Valid,
            Answer::Invalid => KeyStatus::Invalid,
            // XEP-0220 §2.5, whatever its condition.
            Answer::Error(_) => KeyStatus::Failed(StanzaError::RemoteServerNotFound),
        };
        self.close(Outcome::Told(status))
    }

    /// Handles an unsolicited element. Only those of TLS and SASL end the stream; those of dialback are
    /// ignored like unknown ones (XEP-0220 §3.1).
    fn unexpected(self, element: &Element, awaiting: Awaiting) -> Progress {
        match element.namespace.as_str() {
            TLS | SASL => self.fail(Failure::Confused, Condition::UnsupportedStanzaType),
            _ => self.wait(awaiting),
        }
    }
}

fn header(plan: &Plan) -> String {
    let (from, to) = (plan.pair.from.in_addresses(), plan.pair.to.in_addresses());
    let dialback = match plan.purpose {
        Purpose::Deliver { .. } => plan.terms.allows_dialback(),
        Purpose::Verify { .. } => true,
    };
    Opening {
        dialback,
        ..Opening::new(&from, Some(&to), None)
    }
    .text()
}

/// Whether a text can be SASL's: Base64, or `=` for data of no length (RFC 6120 §6.4.2, §13.9.1).
fn is_base64(text: &str) -> bool {
    text == "=" || STANDARD.decode(text).is_ok()
}
