//! From what was seen to a persona. Nothing here guesses: what was not seen is said instead.

use simulated_partners::event::{Method, TlsSignal};
use simulated_partners::negotiate::sasl::offers_external;
use simulated_partners::persona::{
    AuthorityFact, Certificate, Deviations, ExternalFact, Key, Offer, Persona, StarttlsFact,
    StreamFact, Tls, TlsVersion, builtin,
};
use simulated_partners::probe::{Broken, Fault, Opened, ProbeReport, starttls_offer};
use simulated_partners::wire::Element;

use super::conduct::{Conduct, authority, external, header_words, judges_keys};
use super::{Learned, Sight};
use crate::cause::with_causes;
use crate::doctor::error::{DoctorError, TrialError};
use crate::doctor::port::broken_words;
use crate::doctor::stream::words;
use crate::doctor::trial_connection::TrialConnection;

/// A persona of everything that was seen.
///
/// # Errors
/// When the target does not answer a stream header of a correct partner.
pub(super) fn learned(name: &str, sight: &Sight) -> Result<Learned, DoctorError> {
    let direct = sight.direct.as_ref().map(|(_, report)| report);
    let clear = sight.usual.clear.as_ref();
    let only_direct = clear.is_none_or(|opened| opened.header.is_none())
        && direct.is_some_and(|report| report.secured().is_some());
    if !only_direct {
        answers(sight)?;
    }
    let mut portrait = Portrait {
        sight,
        receiving: Vec::new(),
        initiating: Vec::new(),
        unseen: Vec::new(),
    };
    let facts = portrait.facts();
    let offer = portrait.offer(only_direct, &facts);
    portrait.tell();
    let persona = Persona {
        reactions: reactions(&facts),
        facts,
        ..Persona::correct("learned", &format!("{name}, as s2spec saw it"), offer)
    };
    let Portrait {
        receiving,
        initiating,
        unseen,
        ..
    } = portrait;
    Ok(Learned {
        persona,
        receiving,
        initiating,
        unseen,
    })
}

/// Whether it lets a correct partner open a stream.
fn answers(sight: &Sight) -> Result<(), DoctorError> {
    let opened = match (&sight.usual.connected, &sight.usual.clear) {
        (Err(error), _) => {
            let what = format!("{} takes no connection: {error}", sight.address);
            return Err(DoctorError::Absent(what));
        }
        (Ok(_), Some(opened)) => opened,
        (Ok(_), None) => return Ok(()),
    };
    match &opened.fault {
        // These are ways of a partner, too.
        None | Some(Fault::Silence) => Ok(()),
        Some(Fault::Reset | Fault::Closed) if opened.header.is_some() => Ok(()),
        Some(fault) => Err(DoctorError::Absent(format!(
            "{} does not open a stream for {}: {}",
            sight.address,
            sight.domain,
            words(fault)
        ))),
    }
}

struct Portrait<'a> {
    sight: &'a Sight,
    receiving: Vec<String>,
    initiating: Vec<String>,
    unseen: Vec<String>,
}

type Met = Result<TrialConnection, TrialError>;

