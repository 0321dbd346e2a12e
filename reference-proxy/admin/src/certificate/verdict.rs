//! The rules for the proxy's own certificates, and what follows for each partner.

use std::path::Path;

use reference_proxy::config::{Domain, Draft, Method, Partner};
use reference_proxy::{CredentialsError, Remark, Rule, examine_chain};
use rustls::pki_types::UnixTime;

use super::read;
use crate::error::Error;
use crate::store::beside;

/// What is presented with the certificate.
pub(super) enum Use {
    /// The external side, as these domains.
    Domains(Vec<Domain>),
    /// The internal side.
    Internal,
}

/// A rule, for one domain if it is about the name.
pub(super) struct Line {
    pub(super) rule: String,
    /// Why it is not met, and what would be right.
    pub(super) broken: Option<String>,
    /// Whether whoever checks certificates refuses it for that.
    pub(super) refused: bool,
}

impl Line {
    fn new(rule: String, broken: Option<Remark>) -> Self {
        Self {
            rule,
            // A self-signed one is meant so, and dialback is left. The other is forgotten.
            refused: (broken.as_ref())
                .is_some_and(|remark| remark.refused || remark.rule == Rule::Complete),
            broken: broken.map(|remark| remark.text),
        }
    }
}

/// The verdict on a certificate.
pub(super) struct Verdict {
    pub(super) lines: Vec<Line>,
}

/// Whether a remark is about a rule.
type Is = fn(Rule) -> bool;

/// The rules apart from names, in the order in which they are shown.
const RULES: [(&str, Is); 9] = [
    ("can be read", |rule| rule == Rule::Readable),
    ("has begun", |rule| rule == Rule::Begun),
    ("has not ended", |rule| rule == Rule::NotEnded),
    (ENDS_LATER, |rule| matches!(rule, Rule::EndsLater(_))),
    ("is for servers", |rule| rule == Rule::ForServers),
    (FOR_CLIENTS, |rule| rule == Rule::ForClients),
    ("may sign handshakes", |rule| rule == Rule::Signs),
    ("leads to an authority", |rule| {
        matches!(rule, Rule::Chained | Rule::Complete)
    }),
    ("is strong", |rule| {
        matches!(rule, Rule::LongKey | Rule::StrongHash)
    }),
];

const FOR_CLIENTS: &str = "is for clients";
const ENDS_LATER: &str = "does not end soon";

/// Judges a chain as partners, or gateways, will judge it.
pub(super) fn judge(
    chain: &str,
    authorities: &str,
    used: &Use,
) -> Result<Verdict, CredentialsError> {
    let now = UnixTime::now();
    let domains: Vec<Option<&Domain>> = match used {
        // It is presented without a name where each domain has a certificate of its own.
        Use::Domains(domains) if domains.is_empty() => vec![None],
        Use::Domains(domains) => domains.iter().map(Some).collect(),
        Use::Internal => vec![None],
    };
    let mut lines = Vec::new();
    let mut others = Vec::new();
    for (number, domain) in domains.into_iter().enumerate() {
        let examined = examine_chain(chain, authorities, domain, now)?;
        let (named, rest): (Vec<Remark>, Vec<Remark>) = examined
            .remarks
            .into_iter()
            .partition(|remark| remark.rule == Rule::Named);
        if let Some(domain) = domain {
            lines.push((format!("names {domain}"), named.into_iter().next()));
        }
        if number == 0 {
            others = rest;
        }
    }
    let has_ended = others.iter().any(|remark| remark.rule == Rule::NotEnded);
    for (name, is) in RULES {
        if name == ENDS_LATER && has_ended {
            continue;
        }
        let broken = others.iter().find(|remark| is(remark.rule)).cloned();
        lines.push((name.to_owned(), broken));
    }
    let lines = lines
        .into_iter()
        .map(|(rule, broken)| Line::new(rule, broken));
    Ok(Verdict {
        lines: lines.collect(),
    })
}

/// A way of authentication with a partner, and the rules that stand in its way.
pub(super) struct Way<'a> {
    pub(super) name: &'static str,
    pub(super) in_the_way: Vec<&'a str>,
}

impl Verdict {
    /// The ways that the terms of a partner allow, and what is in the way of each.
    pub(super) fn ways(&self, partner: &Partner) -> Vec<Way<'_>> {
        let all = [
            (Method::SaslTls, "SASL over TLS"),
            (Method::TlsDialback, "dialback over TLS"),
            (Method::TcpDialback, "dialback over TCP"),
        ];
        let allowed = all
            .into_iter()
            .filter(|(method, _)| partner.terms.allows(*method));
        allowed
            .map(|(method, name)| Way {
                name,
                in_the_way: self.in_the_way(method, false),
            })
            .collect()
    }

    /// What is in the way of a method with a partner; some partners insist on the purpose clientAuth.
    pub(super) fn in_the_way(&self, method: Method, clients: bool) -> Vec<&str> {
        let lines = self.lines.iter().filter(|line| line.broken.is_some());
        lines
            .filter(|line| match method {
                Method::SaslTls if line.rule == FOR_CLIENTS => clients,
                Method::SaslTls => line.rule != ENDS_LATER,
                // Dialback needs a handshake that succeeds, not a good certificate.
                Method::TlsDialback => {
                    ["can be read", "may sign handshakes"].contains(&line.rule.as_str())
                }
                Method::TcpDialback => false,
            })
            .map(|line| line.rule.as_str())
            .collect()
    }
}

/// The authorities by which a side's certificate is judged: those of the option, else the side's own.
pub(super) fn authorities(
    config: &Path,
    draft: &Draft,
    named: Option<&Path>,
    internal: bool,
) -> Result<String, Error> {
    let setting = match internal {
        true => &draft.internal.ca,
        false => &draft.external.ca,
    };
    let file = match (named, beside(config, setting)) {
        (Some(file), _) => file.to_owned(),
        (None, Some(file)) => file,
        // The setting is PEM itself.
        (None, None) => return Ok(setting.clone()),
    };
    let text = read(&file)?;
    match text.contains("-----BEGIN CERTIFICATE-----") {
        true => Ok(text),
        false => Err(Error::Usage(format!(
            "{}: there is no certificate of an authority in it",
            file.display()
        ))),
    }
}
