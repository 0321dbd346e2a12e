//! The vocabulary of `[[expect]]`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use simulated_partners::event::ConnectionKind;
use simulated_partners::reaction::Stage;
use simulated_partners::wire::Unit;
use strum::Display;

use super::{Direction, Sees};
use crate::outcome::{Method, Outcome};
use crate::verdict::Weight;

/// Something that must be observed, or must not be.
///
/// The requirement decides what a breach means: a must is a failure, a should is a warning, a may is
/// recorded.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expect {
    /// What to look for.
    pub sees: Sees,
    /// The requirements behind it; by default all of the scenario's.
    #[serde(default)]
    pub requirements: Vec<String>,
    /// The weight of a breach, if less than the requirement's level.
    pub level: Option<Weight>,
    /// At which partner: its name, or `partner` for the main one; any by default.
    pub at: Option<String>,
    /// On which kind of connection.
    pub on: Option<ConnectionKind>,
    /// Only on the partner's nth connection of that kind, counted from 1.
    pub connection: Option<u16>,
    /// The stage of the connection.
    pub stage: Option<Stage>,
    /// Attributes with their values. `*` matches any text, and placeholders are filled in.
    #[serde(default)]
    pub with: BTreeMap<String, String>,
    /// Attributes that must be numbers, and at least these.
    #[serde(default)]
    pub no_less: BTreeMap<String, i32>,
    /// Attributes that must be numbers, and at most these.
    #[serde(default)]
    pub no_more: BTreeMap<String, i32>,
    /// Attributes that must be absent.
    #[serde(default)]
    pub without: Vec<String>,
    /// Descendants that must be present, as paths of local names: `starttls/required`,
    /// `mechanisms/mechanism=EXTERNAL`, or `*` for any.
    #[serde(default)]
    pub has: Vec<String>,
    /// Descendants that must be absent.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// The error condition must be one of these.
    #[serde(default)]
    pub condition: Vec<String>,
    /// Or one of these, with a warning.
    #[serde(default)]
    pub tolerated: Vec<String>,
    /// The text in the element, with `*` as wildcard.
    pub text: Option<String>,
    /// The bytes on the wire as text, with `*` as wildcard.
    pub raw: Option<String>,
    /// Only after the first of these.
    pub after: Option<Mark>,
    /// Only before the first of these.
    pub before: Option<Mark>,
    /// Milliseconds after `after`, or after the start, within which it must be observed.
    pub within: Option<u32>,
    /// The minimum number of times; 1 by default.
    pub at_least: Option<u32>,
    /// Once for each stream of the way in that the policy leaves first: one in clear, one more after
    /// TLS, and one more after EXTERNAL.
    #[serde(default)]
    pub every_stream: bool,
    /// The maximum number of times.
    pub at_most: Option<u32>,
    /// It must not be observed.
    #[serde(default)]
    pub never: bool,
    /// The values of this attribute must all be different.
    pub distinct: Option<String>,
    /// The text must have this many hexadecimal digits.
    pub hex: Option<u16>,
    /// The texts must be dialback keys that cannot be made without a secret.
    #[serde(default)]
    pub keyed: bool,
    /// The numbers at the end of this attribute must increase.
    pub ascending: Option<String>,
    /// The values of this attribute must not be predictable from one another.
    pub random: Option<String>,
    /// This alternative is only tolerated, for this reason.
    pub warn: Option<String>,
    /// Alternatives.
    #[serde(default)]
    pub or: Vec<Self>,
}

impl Expect {
    /// What is expected of a control in the matrix: its probe gets through.
    pub fn gets_through(direction: Direction) -> Self {
        let sees = match direction {
            Direction::Inbound => Sees::Delivered,
            Direction::Outbound => Sees::Stanza,
        };
        let mut expect = Self::new(sees);
        expect.with.insert("id".to_owned(), "{probe}*".to_owned());
        expect
    }

    /// Expects something to be observed at all.
    pub fn new(sees: Sees) -> Self {
        Self {
            sees,
            requirements: Vec::new(),
            level: None,
            at: None,
            on: None,
            connection: None,
            stage: None,
            with: BTreeMap::new(),
            no_less: BTreeMap::new(),
            no_more: BTreeMap::new(),
            without: Vec::new(),
            has: Vec::new(),
            lacks: Vec::new(),
            condition: Vec::new(),
            tolerated: Vec::new(),
            text: None,
            raw: None,
            after: None,
            before: None,
            within: None,
            at_least: None,
            every_stream: false,
            at_most: None,
            never: false,
            distinct: None,
            hex: None,
            keyed: false,
            ascending: None,
            random: None,
            warn: None,
            or: Vec::new(),
        }
    }

    /// Whether it expects a refusal: a partner that has done nothing wrong must then be
    /// accepted.
    pub fn is_refusal(&self) -> bool {
        let gain = matches!(
            self.sees,
            Sees::Delivered
                | Sees::Answered
                | Sees::Stanza
                | Sees::Unit(Unit::Message | Unit::Presence | Unit::Iq | Unit::Success)
                | Sees::Established
        );
        if self.is_negative() {
            gain
        } else {
            self.is_end()
        }
    }

    /// Whether it accepts only a refusal.
    pub fn demands_refusal(&self) -> bool {
        let ends = |one: &Self| !one.is_negative() && one.is_end() && one.warn.is_none();
        ends(self) && self.or.iter().all(ends)
    }

