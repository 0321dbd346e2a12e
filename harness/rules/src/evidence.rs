//! What is known of a case's stanza beside the partner's wire.

use strum::Display;

/// What became of the stanza.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The stanza arrived: at the partner (outbound), or at the inner side or its substitute
    /// (inbound).
    pub arrived: Arrival,
    /// Its answer came back.
    pub answered: bool,
    /// Whether the sender of an outbound stanza got it back as an error.
    pub bounced: Bounce,
}

/// Whether a stanza arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrival {
    /// It did not, and it would have been seen.
    #[default]
    NotSeen,
    /// It did.
    Seen,
    /// Unknown: the other end cannot be observed.
    NotObservable,
}

impl Arrival {
    /// Whether it is known to have arrived.
    pub fn is_seen(self) -> bool {
        self == Self::Seen
    }
}

/// Whether a stanza was returned to its sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bounce {
    /// It was not, and it would have been seen.
    #[default]
    NotSeen,
    /// It was.
    Seen,
    /// Unknown: the sender cannot be observed.
    NotObservable {
        /// The target's attempts had ended, and no further one came in time.
        settled: bool,
    },
}

impl Bounce {
    /// Whether the target has given up on the stanza, as far as can be known.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Seen | Self::NotObservable { settled: true })
    }
}

/// What is wrong with the target after a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display)]
pub enum Ailment {
    /// It takes no connection of a correct partner.
    #[strum(to_string = "it no longer accepts connections")]
    Closed,
    /// The stanza of a correct partner did not arrive in time.
    #[strum(to_string = "its stanza no longer gets through")]
    Silent,
}
