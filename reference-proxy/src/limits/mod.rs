//! Limits and timeouts.

mod seconds;

use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};

pub use seconds::{seconds, seconds_of};

/// All limits, as in `[limits]` of a file. The first five have the gateway's
/// documented defaults.
///
/// At most `connections`, `unauthenticated-connections` and `verification-connections` are open with
/// partners and strangers at a time.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Concurrent streams with all partners, in both directions. A connection counts as soon as the
    /// partner is authenticated.
    #[serde(deserialize_with = "at_least::<_, 1>")]
    pub connections: usize,
    /// Concurrent connections with one partner, unless the partner has its own limit.
    #[serde(deserialize_with = "at_least::<_, 1>")]
    pub partner_connections: usize,
    /// The longest silence of a partner whose keep-alive is on.
    #[serde(deserialize_with = "seconds")]
    pub keep_alive_interval: Duration,
    /// The longest time from a connection to an authenticated stream.
    #[serde(deserialize_with = "seconds")]
    pub stream_establishment_timeout: Duration,
    /// The longest time without a stanza.
    #[serde(deserialize_with = "seconds")]
    pub stream_inactivity_timeout: Duration,
    /// Concurrent connections of those who are not authenticated, and apart from `connections`.
    #[serde(deserialize_with = "at_least::<_, 1>")]
    pub unauthenticated_connections: usize,
    /// How many of them may come from one address: an IPv4 address, or an IPv6 network of 64 bits.
    #[serde(deserialize_with = "at_least::<_, 1>")]
    pub unauthenticated_by_address: usize,
    /// How many of `connections` partners that dial have to leave for streams that this side opens;
    /// a tenth if absent.
    pub outbound_reserve: Option<usize>,
    /// Concurrent connections to verify dialback keys, apart from `connections`. With one partner's
    /// servers there may be as many as streams with it.
    #[serde(deserialize_with = "at_least::<_, 1>")]
    pub verification_connections: usize,
    /// The longest wait for one TCP connection to one address.
    #[serde(deserialize_with = "seconds")]
    pub connect_timeout: Duration,
    /// The longest wait for the answer about a dialback key (XEP-0220).
    #[serde(deserialize_with = "seconds")]
    pub dialback_timeout: Duration,
    /// The longest wait for a partner to acknowledge stanzas, where stream management is in use.
    #[serde(deserialize_with = "seconds")]
    pub acknowledgement_timeout: Duration,
    /// How long a partner may resume a lost stream.
    #[serde(deserialize_with = "seconds")]
    pub resumption_timeout: Duration,
    /// The longest wait for SRV records and, once more, for the addresses of their targets.
    #[serde(deserialize_with = "seconds")]
    pub dns_timeout: Duration,
    /// The longest time that a graceful stop takes.
    #[serde(deserialize_with = "seconds")]
    pub stop_timeout: Duration,
    /// Bytes of XML on a connection before the peer is authenticated. The minimum leaves room for a
    /// stream header with generous namespaces, STARTTLS and SASL.
    #[serde(deserialize_with = "at_least::<_, 4_096>")]
    pub bytes_before_authentication: usize,
    /// Bytes of one stanza or other top-level element. The minimum is that of RFC 6120 §13.12.
    #[serde(deserialize_with = "at_least::<_, 10_000>")]
    pub stanza_bytes: usize,
    /// How deep elements may nest, not counting the stream.
    #[serde(deserialize_with = "at_least::<_, 1>")]
    pub depth: usize,
    /// Attributes of one element, including namespace declarations.
    #[serde(deserialize_with = "at_least::<_, 1>")]
    pub attributes: usize,
    /// Domain pairs, verified or pending, on one stream.
    #[serde(deserialize_with = "at_least::<_, 1>")]
    pub stream_pairs: usize,
    /// Stanzas waiting for one outbound stream.
    #[serde(deserialize_with = "at_least::<_, 1>")]
    pub queue_stanzas: usize,
    /// Bytes of the stanzas waiting for one outbound stream.
    #[serde(deserialize_with = "at_least::<_, 1>")]
    pub queue_bytes: usize,
    /// Stanzas waiting for the gateway to read.
    #[serde(deserialize_with = "at_least::<_, 1>")]
    pub gateway_queue_stanzas: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1000,
            partner_connections: 20,
            keep_alive_interval: Duration::from_secs(300),
            stream_establishment_timeout: Duration::from_secs(60),
            stream_inactivity_timeout: Duration::from_secs(600),
            unauthenticated_connections: 250,
            unauthenticated_by_address: 50,
            outbound_reserve: None,
            verification_connections: 100,
            connect_timeout: Duration::from_secs(10),
            dialback_timeout: Duration::from_secs(30),
            acknowledgement_timeout: Duration::from_secs(30),
            resumption_timeout: Duration::from_secs(60),
            dns_timeout: Duration::from_secs(5),
            stop_timeout: Duration::from_secs(5),
            bytes_before_authentication: 65_536,
            stanza_bytes: 262_144,
            depth: 64,
            attributes: 64,
            stream_pairs: 64,
            queue_stanzas: 256,
            queue_bytes: 1_048_576,
            gateway_queue_stanzas: 256,
        }
    }
}

impl Limits {
    /// The streams that partners that dial have to leave for those that this side opens.
    pub(crate) fn kept_for_outbound(&self) -> usize {
        self.outbound_reserve.unwrap_or(self.connections / 10)
    }
}

fn at_least<'de, D: Deserializer<'de>, const LEAST: usize>(from: D) -> Result<usize, D::Error> {
    match usize::deserialize(from)? {
        amount if amount < LEAST => {
            Err(D::Error::custom(format_args!("has to be at least {LEAST}")))
        }
        amount => Ok(amount),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_documented_ones() {
        let limits = Limits::default();
        assert_eq!(limits.connections, 1000);
        assert_eq!(limits.partner_connections, 20);
        assert_eq!(limits.keep_alive_interval.as_secs(), 300);
        assert_eq!(limits.stream_establishment_timeout.as_secs(), 60);
        assert_eq!(limits.stream_inactivity_timeout.as_secs(), 600);
    }
}
