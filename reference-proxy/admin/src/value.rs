//! Values of options, in the spelling of the cmdlets or of the file.

use std::net::SocketAddr;

use reference_gateway::address::Bare;
use reference_proxy::config::{Domain, Draft, PartnerType, ProxyAddress, Support};
use reference_proxy::wire::seconds_of;

use crate::error::Error;

const SUPPORT: [(Support, &str, &str); 3] = [
    (Support::Required, "Required", "required"),
    (Support::Optional, "Optional", "optional"),
    (Support::NotSupported, "NotSupported", "not-supported"),
];

const TYPES: [(PartnerType, &str, &str); 3] = [
    (PartnerType::Federated, "Federated", "federated"),
    (
        PartnerType::PublicVerified,
        "PublicVerified",
        "public-verified",
    ),
    (
        PartnerType::PublicUnverified,
        "PublicUnverified",
        "public-unverified",
    ),
];

/// A word that has one spelling as a value of the cmdlets and one in the file.
pub(crate) trait Word: Copy + PartialEq + Sized + 'static {
    /// The value, the cmdlets' spelling, the file's spelling.
    const WORDS: &'static [(Self, &'static str, &'static str)];

    fn in_cmdlets(self) -> &'static str {
        self.words().1
    }

    fn in_file(self) -> &'static str {
        self.words().2
    }

    fn words(self) -> &'static (Self, &'static str, &'static str) {
        let mut words = Self::WORDS.iter();
        words
            .find(|(value, ..)| *value == self)
            .expect("the table has every value")
    }
}

impl Word for Support {
    const WORDS: &'static [(Self, &'static str, &'static str)] = &SUPPORT;
}

impl Word for PartnerType {
    const WORDS: &'static [(Self, &'static str, &'static str)] = &TYPES;
}

/// Reads a word in either spelling and in any case.
pub(crate) fn word<T: Word>(text: &str) -> Result<T, String> {
    let wanted = text.replace('-', "");
    let mut words = T::WORDS.iter();
    let found = words.find(|(_, cmdlet, _)| cmdlet.eq_ignore_ascii_case(&wanted));
    found.map(|(value, ..)| *value).ok_or_else(|| {
        let names: Vec<&str> = T::WORDS.iter().map(|(_, cmdlet, _)| *cmdlet).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// Reads `true`, `$true`, `false` or `$false`.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text.trim_start_matches('$').to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        "" => Err("expected true or false; a shell makes nothing of $true".to_owned()),
        _ => Err("expected true or false".to_owned()),
    }
}

/// As PowerShell shows it.
pub(crate) fn truth(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// A new value, or none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change<T> {
    Clear,
    To(T),
}

/// Reads a value, or nothing or `$null` to clear it.
fn change<T>(
    text: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Change<T>, String> {
    if is_null(text) {
        Ok(Change::Clear)
    } else {
        read(text).map(Change::To)
    }
}

fn is_null(text: &str) -> bool {
    text.is_empty() || text.eq_ignore_ascii_case("$null")
}

pub(crate) fn limit(text: &str) -> Result<Change<u32>, String> {
    change(text, |text| match text.parse() {
        Ok(0) => Err("the limit may not be zero; remove the partner to refuse it".to_owned()),
        Ok(limit) => Ok(limit),
        Err(_) => Err(format!(
            "expected a number from 1 to {}, or nothing for the limit of all partners",
            u32::MAX
        )),
    })
}

/// Reads a number that is not zero.
pub(crate) fn count(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("expected a number from 1 to {}", u32::MAX)),
        Ok(count) => Ok(count),
    }
}

/// Reads a time as the files have it.
pub(crate) fn time(text: &str) -> Result<String, String> {
    seconds_of(text).map(|_| text.to_owned())
}

/// Reads the identity of the only configuration.
pub(crate) fn global(text: &str) -> Result<(), String> {
    match text.eq_ignore_ascii_case("global") {
        true => Ok(()),
        false => Err("there is one configuration, and its identity is Global".to_owned()),
    }
}

/// Reads a name for a certificate.
pub(crate) fn name(text: &str) -> Result<Domain, String> {
    match text.starts_with("*.") {
        true => Err("a wildcard stands for no domain itself, which is what partners look for: give each name".to_owned()),
        false => domain(text),
    }
}

/// The most characters of a common name (X.520).
pub(crate) const COMMON_NAME: usize = 64;

/// Reads a common name.
pub(crate) fn common_name(text: &str) -> Result<String, String> {
    bounded(text, "a common name", COMMON_NAME)
}

/// Reads the name of an organization, or of a unit of one.
pub(crate) fn organization(text: &str) -> Result<String, String> {
    bounded(text, "the name of an organization or a unit", 64)
}

/// Reads a city, a state or a province.
pub(crate) fn place(text: &str) -> Result<String, String> {
    bounded(text, "the name of a place", 128)
}

/// Reads a part of a subject, which has a bound (X.520, RFC 5280 appendix A.1).
fn bounded(text: &str, what: &str, most: usize) -> Result<String, String> {
    match text.chars().count() > most {
        true => Err(format!("{what} has at most {most} characters (X.520)")),
        false => line(text),
    }
}

/// Reads a text for one line.
fn line(text: &str) -> Result<String, String> {
    match text.is_empty() || text.contains(char::is_control) {
        true => Err("expected a text on one line, without control characters".to_owned()),
        false => Ok(text.to_owned()),
    }
}

pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => Err("port 0 is none to connect to".to_owned()),
        Ok(address) => Ok(address),
        Err(_) => Err("expected ADDRESS:PORT, such as 127.0.0.1:53".to_owned()),
    }
}

