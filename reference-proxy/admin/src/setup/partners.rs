//! A first partner.

use reference_proxy::config::{Domain, Draft, PartnerType, Support};

use super::answers::Answers;
use super::ask::Question;
use super::{State, Walk};
use crate::error::Error;
use crate::value::{self, Word as _};
use crate::{partner, store};

/// What a partner can do, and what is negotiated with it then: TLS, SASL, keep-alive.
const KINDS: [Kind; 3] = [
    ("certificate", Support::Required, Support::Optional, true),
    ("tls", Support::Required, Support::NotSupported, true),
    (
        "google-talk",
        Support::NotSupported,
        Support::NotSupported,
        false,
    ),
];

type Kind = (&'static str, Support, Support, bool);

/// Reads what a partner can do.
pub(super) fn kind(text: &str) -> Result<Kind, String> {
    let kind = KINDS.into_iter().find(|(name, ..)| *name == text);
    kind.ok_or_else(|| "expected one of certificate, tls, google-talk".to_owned())
}

/// Refuses answers about a partner that is allowed otherwise.
pub(super) fn same(draft: &Draft, domain: &Domain, answers: &Answers) -> Result<(), Error> {
    let Some(partner) = draft.partner(domain) else {
        return Ok(());
    };
    let refuse = |option: &str, text: &str| {
        Err(Error::Usage(format!(
            "`{text}` for --{option}: {domain} is allowed otherwise already; `s2spec proxy partner set` changes it"
        )))
    };
    if let Some(text) = &answers.partner_kind
        && let Ok((_, tls, sasl, _)) = kind(text)
        && (tls, sasl) != (partner.terms.tls, partner.terms.sasl)
    {
        return refuse("partner-kind", text);
    }
    match &answers.partner_type {
        Some(text) if value::word::<PartnerType>(text) != Ok(partner.kind) => {
            refuse("partner-type", text)
        }
        _ => Ok(()),
    }
}

pub(super) fn step(walk: &mut Walk<'_>) -> Result<State, Error> {
    let (_, draft) = store::read(walk.config)?;
    let answers = walk.answers.clone();
    let named = answers.partner.as_deref().map(value::domain);
    let is_new = matches!(named, Some(Ok(domain)) if draft.partner(&domain).is_none());
    if draft.partners.is_empty() || is_new {
        let question = Question {
            text: "Domain of a first partner (nothing for none)",
            option: "partner",
            default: Some(""),
        };
        let domain = walk
            .asker
            .ask(&question, answers.partner.as_deref(), |text| match text {
                "" => Ok(None),
                text => value::domain(text).map(Some),
            })?;
        let Some(domain) = domain else {
            return Ok(State::Open(
                "allow a partner with `s2spec proxy partner new`; until then nobody is federated with".to_owned(),
            ));
        };
        let question = Question {
            text: "It has a certificate, TLS alone, or neither (certificate, tls, google-talk)",
            option: "partner-kind",
            default: Some("certificate"),
        };
        let (_, tls, sasl, keep_alive) =
            walk.asker
                .ask(&question, answers.partner_kind.as_deref(), kind)?;
        let question = Question {
            text: "Its type (Federated, PublicVerified, PublicUnverified)",
            option: "partner-type",
            default: Some(PartnerType::default().in_cmdlets()),
        };
        let type_ = walk.asker.ask(
            &question,
            answers.partner_type.as_deref(),
            value::word::<PartnerType>,
        )?;
        partner::allow(walk.config, &domain, tls, sasl, keep_alive, type_)?;
    }
    let (_, draft) = store::read(walk.config)?;
    let domains: Vec<&str> = draft
        .partners
        .iter()
        .map(|partner| partner.domain.as_str())
        .collect();
    Ok(State::Done(match domains.len() {
        0..=5 => format!("allowed: {}", domains.join(", ")),
        many => format!("{many} are allowed; `s2spec proxy partner get` lists them"),
    }))
}
