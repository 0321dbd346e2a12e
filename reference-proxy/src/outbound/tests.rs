use std::ops::ControlFlow::{Break, Continue};

use proptest::prelude::*;

use super::awaiting::{Action, Awaiting, Input};
use super::initiating::{Initiating, Outcome, Progress};
use super::plan::{Opened, Plan, Purpose};
use crate::certificate::{Fault, Judged};
use crate::config::fixture::CONFIG;
use crate::domain::{Domain, Pair};
use crate::negotiation::Method;
use crate::xml::{Bounds, Frame, Reader};

mod without_sasl;

const GOOD: Judged = Judged::Good;
const BAD: Judged = Judged::Bad(Fault::Expired);
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const REQUIRED: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const EXTERNAL: &str = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>X</mechanism><mechanism>EXTERNAL</mechanism></mechanisms>";
const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
const FAILURE: &str =
    "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/><text>no</text></failure>";
const DIALBACK: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
const VALID: &str = "<db:result xmlns:db='jabber:server:dialback' from='row.example' \
    to='a.example' type='valid'/>";

/// A partner whose bytes reach the state machine directly.
struct Partner {
    reader: Reader,
    progress: Option<Progress>,
    sent: String,
    /// What the administrator is told.
    told: Vec<String>,
    /// Whether the header declares the dialback namespace.
    declares: bool,
}

fn plan(row: u8, purpose: Purpose) -> Plan {
    let domain = |name: &str| Domain::parse(name).expect("a domain");
    let terms = CONFIG
        .terms(&domain(&format!("row{row}.example")))
        .expect("a valid row");
    Plan {
        pair: Pair {
            from: domain("a.example"),
            to: domain("row.example"),
        },
        terms,
        strict: false,
        bidi: false,
        purpose,
    }
}

fn reader() -> Reader {
    Reader::new(Bounds {
        bytes: 65_536,
        depth: 64,
        attributes: 64,
    })
}

impl Partner {
    fn new(plan: Plan) -> Self {
        let mut out = Vec::new();
        let progress = Continue(Initiating::open(plan, false, &mut out));
        let mut partner = Self {
            reader: reader(),
            progress: Some(progress),
            sent: String::new(),
            told: Vec::new(),
            declares: false,
        };
        partner.record(out);
        partner
    }

    fn of_row(row: u8) -> Self {
        let external_failed = false;
        Self::new(plan(row, Purpose::Deliver { external_failed }))
    }

    fn record(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(text) => self.sent.push_str(&text),
                Action::Restart => self.reader = reader(),
                Action::StartTls => self.sent.push_str("[TLS]"),
                Action::WithoutSasl(by, why) => self.told.push(format!("{by}: {why}")),
            }
        }
    }

    fn input(&mut self, input: Input) {
        let mut out = Vec::new();
        self.progress = match self.progress.take() {
            Some(Continue(state)) => Some(state.on(input, &CONFIG, &mut out)),
            over => over,
        };
        self.record(out);
    }

    fn send(&mut self, text: &str) -> &mut Self {
        let mut bytes = text.as_bytes();
        while let Ok(Some(frame)) = self.reader.read(&mut bytes) {
            let closed = frame == Frame::Closed;
            self.input(Input::Frame(frame));
            if closed {
                break;
            }
        }
        self
    }

    fn header(&mut self) -> &mut Self {
        let declared = match self.declares {
            true => " xmlns:db='jabber:server:dialback'",
            false => "",
        };
        self.send(&format!(
            "<stream:stream xmlns='jabber:server' \
             xmlns:stream='http://etherx.jabber.org/streams'{declared} \
             from='row.example' to='a.example' id='i' version='1.0'>"
        ))
    }

    fn features(&mut self, features: &str) -> &mut Self {
        self.send(&format!("<stream:features>{features}</stream:features>"))
    }

    fn offer(&mut self, features: &str) -> &mut Self {
        self.header().features(features)
    }

    fn secure(&mut self, judged: Judged) -> &mut Self {
        self.send(PROCEED);
        self.input(Input::Secured(judged));
        self
    }

    /// The state of the negotiation, in a word.
    fn stands(&self) -> String {
        match self.progress.as_ref().expect("a state") {
            Continue(state) => match &state.awaiting {
                Awaiting::Header(_) => "header".to_owned(),
                Awaiting::Features(..) => "features".to_owned(),
                Awaiting::Proceed => "starttls".to_owned(),
                Awaiting::Handshake => "handshake".to_owned(),
                Awaiting::Success { .. } => "auth".to_owned(),
                Awaiting::Result(_) => "key".to_owned(),
                Awaiting::Answer => "question".to_owned(),
            },
            Break(Outcome::Open(opened)) => opened.method.to_string(),
            Break(Outcome::Told(status)) => format!("{status:?}"),
            Break(Outcome::Undecided(_)) => "undecided".to_owned(),
            Break(Outcome::Failed(failure)) => format!("{failure:?}"),
        }
    }
}

