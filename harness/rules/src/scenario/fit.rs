//! In which policies a scenario can show what it shows in its own.
//!
//! A scenario is written for one policy, but most of what it shows does not depend on that: any way in
//! will do, or one method that other policies leave open, too. Where a policy leaves more ways than the
//! scenario's own does, its partners hold back what would open them. Start at [`adapted`].

mod matters;

use std::collections::BTreeSet;

use simulated_partners::persona::{Certificate, Deviations, Offer, Tls};

use self::matters::Matters;
pub(super) use self::matters::sends_keys_first;
use super::file::{PartnerSpec, Variant};
use crate::case::Direction;
use crate::expectation::End;
use crate::oracle::{Profile, Situation, expectation};
use crate::outcome::Method;
use crate::policy::PolicyNumber;

/// What is different with a partner in another policy.
pub(super) struct Adapted {
    /// What it offers.
    pub(super) offer: Offer,
    /// Whether TLS comes first, so that it sends keys where the features under TLS are.
    pub(super) keys_after_tls: bool,
    /// Whether this policy leaves it to the target to go on with it although its certificate is bad.
    pub(super) may_be_a_stranger: bool,
}

impl Adapted {
    /// A partner as its scenario has it.
    pub(super) fn unchanged(part: &PartnerSpec) -> Self {
        Self {
            offer: part.offer.clone(),
            keys_after_tls: false,
            may_be_a_stranger: false,
        }
    }
}

/// What has to be different with a partner in another policy so that a variant shows the same there.
///
/// # Errors
/// Why it cannot be shown there.
pub(super) fn adapted(
    variant: &Variant,
    (name, part): (&str, &PartnerSpec),
    home: PolicyNumber,
    row: PolicyNumber,
) -> Result<Adapted, String> {
    if let Some(why) = &variant.only_here {
        return Err(why.clone());
    }
    if matters::is_only_a_name(variant, name, part) {
        return Ok(Adapted::unchanged(part));
    }
    let matters = Matters::to(variant, name, part);
    let wanted = Ways::of(variant.direction, &part.offer, home);
    if wanted.first.is_none() {
        // Who has no method is refused everywhere.
        let has_method = part.offer.external || part.offer.dialback;
        return match !has_method && matters == Matters::NOTHING {
            true => Ok(Adapted::unchanged(part)),
            false => Err(format!("it shows what {home} refuses")),
        };
    }
    let is_odd = matters::has_odd_certificate(variant, part);
    let goes_on = |offer: &Offer, row| goes_on_with_a_stranger(variant.direction, offer, row);
    let mut fitting = narrowed(&part.offer).into_iter().filter_map(|offer| {
        let there = Ways::of(variant.direction, &offer, row);
        matters.fit(&wanted, &there).then(|| Adapted {
            keys_after_tls: matters.keys_first && !wanted.is_over_tls() && there.is_over_tls(),
            may_be_a_stranger: is_odd && goes_on(&offer, row) && !goes_on(&part.offer, home),
            offer,
        })
    });
    // Best where nothing moves.
    let first = fitting.next();
    let unmoved = first.as_ref().is_none_or(|one| !one.keys_after_tls);
    let best = match unmoved {
        true => first,
        false => fitting.find(|one| !one.keys_after_tls).or(first),
    };
    best.ok_or_else(|| match matters == Matters::NOTHING {
        true => "it needs a way in, and this policy leaves its partner none".to_owned(),
        false => format!("it needs {wanted}, which this policy does not leave open"),
    })
}

/// The method by which a partner is expected to get in, if by any.
pub(super) fn best(direction: Direction, partner: &Offer, row: PolicyNumber) -> Option<Method> {
    Ways::of(direction, partner, row).first
}

/// Whether a target may rightly go on with a partner of this offer whose certificate is bad.
fn goes_on_with_a_stranger(direction: Direction, offer: &Offer, row: PolicyNumber) -> bool {
    let expected = expectation(&Situation {
        policy: row.policy(),
        profile: Profile::default(),
        direction,
        partner: &Offer {
            certificate: Certificate::UnknownCa,
            ..offer.clone()
        },
        facts: &Deviations::default(),
    });
    !expected.unanimously_refused()
}

/// The ways that a policy and an offer leave open.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ways {
    /// How the oracle expects it to end.
    first: Option<Method>,
    /// All methods that could be tried where one fails.
    open: BTreeSet<Method>,
}

impl Ways {
    fn of(direction: Direction, partner: &Offer, row: PolicyNumber) -> Self {
        let policy = row.policy();
        let profile = Profile::default();
        let expected = expectation(&Situation {
            policy,
            profile,
            direction,
            partner,
            facts: &Deviations::default(),
        });
        let first = match expected.allowed.first().map(|allowed| &allowed.end) {
            Some(End::Established(method)) => Some(*method),
            _ => None,
        };
        let methods = policy.methods(profile.mode);
        let over_tls = partner.tls != Tls::None;
        let mut open = BTreeSet::new();
        if methods.sasl_tls && partner.external && over_tls {
            open.insert(Method::SaslTls);
        }
        if methods.tls_dialback && partner.dialback && over_tls {
            open.insert(Method::TlsDialback);
        }
        // A partner that has TLS uses it.
        if methods.tcp_dialback && partner.dialback && first == Some(Method::TcpDialback) {
            open.insert(Method::TcpDialback);
        }
        Self { first, open }
    }
}

impl Ways {
    fn is_over_tls(&self) -> bool {
        self.first
            .is_some_and(|method| method != Method::TcpDialback)
    }

    fn has_dialback(&self) -> bool {
        let methods = [Method::TlsDialback, Method::TcpDialback];
        methods.iter().any(|method| self.open.contains(method))
    }

    fn has_sasl(&self) -> bool {
        self.open.contains(&Method::SaslTls)
    }
}

impl std::fmt::Display for Ways {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let open: Vec<String> = self.open.iter().map(ToString::to_string).collect();
        f.write_str(&open.join(" and "))
    }
}

/// An offer, and what is left of it where something is held back.
fn narrowed(offer: &Offer) -> Vec<Offer> {
    let mut all = vec![offer.clone()];
    let mut add = |other: Offer| {
        if !all.contains(&other) {
            all.push(other);
        }
    };
    add(Offer {
        dialback: false,
        ..offer.clone()
    });
    add(Offer {
        external: false,
        ..offer.clone()
    });
    if offer.tls == Tls::None && offer.dialback {
        add(Offer {
            tls: Tls::Offered,
            external: false,
            ..offer.clone()
        });
    }
    if offer.tls == Tls::Offered {
        add(Offer {
            tls: Tls::None,
            external: false,
            ..offer.clone()
        });
    }
    all
}

#[cfg(test)]
mod tests;
