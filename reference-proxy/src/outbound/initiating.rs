//! The initiating entity, from its header to an authenticated stream.
//!
//! ```text
//! AwaitHeader ─► AwaitFeatures ─starttls─► AwaitProceed ─► AwaitHandshake ─► AwaitHeader (TLS)
//!                  │  │    └──auth──► AwaitSuccess ──► AwaitHeader (SASL) ─► AwaitFeatures ─► open
//!                  │  └──db:result──► AwaitResult ──► open
//!                  └─────db:verify──► AwaitVerdict ──► told
//! ```
//!
//! Each state is consumed by what it waits for. No state touches a socket or a clock.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::certificate::Judged;
use crate::config::Config;
use crate::dialback::{self, Answer, Dialback, KeyStatus, Step};
use crate::domain::Pair;
use crate::negotiation::Method;
use crate::negotiation::Terms;
use crate::stanza::StanzaError;
use crate::stream::{
    CLOSING, Condition, Offered, Opening, Starttls, Version, error, is_error, version,
};
use crate::xml::namespace::{DIALBACK, SASL, TLS};
use crate::xml::{Element, Frame, Header};

/// What a stream is opened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Stanzas of the pair.
    Deliver {
        /// Whether EXTERNAL has failed on an earlier connection and is not tried again.
        external_failed: bool,
    },
    /// A question about a key: the id of the stream that it came on, and the key.
    Verify { stream_id: String, key: String },
}

/// What stays the same from the first header to the last element.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// This side's domain and the partner's.
    pub(crate) pair: Pair,
    /// The partner's terms.
    pub(crate) terms: Terms,
    /// Whether a bad certificate is refused even where dialback would do.
    pub(crate) strict: bool,
    /// What the stream is for.
    pub(crate) purpose: Purpose,
}

/// A stream that is open for stanzas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    /// How this side proved its name.
    pub(crate) method: Method,
    /// Bytes of the largest stanza that the partner takes, where it said so (XEP-0478).
    pub(crate) largest_stanza: Option<usize>,
}

impl From<Method> for Opened {
    fn from(method: Method) -> Self {
        Self {
            method,
            largest_stanza: None,
        }
    }
}

/// What happens to a stream.
#[derive(Debug)]
pub(crate) enum Input {
    /// A header, an element, a stanza, the closing tag.
    Frame(Frame),
    /// The TLS handshake is done, with this verdict on the partner's certificate.
    Secured(Judged),
}

/// What has to be done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The peer's next bytes begin a new stream.
    Restart,
    /// Text for the peer.
    Send(String),
    /// TLS begins.
    StartTls,
}

/// Why a stream was not opened, or a question not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The partner's certificate is not good enough.
    BadCertificate(Judged),
    /// The partner closed or sent an error.
    Closed(Option<Condition>),
    /// The partner's bytes make no sense at this place.
    Confused,
    /// Dialback: the partner holds the key for wrong.
    KeyInvalid,
    /// No method that both sides have.
    NoMethod,
    /// The partner requires TLS, which the terms exclude.
    PeerRequiresTls,
    /// EXTERNAL was refused, and nothing else is left on this connection.
    SaslRefused,
    /// TLS is required, and the partner does not offer it.
    TlsMissing,
    /// The partner refused STARTTLS, or the handshake broke.
    TlsRefused,
}

impl Failure {
    /// Whether it is one of a single server, so that another of the same partner may do better. What
    /// is said about the domain or its terms, another one would say too.
    pub(crate) fn is_of_server(self) -> bool {
        match self {
            Self::Closed(condition) => !matches!(
                condition,
                Some(Condition::HostUnknown | Condition::HostGone | Condition::PolicyViolation)
            ),
            Self::Confused | Self::TlsRefused => true,
            Self::BadCertificate(_)
            | Self::KeyInvalid
            | Self::NoMethod
            | Self::PeerRequiresTls
            | Self::SaslRefused
            | Self::TlsMissing => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadCertificate(Judged::Bad(fault)) => {
                write!(f, "the partner's certificate is {fault}")
            }
            Self::BadCertificate(_) => f.write_str("the partner has no certificate"),
            Self::Closed(Some(condition)) => {
                write!(f, "the partner closed the stream: {condition}")
            }
            Self::Closed(None) => f.write_str("the partner closed the stream"),
            Self::Confused => f.write_str("the partner's server sent something unexpected"),
            Self::KeyInvalid => f.write_str("the partner holds the dialback key for wrong"),
            Self::NoMethod => f.write_str("no authentication method in common"),
            Self::PeerRequiresTls => f.write_str("the partner requires TLS, which is off for it"),
            Self::SaslRefused => f.write_str("the partner refused authentication"),
            Self::TlsMissing => f.write_str("TLS is required, and the partner does not offer it"),
            Self::TlsRefused => f.write_str("TLS could not be started"),
        }
    }
}

