//! Each fault in a fake target, compared with a sound one.

use std::net::Ipv4Addr;

use simulated_partners::dns::Dns;
use simulated_partners::driver::{Partner, PartnerSetup};
use simulated_partners::persona;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

mod mistakes;

use super::*;
use crate::case::{Case, Direction, Script, Set, Setting};
use crate::subject::reference::Reference;
use crate::subject::{Inside, Running, StartError, Stop, Target};

const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn subject(row: u8) -> Subject {
    Subject {
        name: "a double".to_owned(),
        domain: "im.example".to_owned(),
        address: ([127, 0, 0, 1], 9).into(),
        direct_tls: None,
        inner: None,
        patience: Some(Duration::ZERO),
        row: PolicyNumber::new(row),
        profile: Profile::default(),
        roots: Arc::new(RootCertStore::empty()),
        public_dns: PublicDns::System { remote: false },
        partners: [
            "good.doctor.example".to_owned(),
            "unknown.doctor.example".to_owned(),
            "bare.doctor.example".to_owned(),
        ],
        listen: Ipv4Addr::LOCALHOST.into(),
    }
}

fn lab() -> Lab {
    Lab::open(1).expect("a free port")
}

/// The first finding to fix: check, severity and text.
fn first(diagnosis: &Diagnosis) -> Option<(Check, Severity, String)> {
    diagnosis
        .findings()
        .next()
        .map(|(check, finding)| (check, finding.severity, finding.what.clone()))
}

/// A simulated partner in place of a target.
async fn stand_in(lab: &Lab, name: &str, listen: SocketAddr) -> Partner {
    let persona = persona::find(name).expect("a persona of the crate");
    let setup = PartnerSetup::new(
        &lab.authority,
        "im.example",
        Arc::new(persona),
        "good.doctor.example",
        ([127, 0, 0, 1], 9).into(),
    );
    Partner::start(PartnerSetup {
        answers: true,
        listen,
        ..setup
    })
    .await
    .expect("a free port")
}

async fn quick(lab: &Lab, name: &str, row: u8, patience: Duration) -> Diagnosis {
    let partner = stand_in(lab, name, (Ipv4Addr::LOCALHOST, 0).into()).await;
    let subject = Subject {
        address: partner.address(),
        roots: lab.authority.roots(),
        ..subject(row)
    };
    let diagnosis = examine(&subject, lab, Depth::Quick, patience).await;
    partner.stop().await;
    diagnosis
}

#[tokio::test]
async fn a_sound_target_has_no_finding() {
    let lab = lab();
    // Row 7 must offer required STARTTLS.
    let diagnosis = quick(&lab, "tls-required-dialback", 13, PATIENCE).await;
    assert_eq!(first(&diagnosis), None);
    let diagnosis = quick(&lab, "modern", 9, PATIENCE).await;
    assert_eq!(first(&diagnosis), None);
}

#[tokio::test]
async fn a_fault_of_a_certificate_is_the_first_finding() {
    let lab = lab();
    for (name, check, words) in [
        ("cert-expired", Check::Dates, "expired on "),
        ("cert-wrong-name", Check::Names, "not for im.example"),
        ("cert-self-signed", Check::Chain, "self-signed"),
        ("cert-unknown-ca", Check::Chain, "does not lead to"),
        (
            "cert-missing-intermediate",
            Check::Chain,
            "does not lead to",
        ),
    ] {
        let diagnosis = quick(&lab, name, 9, PATIENCE).await;
        let (found, severity, what) = first(&diagnosis).expect(name);
        assert_eq!((found, severity), (check, Severity::Blocking), "{name}");
        assert!(what.contains(words), "{name}: {what}");
        assert_eq!(diagnosis.count(Severity::Blocking), 1, "{name}");
        // If certificates decide nothing, a run is still useful.
        let diagnosis = quick(&lab, name, 15, PATIENCE).await;
        let severity = diagnosis.findings().find(|(found, _)| *found == check);
        let severity = severity.map(|(_, finding)| finding.severity);
        assert_eq!(severity, Some(Severity::Warning), "{name}");
    }
}

