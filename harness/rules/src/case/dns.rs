//! DNS answers in a case, as data.

use serde::Deserialize;

/// The DNS answer for one name.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Dns {
    /// The name, with placeholders: `_xmpp-server._tcp.{domain}`.
    pub name: String,
    /// SRV records.
    pub srv: Option<Vec<Srv>>,
    /// A and AAAA records; `{name-address}` is where a partner listens.
    pub address: Option<Vec<String>>,
    /// A CNAME.
    pub alias: Option<String>,
    /// Answer with this instead of records to every query for the name not covered above.
    pub answer: Option<DnsAnswer>,
    /// Truncate the answer over UDP, so the resolver has to retry over TCP.
    pub over_tcp: bool,
    /// Answer only once this signal is raised; from the start by default.
    pub when: Option<String>,
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Srv {
    /// Lower values are tried first.
    #[serde(default)]
    pub priority: u16,
    /// The share among records of the same priority.
    #[serde(default)]
    pub weight: u16,
    /// The port of the partner with this name (`partner` is the main one), `closed` for a port without a
    /// listener, `target` for the target's own port, or a number.
    pub port: String,
    /// The host, with placeholders; `.` for no service.
    pub target: String,
    /// Repeat the record this many times, with `{n}` in the host.
    #[serde(default = "once")]
    pub times: u16,
}

fn once() -> u16 {
    1
}

/// A DNS answer without records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DnsAnswer {
    /// The name exists but has no records.
    NoData,
    /// The name does not exist.
    Nxdomain,
    /// SERVFAIL.
    Servfail,
    /// REFUSED.
    Refused,
    /// No answer.
    Silence,
}