#[test]
fn plaintext_features_lead_where_the_row_says() {
    let both = format!("{STARTTLS}{DIALBACK}");
    for (row, features, stands) in [
        (1, both.as_str(), "starttls"),
        (1, DIALBACK, "TlsMissing"),
        (1, EXTERNAL, "TlsMissing"),
        (3, both.as_str(), "starttls"),
        (3, DIALBACK, "key"),
        (3, "", "NoMethod"),
        (4, both.as_str(), "starttls"),
        (4, DIALBACK, "NoMethod"),
        (5, REQUIRED, "PeerRequiresTls"),
        (5, STARTTLS, "PeerRequiresTls"),
        (5, both.as_str(), "key"),
        (7, DIALBACK, "TlsMissing"),
        (9, both.as_str(), "starttls"),
        (9, REQUIRED, "starttls"),
        (13, both.as_str(), "starttls"),
        (13, DIALBACK, "TlsMissing"),
        (15, DIALBACK, "key"),
        (17, DIALBACK, "key"),
        (17, EXTERNAL, "NoMethod"),
        (17, REQUIRED, "PeerRequiresTls"),
    ] {
        let mut partner = Partner::of_row(row);
        partner.offer(features);
        assert_eq!(partner.stands(), stands, "row {row}, {features}");
        assert!(!partner.sent.contains("<auth "), "never in clear text");
    }
}

#[test]
fn features_under_tls_lead_where_row_and_certificate_say() {
    let both = format!("{EXTERNAL}{DIALBACK}");
    for (row, judged, features, stands) in [
        (1, GOOD, both.as_str(), "auth"),
        (1, GOOD, DIALBACK, "NoMethod"),
        (1, BAD, both.as_str(), "BadCertificate(Expired)"),
        (3, GOOD, both.as_str(), "auth"),
        (3, GOOD, DIALBACK, "key"),
        (3, BAD, both.as_str(), "key"),
        (4, BAD, both.as_str(), "BadCertificate(Expired)"),
        (7, GOOD, both.as_str(), "auth"),
        (7, BAD, both.as_str(), "key"),
        (7, BAD, EXTERNAL, "BadCertificate(Expired)"),
        (8, GOOD, both.as_str(), "auth"),
        (8, BAD, both.as_str(), "BadCertificate(Expired)"),
        (9, GOOD, "", "NoMethod"),
        (13, GOOD, both.as_str(), "key"),
        (13, GOOD, EXTERNAL, "NoMethod"),
        (15, BAD, DIALBACK, "key"),
    ] {
        let mut partner = Partner::of_row(row);
        partner
            .offer(&format!("{STARTTLS}{DIALBACK}"))
            .secure(judged)
            .offer(features);
        assert_eq!(
            partner.stands(),
            stands,
            "row {row}, {judged:?}, {features}"
        );
    }
}

#[test]
fn declared_namespace_is_as_good_as_the_feature() {
    let mut partner = Partner::of_row(17);
    partner.declares = true;
    assert_eq!(partner.offer("").stands(), "key");
}

#[test]
fn external_opens_the_stream_after_success_and_restart() {
    let mut partner = Partner::of_row(9);
    partner
        .offer(REQUIRED)
        .secure(GOOD)
        .offer(&format!("{EXTERNAL}{DIALBACK}"));
    assert!(
        partner
            .sent
            .ends_with("mechanism='EXTERNAL'>YS5leGFtcGxl</auth>"),
        "{}",
        partner.sent
    );
    partner.send(SUCCESS);
    assert_eq!(partner.stands(), "header");
    assert_eq!(partner.offer("<x xmlns='urn:x'/>").stands(), "sasl-tls");
    assert!(!partner.sent.contains("db:result"));

    let mut partner = Partner::of_row(9);
    partner
        .offer(REQUIRED)
        .secure(GOOD)
        .offer(EXTERNAL)
        .send(SUCCESS);
    partner.offer("<must xmlns='urn:x'><required/></must>");
    assert_eq!(partner.stands(), "NoMethod");
}

