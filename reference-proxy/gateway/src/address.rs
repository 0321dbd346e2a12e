//! Addresses of users and contacts (RFC 7622).

use std::fmt;

use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::profile::PrecisFastInvocation as _;
use reference_proxy::wire::{Domain, DomainError};

/// The most bytes of a localpart or a resource (RFC 7622 §3.3.1, §3.4.1).
const PART: usize = 1023;

/// An address without a resource, in the one form in which it is compared: `local@domain`, or a domain alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bare {
    domain: Domain,
    local: Option<String>,
}

/// An address with or without a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) bare: Bare,
    pub(crate) resource: Option<String>,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The domain is missing or is no domain name.
    #[error("the domain: {0}")]
    Domain(DomainError),
    /// The part before `@` is empty, too long, or has a character that no username has.
    #[error("what is before the `@` is no username (RFC 7622 §3.3)")]
    Local,
    /// There is no part before `@`, and the address has to be a user's.
    #[error("expected `user@domain`")]
    NoUser,
    /// The resource is empty or too long.
    #[error("what is after the `/` is no resource (RFC 7622 §3.4)")]
    Resource,
    /// There is a resource where there may be none.
    #[error("expected an address without `/` and what follows it")]
    NotBare,
}

impl Bare {
    /// Reads the address of a user.
    ///
    /// # Errors
    /// [`AddressError`] if it is none, or has a resource.
    pub fn user(text: &str) -> Result<Self, AddressError> {
        let bare = Self::contact(text)?;
        match bare.is_user() {
            true => Ok(bare),
            false => Err(AddressError::NoUser),
        }
    }

    /// Reads the address of a contact, which may be a domain alone, such as that of another network's gateway.
    ///
    /// # Errors
    /// [`AddressError`] if it is none, or has a resource.
    pub fn contact(text: &str) -> Result<Self, AddressError> {
        let Address { bare, resource } = Address::parse(text)?;
        match resource {
            Some(_) => Err(AddressError::NotBare),
            None => Ok(bare),
        }
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    pub(crate) fn is_user(&self) -> bool {
        self.local.is_some()
    }
}

impl Address {
    /// Reads an address: the resource begins after the first `/`, the domain after the first `@`
    /// before it (RFC 7622 §3.2).
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        if resource.is_some_and(|resource| resource.is_empty() || resource.len() > PART) {
            return Err(AddressError::Resource);
        }
        let (local, domain) = match bare.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, bare),
        };
        Ok(Self {
            bare: Bare {
                domain: Domain::parse(domain).map_err(AddressError::Domain)?,
                local: local.map(username).transpose()?,
            },
            resource: resource.map(str::to_owned),
        })
    }
}

/// The one form of a localpart: letters in lower case, composed, and without what cannot be in one.
fn username(text: &str) -> Result<String, AddressError> {
    if text.is_empty()
        || text.len() > PART
        || text.contains(['"', '&', '\'', '/', ':', '<', '>', '@'])
    {
        return Err(AddressError::Local);
    }
    match UsernameCaseMapped::enforce(text) {
        Ok(form) if form.len() <= PART => Ok(form.into_owned()),
        Ok(_) | Err(_) => Err(AddressError::Local),
    }
}

impl fmt::Display for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(local) = &self.local {
            write!(f, "{local}@")?;
        }
        f.write_str(&self.domain.in_addresses())
    }
}

impl fmt::Debug for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.bare, f)?;
        match &self.resource {
            Some(resource) => write!(f, "/{resource}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_whatever_the_case() {
        for (text, form) in [
            ("Ana@Contoso.COM", "ana@contoso.com"),
            ("ana@contoso.com", "ana@contoso.com"),
            ("ANA.PEÑA@XN--STRAE-OQA.example", "ana.peña@straße.example"),
        ] {
            assert_eq!(
                Bare::user(text).map(|bare| bare.to_string()).as_deref(),
                Ok(form)
            );
        }
        let full = Address::parse("Ana@contoso.com/Home/a@b").expect("an address");
        assert_eq!(full.to_string(), "ana@contoso.com/Home/a@b");
        let domain = Address::parse("contoso.com").expect("an address");
        assert!(!domain.bare.is_user());
    }

    #[test]
    fn says_what_is_wrong() {
        let long = format!("{}@contoso.com", "a".repeat(1024));
        for (text, error) in [
            ("@contoso.com", AddressError::Local),
            ("a b@contoso.com", AddressError::Local),
            ("a:b@contoso.com", AddressError::Local),
            (long.as_str(), AddressError::Local),
            ("contoso.com", AddressError::NoUser),
            ("ana@contoso.com/", AddressError::Resource),
            ("ana@contoso.com/x", AddressError::NotBare),
            ("ana@", AddressError::Domain(DomainError::Empty)),
            ("ana@b@c", AddressError::Domain(DomainError::NotBare)),
        ] {
            assert_eq!(Bare::user(text), Err(error), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn each_address_is_a_fixed_point(text in "[a-zA-Zéß@/. ]{0,24}|.{0,24}") {
            if let Ok(address) = Address::parse(&text) {
                proptest::prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
            }
        }
    }
}
