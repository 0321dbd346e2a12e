//! A first partner.

use reference_proxy::config::{PartnerType, Support};

use super::ask::Question;
use super::{State, Walk};
use crate::error::Error;
use crate::value::{self, Word as _};
use crate::{partner, store};

/// What a partner can do, and what is negotiated with it then: TLS, SASL, keep-alive.
const KINDS: [(&str, Support, Support, bool); 3] = [
    ("certificate", Support::Required, Support::Optional, true),
    ("tls", Support::Required, Support::NotSupported, true),
    (
        "google-talk",
        Support::NotSupported,
        Support::NotSupported,
        false,
    ),
];

pub(super) fn step(walk: &mut Walk<'_>) -> Result<State, Error> {
    let (_, draft) = store::read(walk.config)?;
    if draft.partners.is_empty() {
        let answers = walk.answers.clone();
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
                .ask(&question, answers.partner_kind.as_deref(), |text| {
                    let kind = KINDS.into_iter().find(|(name, ..)| *name == text);
                    kind.ok_or_else(|| "expected one of certificate, tls, google-talk".to_owned())
                })?;
        let question = Question {
            text: "Its type (Federated, PublicVerified, PublicUnverified)",
            option: "partner-type",
            default: Some(PartnerType::default().in_cmdlets()),
        };
        let kind = walk.asker.ask(
            &question,
            answers.partner_type.as_deref(),
            value::word::<PartnerType>,
        )?;
        partner::allow(walk.config, &domain, tls, sasl, keep_alive, kind)?;
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