#[test]
fn refused_external_falls_back_to_dialback_where_that_is_left() {
    for (row, stands) in [
        (1, "SaslRefused(Some(\"not-authorized (no)\"))"),
        (8, "SaslRefused(Some(\"not-authorized (no)\"))"),
        (7, "key"),
        (9, "key"),
    ] {
        let mut partner = Partner::of_row(row);
        partner
            .offer(REQUIRED)
            .secure(GOOD)
            .offer(&format!("{EXTERNAL}{DIALBACK}"));
        partner.send(FAILURE);
        assert_eq!(partner.stands(), stands, "row {row}");
        // Closing right after is the same refusal, for which a new connection may be better.
        partner.send("</stream:stream>");
        let closed = partner.stands();
        assert!(closed.starts_with("SaslRefused("), "row {row}: {closed}");
    }
    let mut partner = Partner::new(plan(
        7,
        Purpose::Deliver {
            external_failed: true,
        },
    ));
    partner
        .offer(REQUIRED)
        .secure(GOOD)
        .offer(&format!("{EXTERNAL}{DIALBACK}"));
    assert_eq!(partner.stands(), "key", "not tried a second time");
}

#[test]
fn only_the_answer_to_the_own_request_opens_the_stream() {
    let mut partner = Partner::of_row(17);
    partner.header().send(VALID);
    assert_eq!(partner.stands(), "features");
    partner.features(DIALBACK);
    for wrong in [
        VALID.replace("row.example", "other.example"),
        VALID.replace("a.example", "a2.example"),
        VALID.replace("db:result", "db:verify"),
        VALID.replace(" type='valid'", ""),
        "<message from='row.example' to='a.example'/>".to_owned(),
    ] {
        partner.send(&wrong);
        assert_eq!(partner.stands(), "key", "{wrong}");
    }
    assert_eq!(partner.send(VALID).stands(), "tcp-dialback");
    for (kind, stands) in [
        ("invalid", "KeyInvalid"),
        ("VALID", "undecided"),
        ("", "undecided"),
        ("error", "undecided"),
    ] {
        let mut partner = Partner::of_row(17);
        partner
            .offer(DIALBACK)
            .send(&VALID.replace("'valid'", &format!("'{kind}'")));
        assert_eq!(partner.stands(), stands, "{kind}");
    }
}

#[test]
fn starttls_is_followed_by_tls_or_by_the_end() {
    for (answer, stands) in [
        (PROCEED, "handshake"),
        (
            "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            "TlsRefused(None)",
        ),
        ("<proceed xmlns='urn:other'/>", "TlsRefused(None)"),
        ("<stream:features/>", "TlsRefused(None)"),
        ("</stream:stream>", "TlsRefused(None)"),
        ("<message/>", "Confused"),
    ] {
        let mut partner = Partner::of_row(9);
        partner.offer(&format!("{STARTTLS}{DIALBACK}")).send(answer);
        assert_eq!(partner.stands(), stands, "{answer}");
        assert!(!partner.sent.contains("db:result"));
    }
}

#[test]
fn header_without_a_version_leads_to_dialback_or_names_the_version() {
    const LEGACY: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' id='i'>";
    let mut optional = Partner::of_row(9);
    optional.send(LEGACY);
    assert!(optional.sent.contains("<db:result "), "{}", optional.sent);
    // TLS is required, or dialback is off.
    for row in [7, 10] {
        let mut partner = Partner::of_row(row);
        partner.send(LEGACY);
        let sent = &partner.sent;
        assert!(sent.contains("<unsupported-version "), "row {row}: {sent}");
        assert!(!sent.contains("<db:result "), "row {row}: {sent}");
    }
}