impl Portrait<'_> {
    /// How its streams begin, what becomes of STARTTLS and EXTERNAL, and how it answers for its keys.
    fn facts(&mut self) -> Deviations {
        let sight = self.sight;
        let mut facts = Deviations::default();
        let meetings = &sight.meetings;
        let clear = sight.usual.clear.as_ref();
        let header = clear.and_then(|opened| opened.header.as_ref());
        let fault = clear.and_then(|opened| opened.fault.as_ref());
        let hides = |met: &Met| conduct(met).is_some_and(|conduct| conduct.hides_its_name);
        facts.stream = match (header, fault) {
            (None, Some(Fault::Silence)) => StreamFact::Silent,
            (Some(_), Some(Fault::Reset)) => StreamFact::ResetAtFeatures,
            (Some(header), _) if header.attribute("version").is_none() => StreamFact::NoVersion,
            (Some(header), _) if header.attribute("id").is_none_or(str::is_empty) => {
                StreamFact::NoId
            }
            _ if hides(&meetings.all) => StreamFact::LateName,
            _ => StreamFact::Normal,
        };
        facts.starttls = match &sight.usual.tls {
            Some(Err(Broken::NotGranted(_))) => StarttlsFact::Refused,
            Some(Err(Broken::Handshake(_, TlsSignal::Alert(name))))
                if name == "protocol_version" =>
            {
                StarttlsFact::Legacy
            }
            Some(Err(Broken::Handshake(_, TlsSignal::Garbage(_) | TlsSignal::Closed))) => {
                StarttlsFact::Broken
            }
            _ => StarttlsFact::Proceeds,
        };
        if let Ok(met) = &meetings.all {
            facts.external = external(met).unwrap_or_default();
        }
        let all = [
            &meetings.all,
            &meetings.dialback,
            &meetings.clear_when_dialled,
            &meetings.clear_when_dialling,
        ];
        let answers = all
            .iter()
            .filter_map(|met| authority(met.as_ref().ok()?, &sight.domain));
        let mut answers: Vec<AuthorityFact> = answers.collect();
        // One true answer shows that the others have another reason.
        answers.sort();
        match answers.first() {
            Some(fact) => facts.authority = *fact,
            None => self.unseen.push(
                "authority: it sent no key that a partner would have asked it about".to_owned(),
            ),
        }
        facts
    }

    fn offer(&mut self, only_direct: bool, facts: &Deviations) -> Offer {
        let sight = self.sight;
        let meetings = &sight.meetings;
        let direct = sight.direct.as_ref().map(|(_, report)| report);
        let clear = features(sight.usual.clear.as_ref());
        let over_tls = sight.usual.over_tls.as_ref();
        let over_tls = match only_direct {
            true => direct.and_then(|report| report.over_tls.as_ref()),
            false => over_tls,
        };
        let external_offered = features(over_tls).is_some_and(offers_external);
        let way_in = |met: &Met| met.as_ref().ok().and_then(TrialConnection::method);
        let with_all = conduct(&meetings.all);
        let with_dialback = conduct(&meetings.dialback);
        let in_clear = conduct(&meetings.clear_when_dialled);

        let lets_in_clear = way_in(&meetings.clear_when_dialling).is_some();
        let tls = match clear.and_then(starttls_offer) {
            _ if only_direct => Tls::Direct,
            None => Tls::None,
            Some(true) => Tls::Required,
            Some(false) => {
                let leaves = in_clear.as_ref().is_some_and(|one| !one.goes_on_in_clear());
                let does_dialback = way_in(&meetings.dialback).is_some();
                match leaves && does_dialback && !lets_in_clear {
                    true => {
                        self.receiving.push(
                            "it does not mark STARTTLS as required, and goes on nowhere without TLS"
                                .to_owned(),
                        );
                        Tls::Required
                    }
                    false => Tls::Offered,
                }
            }
        };
        let tried_external = with_all
            .as_ref()
            .is_some_and(|one| one.tried == Some(Method::SaslTls));
        let external_on_plaintext = clear.is_some_and(offers_external);
        let external = external_offered || tried_external || external_on_plaintext;
        if external && with_all.is_some() && !tried_external {
            self.initiating.push(
                "it offers EXTERNAL, and does not use it with a partner that offers it".to_owned(),
            );
        }
        let dialback = self.does_dialback(with_dialback.as_ref(), clear, over_tls);
        let leaves = with_dialback
            .as_ref()
            .is_some_and(|one| one.tried.is_none());
        let refuses = with_dialback.is_none() && way_in(&meetings.dialback).is_none();
        let shown = sight.certificate.as_ref();
        let has_tls = tls != Tls::None;
        if has_tls && over_tls.is_none() {
            self.unseen
                .push("external, certificate: no TLS came up".to_owned());
        }
        let certificate = match shown {
            Some(shown) if has_tls => shown.kind,
            None if has_tls && facts.starttls == StarttlsFact::Proceeds && !external => {
                Certificate::None
            }
            _ => Certificate::Good,
        };
        Offer {
            tls,
            external,
            external_on_plaintext,
            dialback,
            insists_on_db_namespace: dialback && self.insists(),
            needs_external: external && !dialback && !external_on_plaintext && (leaves || refuses),
            certificate,
            key: shown
                .filter(|_| has_tls)
                .map_or(Key::P256, |shown| shown.key),
            tls_versions: self.versions(has_tls && facts.starttls == StarttlsFact::Proceeds),
        }
    }

    /// Whether it takes part in dialback: by what it does, or else by what it says.
    fn does_dialback(
        &mut self,
        dialling: Option<&Conduct>,
        clear: Option<&Element>,
        over_tls: Option<&Opened>,
    ) -> bool {
        let meetings = &self.sight.meetings;
        let judges = [
            &meetings.dialback,
            &meetings.clear_when_dialling,
            &meetings.all,
        ]
        .iter()
        .any(|met| met.as_ref().is_ok_and(judges_keys));
        let tries = dialling.is_some_and(|one| one.tried.is_some());
        let sent_key = |met: &Met| met.as_ref().is_ok_and(TrialConnection::gave_reason);
        if judges || tries {
            return true;
        }
        let opened = self.sight.usual.clear.as_ref();
        let says = opened.is_some_and(|one| one.offers_dialback() || one.declares_dialback())
            || over_tls.is_some_and(Opened::offers_dialback);
        if says && (clear.is_none() || !sent_key(&meetings.dialback)) {
            self.unseen.push(
                "dialback: no partner got far enough to try it; its header or its features say that it \
                 takes part"
                    .to_owned(),
            );
            return true;
        }
        if says {
            self.receiving
                .push("it says that it takes part in dialback, and does not".to_owned());
        }
        false
    }

    /// Whether it refuses a header without the namespace of dialback.
    fn insists(&self) -> bool {
        let fault = |report: &ProbeReport| {
            report
                .clear
                .as_ref()
                .is_some_and(|opened| opened.fault.is_some())
        };
        fault(&self.sight.bare) && !fault(&self.sight.usual)
    }

    fn versions(&mut self, has_tls: bool) -> Vec<TlsVersion> {
        let all: Vec<TlsVersion> = self.sight.versions.iter().map(|(one, _)| *one).collect();
        if !has_tls {
            return all;
        }
        let taken = self.sight.versions.iter();
        let taken = taken.filter(|(_, report)| report.secured().is_some());
        let taken: Vec<TlsVersion> = taken.map(|(version, _)| *version).collect();
        if taken.is_empty() {
            self.unseen
                .push("tls-versions: no handshake came to its end".to_owned());
            return all;
        }
        taken
    }

    /// Says what was seen and no word of a persona says.
    fn tell(&mut self) {
        let sight = self.sight;
        let mut says = vec![opened_words("in clear", sight.usual.clear.as_ref())];
        says.push(match &sight.usual.tls {
            None => "it offers no STARTTLS".to_owned(),
            Some(Err(broken)) => format!("TLS fails: {}", broken_words(broken)),
            Some(Ok(secured)) => format!(
                "TLS {} with {}; it asks for {} certificate",
                secured.version,
                secured.suite,
                if secured.asked_for_certificate {
                    "a"
                } else {
                    "no"
                }
            ),
        });
        if sight.usual.over_tls.is_some() {
            says.push(opened_words("under TLS", sight.usual.over_tls.as_ref()));
        }
        says.extend(
            sight
                .certificate
                .iter()
                .flat_map(|shown| shown.about.clone()),
        );
        if features(sight.stranger.over_tls.as_ref()).is_some_and(offers_external) {
            says.push("it offers EXTERNAL to a certificate of an unknown authority".to_owned());
        }
        match &sight.direct {
            Some((address, report)) => says.push(match (&report.tls, &report.over_tls) {
                (Some(Ok(secured)), Some(opened)) => format!(
                    "direct TLS at {address}: TLS {}, {}",
                    secured.version,
                    opened_words("in it", Some(opened))
                ),
                (Some(Err(broken)), _) => {
                    format!("direct TLS at {address} fails: {}", broken_words(broken))
                }
                _ => format!("no direct TLS at {address}"),
            }),
            None => self
                .unseen
                .push("direct TLS: the target says no address for it".to_owned()),
        }
        let meetings = &sight.meetings;
        for (who, met) in [
            ("all methods", &meetings.all),
            ("dialback alone, over TLS", &meetings.dialback),
            (
                "all methods and no TLS where it dials",
                &meetings.clear_when_dialling,
            ),
            ("a certificate of an unknown authority", &meetings.stranger),
        ] {
            match met {
                Ok(met) => says.push(format!("a partner with {who}: {}", way_in(met))),
                Err(why) => self.unseen.push(with_causes(why)),
            }
        }
        self.receiving.splice(..0, says);
        let mut does = Vec::new();
        for (who, met) in [
            ("all methods", &meetings.all),
            ("dialback alone, over TLS", &meetings.dialback),
            ("no TLS where it is dialled", &meetings.clear_when_dialled),
            ("a certificate of an unknown authority", &meetings.stranger),
        ] {
            let Ok(met) = met else { continue };
            match Conduct::of(met) {
                Some(conduct) => {
                    if does.is_empty() {
                        does.extend(conduct.header.as_ref().map(|header| {
                            format!("its header in clear: {}", header_words(header))
                        }));
                    }
                    does.push(format!("to a partner with {who}: {}", conduct.words()));
                }
                None => self.unseen.push(format!(
                    "initiating: it did not dial a partner with {who} ({})",
                    way_in(met)
                )),
            }
        }
        self.initiating.splice(..0, does);
    }
}