#[tokio::test]
async fn a_stream_fault_is_reported_by_the_check_that_finds_it() {
    let lab = lab();
    for (name, check, words) in [
        (
            "silent-after-accept",
            Check::Stream,
            "does not answer the stream header",
        ),
        ("reset-at-features", Check::Stream, "but no features"),
        ("starttls-failure", Check::Starttls, "TLS fails"),
        ("handshake-broken", Check::Starttls, "TLS fails"),
        ("legacy-tls", Check::Starttls, "TLS fails"),
    ] {
        let diagnosis = quick(&lab, name, 9, Duration::from_millis(500)).await;
        let (found, severity, what) = first(&diagnosis).expect(name);
        assert_eq!((found, severity), (check, Severity::Blocking), "{name}");
        assert!(what.contains(words), "{name}: {what}");
    }
    for (name, words) in [
        ("no-version", "has no 'version'"),
        ("no-stream-id", "has no 'id'"),
    ] {
        let diagnosis = quick(&lab, name, 17, PATIENCE).await;
        let (found, severity, what) = first(&diagnosis).expect(name);
        assert_eq!(
            (found, severity),
            (Check::Stream, Severity::Warning),
            "{name}"
        );
        assert!(what.contains(words), "{name}: {what}");
    }
}

#[tokio::test]
async fn a_policy_other_than_the_configured_one_is_reported() {
    let lab = lab();
    for (name, row, severity, words) in [
        (
            "google-talk",
            7,
            Severity::Blocking,
            "STARTTLS is not offered",
        ),
        ("modern", 17, Severity::Blocking, "STARTTLS is offered"),
        ("modern", 7, Severity::Note, "not marked as required"),
        ("modern", 13, Severity::Note, "not marked as required"),
        (
            "strict-tls",
            9,
            Severity::Blocking,
            "required, not only offered",
        ),
        ("external-on-plaintext", 9, Severity::Warning, "before TLS"),
    ] {
        let diagnosis = quick(&lab, name, row, PATIENCE).await;
        let found = diagnosis.result(Check::Policy).expect("it was made");
        let told = |finding: &&Finding| finding.what.contains(words);
        let finding = found.findings().iter().find(told).expect(name);
        assert_eq!(finding.severity, severity, "{name} {row}: {}", finding.what);
        assert_eq!(finding.blame, Blame::Configuration);
    }
}

/// Answers every connection with these bytes and waits for it to end.
async fn says(answer: &'static str) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let task = tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut heard = [0; 1024];
            let _ = tcp.read(&mut heard).await;
            let _ = tcp.write_all(answer.as_bytes()).await;
            let _ = tcp.shutdown().await;
        }
    });
    (address, task)
}

#[tokio::test]
async fn anything_but_a_server_for_the_domain_is_described() {
    let lab = lab();
    let header = "<stream:stream xmlns='jabber:server' id='1' version='1.0' \
                  xmlns:stream='http://etherx.jabber.org/streams' from='im.example'>";
    let unknown: &'static str = Box::leak(
        format!(
            "{header}<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>not here</text>\
             </stream:error></stream:stream>"
        )
        .into_boxed_str(),
    );
    for (answer, words) in [
        (
            "HTTP/1.1 400 Bad Request\r\n\r\n",
            "it says 'HTTP/1.1 400 Bad Request'",
        ),
        (
            "\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}\u{28}",
            "is a port for direct TLS",
        ),
        ("", "it closed the connection"),
        (unknown, "does not serve the domain im.example"),
        ("<html/>", "does not answer the stream header"),
    ] {
        let (address, task) = says(answer).await;
        let subject = Subject {
            address,
            ..subject(7)
        };
        let diagnosis = examine(&subject, &lab, Depth::Quick, PATIENCE).await;
        let (check, severity, what) = first(&diagnosis).expect(answer);
        assert_eq!(
            (check, severity),
            (Check::Stream, Severity::Blocking),
            "{answer}"
        );
        assert!(what.contains(words), "{answer}: {what}");
        task.abort();
    }
}

