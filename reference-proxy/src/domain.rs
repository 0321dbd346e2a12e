//! Domain names in the one form in which they are compared: A-labels in lower case.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use rustls::pki_types::ServerName;

/// A domain name as A-labels in lower case, without a trailing dot (RFC 7622 §3.2).
///
/// Two domains are the same if and only if their texts are. It is never an IP address, never
/// has a local part or a resource, and is at most 253 bytes long.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

/// Why a text is not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Nothing there.
    #[error("a domain name may not be empty")]
    Empty,
    /// An IP address, in brackets or bare.
    #[error("an IP address is no domain name")]
    IpAddress,
    /// A character, a label or a length that no domain name may have.
    #[error("not a legal domain name")]
    Illegal,
    /// An address with a local part or a resource.
    #[error("a domain name alone is wanted, without `@` and `/`")]
    NotBare,
}

impl Domain {
    /// Reads a domain name, with U-labels or A-labels, in any case; one trailing dot is dropped.
    ///
    /// # Errors
    /// [`DomainError`] where the text is not a domain name.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(DomainError::Empty);
        }
        // The mapping never shortens a name so far that more than this could become legal.
        if text.len() > 2048 {
            return Err(DomainError::Illegal);
        }
        if text.contains(['@', '/']) {
            return Err(DomainError::NotBare);
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        if bare.parse::<IpAddr>().is_ok() {
            return Err(DomainError::IpAddress);
        }
        let ascii = Uts46::new()
            .to_ascii(
                text.as_bytes(),
                AsciiDenyList::STD3,
                Hyphens::Check,
                DnsLength::Verify,
            )
            .map_err(|_| DomainError::Illegal)?;
        // The mapping folds full-width digits and dots, so an address may only now be visible.
        if ascii.parse::<Ipv4Addr>().is_ok() {
            return Err(DomainError::IpAddress);
        }
        // No top-level domain is a number (RFC 1123 §2.1); what ends in one is a broken address.
        let last_label = ascii.rsplit('.').next().unwrap_or_default();
        if last_label.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DomainError::Illegal);
        }
        Ok(Self(ascii.into_owned()))
    }

    /// The name as A-labels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as it stands in addresses: with U-labels (RFC 7622 §3.2.1).
    #[must_use]
    pub fn in_addresses(&self) -> Cow<'_, str> {
        // Only the common case is without a copy.
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

    /// The name that TLS asks for (SNI).
    pub(crate) fn server_name(&self) -> ServerName<'static> {
        ServerName::try_from(self.0.clone()).expect("a domain is a DNS name")
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl AsRef<str> for Domain {
    fn as_ref(&self) -> &str {
        &self.0
    }
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

/// The two domains that a stanza or a dialback key goes between (XEP-0220 §1.2).
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

/// The port of server-to-server streams (RFC 6120 §14.7).
pub const XMPP_SERVER_PORT: u16 = 5269;

/// Where a partner's proxy is, when it is not to be looked for through SRV records.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProxyAddress {
    /// An IP address, used as it is.
    Address(SocketAddr),
    /// A name, of which the A and AAAA records are asked.
    Name {
        /// The fully qualified domain name.
        host: Domain,
        /// The TCP port.
        port: u16,
    },
}

impl ProxyAddress {
    /// Reads `FQDN[:port]`; the port is 5269 where none is given.
    ///
    /// # Errors
    /// [`DomainError`] where the part before the port is no name, or the port no port.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 {
                Err(DomainError::Illegal)
            } else {
                Ok(Self::Address(address))
            };
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self::Address(SocketAddr::new(address, XMPP_SERVER_PORT)));
        }
        let (host, port) = match text.rsplit_once(':') {
            None => (text, XMPP_SERVER_PORT),
            Some((host, digits)) => match digits.parse::<u16>() {
                Ok(port) if port != 0 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    (host, port)
                }
                _ => return Err(DomainError::Illegal),
            },
        };
        Ok(Self::Name {
            host: Domain::parse(host)?,
            port,
        })
    }
}

impl FromStr for ProxyAddress {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
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

    #[test]
    fn refuses_what_is_no_domain_name() {
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
            ("127.0.0.300", DomainError::Illegal),
            ("beta.1", DomainError::Illegal),
            ("beta..example", DomainError::Illegal),
            (".example", DomainError::Illegal),
            ("beta_x.example", DomainError::Illegal),
            ("*.example", DomainError::Illegal),
            ("-a.example", DomainError::Illegal),
            ("a b.example", DomainError::Illegal),
            ("a\0.example", DomainError::Illegal),
            ("xn--zzzzzzzz9999.example", DomainError::Illegal),
            (&long_label, DomainError::Illegal),
            (&long_name, DomainError::Illegal),
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
            let address = ProxyAddress::parse(text).map(|address| address.to_string());
            assert_eq!(address.as_deref(), Ok(form), "{text}");
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
}