#[test]
fn header_without_an_id_or_of_another_namespace_ends_it() {
    for (header, condition) in [
        (
            "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
            "bad-format",
        ),
        (
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='i' version='1.0'>",
            "invalid-namespace",
        ),
        (
            "<stream:stream xmlns='jabber:server' xmlns:stream='urn:x' id='i' version='1.0'>",
            "invalid-namespace",
        ),
    ] {
        let mut partner = Partner::of_row(17);
        partner.send(header);
        assert_eq!(partner.stands(), "Confused");
        assert!(
            partner.sent.contains(&format!("<{condition} ")),
            "{}",
            partner.sent
        );
    }
}

#[test]
fn stream_errors_are_remembered_and_answered_by_the_closing_tag() {
    let mut partner = Partner::of_row(17);
    partner.header().send(
        "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>not here</text></stream:error>",
    );
    assert_eq!(
        partner.stands(),
        "Closed(Some(StreamError { condition: HostUnknown, said: \"host-unknown (not here)\" }))"
    );
    assert!(
        partner.sent.ends_with("version='1.0'></stream:stream>"),
        "{}",
        partner.sent
    );
}

#[test]
fn question_takes_tls_where_it_is_offered_and_only_the_fitting_answer() {
    let question = || Purpose::Verify {
        stream_id: "s".to_owned(),
        key: "k".to_owned(),
    };
    let answer = "<db:verify xmlns:db='jabber:server:dialback' from='row.example' \
        to='a.example' id='s' type='valid'/>";
    for (row, offered, stands) in [
        (17, DIALBACK, "question"),
        (17, REQUIRED, "PeerRequiresTls"),
        (7, DIALBACK, "TlsMissing"),
        (9, "", "question"),
        (9, STARTTLS, "starttls"),
    ] {
        let mut partner = Partner::new(plan(row, question()));
        assert_eq!(
            partner.offer(offered).stands(),
            stands,
            "row {row}, {offered}"
        );
    }
    let mut partner = Partner::new(plan(9, question()));
    partner.offer(STARTTLS).secure(BAD).offer("");
    assert!(
        partner
            .sent
            .ends_with("<db:verify from='a.example' to='row.example' id='s'>k</db:verify>")
    );
    for wrong in [
        answer.replace("'s'", "'t'"),
        answer.replace("row.example", "other.example"),
        answer.replace("a.example", "a2.example"),
        answer.replace("db:verify", "db:result"),
    ] {
        assert_eq!(partner.send(&wrong).stands(), "question", "{wrong}");
    }
    partner.send(answer);
    assert_eq!(partner.stands(), "Valid");
    let mut partner = Partner::new(plan(9, question()));
    partner.offer("").send(&answer.replace("'valid'/>", "'error'><error><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:verify>"));
    assert_eq!(partner.stands(), "Failed(RemoteServerNotFound)");
}

proptest! {
    /// For any input from a partner: no panic, and under required TLS nothing sensitive in plaintext.
    #[test]
    fn any_partner_keeps_the_invariants(
        row in prop::sample::select(vec![1u8, 3, 7, 9, 13, 15, 17]),
        good in any::<bool>(),
        pieces in prop::collection::vec(prop::sample::select(vec![
            "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' id='i' version='1.0'>",
            "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' id='i'>",
            "<stream:features xmlns:stream='http://etherx.jabber.org/streams'/>",
            "<stream:features xmlns:stream='http://etherx.jabber.org/streams'><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>",
            "<stream:features xmlns:stream='http://etherx.jabber.org/streams'><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
            PROCEED, SUCCESS, FAILURE, VALID, "<message/>", "</stream:stream>", "<", "x",
        ]), 0..12),
    ) {
        let mut partner = Partner::of_row(row);
        let mut secured = false;
        for piece in pieces {
            partner.send(piece);
            if partner.stands() == "handshake" {
                secured = true;
                partner.input(Input::Secured(if good { GOOD } else { BAD }));
            }
            if !secured {
                prop_assert!(!partner.sent.contains("<auth "));
                prop_assert!(!(partner.sent.contains("<db:") && [1, 7, 13].contains(&row)));
            }
            if let Some(Break(Outcome::Open(Opened { method, .. }))) = partner.progress {
                prop_assert_eq!(method != Method::TcpDialback, secured);
                prop_assert!(method != Method::SaslTls || good);
            }
        }
    }
}