#[tokio::test]
async fn a_closed_port_is_the_one_finding_and_all_else_is_not_seen() {
    let lab = lab();
    let partner = stand_in(
        &lab,
        "authority-unreachable",
        (Ipv4Addr::LOCALHOST, 0).into(),
    )
    .await;
    let subject = Subject {
        address: partner.address(),
        ..subject(7)
    };
    let diagnosis = examine(&subject, &lab, Depth::Full, PATIENCE).await;
    let (check, severity, what) = first(&diagnosis).expect("nobody listens");
    assert_eq!((check, severity), (Check::Port, Severity::Blocking));
    assert!(what.starts_with("nothing listens on 127.0.0.1:"), "{what}");
    assert_eq!(diagnosis.findings().count(), 1);
    for done in &diagnosis.checks[1..] {
        assert!(
            matches!(done.result, CheckResult::NotSeen { .. }),
            "{done:?}"
        );
    }
}

/// The embedded proxy with the doctor's partners in its configuration.
async fn proxy(lab: &Lab, row: u8) -> (Subject, Running, Stop) {
    let strict_certificates = false;
    proxy_that(
        Reference {
            strict_certificates,
        },
        lab,
        row,
    )
    .await
}

async fn proxy_that(target: Reference, lab: &Lab, row: u8) -> (Subject, Running, Stop) {
    let cases = [trials::GOOD, trials::UNKNOWN, trials::BARE].map(|name| {
        let partner = Arc::new(persona::find(name).expect("a persona of the crate"));
        let direction = Direction::Inbound;
        Case {
            id: format!("doctor/row{row:02}/{name}/inbound"),
            set: Set::Personas,
            row: PolicyNumber::new(row).expect("1 to 18"),
            script: Arc::new(Script::of_matrix(&partner, direction, Setting::Usual)),
            partner,
            direction,
        }
    });
    let started: Result<_, StartError> = target.start(lab, "patient", &cases).await;
    let (running, stop) = started.expect("it starts");
    let subject = Subject {
        domain: running.domain.clone(),
        address: running.address,
        partners: cases.map(|case| case.domain()),
        roots: lab.authority.roots(),
        ..subject(row)
    };
    (subject, running, stop)
}

async fn in_full(subject: &Subject, running: &Running, lab: &Lab, wait: Duration) -> Diagnosis {
    let Inside::Linked(inner) = &running.inner else {
        unreachable!("the proxy has an inner side");
    };
    let _answering = inner.open(&subject.partners[..1], true, None);
    examine(subject, lab, Depth::Full, wait).await
}

#[tokio::test]
async fn a_sound_target_is_ready_with_every_method() {
    for row in [1, 7, 9, 13, 17] {
        let lab = lab();
        let (subject, running, stop) = proxy(&lab, row).await;
        let diagnosis = in_full(&subject, &running, &lab, PATIENCE).await;
        assert_eq!(first(&diagnosis), None, "row {row}");
        for check in [Check::LabDns, Check::WayBack] {
            let result = diagnosis.result(check);
            assert!(
                matches!(result, Some(CheckResult::Fine { .. })),
                "row {row}: {result:?}"
            );
        }
        drop(running);
        stop().await.expect("a proxy stops");
    }
}

#[tokio::test]
async fn an_untrusted_authority_is_reported() {
    for (row, trusted) in [(7, false), (8, false), (13, true)] {
        let theirs = lab();
        let (subject, running, stop) = proxy(&theirs, row).await;
        // The target keeps the authority that it was started with.
        let ours = Lab {
            authority: simulated_partners::pki::Authority::new(2),
            ..theirs
        };
        let diagnosis = in_full(&subject, &running, &ours, Duration::from_secs(1)).await;
        let found = first(&diagnosis);
        if trusted {
            assert_eq!(found, None, "row {row}");
        } else {
            let (check, severity, what) = found.expect("it does not trust the certificate");
            assert_eq!(
                (check, severity),
                (Check::Trust, Severity::Blocking),
                "row {row}"
            );
            let words = if row == 8 {
                // Without dialback, no method is left.
                "turns a partner with a good certificate"
            } else {
                "does not offer EXTERNAL"
            };
            assert!(what.contains(words), "{what}");
        }
        drop(running);
        stop().await.expect("a proxy stops");
    }
}