fn conduct(met: &Met) -> Option<Conduct> {
    met.as_ref().ok().and_then(Conduct::of)
}

fn features(opened: Option<&Opened>) -> Option<&Element> {
    opened?.features.as_ref()
}

/// How a partner got in, or why not.
fn way_in(met: &TrialConnection) -> String {
    match met.method() {
        Some(method) => format!("let in by {method}"),
        None => met.way_in().to_string(),
    }
}

/// Its header and features.
fn opened_words(place: &str, opened: Option<&Opened>) -> String {
    let Some(opened) = opened else {
        return format!("{place}: no stream");
    };
    let header = opened
        .header
        .as_ref()
        .map_or_else(|| "none".to_owned(), header_words);
    let features = opened.features.as_ref().map_or_else(
        || "none".to_owned(),
        |features| {
            let names: Vec<String> = features.elements().map(feature_words).collect();
            if names.is_empty() {
                "empty".to_owned()
            } else {
                names.join(", ")
            }
        },
    );
    let fault = opened
        .fault
        .as_ref()
        .map(|fault| format!("; {}", words(fault)));
    format!(
        "{place}: header {header}; features {features}{}",
        fault.unwrap_or_default()
    )
}

fn feature_words(feature: &Element) -> String {
    let inner: Vec<String> = feature
        .elements()
        .map(|one| match one.content().trim() {
            "" => one.name.clone(),
            text => text.to_owned(),
        })
        .collect();
    match inner.as_slice() {
        [] => feature.name.clone(),
        inner => format!("{} ({})", feature.name, inner.join(" ")),
    }
}

/// What makes the facts true, as the built-in personas have it.
fn reactions(facts: &Deviations) -> Vec<simulated_partners::reaction::Reaction> {
    let usual = Deviations::default();
    let personas = builtin();
    let with = |is_one: &dyn Fn(&Deviations) -> bool| {
        let one = personas.iter().find(|persona| is_one(&persona.facts));
        one.map(|persona| persona.reactions.clone())
            .unwrap_or_default()
    };
    let mut all = Vec::new();
    if facts.stream != StreamFact::Normal {
        all.extend(with(&|one| one.stream == facts.stream));
    }
    if facts.starttls != StarttlsFact::Proceeds {
        all.extend(with(&|one| one.starttls == facts.starttls));
    }
    if facts.external != ExternalFact::Accepted {
        all.extend(with(&|one| one.external == facts.external));
    }
    if facts.authority != usual.authority {
        all.extend(with(&|one| one.authority == facts.authority));
    }
    all
}
