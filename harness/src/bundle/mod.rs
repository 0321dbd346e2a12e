//! Bundles: one case in one file, with everything that is needed to run it again.
//!
//! [`Bundle::of`] makes one of a result, [`Bundle::read`] takes it from its text, [`Bundle::case`] makes the
//! case of it, from its own files alone, and [`Bundle::differs`] compares it with another run.

mod case;
mod differs;
mod make;
mod pcapng;
mod read;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use simulated_partners::persona::Offer;

use crate::case::{Direction, Set};
use crate::policy::Mode;
use crate::transcript::Course;

pub use case::Unusable;
pub use differs::Difference;
pub use make::Circumstances;
pub use pcapng::pcapng;
pub use read::Unreadable;

/// The version of the format. It increases when a field changes its meaning or is removed.
pub const VERSION: u32 = 1;

/// A case with all that belongs to it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Bundle {
    /// The version of the format.
    pub bundle: u32,
    /// Which s2spec made it.
    pub tool: Tool,
    /// The server under test.
    pub target: Target,
    /// The seed of stream ids, dialback secrets and certificate serials.
    pub seed: u64,
    /// Options that the result depends on.
    pub options: Options,
    /// Which case it is.
    pub case: Named,
    /// The scenario's file; none for a case of the matrix.
    pub scenario: Option<Text>,
    /// The files of personas: by the scenario's words for them, or the one of a case of the set `personas`.
    pub personas: BTreeMap<String, Text>,
    /// The partner of a case of the sets `policies` and `offers`.
    pub partner: Option<Made>,
    /// The files with the requirements and known bugs that the case names.
    pub requirements: Vec<Text>,
    /// The lab's authority as PEM; the key only where the lab made it.
    pub authority: Pem,
    /// What partners showed in handshakes, by their names.
    pub certificates: BTreeMap<String, Shown>,
    /// The records of the case's domains at its end, as in a zone file.
    pub dns: Vec<String>,
    /// How it ended, for comparison.
    pub end: End,
    /// The canonical transcript of each partner, by its name.
    pub canonical: BTreeMap<String, Course>,
    /// The result as in `report.json`, transcripts included.
    pub result: serde_json::Value,
}

/// A program and its version.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The server under test.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// Name and version.
    pub name: String,
    /// What `--target` calls it, if it is built in.
    pub built_in: Option<String>,
    /// Names and texts of its files: those that s2spec wrote, or the target file.
    pub configuration: BTreeMap<String, String>,
    /// Lines of its log that name the case's domain.
    pub log: Vec<String>,
}

/// Options that the result depends on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Options {
    /// `--mode`.
    pub mode: Mode,
    /// `--strict-certificates`.
    pub strict_certificates: bool,
    /// `--timeout`, in seconds.
    pub timeout: f64,
}

/// Which case it is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// Its set.
    pub set: Set,
    /// Who dials.
    pub direction: Direction,
    /// The number of its policy.
    pub policy: u8,
}

/// A file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Text {
    /// Its path when it was read.
    pub file: String,
    /// What is in it.
    pub text: String,
}

/// A partner that was made for the case.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// What it is, in one line.
    pub title: String,
    /// What it offers.
    pub offer: Offer,
}

/// Certificates and their key as PEM.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Pem {
    /// The certificate, or a chain with the leaf first.
    pub certificate: Option<String>,
    /// The key.
    pub key: Option<String>,
}

/// What a partner shows.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// Its domain.
    pub domain: String,
    /// Its certificate and key, if it has any.
    #[serde(flatten)]
    pub pem: Pem,
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct End {
    /// The outcome in words, where it is judged.
    pub outcome: Option<String>,
    /// The weight of the heaviest finding.
    pub weight: Option<String>,
    /// What it showed that no case may show.
    pub faults: Vec<String>,
}