/// The states.
#[derive(Debug)]
pub(crate) enum Initiating {
    /// The partner's header is due.
    AwaitHeader(AwaitHeader),
    /// The partner's features are due.
    AwaitFeatures(AwaitFeatures),
    /// The answer to `<starttls/>` is due.
    AwaitProceed(AwaitProceed),
    /// The handshake is under way.
    AwaitHandshake(AwaitHandshake),
    /// The answer to `<auth/>` is due.
    AwaitSuccess(AwaitSuccess),
    /// The answer to `db:result` is due.
    AwaitResult(AwaitResult),
    /// The answer to `db:verify` is due.
    AwaitVerdict(AwaitVerdict),
    /// Stanzas may flow.
    Open(Opened),
    /// The question is answered.
    Told(KeyStatus),
    /// The partner could not judge the key; the stream stays.
    Undecided(Undecided),
    /// It came to nothing; what had to be said was said.
    Failed(Failure),
}

/// How far the stream's security has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Plain,
    Secured(Judged),
    Authenticated,
}

/// The partner's header is due.
#[derive(Debug)]
pub(crate) struct AwaitHeader {
    plan: Plan,
    stage: Stage,
}

/// The partner's features are due.
#[derive(Debug)]
pub(crate) struct AwaitFeatures {
    plan: Plan,
    stage: Stage,
    stream: Stream,
}

/// What the partner's header said.
#[derive(Clone, Debug)]
struct Stream {
    id: String,
    dialback: bool,
}

/// The answer to `<starttls/>` is due.
#[derive(Debug)]
pub(crate) struct AwaitProceed {
    plan: Plan,
}

/// The handshake is under way.
#[derive(Debug)]
pub(crate) struct AwaitHandshake {
    plan: Plan,
}

/// The answer to `<auth/>` is due.
#[derive(Debug)]
pub(crate) struct AwaitSuccess {
    plan: Plan,
    stream: Stream,
    challenged: bool,
}

/// The answer to `db:result` is due.
#[derive(Debug)]
pub(crate) struct AwaitResult {
    plan: Plan,
    method: Method,
    stream_id: String,
    /// Whether EXTERNAL failed on this very stream.
    external_failed: bool,
}

/// The answer to `db:verify` is due.
#[derive(Debug)]
pub(crate) struct AwaitVerdict {
    plan: Plan,
    stream_id: String,
}

impl Initiating {
    /// Opens a stream: the header, and the state that waits for the partner's.
    pub(crate) fn open(plan: Plan, out: &mut Vec<Action>) -> Self {
        AwaitHeader::enter(plan, Stage::Plain, out)
    }

    /// Opens a stream under TLS that comes first (XEP-0368).
    pub(crate) fn open_secured(plan: Plan, out: &mut Vec<Action>) -> Self {
        out.push(Action::StartTls);
        Self::AwaitHandshake(AwaitHandshake { plan })
    }

    /// Takes an input; the actions are added to `out`.
    pub(crate) fn on(self, input: Input, config: &Config, out: &mut Vec<Action>) -> Self {
        let frame = match (self, input) {
            (Self::AwaitHandshake(state), Input::Secured(judged)) => {
                return state.secured(judged, out);
            }
            (state @ (Self::Open(_) | Self::Told(_) | Self::Undecided(_) | Self::Failed(_)), _) => {
                return state;
            }
            (_, Input::Secured(_)) => return fail(Failure::Confused, None, out),
            (state, Input::Frame(frame)) => (state, frame),
        };
        match frame {
            (state, Frame::Closed) => state.closed(out),
            (_, Frame::Element(element)) if is_error(&element) => {
                out.push(Action::Send(CLOSING.to_owned()));
                Self::Failed(Failure::Closed(Some(Condition::received(&element))))
            }
            (Self::AwaitHeader(state), Frame::Header(header)) => state.header(&header, config, out),
            (Self::AwaitFeatures(state), Frame::Element(element)) => {
                state.element(&element, config, out)
            }
            (Self::AwaitProceed(state), Frame::Element(element)) => state.element(&element, out),
            (Self::AwaitSuccess(state), Frame::Element(element)) => {
                state.element(&element, config, out)
            }
            (Self::AwaitResult(state), Frame::Element(element)) => state.element(&element, out),
            (Self::AwaitVerdict(state), Frame::Element(element)) => state.element(&element, out),
            // Without bidi nothing but answers may come this way; stanzas here have no standing.
            (
                state @ (Self::AwaitFeatures(_) | Self::AwaitResult(_) | Self::AwaitVerdict(_)),
                Frame::Stanza(_),
            ) => state,
            _ => fail(Failure::Confused, Some(Condition::BadFormat), out),
        }
    }

