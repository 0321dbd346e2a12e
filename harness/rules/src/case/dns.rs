//! What DNS answers in a case, as data.

use schemars::JsonSchema;
use serde::Deserialize;

/// What DNS answers about one name.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
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
    /// No records but this, to every question about the name that is not answered above.
    pub answer: Option<DnsAnswer>,
    /// Over UDP the answer is cut, so that it has to be asked for over TCP.
    pub over_tcp: bool,
    /// From when on: when this name is raised. From the start where nothing is said.
    pub when: Option<String>,
}

/// A SRV record (RFC 2782).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Srv {
    /// Lower ones are tried first.
    #[serde(default)]
    pub priority: u16,
    /// Share among those of the same priority.
    #[serde(default)]
    pub weight: u16,
    /// The port of the partner with this name (`partner` is the main one), `closed` for one on which
    /// nobody listens, `target` for the target's own, or a number.
    pub port: String,
    /// The host, with placeholders; `.` for no service.
    pub target: String,
    /// The record this many times, with `{n}` in the host.
    #[serde(default = "once")]
    pub times: u16,
}

fn once() -> u16 {
    1
}

/// An answer of DNS without records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DnsAnswer {
    /// The name exists, nothing else.
    NoData,
    /// The name does not exist.
    Nxdomain,
    /// SERVFAIL.
    Servfail,
    /// REFUSED.
    Refused,
    /// None.
    Silence,
}
