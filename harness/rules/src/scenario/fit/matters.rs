//! What a variant says of the way in: of TLS, of EXTERNAL, of dialback.

use simulated_partners::board::Begins;
use simulated_partners::pki::CertificateSpec;
use simulated_partners::reaction::{Do, Reaction, Stage, When};
use simulated_partners::wire::Unit;

use super::Ways;
use crate::case::names::{insert, with_values};
use crate::case::{Expect, MAIN, Mark, Need, OutcomeWord, Sees};
use crate::scenario::file::{PartnerSpec, Variant};

/// What a variant says of a partner's way in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Matters {
    /// Whether TLS comes first.
    pub(super) tls: bool,
    /// What EXTERNAL does, or what is left where it fails.
    pub(super) sasl: bool,
    /// What dialback does.
    pub(super) dialback: bool,
    /// The partner sends keys in answer to the first features, and so goes past the TLS in them.
    pub(super) keys_first: bool,
}

impl Matters {
    pub(super) const NOTHING: Self = Self {
        tls: false,
        sasl: false,
        dialback: false,
        keys_first: false,
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
    const KEYS_FIRST: Self = Self {
        keys_first: true,
        ..Self::NOTHING
    };

    fn and(self, other: Self) -> Self {
        Self {
            tls: self.tls || other.tls,
            sasl: self.sasl || other.sasl,
            dialback: self.dialback || other.dialback,
            keys_first: self.keys_first || other.keys_first,
        }
    }

    /// What a variant says of the way in of one of its partners.
    pub(super) fn to(variant: &Variant, name: &str, part: &PartnerSpec) -> Self {
        let is_main = name == MAIN;
        let direct = [Need::DirectTls, Need::DirectTlsPort]
            .iter()
            .any(|need| variant.needs.contains(need));
        // How many connections end, and when, is a matter of the method.
        let counts = variant
            .local
            .iter()
            .any(|local| local.when.as_deref().is_some_and(is_count));
        let certificate = has_odd_certificate(variant, part);
        let own = own_reactions(variant, name, part);
        let outcome = variant.outcome.iter().filter(|_| is_main);
        own.iter()
            .map(|one| in_reaction(one, &own))
            .chain(variant.expect.iter().map(|one| in_expectation(one, name)))
            .chain(outcome.map(in_outcome))
            .chain((certificate || counts).then_some(Self::SASL))
            .chain(direct.then_some(Self::TLS))
            .fold(Self::NOTHING, Self::and)
    }

    /// Whether what is open elsewhere shows the same as what is open at home.
    pub(super) fn fit(self, home: &Ways, there: &Ways) -> bool {
        if self.sasl {
            return home == there;
        }
        let same_tls = home.is_over_tls() == there.is_over_tls();
        // Keys in clear can move under TLS, but keys that go past TLS need TLS to go past.
        let keys_move = !self.keys_first || same_tls || !home.is_over_tls();
        (!self.tls || same_tls)
            && keys_move
            && (!self.dialback || there.has_dialback())
            && (!self.dialback || home.has_sasl() || !there.has_sasl())
            && there.first.is_some()
    }
}

/// Whether a partner is there for its name alone: nobody reaches it, and it does nothing.
pub(super) fn is_only_a_name(variant: &Variant, name: &str, part: &PartnerSpec) -> bool {
    let serves = part.serves.unwrap_or_else(|| part.domain.is_none());
    let dials = part.dials.clone().unwrap_or(Begins::Plain(false)) != Begins::Plain(false);
    let acts = dials || !part.reaction.is_empty() || part.certificate.is_some();
    let seen = variant.expect.iter().any(|one| is_at(one, name));
    name != MAIN && !serves && !acts && !seen
}

/// Whether a reaction sends keys in answer to features, at whichever stage these come.
pub(in crate::scenario) fn sends_keys_first(reaction: &Reaction) -> bool {
    opens(reaction) && reaction.stage.is_none() && sent(reaction).dialback
}

fn own_reactions(variant: &Variant, name: &str, part: &PartnerSpec) -> Vec<Reaction> {
    let main = variant.reaction.iter().filter(|_| name == MAIN);
    let own = part.reaction.iter().chain(main);
    own.map(|one| with_values(one, &variant.values)).collect()
}

fn is_at(expect: &Expect, name: &str) -> bool {
    expect.at.as_deref() == Some(name) || expect.or.iter().any(|one| is_at(one, name))
}

/// Whether a partner has another certificate than one for its name.
pub(super) fn has_odd_certificate(variant: &Variant, part: &PartnerSpec) -> bool {
    let certificate = part.certificate.as_ref();
    certificate.is_some_and(|spec| !is_just_for(spec, variant, part))
}

/// Whether a certificate is only there to name the partner, whose domain has another form in it.
fn is_just_for(spec: &CertificateSpec, variant: &Variant, part: &PartnerSpec) -> bool {
    let plain = CertificateSpec {
        domains: spec.domains.clone(),
        ..CertificateSpec::default()
    };
    let own = part.domain.as_deref().unwrap_or("{domain}");
    let own = insert(own, &variant.values);
    let named = |domain: &String| {
        let domain = insert(domain, &variant.values);
        let labels = |name: &str| name.split('.').map(str::to_owned).collect::<Vec<_>>();
        let (own, named) = (labels(&own), labels(&domain));
        own.len() == named.len()
            && own
                .iter()
                .zip(&named)
                .all(|(own, named)| own == named || (!own.is_ascii() && named.starts_with("xn--")))
    };
    *spec == plain && spec.domains.iter().flatten().all(named)
}

fn in_outcome(word: &OutcomeWord) -> Matters {
    match word {
        OutcomeWord::Best | OutcomeWord::Established | OutcomeWord::Refused => Matters::NOTHING,
        OutcomeWord::SaslTls => Matters::SASL,
        OutcomeWord::TlsDialback | OutcomeWord::TcpDialback => Matters::DIALBACK.and(Matters::TLS),
    }
}

fn in_reaction(reaction: &Reaction, all: &[Reaction]) -> Matters {
    let point = match reaction.when {
        When::Starttls
        | When::ProceedSent
        | When::ProceedReceived
        | When::Secured
        | When::TlsFailed => Matters::TLS,
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
    let sent = sent(reaction);
    if sent == Matters::NOTHING && says_a_header_again(reaction, all) {
        return Matters::NOTHING;
    }
    let point = match opens(reaction) {
        // Only SASL begins a stream anew once it is authenticated.
        true if reaction.stage == Some(Stage::Authenticated) => point.and(Matters::SASL),
        true if reaction.stage == Some(Stage::Clear) && reaction.nth.is_some_and(|nth| nth > 1) => {
            point.and(Matters::TLS)
        }
        // How often a stream begins is a matter of the method.
        true if reaction.nth.is_some_and(|nth| nth > 1) => point.and(Matters::SASL),
        // A key in clear goes past TLS. In answer to features it can follow TLS as well.
        true if sent.dialback && reaction.stage.is_some() => point.and(Matters::TLS),
        true if sent.dialback && reaction.when == When::Connected => point.and(Matters::TLS),
        true if sent.dialback => point.and(Matters::KEYS_FIRST),
        _ => point,
    };
    let secured = reaction.stage == Some(Stage::Secured);
    point.and(sent).and(if secured {
        Matters::TLS
    } else {
        Matters::NOTHING
    })
}

/// Whether a stream begins at the point of a reaction.
fn opens(reaction: &Reaction) -> bool {
    matches!(
        reaction.when,
        When::Connected
            | When::Header
            | When::HeaderReceived
            | When::Features
            | When::FeaturesReceived
    )
}

/// Whether a reaction only says in a stream that begins anew what it says in the first. Where nothing
/// restarts, nothing is missed.
fn says_a_header_again(reaction: &Reaction, all: &[Reaction]) -> bool {
    matches!(reaction.when, When::SuccessReceived | When::Secured)
        && all
            .iter()
            .any(|other| other.when == When::Connected && texts(other) == texts(reaction))
}

fn texts(reaction: &Reaction) -> String {
    let texts = reaction.actions.iter().flat_map(Do::texts);
    texts.collect()
}

/// What a reaction sends.
fn sent(reaction: &Reaction) -> Matters {
    let text = texts(reaction);
    let names = |units: &[&str]| units.iter().any(|unit| text.contains(unit));
    // Features that never end offer nothing.
    let features =
        names(&["<stream:features"]) && names(&["</stream:features>", "<stream:features/>"]);
    let from_text = Matters {
        tls: names(&["<starttls", "<proceed"]) || features,
        sasl: names(&["<auth", "<success", "EXTERNAL"]),
        dialback: names(&["<db:"]),
        keys_first: false,
    };
    let actions = reaction.actions.iter().map(|action| match action {
        Do::StartTls
        | Do::BreakTls
        | Do::LegacyTls
        | Do::Hello(_)
        | Do::StallTls
        | Do::Renegotiate(_) => Matters::TLS,
        Do::HeaderWithout(names) if names.iter().any(|name| name == "xmlns:db") => Matters::SASL,
        // Without a version there are no features, and so no TLS.
        Do::HeaderWithout(names) if names.iter().any(|name| name == "version") => Matters::TLS,
        action if action.texts().any(is_count) => Matters::SASL,
        _ => Matters::NOTHING,
    });
    actions.fold(from_text, Matters::and)
}

/// Whether a signal follows the end of a connection, whichever it is.
fn is_count(signal: &str) -> bool {
    signal == "ended" || signal.starts_with("ended-")
}

/// What an expectation says of the way in of a partner.
fn in_expectation(expect: &Expect, name: &str) -> Matters {
    // An alternative that is only tolerated may be missing.
    let or = expect.or.iter().filter(|one| one.warn.is_none());
    let or = or.map(|one| in_expectation(one, name));
    let own = match expect.at.as_deref() {
        Some(at) if at != name => {
            let marks = expect.after.iter().chain(&expect.before);
            let elsewhere = marks.filter(|mark| mark.anywhere).map(in_mark);
            elsewhere.fold(Matters::NOTHING, Matters::and)
        }
        _ => in_sight(expect),
    };
    or.fold(own, Matters::and)
}

fn in_sight(expect: &Expect) -> Matters {
    let restarts = matches!(
        expect.sees,
        Sees::Header | Sees::Tls | Sees::Declaration | Sees::Unit(Unit::Features)
    );
    let first =
        expect.sees == Sees::Header && expect.stage == Some(Stage::Clear) && expect.raw.is_none();
    // How often a stream begins again is a matter of the method.
    let again = !first && expect.at_least.is_some_and(|times| times > 1)
        || expect.stage == Some(Stage::Authenticated) && !expect.is_negative();
    let marks = expect.after.iter().chain(&expect.before);
    let words: Vec<&String> = expect
        .has
        .iter()
        .chain(&expect.lacks)
        .chain(expect.with.keys())
        .collect();
    let in_words = words.iter().map(|word| Matters {
        sasl: word.contains("mechanism") || *word == "asked" || word.contains("dialback"),
        ..Matters::NOTHING
    });
    // That there are features is no matter, what is in them is.
    let own = match expect.sees {
        Sees::Unit(Unit::Features) if words.is_empty() && expect.raw.is_none() => Matters::NOTHING,
        sees => by_sight(sees),
    };
    let in_negotiation = !first && matches!(expect.stage, Some(Stage::Clear | Stage::Secured));
    in_words
        .chain(marks.map(in_mark))
        .chain((restarts && again).then_some(Matters::SASL))
        .chain(in_negotiation.then_some(Matters::TLS))
        .fold(own, Matters::and)
}

fn in_mark(mark: &Mark) -> Matters {
    match mark.sees {
        Sees::Unit(Unit::Features) => Matters::NOTHING,
        sees => by_sight(sees),
    }
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
        Sees::Tls | Sees::Certificate | Sees::TlsFailed | Sees::Handshake => Matters::TLS,
        _ => Matters::NOTHING,
    }
}
