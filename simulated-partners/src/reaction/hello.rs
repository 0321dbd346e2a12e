//! The content of a TLS hello made by hand.

use serde::{Deserialize, Serialize};

/// A hello made by hand, for what no library can send: as the client's first flight on
/// dialled connections, else as the answer to the target's. By default it is what a careful
/// implementation of that version sends. Only the answer is read after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Hello {
    /// The highest version offered, or the selected one.
    pub version: HelloVersion,
    /// The offered suites, by IANA name or as `0x1301`; the first is the selected one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<String>,
    /// Compression is offered, or selected (RFC 3749).
    #[serde(skip_serializing_if = "is_false")]
    pub deflate: bool,
    /// A client says that it retries with a lower version (RFC 7507).
    #[serde(skip_serializing_if = "is_false")]
    pub fallback: bool,
    /// A server marks that the version was lowered (RFC 8446 §4.1.3).
    #[serde(skip_serializing_if = "is_false")]
    pub downgrade: bool,
    /// Reserved values that must be ignored (RFC 8701).
    #[serde(skip_serializing_if = "is_false")]
    pub grease: bool,
    /// Secure renegotiation is not indicated (RFC 5746).
    #[serde(skip_serializing_if = "is_false")]
    pub without_renegotiation: bool,
    /// A client announces early data with a ticket that it was never given (RFC 8446 §4.2.10).
    #[serde(skip_serializing_if = "is_false")]
    pub early_data: bool,
    /// This many bytes in a padding extension (RFC 7685).
    #[cfg_attr(feature = "schema", schemars(range(max = 60_000)))]
    pub padding: u16,
    /// In records of this many bytes; 0 for a single record if possible.
    pub record: u16,
    /// The offered application protocols, or the selected one (RFC 7301).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
    /// A server also sends the rest of its flight: its certificate, a Diffie-Hellman group of this many
    /// bits if the suite needs one, and the end.
    pub flight: Option<Flight>,
}

/// What follows a ServerHello made by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Flight {
    /// The certificate, for suites in which its key is used in the exchange.
    Plain,
    /// The certificate and a finite-field group of 512 bits.
    Dh512,
    /// The certificate and a finite-field group of 1024 bits.
    Dh1024,
    /// The certificate and a finite-field group of 2048 bits.
    Dh2048,
}

/// Versions of SSL and TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum HelloVersion {
    /// SSL 2.0, in its own record format.
    #[serde(rename = "ssl2")]
    Ssl2,
    /// SSL 3.0 (RFC 6101).
    #[serde(rename = "ssl3")]
    Ssl3,
    /// TLS 1.0.
    #[serde(rename = "1.0")]
    V10,
    /// TLS 1.1.
    #[serde(rename = "1.1")]
    V11,
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V13,
}

/// The suites that can be named, including many insecure ones.
const SUITES: [(&str, u16); 37] = [
    ("TLS_RSA_WITH_NULL_MD5", 0x0001),
    ("TLS_RSA_WITH_NULL_SHA", 0x0002),
    ("TLS_RSA_EXPORT_WITH_RC4_40_MD5", 0x0003),
    ("TLS_RSA_WITH_RC4_128_MD5", 0x0004),
    ("TLS_RSA_WITH_RC4_128_SHA", 0x0005),
    ("TLS_RSA_EXPORT_WITH_DES40_CBC_SHA", 0x0008),
    ("TLS_RSA_WITH_DES_CBC_SHA", 0x0009),
    ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", 0x000a),
    ("TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA", 0x0014),
    ("TLS_DHE_RSA_WITH_DES_CBC_SHA", 0x0015),
    ("TLS_DH_anon_WITH_RC4_128_MD5", 0x0018),
    ("TLS_RSA_WITH_AES_128_CBC_SHA", 0x002f),
    ("TLS_DH_anon_WITH_AES_128_CBC_SHA", 0x0034),
    ("TLS_RSA_WITH_AES_256_CBC_SHA", 0x0035),
    ("TLS_RSA_WITH_NULL_SHA256", 0x003b),
    ("TLS_DHE_RSA_WITH_AES_128_CBC_SHA", 0x0033),
    ("TLS_RSA_WITH_AES_128_GCM_SHA256", 0x009c),
    ("TLS_RSA_WITH_AES_256_GCM_SHA384", 0x009d),
    ("TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", 0x009e),
    ("TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", 0x009f),
    ("TLS_AES_128_GCM_SHA256", 0x1301),
    ("TLS_AES_256_GCM_SHA384", 0x1302),
    ("TLS_CHACHA20_POLY1305_SHA256", 0x1303),
    ("TLS_ECDHE_ECDSA_WITH_NULL_SHA", 0xc006),
    ("TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", 0xc007),
    ("TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA", 0xc008),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", 0xc009),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", 0xc00a),
    ("TLS_ECDHE_RSA_WITH_RC4_128_SHA", 0xc011),
    ("TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", 0xc012),
    ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", 0xc013),
    ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", 0xc014),
    ("TLS_ECDH_anon_WITH_AES_128_CBC_SHA", 0xc018),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 0xc02b),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 0xc02c),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0xc02f),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", 0xc030),
];

/// The number of a suite.
pub(crate) fn suite(name: &str) -> Option<u16> {
    if let Some(digits) = name.strip_prefix("0x") {
        return u16::from_str_radix(digits, 16).ok();
    }
    let known = SUITES.iter().find(|(known, _)| *known == name);
    known.map(|(_, number)| *number)
}

/// The name of a suite, or its number if it has no name here.
pub(crate) fn suite_name(number: u16) -> String {
    let known = SUITES.iter().find(|(_, known)| *known == number);
    known.map_or_else(|| format!("{number:#06x}"), |(name, _)| (*name).to_owned())
}

fn is_false(value: &bool) -> bool {
    !*value
}
