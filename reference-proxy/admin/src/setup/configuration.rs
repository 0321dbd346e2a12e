//! The configuration file, and what has to be there outside of it.

use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use reference_proxy::config::Domain;
use toml_edit::{Array, DocumentMut, Item, Value};

use super::ask::Question;
use super::{State, Walk, authorities};
use crate::error::Error;
use crate::store::{self, put};
use crate::value;

/// The file of a walk that begins.
const TEMPLATE: &str = include_str!("template.toml");

/// The authorities of the system.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Writes the file, if there is none yet.
pub(super) fn step(walk: &mut Walk<'_>) -> Result<State, Error> {
    let config = walk.config;
    let name = config.display().to_string();
    if !walk.config.exists() {
        let domains = walk.list(
            "domain",
            "Domains that the proxy serves, with commas between them",
            &walk.answers.domain.clone(),
        )?;
        let gateways = walk.list(
            "gateway",
            "Names of the gateway, as in its certificate, with commas between them",
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
            servers,
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
                default: Some(AUTHORITIES),
            },
            given.as_deref(),
            |text| match text {
                // What is missing there is told with the certificates.
                AUTHORITIES => Ok(text.to_owned()),
                text => authorities(config, text),
            },
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
            ("external", "listen", Value::from(outside())),
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
        let domains = self.asker.ask(&question, given.as_deref(), domains)?;
        Ok(domains.iter().map(Domain::to_string).collect())
    }
}

/// Reads domains, at least one.
pub(super) fn domains(text: &str) -> Result<Vec<Domain>, String> {
    let domains: Result<Vec<Domain>, String> = parts(text).map(value::domain).collect();
    match domains {
        Ok(domains) if domains.is_empty() => Err("expected a domain".to_owned()),
        other => other,
    }
}

/// Reads name servers, or none.
pub(super) fn servers(text: &str) -> Result<Vec<SocketAddr>, String> {
    parts(text).map(value::address).collect()
}

/// Where partners are listened for: at all addresses of both families, where there is IPv6.
fn outside() -> &'static str {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)) {
        Ok(_) => "[::]:5269",
        Err(_) => "0.0.0.0:5269",
    }
}

/// The parts of a list.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

/// A secret for dialback keys that nobody guesses.
fn secret() -> Result<String, Error> {
    let mut bytes = [0_u8; 24];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| {
        Error::environment("cannot make a secret", "the system has no random bytes")
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