    /// The partner closed, in good order or not.
    pub(crate) fn lost(self) -> Failure {
        match self {
            Self::AwaitSuccess(_) => Failure::SaslRefused,
            Self::AwaitResult(state) if state.external_failed => Failure::SaslRefused,
            Self::AwaitProceed(_) | Self::AwaitHandshake(_) => Failure::TlsRefused,
            Self::Failed(failure) => failure,
            _ => Failure::Closed(None),
        }
    }

    /// Whether a dialback answer is due, which has its own time limit.
    pub(crate) fn awaits_answer(&self) -> bool {
        matches!(self, Self::AwaitResult(_) | Self::AwaitVerdict(_))
    }

    fn closed(self, out: &mut Vec<Action>) -> Self {
        out.push(Action::Send(CLOSING.to_owned()));
        Self::Failed(self.lost())
    }
}

/// A stream on which the pair was not decided, open for another try.
#[derive(Debug)]
pub(crate) struct Undecided {
    plan: Plan,
    method: Method,
    stream_id: String,
    /// Why, in the partner's words.
    pub(crate) problem: Option<StanzaError>,
}

impl Undecided {
    /// Sends a key once more.
    pub(crate) fn ask_again(self, config: &Config, out: &mut Vec<Action>) -> Initiating {
        let Self {
            plan,
            method,
            stream_id,
            ..
        } = self;
        AwaitResult::enter(plan, method, stream_id, false, config, out)
    }
}

impl AwaitHeader {
    fn enter(plan: Plan, stage: Stage, out: &mut Vec<Action>) -> Initiating {
        out.push(Action::Send(header(&plan)));
        Initiating::AwaitHeader(Self { plan, stage })
    }

    fn header(self, header: &Header, config: &Config, out: &mut Vec<Action>) -> Initiating {
        let Self { plan, stage } = self;
        if !header.is_server_stream() {
            return fail(Failure::Confused, Some(Condition::InvalidNamespace), out);
        }
        let id = header.element.attribute("id").unwrap_or_default();
        if id.is_empty() {
            // RFC 6120 §4.7.3; and no key can be bound to nothing.
            return fail(Failure::Confused, Some(Condition::BadFormat), out);
        }
        let stream = Stream {
            id: id.to_owned(),
            dialback: header.dialback,
        };
        match (version(header), stage) {
            (Version::One, _) => Initiating::AwaitFeatures(AwaitFeatures {
                plan,
                stage,
                stream,
            }),
            (_, Stage::Authenticated) => Initiating::Open(Method::SaslTls.into()),
            (_, Stage::Plain) if plan.terms.requires_tls() => fail(
                Failure::TlsMissing,
                Some(Condition::UnsupportedVersion),
                out,
            ),
            // Without features dialback is all that such a server can know.
            (_, stage) => {
                let otherwise = (Failure::NoMethod, Condition::UnsupportedVersion);
                authenticate(plan, stage, stream, true, otherwise, config, out)
            }
        }
    }
}

