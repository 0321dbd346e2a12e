//! All answers that are given, before anything is done: each can be used, and contradicts nothing that is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reference_gateway::address::Bare;
use reference_gateway::config::Draft as GatewayDraft;
use reference_proxy::config::{Domain, Draft, PartnerType};

use super::answers::Answers;
use super::configuration::{domains, servers};
use super::{authorities, certificates, gateway, partners, policies};
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
    let first = given(answers.partner.as_ref()).and_then(|text| value::domain(text).ok());
    needs_a_partner(answers, draft.as_ref(), first.as_ref())?;
    let user = match given(answers.user.as_ref()) {
        Some(text) => {
            let user = gateway::local_user(text, &served);
            Some(user.map_err(|error| wrong("user", text, &error))?)
        }
        None => None,
    };
    let usual = gateway::file(config, "toml");
    let file = answers.gateway_config.as_ref().map_or(usual, PathBuf::from);
    match file.exists() {
        true => same_users(&file, answers, user.as_ref()),
        false => Ok(()),
    }
}

/// Refuses answers that are about a partner where there is none, or another one.
fn needs_a_partner(
    answers: &Answers,
    draft: Option<&Draft>,
    first: Option<&Domain>,
) -> Result<(), Error> {
    for (option, answer) in [
        ("partner-kind", &answers.partner_kind),
        ("partner-type", &answers.partner_type),
    ] {
        if let Some(text) = given(answer.as_ref())
            && first.is_none()
        {
            return Err(wrong(option, text, "say of which partner, by --partner"));
        }
    }
    let Some(text) = given(answers.receiver.as_ref()) else {
        return Ok(());
    };
    let receiver = value::user(text).map_err(|error| wrong("receiver", text, &error))?;
    let domain = receiver.domain();
    let is_known = first == Some(domain)
        || draft.is_some_and(|draft| {
            let mut partners = draft.partners.iter();
            partners.any(|one| one.domain == *domain || one.additional_domains.contains(domain))
        });
    let is_asked_later = first.is_none() && draft.is_none_or(|draft| draft.partners.is_empty());
    match is_known || is_asked_later {
        true => Ok(()),
        false => Err(wrong("receiver", text, "its domain is no partner's")),
    }
}

/// Refuses a user or a policy that the gateway's file would not get any more.
fn same_users(file: &Path, answers: &Answers, user: Option<&Bare>) -> Result<(), Error> {
    let directory = GatewayDraft::load(file)?.directory;
    let name = file.display();
    if let Some(user) = user
        && !directory.users.contains_key(user)
    {
        let why = format!("{name} is there already; add the user to it by hand");
        return Err(wrong("user", &user.to_string(), &why));
    }
    let (_, allowed) = policies::counts(&directory);
    if let Some(text) = given(answers.policy.as_ref())
        && let Ok(identity) = policy::identity(text)
        && allowed > 0
        && !identity.lets_talk(&directory.policies)
    {
        let why = format!(
            "users of {name} may talk to partners by another policy already; `s2spec proxy policy` changes that"
        );
        return Err(wrong("policy", text, &why));
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
    let organization: Reader<'_> = &|text| value::organization(text).map(drop);
    let place: Reader<'_> = &|text| value::place(text).map(drop);
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
        ("organization", &answers.organization, organization),
        (
            "organizational-unit",
            &answers.organizational_unit,
            organization,
        ),
        ("locality", &answers.locality, place),
        ("state", &answers.state, place),
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
