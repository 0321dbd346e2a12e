//! Limits and timeouts.

use std::time::Duration;

/// All that is bounded. The first five have the gateway's documented defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once with all partners, both directions.
    pub connections: u32,
    /// Connections at once with one partner, unless the partner has its own limit.
    pub partner_connections: u32,
    /// Longest silence of a partner whose keep-alive is on.
    pub keep_alive_interval: Duration,
    /// Longest time from connection to authenticated stream.
    pub stream_establishment_timeout: Duration,
    /// Longest time without a stanza.
    pub stream_inactivity_timeout: Duration,
    /// Longest wait for one TCP connection to one address.
    pub connect_timeout: Duration,
    /// Longest wait for the verdict of the other side on a dialback key (XEP-0220).
    pub dialback_timeout: Duration,
    /// Longest wait for DNS: once for the SRV records, once for the addresses of their targets.
    pub dns_timeout: Duration,
    /// Longest time that a graceful stop takes.
    pub stop_timeout: Duration,
    /// Bytes of XML that a peer may send on a connection before it is authenticated.
    pub bytes_before_authentication: usize,
    /// Bytes of one stanza or other top-level element (RFC 6120 §13.12: no less than 10000).
    pub stanza_bytes: usize,
    /// Elements inside one another, the stream's own not counted.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Domain pairs, verified or pending, on one stream.
    pub stream_pairs: usize,
    /// Stanzas that wait for one outbound stream.
    pub queue_stanzas: usize,
    /// Bytes of the stanzas that wait for one outbound stream.
    pub queue_bytes: usize,
    /// Stanzas that wait for the gateway to read.
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
            connect_timeout: Duration::from_secs(10),
            dialback_timeout: Duration::from_secs(30),
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
    /// The durations, by the names that they have in a file.
    pub(crate) fn durations(&self) -> [(&'static str, Duration); 7] {
        [
            ("keep-alive-interval", self.keep_alive_interval),
            (
                "stream-establishment-timeout",
                self.stream_establishment_timeout,
            ),
            ("stream-inactivity-timeout", self.stream_inactivity_timeout),
            ("connect-timeout", self.connect_timeout),
            ("dialback-timeout", self.dialback_timeout),
            ("dns-timeout", self.dns_timeout),
            ("stop-timeout", self.stop_timeout),
        ]
    }

    /// The amounts, by the names that they have in a file.
    pub(crate) fn amounts(&self) -> [(&'static str, usize); 10] {
        let wide = |amount: u32| usize::try_from(amount).unwrap_or(usize::MAX);
        [
            ("connections", wide(self.connections)),
            ("partner-connections", wide(self.partner_connections)),
            (
                "bytes-before-authentication",
                self.bytes_before_authentication,
            ),
            ("stanza-bytes", self.stanza_bytes),
            ("depth", self.depth),
            ("attributes", self.attributes),
            ("stream-pairs", self.stream_pairs),
            ("queue-stanzas", self.queue_stanzas),
            ("queue-bytes", self.queue_bytes),
            ("gateway-queue-stanzas", self.gateway_queue_stanzas),
        ]
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
