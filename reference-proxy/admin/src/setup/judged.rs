//! All answers that are given, before anything is done: each can be used, and contradicts nothing that is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reference_gateway::config::Draft as GatewayDraft;
use reference_proxy::config::{Domain, Draft, PartnerType};

use super::answers::Answers;
use super::configuration::{domains, servers};
use super::{authorities, certificates, gateway, partners};
use crate::error::Error;
use crate::{csr, dns, policy, store, value};

/// Refuses the first answer that cannot be used, or that would have no effect.
pub(super) fn judge(config: &Path, answers: &Answers) -> Result<(), Error> {
    each(config, answers)?;
    let draft = match config.exists() {
        true => Some(store::read(config)?.1),
        false => None,
    };
    if let Some(draft) = &draft {
        same(config, answers, draft)?;
    }
    let served = match &draft {
        Some(draft) => draft.domains.clone(),
        None => answers
            .domain
            .iter()
            .flat_map(|text| domains(text))
            .flatten()
            .collect(),
    };
    if let Some(partner) = given(answers.partner.as_ref()) {
        let domain = value::domain(partner).map_err(|error| wrong("partner", partner, &error))?;
        if served.contains(&domain) {
            return Err(wrong(
                "partner",
                partner,
                "it is served here, and cannot be a partner",
            ));
        }
        if let Some(draft) = &draft {
            partners::same(draft, &domain, answers)?;
        }
    }
    if let Some(text) = given(answers.user.as_ref()) {
        let user = gateway::local_user(text, &served);
        let user = user.map_err(|error| wrong("user", text, &error))?;
        let usual = gateway::file(config, "toml");
        let file = answers.gateway_config.as_ref().map_or(usual, PathBuf::from);
        if file.exists()
            && !GatewayDraft::load(&file)?
                .directory
                .users
                .contains_key(&user)
        {
            let name = file.display();
            let why = format!("{name} is there already; add the user to it by hand");
            return Err(wrong("user", text, &why));
        }
    }
    Ok(())
}

fn given(answer: Option<&String>) -> Option<&str> {
    answer.map(String::as_str).filter(|text| !text.is_empty())
}

fn wrong(option: &str, text: &str, why: &str) -> Error {
    Error::Usage(format!("`{text}` for --{option}: {why}"))
}

/// Whether each answer can be read.
fn each(config: &Path, answers: &Answers) -> Result<(), Error> {
    type Reader<'a> = &'a dyn Fn(&str) -> Result<(), String>;
    let line: Reader<'_> = &|text| value::line(text).map(drop);
    let lists: [(&str, &[String], Reader<'_>); 4] = [
        ("domain", &answers.domain, &|text| domains(text).map(drop)),
        ("gateway", &answers.gateway, &|text| domains(text).map(drop)),
        ("member", &answers.member, &|text| {
            dns::members(text).map(drop)
        }),
        ("dns", &answers.dns, &|text| servers(text).map(drop)),
    ];
    for (option, texts, read) in lists {
        for text in texts {
            read(text).map_err(|error| wrong(option, text, &error))?;
        }
    }
    let members = answers.member.join(" ");
    if !members.is_empty() {
        dns::members(&members).map_err(|error| wrong("member", &members, &error))?;
    }
    let texts: [(&str, &Option<String>, Reader<'_>); 11] = [
        ("internal-listen", &answers.internal_listen, &|text| {
            value::address(text).map(drop)
        }),
        ("ca", &answers.ca, &|text| {
            authorities(config, text).map(drop)
        }),
        ("organization", &answers.organization, line),
        ("organizational-unit", &answers.organizational_unit, line),
        ("locality", &answers.locality, line),
        ("state", &answers.state, line),
        ("country", &answers.country, &|text| {
            csr::country(text).map(drop)
        }),
        ("partner-kind", &answers.partner_kind, &|text| {
            partners::kind(text).map(drop)
        }),
        ("partner-type", &answers.partner_type, &|text| {
            value::word::<PartnerType>(text).map(drop)
        }),
        ("policy", &answers.policy, &|text| {
            policy::identity(text).map(drop)
        }),
        ("receiver", &answers.receiver, &|text| {
            value::user(text).map(drop)
        }),
    ];
    for (option, answer, read) in texts {
        if let Some(text) = given(answer.as_ref()) {
            read(text).map_err(|error| wrong(option, text, &error))?;
        }
    }
    Ok(())
}

/// Whether answers say what the files already do: another one would have no effect.
fn same(config: &Path, answers: &Answers, draft: &Draft) -> Result<(), Error> {
    let name = config.display();
    let refuse = |option: &str, text: &str, setting: &str| {
        let why = format!("{name} has another `{setting}` already; change it there");
        Err(wrong(option, text, &why))
    };
    let named = |texts: &[String]| -> BTreeSet<Domain> {
        texts
            .iter()
            .flat_map(|text| domains(text))
            .flatten()
            .collect()
    };
    for (option, texts, known, setting) in [
        ("domain", &answers.domain, &draft.domains, "domains"),
        ("gateway", &answers.gateway, &draft.gateways, "gateways"),
    ] {
        let known: BTreeSet<Domain> = known.iter().cloned().collect();
        if !texts.is_empty() && named(texts) != known {
            return refuse(option, &texts.join(","), setting);
        }
    }
    let asked: Vec<_> = answers
        .dns
        .iter()
        .flat_map(|text| servers(text))
        .flatten()
        .collect();
    if !asked.is_empty() && asked != draft.dns {
        return refuse("dns", &answers.dns.join(","), "dns");
    }
    if let Some(text) = given(answers.internal_listen.as_ref())
        && value::address(text).ok().as_ref() != draft.internal.listen.first()
    {
        return refuse("internal-listen", text, "internal.listen");
    }
    if let Some(text) = given(answers.ca.as_ref())
        && text != draft.external.ca
    {
        return refuse("ca", text, "external.ca");
    }
    let zone = config.with_extension("zone");
    if let Ok(text) = std::fs::read_to_string(&zone)
        && !answers.member.is_empty()
        && let Ok(members) = dns::members(&answers.member.join(" "))
        && dns::from_zone(&text).ok() != dns::from_zone(&dns::zone(draft, &members)).ok()
    {
        let zone = zone.display();
        let why = format!("{zone} has other records; take it away, and it is made again");
        return Err(wrong("member", &answers.member.join(" "), &why));
    }
    certificates::same(config, answers, draft)
}
