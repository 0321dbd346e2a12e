//! Get, and how a partner is shown.

use std::path::Path;

use reference_proxy::config::{Draft, Method, Partner, ProxyAddress};
use serde_json::{Value, json};

use super::{Get, Several};
use crate::error::{Error, Exit};
use crate::output::{Lines, print};
use crate::store;
use crate::value::{Word as _, truth};

pub(super) fn get(config: &Path, get: &Get) -> Result<Exit, Error> {
    let (_, draft) = store::read(config)?;
    // A filter that nothing fits is no mistake: it shows nothing.
    let found = match get.who.domain() {
        Some(_) => chosen(&draft, &get.who)?,
        None => fitting(&draft, get.who.filter.as_deref().unwrap_or("*")),
    };
    let partners: Vec<&Partner> = found.into_iter().map(|(_, partner)| partner).collect();
    let text = if get.json {
        let list: Vec<Value> = partners.iter().map(|partner| in_json(partner)).collect();
        format!("{:#}\n", Value::from(list))
    } else if get.who.domain().is_some() {
        partners
            .iter()
            .map(|partner| list(partner, &draft))
            .collect()
    } else {
        table(&partners)
    };
    print(&text)?;
    Ok(Exit::Good)
}

/// The partners that are meant, with their places; at least one.
pub(super) fn chosen<'a>(
    draft: &'a Draft,
    who: &Several,
) -> Result<Vec<(usize, &'a Partner)>, Error> {
    if let Some(domain) = who.domain() {
        let mut numbered = draft.partners.iter().enumerate();
        let found = numbered.find(|(_, partner)| partner.domain == *domain);
        return match found {
            Some(found) => Ok(vec![found]),
            None => Err(Error::Usage(unknown(draft, domain.as_str()))),
        };
    }
    let pattern = who.filter.as_deref().unwrap_or("*");
    let found = fitting(draft, pattern);
    match found.is_empty() {
        true => Err(Error::Usage(format!(
            "no partner's domain fits `{pattern}`"
        ))),
        false => Ok(found),
    }
}

/// The partners whose domains fit a pattern, with their places.
fn fitting<'a>(draft: &'a Draft, pattern: &str) -> Vec<(usize, &'a Partner)> {
    let pattern = pattern.to_ascii_lowercase();
    let numbered = draft.partners.iter().enumerate();
    numbered
        .filter(|(_, partner)| fast_glob::glob_match(&pattern, partner.domain.as_str()))
        .collect()
}

fn unknown(draft: &Draft, name: &str) -> String {
    let known: Vec<&str> = draft.partners.iter().map(|p| p.domain.as_str()).collect();
    let also = draft.partners.iter().find(|partner| {
        partner
            .additional_domains
            .iter()
            .any(|d| d.as_str() == name)
    });
    if let Some(partner) = also {
        return format!(
            "`{name}` is an additional domain of the partner {}",
            partner.domain
        );
    }
    match known.as_slice() {
        [] => format!("there is no partner `{name}`: none is listed"),
        known if known.len() <= 5 => {
            format!(
                "there is no partner `{name}`; there are {}",
                known.join(", ")
            )
        }
        known => format!(
            "there is no partner `{name}`; `partner get` lists the {}",
            known.len()
        ),
    }
}

/// One partner, a line for each parameter of the cmdlets.
pub(super) fn list(partner: &Partner, draft: &Draft) -> String {
    let limit = match partner.connection_limit {
        Some(limit) => limit.to_string(),
        None => format!("{} (as all partners)", draft.limits.partner_connections),
    };
    let proxy = match &partner.proxy {
        Some(proxy) => address(proxy),
        None => "by SRV records".to_owned(),
    };
    let additional: Vec<&str> = partner
        .additional_domains
        .iter()
        .map(|d| d.as_str())
        .collect();
    let mut lines = Lines::default();
    lines.add("Identity", partner.domain.as_str());
    lines.add("AdditionalDomains", &additional.join(", "));
    lines.add("ConnectionLimit", &limit);
    lines.add("Description", &partner.description);
    lines.add("EnableKeepAlive", truth(partner.keep_alive));
    lines.add("PartnerType", partner.kind.in_cmdlets());
    lines.add("ProxyFqdn", &proxy);
    lines.add("SaslNegotiation", partner.terms.sasl.in_cmdlets());
    lines.add("TlsNegotiation", partner.terms.tls.in_cmdlets());
    lines.add("SupportDialbackNegotiation", truth(partner.terms.dialback));
    lines.add("Multiplexing", truth(partner.multiplexing));
    lines.add("Bidirectional", truth(partner.bidirectional));
    lines.add("StreamManagement", truth(partner.stream_management));
    lines.add("Methods", &methods(partner));
    lines.text()
}

/// A line for each partner.
fn table(partners: &[&Partner]) -> String {
    let width = partners.iter().map(|p| p.domain.as_str().len()).max();
    let width = width.unwrap_or_default().clamp(8, 19);
    let mut text = format!(
        "{:width$}  {:16}  {:12}  {:12}  {:8}  Row\n",
        "Identity", "Type", "Tls", "Sasl", "Dialback"
    );
    for partner in partners {
        let domain = partner.domain.as_str();
        if domain.len() > width {
            text.push_str(&format!("{domain}\n{:width$}", ""));
        } else {
            text.push_str(&format!("{domain:width$}"));
        }
        let terms = partner.terms;
        text.push_str(&format!(
            "  {:16}  {:12}  {:12}  {:8}  {:3}\n",
            partner.kind.in_cmdlets(),
            terms.tls.in_cmdlets(),
            terms.sasl.in_cmdlets(),
            truth(terms.dialback),
            terms.row()
        ));
    }
    text
}

fn in_json(partner: &Partner) -> Value {
    let additional: Vec<&str> = partner
        .additional_domains
        .iter()
        .map(|d| d.as_str())
        .collect();
    let terms = partner.terms;
    json!({
        "Identity": partner.domain.as_str(),
        "AdditionalDomains": additional,
        "ConnectionLimit": partner.connection_limit,
        "Description": partner.description,
        "EnableKeepAlive": partner.keep_alive,
        "PartnerType": partner.kind.in_cmdlets(),
        "ProxyFqdn": partner.proxy.as_ref().map(address),
        "SaslNegotiation": terms.sasl.in_cmdlets(),
        "TlsNegotiation": terms.tls.in_cmdlets(),
        "SupportDialbackNegotiation": terms.dialback,
        "Multiplexing": partner.multiplexing,
        "Bidirectional": partner.bidirectional,
        "StreamManagement": partner.stream_management,
        "Row": terms.row(),
    })
}

fn address(proxy: &ProxyAddress) -> String {
    match proxy {
        ProxyAddress::Address(address) => address.to_string(),
        ProxyAddress::Name { host, port } => format!("{host}:{port}"),
    }
}

/// What is tried with a partner, in this order.
fn methods(partner: &Partner) -> String {
    let terms = partner.terms;
    let allowed: Vec<&str> = [
        (Method::SaslTls, "SASL over TLS"),
        (Method::TlsDialback, "dialback over TLS"),
        (Method::TcpDialback, "dialback over TCP"),
    ]
    .into_iter()
    .filter(|(method, _)| terms.allows(*method))
    .map(|(_, name)| name)
    .collect();
    format!("{} (row {})", allowed.join(", "), terms.row())
}