impl AwaitFeatures {
    fn element(self, element: &Element, config: &Config, out: &mut Vec<Action>) -> Initiating {
        let Some(offered) = Offered::read(element) else {
            return unexpected(element, Initiating::AwaitFeatures(self), out);
        };
        let Self {
            plan,
            stage,
            stream,
        } = self;
        let dialback = offered.dialback || stream.dialback;
        match stage {
            Stage::Plain => match (plan.terms.allows_tls(), offered.starttls) {
                (true, Starttls::Offered | Starttls::Required) => {
                    out.push(Action::Send(format!("<starttls xmlns='{TLS}'/>")));
                    Initiating::AwaitProceed(AwaitProceed { plan })
                }
                (false, Starttls::Required) => {
                    let condition = Some(Condition::UnsupportedFeature);
                    fail(Failure::PeerRequiresTls, condition, out)
                }
                (true, Starttls::Absent) if plan.terms.requires_tls() => {
                    fail(Failure::TlsMissing, Some(Condition::PolicyViolation), out)
                }
                (_, Starttls::Absent | Starttls::Offered) => authenticate(
                    plan,
                    stage,
                    stream,
                    dialback,
                    NOTHING_IN_COMMON,
                    config,
                    out,
                ),
            },
            Stage::Secured(judged) => {
                let external_failed = match plan.purpose {
                    Purpose::Deliver { external_failed } => external_failed,
                    Purpose::Verify { .. } => true,
                };
                let external =
                    offered.external && plan.terms.allows(Method::SaslTls) && !external_failed;
                if !external || judged != Judged::Good {
                    let otherwise = if external {
                        (Failure::BadCertificate(judged), Condition::PolicyViolation)
                    } else {
                        NOTHING_IN_COMMON
                    };
                    return authenticate(plan, stage, stream, dialback, otherwise, config, out);
                }
                // The identity is given for older servers, which want it (XEP-0178 §3).
                let identity = STANDARD.encode(&*plan.pair.from.in_addresses());
                out.push(Action::Send(format!(
                    "<auth xmlns='{SASL}' mechanism='EXTERNAL'>{identity}</auth>"
                )));
                Initiating::AwaitSuccess(AwaitSuccess {
                    plan,
                    stream: Stream { dialback, ..stream },
                    challenged: false,
                })
            }
            Stage::Authenticated if offered.unknown_required => {
                fail(Failure::NoMethod, Some(Condition::UnsupportedFeature), out)
            }
            Stage::Authenticated => Initiating::Open(Opened {
                method: Method::SaslTls,
                largest_stanza: offered.largest_stanza,
            }),
        }
    }
}

/// Why it ends where no method is left that both sides have.
const NOTHING_IN_COMMON: (Failure, Condition) = (Failure::NoMethod, Condition::UnsupportedFeature);

/// Dialback, if it is left; or the question that the stream is for; or else the end.
fn authenticate(
    plan: Plan,
    stage: Stage,
    stream: Stream,
    dialback: bool,
    otherwise: (Failure, Condition),
    config: &Config,
    out: &mut Vec<Action>,
) -> Initiating {
    if let Purpose::Verify { stream_id, key } = &plan.purpose {
        let stream_id = stream_id.clone();
        out.push(Action::Send(dialback::request(
            Step::Verify,
            &plan.pair,
            Some(&stream_id),
            key,
        )));
        return Initiating::AwaitVerdict(AwaitVerdict { plan, stream_id });
    }
    let secured = stage != Stage::Plain;
    if !dialback || !plan.terms.allows(Method::dialback(secured)) {
        let (failure, condition) = otherwise;
        return fail(failure, Some(condition), out);
    }
    let method = match secured {
        true => Method::TlsDialback,
        false => Method::TcpDialback,
    };
    AwaitResult::enter(plan, method, stream.id, false, config, out)
}

impl AwaitProceed {
    fn element(self, element: &Element, out: &mut Vec<Action>) -> Initiating {
        if element.is(TLS, "proceed") {
            out.push(Action::StartTls);
            return Initiating::AwaitHandshake(AwaitHandshake { plan: self.plan });
        }
        // Whatever else it is, there will be no TLS, and clear text would be a downgrade.
        out.push(Action::Send(CLOSING.to_owned()));
        Initiating::Failed(Failure::TlsRefused)
    }
}

impl AwaitHandshake {
    fn secured(self, judged: Judged, out: &mut Vec<Action>) -> Initiating {
        let plan = self.plan;
        let needs_good = match plan.purpose {
            Purpose::Deliver { .. } => plan.strict || !plan.terms.allows(Method::TlsDialback),
            Purpose::Verify { .. } => plan.strict,
        };
        if needs_good && judged != Judged::Good {
            let text = match judged {
                Judged::Bad(fault) => fault.to_string(),
                Judged::Good | Judged::Absent => "absent".to_owned(),
            };
            let text = format!("certificate not acceptable: {text}");
            out.push(Action::Send(format!(
                "{}{}",
                header(&plan),
                error(Condition::PolicyViolation, &text)
            )));
            return Initiating::Failed(Failure::BadCertificate(judged));
        }
        out.push(Action::Restart);
        AwaitHeader::enter(plan, Stage::Secured(judged), out)
    }
}

