//! What is asked and answered, as JSON.

use serde::{Deserialize, Serialize};

use super::status::Status;
use crate::reload::Reloaded;
use crate::trial::Step;

/// What a command asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Log lines from now on, until the command closes the connection.
    Log {
        /// A domain of the partner that the lines have to name. Without it, all lines.
        partner: Option<String>,
    },
    /// Read the configuration file again and take it in.
    Reload,
    /// What the proxy does at the moment.
    Status,
    /// Send a test message, and say how far it gets.
    TestIm {
        /// The user of a partner who gets it.
        to: String,
        /// The local user who seems to send it. Without one, `test` at the first served domain.
        from: Option<String>,
    },
    /// Whether a local user may talk to a partner's user, which a gateway knows.
    MayTalk {
        /// The local user.
        user: String,
        /// The partner's user.
        contact: String,
    },
}

/// What the proxy answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Lines of the log follow.
    Following,
    /// A line of the log.
    Line(String),
    /// Lines of the log that came faster than they were read.
    Lost {
        /// How many.
        lines: u64,
    },
    /// The request cannot be answered, and why.
    Refused(String),
    /// The configuration file is in force.
    Reloaded(Reloaded),
    /// What the proxy does at the moment.
    Status(Box<Status>),
    /// What has become of the test message.
    Tested(Tested),
    /// The two may talk to each other, or why they may not.
    MayTalk {
        /// Why not.
        refused: Option<String>,
    },
}

/// What has become of a test message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tested {
    /// Seconds until the answer, or until the way broke off.
    pub latency: f64,
    /// How the proxy has authenticated, if a stream was open.
    pub method: Option<String>,
    /// The first step that failed, if one did.
    pub broken: Option<Step>,
    /// Why.
    pub error: Option<String>,
}