pub(crate) fn proxy(text: &str) -> Result<Change<String>, String> {
    change(text, |text| {
        ProxyAddress::parse(text)
            .map(|_| text.to_owned())
            .map_err(|error| format!("expected FQDN[:port]: {error}"))
    })
}

pub(crate) fn description(text: &str) -> Result<Change<String>, String> {
    change(text, |text| Ok(text.to_owned()))
}

pub(crate) fn domain(text: &str) -> Result<Domain, String> {
    Domain::parse(text).map_err(|error| error.to_string())
}

/// These served domains, or all if none is named.
///
/// # Errors
/// When one of them is not served.
pub(crate) fn served(draft: &Draft, named: &[Domain]) -> Result<Vec<Domain>, Error> {
    if named.is_empty() {
        return Ok(draft.domains.clone());
    }
    if let Some(other) = named.iter().find(|name| !draft.domains.contains(name)) {
        let served: Vec<&str> = draft.domains.iter().map(Domain::as_str).collect();
        let served = served.join(", ");
        return Err(Error::Usage(format!(
            "`{other}` is not served here; --domain is one of {served}"
        )));
    }
    Ok(named.to_vec())
}

/// What becomes of a list of domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Domains {
    /// Exactly these.
    Replace(Vec<Domain>),
    Change {
        add: Vec<Domain>,
        remove: Vec<Domain>,
    },
}

impl Domains {
    /// What is to be taken off a list that does not have it.
    pub(crate) fn absent<'a>(&'a self, present: &[Domain]) -> impl Iterator<Item = &'a Domain> {
        let remove: &[Domain] = match self {
            Self::Replace(_) => &[],
            Self::Change { remove, .. } => remove,
        };
        remove.iter().filter(|domain| !present.contains(domain))
    }

    /// The list that comes of one.
    pub(crate) fn of(&self, present: &[Domain]) -> Vec<Domain> {
        match self {
            Self::Replace(domains) => domains.clone(),
            Self::Change { add, remove } => {
                let kept = present.iter().filter(|domain| !remove.contains(domain));
                let mut kept: Vec<Domain> = kept.cloned().collect();
                for domain in add {
                    if !kept.contains(domain) {
                        kept.push(domain.clone());
                    }
                }
                kept
            }
        }
    }
}

/// Reads `a.example,b.example`, `@{Add="a.example";Remove="b.example"}`, or nothing or `$null`.
pub(crate) fn domains(text: &str) -> Result<Domains, String> {
    if is_null(text) {
        return Ok(Domains::Replace(Vec::new()));
    }
    let Some(parts) = text.strip_prefix("@{") else {
        return list(text).map(Domains::Replace);
    };
    let expected = || {
        "expected a list such as a.example,b.example, or \
         @{Add=\"a.example\";Remove=\"b.example\"}"
            .to_owned()
    };
    let parts = parts.strip_suffix('}').ok_or_else(expected)?;
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    for part in parts.split(';').filter(|part| !part.trim().is_empty()) {
        let (verb, domains) = part.split_once('=').ok_or_else(expected)?;
        let domains = list(domains)?;
        match verb.trim().to_ascii_lowercase().as_str() {
            "add" => add.extend(domains),
            "remove" => remove.extend(domains),
            "replace" => return Ok(Domains::Replace(domains)),
            _ => return Err(expected()),
        }
    }
    Ok(Domains::Change { add, remove })
}

/// Domains with commas between them, with or without quotes.
fn list(text: &str) -> Result<Vec<Domain>, String> {
    let parts = text
        .split(',')
        .map(|part| part.trim().trim_matches(['"', '\'']));
    parts
        .map(|part| domain(part).map_err(|error| format!("`{part}`: {error}")))
        .collect()
}

/// The address of a user, which the cmdlets write with `sip:` before it.
pub(crate) fn user(text: &str) -> Result<Bare, String> {
    let bare = match text.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("sip") => rest,
        _ => text,
    };
    Bare::user(bare).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_both_spellings() {
        for text in ["NotSupported", "notsupported", "not-supported"] {
            assert_eq!(word(text), Ok(Support::NotSupported), "{text}");
        }
        assert_eq!(word("PublicVerified"), Ok(PartnerType::PublicVerified));
        let wrong = word::<Support>("never").expect_err("refused");
        assert!(
            wrong.contains("Required, Optional, NotSupported"),
            "{wrong}"
        );
        for (text, value) in [("$true", true), ("False", false), ("$FALSE", false)] {
            assert_eq!(boolean(text), Ok(value), "{text}");
        }
        assert!(boolean("yes").is_err() && boolean("").is_err());
    }

    #[test]
    fn lists_of_domains_are_replaced_changed_or_cleared() {
        let present = ["a.example", "b.example"].map(|text| domain(text).expect("valid"));
        for (text, expected) in [
            ("c.example", "c.example"),
            ("\"a.example\", \"c.example\"", "a.example c.example"),
            (
                "@{Add=\"c.example\",\"a.example\"}",
                "a.example b.example c.example",
            ),
            (
                "@{Remove='a.example'; Add='c.example'}",
                "b.example c.example",
            ),
            ("@{Replace=c.example}", "c.example"),
            ("$Null", ""),
            ("", ""),
        ] {
            let read = domains(text).expect(text).of(&present);
            let read: Vec<&str> = read.iter().map(Domain::as_str).collect();
            assert_eq!(read.join(" "), expected, "{text}");
        }
        for text in [
            "a b",
            "@{Add=a.example",
            "@{Sub=a.example}",
            "@{a.example}",
            "a.example,,",
        ] {
            assert!(domains(text).is_err(), "{text}");
        }
    }
}
