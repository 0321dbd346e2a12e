//! Checks the meaning of a persona file that has the correct form.
//!
//! Each finding names the place, the place that it contradicts, and possible solutions.

mod reaction;

use std::ops::Range;

use super::{AuthorityFact, Certificate, ExternalFact, Persona, StarttlsFact, StreamFact, Tls};
use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::event::ConnectionKind;
use crate::reaction::{Do, Reaction, When};

/// All mistakes in meaning.
pub(super) fn check(persona: &Persona, document: &Document<'_>) -> Vec<Diagnostic> {
    let mut check = Check {
        persona,
        document,
        impossible: Vec::new(),
        found: Vec::new(),
    };
    check.offer();
    check.facts_against_offer();
    check.facts_against_reactions();
    check.reactions();
    check.found
}

struct Check<'a> {
    persona: &'a Persona,
    document: &'a Document<'a>,
    /// Facts that contradict the offer; no other mistake is reported for them.
    impossible: Vec<&'static str>,
    found: Vec<Diagnostic>,
}

impl Check<'_> {
    /// The place of a value in `[offer]`, or of the table if the value is not in the file.
    fn offer_at(&self, key: &str) -> Range<usize> {
        self.document.place(&format!("offer.{key}"))
    }

    fn fact_at(&self, key: &str) -> Range<usize> {
        self.document.place(&format!("facts.{key}"))
    }

    fn offer(&mut self) {
        let offer = &self.persona.offer;
        let tls = self.document.written("offer.tls");
        let external = self.document.written("offer.external");
        let mut found = Vec::new();
        if offer.needs_external && !offer.external {
            found.push(
                Diagnostic::new(
                    self.offer_at("needs-external"),
                    "`needs-external` without `external`",
                )
                .label("gives up without EXTERNAL")
                .also(external.clone(), "but never has it")
                .help("set `external = true`, or leave `needs-external` out"),
            );
        }
        if offer.needs_external && offer.dialback {
            found.push(
                Diagnostic::new(
                    self.offer_at("needs-external"),
                    "`needs-external` together with `dialback`",
                )
                .label("refuses dialback")
                .also(self.document.written("offer.dialback"), "but does it")
                .help("set `dialback = false`, or leave `needs-external` out"),
            );
        }
        if offer.external && offer.tls == Tls::None && !offer.external_on_plaintext {
            found.push(
                Diagnostic::new(self.offer_at("external"), "`external` without TLS")
                    .label("EXTERNAL needs a certificate")
                    .also(tls.clone(), "but there is no TLS to show one in")
                    .help(
                        "set `tls = \"offered\"` or `external = false`; \
                         to break RFC 6120 §6.3.4 on purpose, add `external-on-plaintext = true`",
                    ),
            );
        }
        if offer.external_on_plaintext && !offer.external {
            found.push(
                Diagnostic::new(
                    self.offer_at("external-on-plaintext"),
                    "`external-on-plaintext` without `external`",
                )
                .also(external.clone(), "EXTERNAL is never offered")
                .help("set `external = true`, or leave `external-on-plaintext` out"),
            );
        }
        if offer.insists_on_db_namespace && !offer.dialback {
            found.push(
                Diagnostic::new(
                    self.offer_at("insists-on-db-namespace"),
                    "`insists-on-db-namespace` without `dialback`",
                )
                .also(
                    self.document.written("offer.dialback"),
                    "there is no dialback to insist for",
                )
                .help("set `dialback = true`, or leave `insists-on-db-namespace` out"),
            );
        }
        if offer.tls == Tls::None {
            for key in ["certificate", "key", "tls-versions"] {
                if let Some(span) = self.document.written(&format!("offer.{key}")) {
                    found.push(
                        Diagnostic::new(span, format!("`{key}` without TLS"))
                            .label("it would never be seen")
                            .also(tls.clone(), "there is no TLS")
                            .help(format!("set `tls = \"offered\"`, or leave `{key}` out")),
                    );
                }
            }
        } else if offer.certificate == Certificate::None && offer.external {
            found.push(
                Diagnostic::new(
                    self.offer_at("certificate"),
                    "EXTERNAL without a certificate",
                )
                .also(external, "EXTERNAL shows the certificate")
                .help("choose another `certificate`, or set `external = false`"),
            );
        }
        let versions = &offer.tls_versions;
        if versions.is_empty() {
            found.push(
                Diagnostic::new(self.offer_at("tls-versions"), "no TLS version")
                    .help("expected `\"1.2\"`, `\"1.3\"` or both; for no TLS at all, set `tls = \"none\"`"),
            );
        } else if (1..versions.len()).any(|at| versions[..at].contains(&versions[at])) {
            found.push(
                Diagnostic::new(
                    self.offer_at("tls-versions"),
                    "a TLS version is named twice",
                )
                .help("expected `\"1.2\"`, `\"1.3\"` or both"),
            );
        }
        self.found.append(&mut found);
    }

    fn facts_against_offer(&mut self) {
        let Persona { offer, facts, .. } = self.persona;
        let contradictions = [
            (
                facts.stream == StreamFact::NoVersion && offer.tls != Tls::None,
                ("stream", "tls"),
                "without features no STARTTLS can be offered",
                "set `tls = \"none\"`",
            ),
            (
                facts.stream == StreamFact::NoVersion && offer.external_on_plaintext,
                ("stream", "external-on-plaintext"),
                "without features no EXTERNAL can be offered",
                "leave `external-on-plaintext` out",
            ),
            (
                facts.starttls != StarttlsFact::Proceeds && offer.tls == Tls::None,
                ("starttls", "tls"),
                "STARTTLS is never offered",
                "set `tls = \"offered\"`",
            ),
            (
                facts.external != ExternalFact::Accepted && !offer.external,
                ("external", "external"),
                "EXTERNAL is never offered",
                "set `external = true`",
            ),
            (
                facts.authority != AuthorityFact::Truthful && !offer.dialback,
                ("authority", "dialback"),
                "no key is ever sent that could be verified",
                "set `dialback = true`",
            ),
        ];
        for (is_one, (fact, key), reason, way_out) in contradictions {
            if is_one {
                self.impossible.push(fact);
                self.found.push(
                    Diagnostic::new(
                        self.fact_at(fact),
                        format!("fact `{fact}` contradicts the offer"),
                    )
                    .also(self.document.written(&format!("offer.{key}")), reason)
                    .help(format!("{way_out}, or leave the fact out")),
                );
            }
        }
    }

    /// Facts are what an oracle judges by, so each needs the reactions that make it true, and vice versa.
    fn facts_against_reactions(&mut self) {
        let facts = &self.persona.facts;
        let starttls = match facts.starttls {
            StarttlsFact::Proceeds => &[][..],
            StarttlsFact::Refused => &[When::Starttls],
            StarttlsFact::Broken | StarttlsFact::Legacy => {
                &[When::ProceedSent, When::ProceedReceived]
            }
        };
        let stream = match facts.stream {
            StreamFact::Normal => &[][..],
            StreamFact::NoVersion | StreamFact::NoId => &[When::Header],
            StreamFact::Silent => &[When::Accepted],
            StreamFact::ResetAtFeatures => &[When::Features],
            StreamFact::LateName => &[When::Connected],
        };
        let external = match facts.external {
            ExternalFact::Accepted => &[][..],
            ExternalFact::RefusedKept | ExternalFact::RefusedClosed => &[When::Auth],
        };
        let authority = match facts.authority {
            AuthorityFact::Truthful | AuthorityFact::Unreachable => &[][..],
            AuthorityFact::Invalid | AuthorityFact::WrongDomain | AuthorityFact::Silent => {
                &[When::DbVerify]
            }
        };
        for (fact, points) in [
            ("stream", stream),
            ("starttls", starttls),
            ("external", external),
            ("authority", authority),
        ] {
            for &point in points {
                if !self.impossible.contains(&fact)
                    && !self.persona.reactions.iter().any(|one| one.when == point)
                {
                    let word = point.word();
                    self.found.push(
                        Diagnostic::new(
                            self.fact_at(fact),
                            format!("nothing makes fact `{fact}` true"),
                        )
                        .label(format!("needs a reaction to `{word}`"))
                        .help(format!(
                            "add a `[[reaction]]` with `when = \"{word}\"`, or leave the fact out"
                        )),
                    );
                }
            }
        }
        for (at, reaction) in self.persona.reactions.iter().enumerate() {
            if reaction.actions.last() == Some(&Do::Proceed) || only_opens(reaction) {
                continue;
            }
            let when = self.document.place(&format!("reaction.{at}.when"));
            let Some(fact) = reaction.when.fact() else {
                if !matches!(reaction.when, When::DbResult | When::Stanza) {
                    self.found.push(
                        Diagnostic::new(when, "a deviation that no fact covers")
                            .label("no fact has words for what happens here")
                            .help(
                                "end the actions with `\"proceed\"`, or move the reaction to a \
                                 scenario",
                            ),
                    );
                }
                continue;
            };
            let is_normal = match fact {
                "stream" => facts.stream == StreamFact::Normal,
                "starttls" => facts.starttls == StarttlsFact::Proceeds,
                "external" => facts.external == ExternalFact::Accepted,
                _ => facts.authority == AuthorityFact::Truthful,
            };
            if is_normal {
                self.found.push(
                    Diagnostic::new(when, "a deviation that no fact covers")
                    .label("expected a correct answer here")
                    .help(format!(
                        "name it under `[facts]` as `{fact}`, or end the actions with `\"proceed\"`"
                    )),
                );
            }
        }
    }
}

/// Whether the only difference of a dialling partner is its header. The
/// rest of the negotiation is correct.
fn only_opens(reaction: &Reaction) -> bool {
    let is_header = |action: &Do| match action {
        Do::HeaderWithout(_) => true,
        Do::Send(text) => text.ends_with('>') && text.contains("<stream:stream "),
        _ => false,
    };
    let in_place = match reaction.when {
        When::Connected => true,
        When::Secured => reaction.on == Some(ConnectionKind::Inbound),
        _ => false,
    };
    in_place && matches!(reaction.actions.as_slice(), [one] if is_header(one))
}
