//! Addresses of stanzas, as far as routing needs them (RFC 7622 §3.2).

use crate::domain::{Domain, Pair};
use crate::xml::Stanza;

/// Longest local part and resource, in bytes (RFC 7622 §3.3.1, §3.4.1).
const PART: usize = 1023;

/// Why an address is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The domain of an address: what is left of the first `/`, and of that what is right of the
/// first `@`.
pub(crate) fn domain_of(address: &str) -> Result<Domain, Malformed> {
    let (bare, resource) = match address.split_once('/') {
        Some((bare, resource)) => (bare, Some(resource)),
        None => (address, None),
    };
    if resource.is_some_and(|resource| !fits(resource)) {
        return Err(Malformed);
    }
    let domain = match bare.split_once('@') {
        Some((local, domain)) => {
            let forbidden = |character: char| {
                character.is_whitespace()
                    || character.is_control()
                    || "\"&'/:<>@".contains(character)
            };
            if !fits(local) || local.contains(forbidden) {
                return Err(Malformed);
            }
            domain
        }
        None => bare,
    };
    Domain::parse(domain).map_err(|_| Malformed)
}

fn fits(part: &str) -> bool {
    !part.is_empty() && part.len() <= PART
}

/// The domains that a stanza goes between.
pub(crate) fn pair(stanza: &Stanza) -> Result<Pair, Malformed> {
    let of = |address: &Option<String>| domain_of(address.as_deref().ok_or(Malformed)?);
    Ok(Pair {
        from: of(&stanza.from)?,
        to: of(&stanza.to)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slash_divides_before_at() {
        for (address, domain) in [
            ("fp.example", "fp.example"),
            ("u@FP.example", "fp.example"),
            ("u@fp.example/r", "fp.example"),
            ("fp.example/a@bank.example", "fp.example"),
            ("u@fp.example/x/y@z", "fp.example"),
        ] {
            assert_eq!(
                domain_of(address).map(|d| d.to_string()),
                Ok(domain.to_owned())
            );
        }
    }

    #[test]
    fn malformed_addresses_have_no_domain() {
        let long = format!("{}@fp.example", "x".repeat(1024));
        for address in [
            "",
            "@fp.example",
            "u@",
            "a b@fp.example",
            "u@fp.example/",
            "u@fp.example@evil.example",
            "u@fp.example%00.x",
            "[::1]",
            &long,
        ] {
            assert_eq!(domain_of(address), Err(Malformed), "{address}");
        }
        assert!(domain_of(&long[1..]).is_ok());
    }
}
