//! The closed vocabulary in which a persona deviates: *when* something happens, *do* something else.

use serde::{Deserialize, Serialize};

/// Replaces the engine's own answer at one point of the negotiation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reaction {
    /// The point.
    pub when: When,
    /// What happens instead of the correct answer, in order.
    #[serde(rename = "do")]
    pub actions: Vec<Do>,
}

/// Points at which a reaction can take over. "Sent" points come right after the partner's own send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// A connection was accepted.
    Accepted,
    /// A stream header was received on an accepted connection, after each restart too: in place of
    /// header and features.
    Header,
    /// The answering header was sent, after each restart too: in place of the features.
    Features,
    /// `<starttls/>` was received.
    Starttls,
    /// `<proceed/>` was sent (listening): in place of the handshake.
    ProceedSent,
    /// `<proceed/>` was received (dialling): in place of the handshake.
    ProceedReceived,
    /// `<auth/>` was received.
    Auth,
    /// An untyped `db:result` was received.
    DbResult,
    /// An untyped `db:verify` was received.
    DbVerify,
    /// A stanza was received.
    Stanza,
}

/// What a partner does at such a point.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Do {
    /// Sends text as it is, with the placeholders of [`Values`] filled in.
    Send(String),
    /// Answers with a correct stream header without these attributes.
    HeaderWithout(Vec<String>),
    /// Sends the correct features for this state.
    Features,
    /// Ends the stream and closes TCP.
    Close,
    /// Resets TCP.
    Reset,
    /// Says nothing more on this connection and leaves it open.
    Hold,
    /// Says nothing to what was received; the connection goes on.
    Ignore,
    /// Sends bytes that are no TLS where the handshake should be, then closes.
    BreakTls,
    /// Speaks TLS 1.0 at the record layer.
    LegacyTls,
    /// Goes on as a correct server would, after the actions before.
    Proceed,
}

impl Do {
    /// Nothing can come after it at the same point.
    pub fn is_last(&self) -> bool {
        match self {
            Self::Send(_) | Self::HeaderWithout(_) | Self::Features => false,
            Self::Close
            | Self::Reset
            | Self::Hold
            | Self::Ignore
            | Self::BreakTls
            | Self::LegacyTls
            | Self::Proceed => true,
        }
    }
}

/// What the placeholders in [`Do::Send`] stand for. Values are escaped for XML when filled in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    /// `{id}`: the `id` of the element that was received; at the points before any, the partner's
    /// own stream id.
    pub id: &'a str,
    /// `{from}`: the `from` that was received.
    pub from: &'a str,
    /// `{to}`: the `to` that was received.
    pub to: &'a str,
    /// `{domain}`: the partner's domain.
    pub domain: &'a str,
    /// `{target}`: the target's domain.
    pub target: &'a str,
    /// `{key}`: the dialback key that was received.
    pub key: &'a str,
}

impl Values<'_> {
    /// All placeholders, without the braces.
    pub const NAMES: [&'static str; 6] = ["id", "from", "to", "domain", "target", "key"];

    /// Fills a template in. Braces around anything else stay as they are.
    pub fn fill(&self, template: &str) -> String {
        let mut out = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(open) = rest.find('{') {
            out.push_str(&rest[..open]);
            rest = &rest[open..];
            match rest[1..]
                .find('}')
                .map(|close| &rest[1..=close])
                .and_then(|name| self.named(name).map(|value| (name, value)))
            {
                Some((name, value)) => {
                    crate::wire::escape(value, &mut out);
                    rest = &rest[name.len() + 2..];
                }
                None => {
                    out.push('{');
                    rest = &rest[1..];
                }
            }
        }
        out.push_str(rest);
        out
    }

    fn named(&self, name: &str) -> Option<&str> {
        match name {
            "id" => Some(self.id),
            "from" => Some(self.from),
            "to" => Some(self.to),
            "domain" => Some(self.domain),
            "target" => Some(self.target),
            "key" => Some(self.key),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_known_placeholders_and_leaves_other_braces() {
        let values = Values {
            id: "7",
            from: "a&b",
            ..Values::default()
        };
        assert_eq!(
            values.fill("{id}{{from}} {nothing} {key}{ }"),
            "7{a&amp;b} {nothing} { }"
        );
    }
}