    const fn is_end(&self) -> bool {
        matches!(
            self.sees,
            Sees::Unit(Unit::StreamError | Unit::SaslFailure | Unit::TlsFailure)
                | Sees::TlsFailed
                | Sees::Returned
                | Sees::Closed
        )
    }

    /// Whether an end of a connection by its partner satisfies it, or one of its alternatives.
    pub fn is_an_end_by_anyone(&self) -> bool {
        let by_partner = self.with.get("by").is_some_and(|by| by != "target");
        let own = self.sees == Sees::Closed && by_partner && !self.is_negative();
        own || self.or.iter().any(Self::is_an_end_by_anyone)
    }

    /// Whether a partner satisfies it, or one of its alternatives, without the target.
    pub fn is_of_the_partner(&self) -> bool {
        matches!(self.sees, Sees::Raised | Sees::GaveUp)
            || self.or.iter().any(Self::is_of_the_partner)
    }

    /// Whether it is satisfied by an absence.
    pub fn is_negative(&self) -> bool {
        self.never || self.at_most == Some(0) || (self.at_most.is_some() && self.at_least.is_none())
    }
}

/// A point in the course of a connection.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mark {
    /// What was observed.
    pub sees: Sees,
    /// Sent by the partner, not the target.
    #[serde(default)]
    pub ours: bool,
    /// On any connection, instead of the same one.
    #[serde(default)]
    pub anywhere: bool,
    /// With these attributes.
    #[serde(default)]
    pub with: BTreeMap<String, String>,
    /// The nth occurrence, counted from 1.
    pub nth: Option<u16>,
}

impl fmt::Display for Expect {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.never || self.at_most == Some(0) {
            write!(to, "no ")?;
        }
        write!(to, "{}", self.sees)?;
        if !self.condition.is_empty() {
            write!(to, " with `{}`", self.condition.join("` or `"))?;
        }
        for (name, value) in &self.with {
            write!(to, " {name}='{value}'")?;
        }
        for (name, least) in &self.no_less {
            write!(to, " with {name} no less than {least}")?;
        }
        for (name, most) in &self.no_more {
            write!(to, " with {name} no more than {most}")?;
        }
        for name in &self.without {
            write!(to, " without {name}")?;
        }
        for path in &self.has {
            write!(to, " holding {path}")?;
        }
        for path in &self.lacks {
            write!(to, " free of {path}")?;
        }
        if let Some(text) = &self.text {
            write!(to, " saying `{text}`")?;
        }
        if let Some(raw) = &self.raw {
            write!(to, " written as `{raw}`")?;
        }
        if let Some(attribute) = &self.distinct {
            write!(to, " with a different {attribute} each")?;
        }
        if let Some(digits) = self.hex {
            write!(to, " of {digits} hexadecimal digits")?;
        }
        if self.keyed {
            write!(to, " that takes a secret")?;
        }
        if let Some(attribute) = &self.ascending {
            write!(to, " in the order of {attribute}")?;
        }
        if let Some(attribute) = &self.random {
            write!(to, " with a random {attribute}")?;
        }
        if let Some(on) = self.on {
            write!(
                to,
                " on {} connection",
                match on {
                    ConnectionKind::Outbound => "its own",
                    ConnectionKind::Inbound => "the partner's",
                    ConnectionKind::Verification => "the verifying",
                }
            )?;
        }
        if let Some(at) = &self.at {
            write!(to, " of `{at}`")?;
        }
        if let Some(stage) = self.stage {
            write!(
                to,
                " {}",
                match stage {
                    Stage::Clear => "in clear",
                    Stage::Secured => "under TLS",
                    Stage::Authenticated => "once authenticated",
                }
            )?;
        }
        if let Some(mark) = &self.after {
            write!(to, " after {}", mark.sees)?;
        }
        if let Some(mark) = &self.before {
            write!(to, " before {}", mark.sees)?;
        }
        if let Some(within) = self.within {
            write!(to, " within {within} ms")?;
        }
        if let Some(least) = self.at_least {
            write!(to, ", {} or more", times(least))?;
        }
        if let Some(most) = self.at_most.filter(|most| *most > 0) {
            write!(to, ", {} at most", times(most))?;
        }
        for other in &self.or {
            write!(to, ", or {other}")?;
        }
        Ok(())
    }
}

/// How often, in words.
pub(crate) fn times(number: u32) -> String {
    match number {
        1 => "once".to_owned(),
        many => format!("{many} times"),
    }
}

/// An allowed outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum OutcomeWord {
    /// Authenticated by any method.
    Established,
    /// By the best method that the policy and the partner leave. It becomes that method's word in each
    /// policy.
    Best,
    /// By EXTERNAL.
    SaslTls,
    /// By dialback over TLS.
    TlsDialback,
    /// By dialback in clear.
    TcpDialback,
    /// Refused.
    Refused,
}

impl OutcomeWord {
    /// Whether an outcome matches the word.
    pub fn admits(self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Established | Self::Best, Outcome::Established(_))
            | (Self::SaslTls, Outcome::Established(Method::SaslTls))
            | (Self::TlsDialback, Outcome::Established(Method::TlsDialback))
            | (Self::TcpDialback, Outcome::Established(Method::TcpDialback))
            | (Self::Refused, Outcome::Refused(_)) => true,
            (
                Self::Established
                | Self::Best
                | Self::SaslTls
                | Self::TlsDialback
                | Self::TcpDialback
                | Self::Refused,
                _,
            ) => false,
        }
    }
}
