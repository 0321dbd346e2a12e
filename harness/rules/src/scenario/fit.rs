//! In which policies a scenario can show what it shows in its own.
//!
//! A scenario is written for one policy, but most of what it shows does not depend on that: any way in
//! will do, or one method that other policies leave open, too. Where a policy leaves more ways than the
//! scenario's own does, its partners hold back what would open them.

use std::collections::BTreeSet;

use simulated_partners::persona::{Deviations, Offer, Tls};
use simulated_partners::reaction::{Do, Reaction, Stage, When};
use simulated_partners::wire::Unit;

use super::file::{PartnerSpec, Variant};
use crate::case::names::with_values;
use crate::case::{Direction, Expect, Need, OutcomeWord, Sees};
use crate::expectation::End;
use crate::oracle::{Profile, Situation, expectation};
use crate::outcome::Method;
use crate::policy::PolicyNumber;

/// What a partner has to offer in another policy so that a variant shows the same there.
///
/// # Errors
/// Why it cannot be shown there.
pub(super) fn offer(
    variant: &Variant,
    part: &PartnerSpec,
    home: PolicyNumber,
    row: PolicyNumber,
) -> Result<Offer, String> {
    let wanted = Ways::of(variant.direction, &part.offer, home);
    if wanted.first.is_none() {
        return Err(format!("it shows what {home} refuses"));
    }
    if let Some(why) = &variant.only_here {
        return Err(why.clone());
    }
    let matters = Matters::to(variant);
    let narrowed = narrowed(&part.offer);
    let fitting = narrowed.into_iter().find(|offer| {
        let there = Ways::of(variant.direction, offer, row);
        matters.alike(&wanted, &there)
    });
    fitting.ok_or_else(|| match wanted.first {
        Some(_) if matters == Matters::NOTHING => {
            "it needs a way in, and this policy leaves its partner none".to_owned()
        }
        _ => format!("it needs {wanted}, which this policy does not leave open"),
    })
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

/// What a variant says of the way in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Matters {
    /// Whether TLS comes first.
    tls: bool,
    /// What EXTERNAL does, or what is left where it fails.
    sasl: bool,
    /// What dialback does.
    dialback: bool,
}

impl Matters {
    const NOTHING: Self = Self {
        tls: false,
        sasl: false,
        dialback: false,
    };
    const TLS: Self = Self {
        tls: true,
        ..Self::NOTHING
    };
    const SASL: Self = Self {
        sasl: true,
        ..Self::NOTHING
    };
    const DIALBACK: Self = Self {
        dialback: true,
        ..Self::NOTHING
    };

    fn and(self, other: Self) -> Self {
        Self {
            tls: self.tls || other.tls,
            sasl: self.sasl || other.sasl,
            dialback: self.dialback || other.dialback,
        }
    }

    fn to(variant: &Variant) -> Self {
        let direct = [Need::DirectTls, Need::DirectTlsPort]
            .iter()
            .any(|need| variant.needs.contains(need));
        // How many connections end, and when, is a matter of the method.
        let counts = variant
            .local
            .iter()
            .any(|local| local.when.as_deref().is_some_and(is_count));
        let certificates = variant.parts().any(|(_, part)| part.certificate.is_some());
        variant
            .reactions()
            .map(|(_, one)| in_reaction(&with_values(one, &variant.values)))
            .chain(variant.expect.iter().map(in_expectation))
            .chain(variant.outcome.iter().map(in_outcome))
            .chain((certificates || counts).then_some(Self::SASL))
            .chain(direct.then_some(Self::TLS))
            .fold(Self::NOTHING, Self::and)
    }

    /// Whether what is open elsewhere shows the same as what is open at home.
    fn alike(self, home: &Ways, there: &Ways) -> bool {
        let over_tls = |ways: &Ways| ways.first.map(|method| method != Method::TcpDialback);
        let by_dialback = |ways: &Ways| {
            ways.open.contains(&Method::TlsDialback) || ways.open.contains(&Method::TcpDialback)
        };
        if self.sasl {
            return home == there;
        }
        (!self.tls || over_tls(home) == over_tls(there))
            && (!self.dialback || by_dialback(there))
            && (!self.dialback
                || home.open.contains(&Method::SaslTls)
                || !there.open.contains(&Method::SaslTls))
            && there.first.is_some()
    }
}

fn in_outcome(word: &OutcomeWord) -> Matters {
    match word {
        OutcomeWord::Established | OutcomeWord::Refused => Matters::NOTHING,
        OutcomeWord::SaslTls => Matters::SASL,
        OutcomeWord::TlsDialback | OutcomeWord::TcpDialback => Matters::DIALBACK.and(Matters::TLS),
    }
}