impl AwaitSuccess {
    fn element(mut self, element: &Element, config: &Config, out: &mut Vec<Action>) -> Initiating {
        match element.name.as_str() {
            "success" if element.namespace == SASL => {
                out.push(Action::Restart);
                AwaitHeader::enter(self.plan, Stage::Authenticated, out)
            }
            "challenge" if element.namespace == SASL && !self.challenged => {
                self.challenged = true;
                let identity = STANDARD.encode(&*self.plan.pair.from.in_addresses());
                out.push(Action::Send(format!(
                    "<response xmlns='{SASL}'>{identity}</response>"
                )));
                Initiating::AwaitSuccess(self)
            }
            "failure" if element.namespace == SASL => {
                let usable = self.stream.dialback && self.plan.terms.allows(Method::TlsDialback);
                if !usable {
                    out.push(Action::Send(CLOSING.to_owned()));
                    return Initiating::Failed(Failure::SaslRefused);
                }
                AwaitResult::enter(
                    self.plan,
                    Method::TlsDialback,
                    self.stream.id,
                    true,
                    config,
                    out,
                )
            }
            _ => fail(
                Failure::Confused,
                Some(Condition::UnsupportedStanzaType),
                out,
            ),
        }
    }
}

impl AwaitResult {
    fn enter(
        plan: Plan,
        method: Method,
        stream_id: String,
        external_failed: bool,
        config: &Config,
        out: &mut Vec<Action>,
    ) -> Initiating {
        let key = config.keys().issue(&plan.pair, &stream_id);
        out.push(Action::Send(dialback::request(
            Step::Result,
            &plan.pair,
            None,
            &key,
        )));
        Initiating::AwaitResult(Self {
            plan,
            method,
            stream_id,
            external_failed,
        })
    }

    fn element(self, element: &Element, out: &mut Vec<Action>) -> Initiating {
        let Some(answer) = answer(element, Step::Result, &self.plan.pair, None) else {
            return unexpected(element, Initiating::AwaitResult(self), out);
        };
        let problem = match answer {
            Answer::Valid => return Initiating::Open(self.method.into()),
            Answer::Invalid => {
                out.push(Action::Send(CLOSING.to_owned()));
                return Initiating::Failed(Failure::KeyInvalid);
            }
            Answer::Error(problem) => problem,
        };
        Initiating::Undecided(Undecided {
            plan: self.plan,
            method: self.method,
            stream_id: self.stream_id,
            problem,
        })
    }
}

impl AwaitVerdict {
    fn element(self, element: &Element, out: &mut Vec<Action>) -> Initiating {
        let asked = Some(self.stream_id.as_str());
        let Some(answer) = answer(element, Step::Verify, &self.plan.pair, asked) else {
            return unexpected(element, Initiating::AwaitVerdict(self), out);
        };
        let verdict = match answer {
            Answer::Valid => KeyStatus::Valid,
            Answer::Invalid => KeyStatus::Invalid,
            // XEP-0220 §2.5: what the authoritative server can't find, the initiator is not.
            Answer::Error(Some(StanzaError::ItemNotFound)) => {
                KeyStatus::Failed(StanzaError::RemoteServerNotFound)
            }
            Answer::Error(_) => KeyStatus::Failed(StanzaError::RemoteServerTimeout),
        };
        out.push(Action::Send(CLOSING.to_owned()));
        Initiating::Told(verdict)
    }
}

/// The answer to this side's own request for the pair; `None` for anything else.
fn answer(element: &Element, step: Step, pair: &Pair, id: Option<&str>) -> Option<Answer> {
    let dialback = Dialback::read(element)?;
    let fits = dialback.step == step
        && dialback.from.as_ref() == Some(&pair.to)
        && dialback.to.as_ref() == Some(&pair.from)
        && (id.is_none() || dialback.id.as_deref() == id);
    dialback.answer.filter(|_| fits)
}

/// An element that nobody asked for: dialback's are left aside (XEP-0220 §3.1), others end it.
fn unexpected(element: &Element, state: Initiating, out: &mut Vec<Action>) -> Initiating {
    match element.namespace.as_str() {
        DIALBACK => state,
        TLS | SASL => fail(
            Failure::Confused,
            Some(Condition::UnsupportedStanzaType),
            out,
        ),
        _ => state,
    }
}

fn header(plan: &Plan) -> String {
    let dialback = match plan.purpose {
        Purpose::Deliver { .. } => plan.terms.allows_dialback(),
        Purpose::Verify { .. } => true,
    };
    Opening {
        from: &plan.pair.from.in_addresses(),
        to: Some(&plan.pair.to.in_addresses()),
        id: None,
        dialback,
        versioned: true,
        language: "en",
    }
    .text()
}

fn fail(failure: Failure, condition: Option<Condition>, out: &mut Vec<Action>) -> Initiating {
    if let Some(condition) = condition {
        out.push(Action::Send(error(condition, "")));
    }
    Initiating::Failed(failure)
}
