//! Domain names, and the pairs of them that stanzas and keys go between.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use rustls::pki_types::ServerName;

/// The port of server-to-server streams (RFC 6120 §14.7).
pub(crate) const XMPP_SERVER_PORT: u16 = 5269;

/// A domain name as A-labels in lower case, without a trailing dot (RFC 7622 §3.2).
///
/// Equal domains have equal texts. A domain is never an IP address and never has a local part or
/// a resource.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Domain(String);

/// Why a text is not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Nothing is left of it.
    #[error("a domain name may not be empty")]
    Empty,
    /// An address, of either family.
    #[error("an IP address is not a domain name")]
    IpAddress,
    /// Against the rules for names of hosts, or for internationalized ones.
    #[error("not a valid domain name")]
    Invalid,
    /// Behind a name, or an address.
    #[error("its port is no number from 1 to 65535")]
    Port,
    /// With a local part or a resource.
    #[error("expected a domain name without `@` and `/`")]
    NotBare,
}

impl Domain {
    /// Reads a domain name, with U-labels or A-labels, in any case. One trailing dot is dropped.
    ///
    /// # Errors
    /// [`DomainError`] says what the text is instead.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(DomainError::Empty);
        }
        if is_normal(text) {
            return Ok(Self(text.to_owned()));
        }
        // The mapping never shortens a longer text to a legal name.
        if text.len() > 2048 {
            return Err(DomainError::Invalid);
        }
        if text.contains(['@', '/']) {
            return Err(DomainError::NotBare);
        }
        if without_brackets(text).parse::<IpAddr>().is_ok() {
            return Err(DomainError::IpAddress);
        }
        let ascii = mapped(text)?;
        // The mapping folds full-width digits and dots, so an address may only show up now.
        if ascii.parse::<Ipv4Addr>().is_ok() {
            return Err(DomainError::IpAddress);
        }
        // No top-level domain is a number (RFC 1123 §2.1), so this is a broken address.
        let last_label = ascii.rsplit('.').next().unwrap_or_default();
        if last_label.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DomainError::Invalid);
        }
        Ok(Self(ascii.into_owned()))
    }

    /// The name as A-labels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as addresses have it: with U-labels (RFC 7622 §3.2.1).
    pub fn in_addresses(&self) -> Cow<'_, str> {
        // Without A-labels, the common case, the name is not copied.
        if !self.0.split('.').any(|label| label.starts_with("xn--")) {
            return Cow::Borrowed(&self.0);
        }
        let (text, result) =
            Uts46::new().to_unicode(self.0.as_bytes(), AsciiDenyList::STD3, Hyphens::Check);
        match result {
            Ok(()) => text,
            Err(_) => Cow::Borrowed(&self.0),
        }
    }

    /// The name that a TLS client asks for.
    pub fn server_name(&self) -> ServerName<'static> {
        ServerName::try_from(self.0.clone()).expect("a domain is a DNS name")
    }
}

/// The form of a domain name by the rules for internationalized ones.
fn mapped(text: &str) -> Result<Cow<'_, str>, DomainError> {
    Uts46::new()
        .to_ascii(
            text.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::Check,
            DnsLength::Verify,
        )
        .map_err(|_| DomainError::Invalid)
}

/// Whether a text is a domain name that the rules leave as it is, as most are: letters and digits in lower case, and
/// not what an A-label, a number or an address may be.
fn is_normal(text: &str) -> bool {
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        let plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        (1..=63).contains(&bytes.len())
            && bytes.iter().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
            && bytes.get(2..4) != Some(b"--")
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 253 && !is_number && text.split('.').all(is_label)
}

fn without_brackets(text: &str) -> &str {
    text.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text)
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The two domains between which a stanza or a dialback key is sent (XEP-0220 §1.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) from: Domain,
    pub(crate) to: Domain,
}