#[tokio::test]
async fn a_target_that_uses_other_dns_is_reported() {
    for row in [7, 8, 17] {
        let theirs = lab();
        let (subject, running, stop) = proxy(&theirs, row).await;
        let others = Dns::start().expect("a free port");
        let mut ours = theirs;
        // The other server keeps running, and does not know our partners.
        let _theirs = std::mem::replace(&mut ours.dns, others);
        let diagnosis = in_full(&subject, &running, &ours, Duration::from_secs(1)).await;
        let (check, severity, what) = first(&diagnosis).expect("nobody asks us");
        assert_eq!(
            (check, severity),
            (Check::LabDns, Severity::Blocking),
            "row {row}"
        );
        assert!(what.contains("did not ask the lab's DNS"), "{what}");
        drop(running);
        stop().await.expect("a proxy stops");
    }
}

#[tokio::test]
async fn a_partner_that_listens_nowhere_else_is_found_without_dns() {
    let lab = lab();
    // A fake that dials the partner's port directly, without DNS.
    let listen = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        listener.local_addr().expect("bound")
    };
    let target = stand_in(&lab, "modern", (Ipv4Addr::LOCALHOST, 0).into()).await;
    let subject = Subject {
        address: target.address(),
        roots: lab.authority.roots(),
        ..subject(9)
    };
    let [domain, ..] = &subject.partners;
    let brief = Duration::from_millis(500);
    let trial = trials::open(&subject, &lab, trials::GOOD, domain, brief).await;
    let trial = trial.expect("a free port");
    assert!(trial.gave_reason() && trial.queries.is_empty());
    assert!(!trial.dialled_back(), "{listen}");
    target.stop().await;
}

#[tokio::test]
async fn other_ports_are_checked_if_they_are_given() {
    let lab = lab();
    let (subject, running, stop) = proxy(&lab, 7).await;
    let (talker, task) = says("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    // The plaintext stream answers a handshake by closing.
    let wrong = Subject {
        direct_tls: Some(subject.address),
        inner: Some(talker),
        ..subject.clone()
    };
    let diagnosis = examine(&wrong, &lab, Depth::Quick, PATIENCE).await;
    let all: Vec<(Check, Severity)> = diagnosis
        .findings()
        .map(|(check, finding)| (check, finding.severity))
        .collect();
    let wanted = [
        (Check::DirectTls, Severity::Warning),
        (Check::Inner, Severity::Blocking),
    ];
    assert_eq!(all, wanted);
    task.abort();
    drop(running);
    stop().await.expect("a proxy stops");
}

#[tokio::test]
async fn the_first_line_is_the_first_cause_and_nothing_of_a_target_reaches_the_terminal_raw() {
    let lab = lab();
    let (address, task) = says(
        "<stream:stream xmlns='jabber:server' id='1' version='1.0' \
         xmlns:stream='http://etherx.jabber.org/streams' from='im.example'>\
         <stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>a\u{85}b\nc</text></stream:error>",
    )
    .await;
    let subject = Subject {
        address,
        ..subject(7)
    };
    let diagnosis = examine(&subject, &lab, Depth::Full, PATIENCE).await;
    let text = render(&diagnosis, 80, crate::console::Charset::Ascii);
    let text = anstream::adapter::strip_str(&text).to_string();
    let line = text.lines().next().expect("a first line");
    assert!(line.starts_with("Blocked (stream): 127.0.0.1:"), "{line}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    assert!(text.contains("(a?b?c)"), "{text}");
    assert!(!text.contains('\u{85}'));
    let json = to_json(&diagnosis).expect("it has a form");
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(json["blocked"], true);
    assert_eq!(json["first"]["check"], "stream");
    assert_eq!(json["first"]["blame"], "configuration");
    assert_eq!(json["checks"][0]["result"], "fine");
    task.abort();
}