fn in_reaction(reaction: &Reaction) -> Matters {
    // A header of its own after a restart. Where nothing restarts, nothing is missed.
    let is_header = |action: &Do| {
        let starts = action.texts().any(|text| text.contains("<stream:stream "));
        starts && in_action(action) == Matters::NOTHING
    };
    let renews = reaction.when == When::SuccessReceived;
    if renews
        && matches!(reaction.actions.as_slice(), [one] | [one, Do::Await(_)] if is_header(one))
    {
        return Matters::NOTHING;
    }
    let point = match reaction.when {
        When::Starttls
        | When::ProceedSent
        | When::ProceedReceived
        | When::Secured
        | When::TlsFailed
        | When::Features
        | When::FeaturesReceived => Matters::TLS,
        When::Auth
        | When::Response
        | When::ChallengeReceived
        | When::SuccessReceived
        | When::FailureReceived => Matters::SASL,
        When::DbResult | When::DbVerify | When::ResultReceived | When::VerificationReceived => {
            Matters::DIALBACK
        }
        _ => Matters::NOTHING,
    };
    let opens = matches!(
        reaction.when,
        When::Connected
            | When::Header
            | When::HeaderReceived
            | When::Features
            | When::FeaturesReceived
    );
    // Only SASL begins a stream anew once it is authenticated.
    let restart = opens && reaction.stage == Some(Stage::Authenticated);
    let actions = reaction.actions.iter().map(in_action);
    let all = actions
        .fold(point, Matters::and)
        .and(at_stage(reaction.stage));
    let all = match restart {
        true => all.and(Matters::SASL),
        false => all,
    };
    match opens && all.dialback {
        // A key at such a point skips the TLS that could come first.
        true => all.and(Matters::TLS),
        false => all,
    }
}

fn in_action(action: &Do) -> Matters {
    let without_dialback =
        matches!(action, Do::HeaderWithout(names) if names.iter().any(|name| name == "xmlns:db"));
    let texts = action.texts().map(|text| {
        let names = |units: &[&str]| units.iter().any(|unit| text.contains(unit));
        Matters {
            tls: names(&["<starttls", "<proceed", "<stream:features"]),
            sasl: names(&["<auth", "<success", "EXTERNAL"]) || is_count(text),
            dialback: names(&["<db:"]),
        }
    });
    texts
        .fold(Matters::NOTHING, Matters::and)
        .and(match without_dialback {
            true => Matters::SASL,
            false => Matters::NOTHING,
        })
}

/// Whether a signal follows the end of a connection, whichever it is.
fn is_count(signal: &str) -> bool {
    signal == "ended" || signal.starts_with("ended-")
}

fn at_stage(stage: Option<Stage>) -> Matters {
    match stage {
        Some(Stage::Clear | Stage::Secured) => Matters::TLS,
        _ => Matters::NOTHING,
    }
}

fn in_expectation(expect: &Expect) -> Matters {
    // How often a stream begins again is a matter of the method.
    let restarts = expect.at_least.is_some_and(|times| times > 1)
        && matches!(expect.sees, Sees::Header | Sees::Tls | Sees::Declaration);
    let marks = expect.after.iter().chain(&expect.before);
    let words = expect
        .has
        .iter()
        .chain(&expect.lacks)
        .chain(expect.with.keys());
    let words = words.map(|word| Matters {
        tls: false,
        sasl: word.contains("mechanism") || word == "asked" || word.contains("dialback"),
        dialback: false,
    });
    words
        .chain(marks.map(|mark| by_sight(mark.sees)))
        .chain(expect.or.iter().map(in_expectation))
        .chain(restarts.then_some(Matters::SASL))
        .fold(by_sight(expect.sees), Matters::and)
        .and(at_stage(expect.stage))
}

fn by_sight(sees: Sees) -> Matters {
    match sees {
        Sees::Unit(unit) => match unit {
            Unit::Starttls | Unit::Proceed | Unit::TlsFailure | Unit::Features => Matters::TLS,
            Unit::DbResult | Unit::DbVerify => Matters::DIALBACK,
            Unit::StreamError => Matters::NOTHING,
            unit if unit.is_stanza() => Matters::NOTHING,
            _ => Matters::SASL,
        },
        Sees::Tls | Sees::TlsFailed | Sees::Handshake => Matters::TLS,
        _ => Matters::NOTHING,
    }
}

#[cfg(test)]
mod tests;
