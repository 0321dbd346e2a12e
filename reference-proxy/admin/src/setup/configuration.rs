//! The configuration file, and what has to be there outside of it.

use std::net::SocketAddr;

use toml_edit::{Array, DocumentMut, Item, Value};

use super::ask::Question;
use super::{State, Walk};
use crate::error::Error;
use crate::store::{self, put};
use crate::value;

/// The file of a walk that begins.
const TEMPLATE: &str = include_str!("template.toml");

/// Writes the file, if there is none yet.
pub(super) fn step(walk: &mut Walk<'_>) -> Result<State, Error> {
    let name = walk.config.display().to_string();
    if !walk.config.exists() {
        let domains = walk.list(
            "domain",
            "Domains that the proxy serves",
            &walk.answers.domain.clone(),
        )?;
        let gateways = walk.list(
            "gateway",
            "Names of the gateway, as in its certificate",
            &walk.answers.gateway.clone(),
        )?;
        let dns = walk.answers.dns.join(",");
        let dns = walk.asker.ask(
            &Question {
                text: "Name servers (nothing for those of the system)",
                option: "dns",
                default: Some(""),
            },
            Some(dns.as_str()).filter(|dns| !dns.is_empty()),
            |text| {
                parts(text)
                    .map(value::address)
                    .collect::<Result<Vec<_>, _>>()
            },
        )?;
        let given = walk.answers.internal_listen.clone();
        let listen = walk.asker.ask(
            &Question {
                text: "Address for the gateway (the proxy's own inner address)",
                option: "internal-listen",
                default: Some("127.0.0.1:23456"),
            },
            given.as_deref(),
            value::address,
        )?;
        let given = walk.answers.ca.clone();
        let ca = walk.asker.ask(
            &Question {
                text: "Authorities that partners' certificates come from",
                option: "ca",
                default: Some("/etc/ssl/certs/ca-certificates.crt"),
            },
            given.as_deref(),
            |text| Ok(text.to_owned()),
        )?;
        let mut document = TEMPLATE
            .parse::<DocumentMut>()
            .expect("the template is valid");
        let whole = document.as_table_mut();
        put(whole, "domains", Array::from_iter(domains));
        let dns = dns.iter().map(SocketAddr::to_string);
        put(whole, "dns", dns.collect::<Array>());
        put(whole, "secret", secret()?);
        for (table, setting, value) in [
            ("external", "ca", Value::from(ca)),
            ("internal", "listen", Value::from(listen.to_string())),
            ("internal", "gateways", Array::from_iter(gateways).into()),
        ] {
            let table = whole.get_mut(table).and_then(Item::as_table_like_mut);
            put(table.expect("the template has it"), setting, value);
        }
        // It has the secret of the pool in it.
        store::create(walk.config, document.to_string().as_bytes(), true, false)
            .map_err(|error| Error::environment(format!("cannot write {name}"), error))?;
    }
    let (_, draft) = store::read(walk.config)?;
    let served: Vec<&str> = draft.domains.iter().map(|domain| domain.as_str()).collect();
    Ok(State::Done(format!("{name} serves {}", served.join(", "))))
}

impl Walk<'_> {
    /// Domains, at least one.
    fn list(&mut self, option: &str, text: &str, given: &[String]) -> Result<Vec<String>, Error> {
        let given = (!given.is_empty()).then(|| given.join(","));
        let question = Question {
            text,
            option,
            default: None,
        };
        self.asker.ask(&question, given.as_deref(), |text| {
            let domains: Result<Vec<String>, String> = parts(text)
                .map(|part| value::domain(part).map(|domain| domain.to_string()))
                .collect();
            match domains {
                Ok(domains) if domains.is_empty() => Err("expected a domain".to_owned()),
                other => other,
            }
        })
    }
}

/// The parts of a list.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).filter(|part| !part.is_empty())
}

/// A secret for dialback keys that nobody guesses.
fn secret() -> Result<String, Error> {
    let mut bytes = [0_u8; 24];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| {
        Error::environment("cannot make a secret", "the system has no random bytes")
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
