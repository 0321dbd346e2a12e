//! The states of a connection, and the table of transitions.

use strum::VariantArray;

/// The state of a connection, named after what is awaited, if anything.
///
/// ```text
/// listening  Idle → AwaitHeader → Negotiating ─┬→ AwaitTls → AwaitHeader …
///                                              ├→ AwaitHeader (SASL) → Established
///                                              └→ Established (dialback)
/// dialling   Idle → AwaitHeader → AwaitFeatures ─┬→ AwaitProceed → AwaitTls → AwaitHeader …
///                                                ├→ AwaitSuccess → AwaitHeader …
///                                                ├→ AwaitResult ─┬→ Established
///                                                └→ AwaitAnswer  └→ Closing → Ended
/// scripted   any of them → Scripted → where the script says
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
pub enum State {
    /// TCP is not connected yet.
    Idle,
    /// For the peer's stream header, the first or one after a restart.
    AwaitHeader,
    /// Listening: features are out, the target chooses.
    Negotiating,
    /// Dialling: for features.
    AwaitFeatures,
    /// Dialling: for the answer to `<starttls/>`.
    AwaitProceed,
    /// For the end of a TLS handshake.
    AwaitTls,
    /// Dialling: for the answer to `<auth/>`.
    AwaitSuccess,
    /// Dialling: for the answer to an untyped `db:result`.
    AwaitResult,
    /// Verifying: for the answer to an untyped `db:verify`.
    AwaitAnswer,
    /// Stanzas may pass.
    Established,
    /// A reaction has replaced the engine: received elements trigger their points and have
    /// no other effect.
    Scripted,
    /// Bytes that are not XML: the handshake is being broken deliberately.
    Opaque,
    /// Open and silent deliberately.
    Held,
    /// Our end of the stream was sent; the peer's is awaited.
    Closing,
    /// Nothing more happens.
    Ended,
}

/// A step of a negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
pub enum Step {
    /// TCP was connected, and the dialling side sent its header.
    Open,
    /// Listening: header and features (if the version has them) were sent.
    Answer,
    /// Dialling: the peer's header was received, features must follow.
    Header,
    /// `<starttls/>` was sent.
    AskTls,
    /// `<proceed/>` was exchanged; the handshake starts.
    BeginTls,
    /// `<proceed/>` was exchanged; no real handshake starts.
    BreakTls,
    /// The handshake was completed; the stream restarts.
    SecureStream,
    /// `<auth/>` was sent.
    AskSasl,
    /// `<success/>` was exchanged; the stream restarts.
    RestartStream,
    /// SASL failed; another method is chosen from the features.
    RefuseSasl,
    /// An untyped `db:result` was sent.
    AskResult,
    /// An untyped `db:verify` was sent.
    AskVerify,
    /// The peer's identity is proved, or ours to it.
    Establish,
    /// A reaction replaced the correct next step.
    Script,
    /// The connection is left open in silence.
    Hold,
    /// `</stream:stream>` was sent.
    EndStream,
    /// TCP is over.
    End,
}

/// A step that is not possible in the current state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no step {step:?} from {state:?}")]
pub struct IllegalMove {
    /// The state.
    pub state: State,
    /// The step.
    pub step: Step,
}

impl State {
    /// All states.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The table: the state that a step leads to.
    ///
    /// # Errors
    /// When the step is not possible here.
    pub fn after(self, step: Step) -> Result<Self, IllegalMove> {
        let next = match (self, step) {
            (Self::Idle, Step::Open) => Self::AwaitHeader,
            (Self::AwaitHeader, Step::Answer) => Self::Negotiating,
            (Self::AwaitHeader | Self::Scripted, Step::Header) => Self::AwaitFeatures,
            (Self::AwaitFeatures | Self::Scripted, Step::AskTls) => Self::AwaitProceed,
            (
                Self::Idle
                | Self::AwaitTls
                | Self::Opaque
                | Self::Held
                | Self::Closing
                | Self::Ended,
                Step::BeginTls | Step::Script,
            ) => {
                return Err(self.illegal(step));
            }
            // A script may start it anywhere.
            (_, Step::BeginTls) => Self::AwaitTls,
            (_, Step::Script) => Self::Scripted,
            (Self::AwaitTls, Step::SecureStream) => Self::AwaitHeader,
            (Self::AwaitFeatures | Self::Scripted, Step::AskSasl) => Self::AwaitSuccess,
            (Self::Negotiating | Self::AwaitSuccess | Self::Scripted, Step::RestartStream) => {
                Self::AwaitHeader
            }
            (Self::AwaitSuccess | Self::Scripted, Step::RefuseSasl) => Self::AwaitFeatures,
            (Self::AwaitHeader | Self::AwaitFeatures | Self::Scripted, Step::AskResult) => {
                Self::AwaitResult
            }
            (Self::AwaitHeader | Self::AwaitFeatures | Self::Scripted, Step::AskVerify) => {
                Self::AwaitAnswer
            }
            (
                Self::Negotiating | Self::AwaitFeatures | Self::AwaitResult | Self::Scripted,
                Step::Establish,
            ) => Self::Established,
            (Self::Idle | Self::Held | Self::Closing | Self::Ended, Step::Hold) => {
                return Err(self.illegal(step));
            }
            (_, Step::Hold) => Self::Held,
            (
                Self::Idle
                | Self::AwaitTls
                | Self::Opaque
                | Self::Held
                | Self::Closing
                | Self::Ended,
                Step::BreakTls,
            ) => {
                return Err(self.illegal(step));
            }
            // A persona may break it anywhere.
            (_, Step::BreakTls) => Self::Opaque,
            (
                Self::Idle | Self::AwaitTls | Self::Opaque | Self::Closing | Self::Ended,
                Step::EndStream,
            ) => {
                return Err(self.illegal(step));
            }
            (_, Step::EndStream) => Self::Closing,
            (Self::Ended, Step::End) => return Err(self.illegal(step)),
            (_, Step::End) => Self::Ended,
            (
                _,
                Step::Open
                | Step::Answer
                | Step::Header
                | Step::AskTls
                | Step::SecureStream
                | Step::AskSasl
                | Step::RestartStream
                | Step::RefuseSasl
                | Step::AskResult
                | Step::AskVerify
                | Step::Establish,
            ) => return Err(self.illegal(step)),
        };
        Ok(next)
    }

    fn illegal(self, step: Step) -> IllegalMove {
        IllegalMove { state: self, step }
    }

    /// What is awaited here, if the wait must end.
    pub fn waits_for(self) -> Option<&'static str> {
        match self {
            Self::AwaitHeader => Some("header"),
            Self::Negotiating => Some("authentication"),
            Self::AwaitFeatures => Some("features"),
            Self::AwaitProceed => Some("proceed"),
            Self::AwaitTls => Some("TLS handshake"),
            Self::AwaitSuccess => Some("SASL answer"),
            Self::AwaitResult => Some("dialback result"),
            Self::AwaitAnswer => Some("verification"),
            Self::Scripted => Some("next step"),
            Self::Opaque => Some("end of the broken handshake"),
            Self::Closing => Some("stream end"),
            Self::Idle | Self::Established | Self::Held | Self::Ended => None,
        }
    }
}

impl Step {
    /// All steps.
    pub const ALL: &'static [Self] = Self::VARIANTS;
}