impl Pair {
    /// The pair of the opposite direction.
    pub(crate) fn reversed(&self) -> Self {
        Self {
            from: self.to.clone(),
            to: self.from.clone(),
        }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

/// Where a partner's server is, for partners that are not looked up through SRV records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyAddress {
    /// An address and a port.
    Address(SocketAddr),
    /// A name whose A and AAAA records are looked up.
    Name {
        /// The name.
        host: Domain,
        /// The port.
        port: u16,
    },
}

impl ProxyAddress {
    /// Reads `FQDN[:port]`; the default port is 5269.
    ///
    /// # Errors
    /// [`DomainError`] says what the text is instead.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return match address.port() {
                0 => Err(DomainError::Port),
                _ => Ok(Self::Address(address)),
            };
        }
        if let Ok(address) = without_brackets(text).parse::<IpAddr>() {
            return Ok(Self::Address(SocketAddr::new(address, XMPP_SERVER_PORT)));
        }
        let (host, port) = match text.rsplit_once(':') {
            None => (text, XMPP_SERVER_PORT),
            Some((host, digits)) => match digits.parse::<u16>() {
                Ok(port) if port != 0 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    (host, port)
                }
                _ => return Err(DomainError::Port),
            },
        };
        Ok(Self::Name {
            host: Domain::parse(host)?,
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, DomainError> {
        Domain::parse(text).map(|domain| domain.0)
    }

    #[test]
    fn one_form_whatever_the_case_and_script() {
        for (text, form) in [
            ("Beta.Example", "beta.example"),
            ("beta.example.", "beta.example"),
            ("straße.example", "xn--strae-oqa.example"),
            ("XN--STRAE-OQA.example", "xn--strae-oqa.example"),
            ("a-b.example", "a-b.example"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(form), "{text}");
        }
    }

    #[test]
    fn addresses_have_u_labels() {
        for (text, form) in [
            ("Beta.Example", "beta.example"),
            ("XN--STRAE-OQA.example", "straße.example"),
            ("例子.example", "例子.example"),
        ] {
            let domain = Domain::parse(text).expect("a domain");
            assert_eq!(domain.in_addresses(), form, "{text}");
        }
    }

    proptest::proptest! {
        /// What needs no rules is what the rules make of it.
        #[test]
        fn a_normal_text_is_its_own_form(text in "[a-z0-9.-]{1,70}") {
            if is_normal(&text) {
                let form = mapped(&text).map(Cow::into_owned);
                proptest::prop_assert_eq!(form.as_ref(), Ok(&text));
                proptest::prop_assert!(text.parse::<IpAddr>().is_err());
            }
        }
    }

    #[test]
    fn refuses_texts_that_are_not_domain_names() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = ["a"; 128].join(".");
        for (text, error) in [
            ("", DomainError::Empty),
            (".", DomainError::Empty),
            ("user@beta.example", DomainError::NotBare),
            ("beta.example/r", DomainError::NotBare),
            ("127.0.0.1", DomainError::IpAddress),
            ("::1", DomainError::IpAddress),
            ("[::1]", DomainError::IpAddress),
            ("１２７.0.0.1", DomainError::IpAddress),
            ("127.0.0.300", DomainError::Invalid),
            ("beta.1", DomainError::Invalid),
            ("beta..example", DomainError::Invalid),
            (".example", DomainError::Invalid),
            ("beta_x.example", DomainError::Invalid),
            ("*.example", DomainError::Invalid),
            ("-a.example", DomainError::Invalid),
            ("a b.example", DomainError::Invalid),
            ("a\0.example", DomainError::Invalid),
            ("xn--zzzzzzzz9999.example", DomainError::Invalid),
            (&long_label, DomainError::Invalid),
            (&long_name, DomainError::Invalid),
        ] {
            assert_eq!(parsed(text), Err(error), "{text:?}");
        }
        assert_eq!(parsed(&"a".repeat(63)), Ok("a".repeat(63)));
    }

    #[test]
    fn proxy_address_takes_name_or_address_with_or_without_port() {
        for (text, form) in [
            ("Proxy.Beta.example", "proxy.beta.example:5269"),
            ("proxy.beta.example:15269", "proxy.beta.example:15269"),
            ("127.0.0.1", "127.0.0.1:5269"),
            ("127.0.0.1:15269", "127.0.0.1:15269"),
            ("[::1]", "[::1]:5269"),
            ("::1", "[::1]:5269"),
            ("[::1]:15269", "[::1]:15269"),
        ] {
            let address = match ProxyAddress::parse(text) {
                Ok(ProxyAddress::Address(address)) => address.to_string(),
                Ok(ProxyAddress::Name { host, port }) => format!("{host}:{port}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(address, form, "{text}");
        }
        for text in [
            "",
            ":5269",
            "proxy.example:0",
            "proxy.example:+1",
            "proxy.example:70000",
            "127.0.0.1:0",
            "a b.example",
        ] {
            assert!(ProxyAddress::parse(text).is_err(), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn each_domain_is_a_fixed_point_and_a_server_name(
            text in "[a-zA-Z0-9.\\-é_１]{0,40}|.{0,40}",
        ) {
            if let Ok(domain) = Domain::parse(&text) {
                assert_eq!(Domain::parse(domain.as_str()), Ok(domain.clone()));
                let _ = domain.server_name();
            }
            let _ = ProxyAddress::parse(&text);
        }
    }
}
