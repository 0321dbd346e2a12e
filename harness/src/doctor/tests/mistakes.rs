//! Mistakes of a setup, of which the first line names each.

use std::net::Ipv6Addr;

use tokio::net::{TcpSocket, TcpStream};

use super::*;

/// The blocking findings about the policy.
fn about_the_policy(diagnosis: &Diagnosis) -> Vec<&Finding> {
    let result = diagnosis.result(Check::Policy).expect("it is made");
    let findings = result.findings().iter();
    findings
        .filter(|finding| finding.severity == Severity::Blocking)
        .collect()
}

#[tokio::test]
async fn a_target_that_is_set_to_another_policy_is_told_apart_by_whom_it_lets_in() {
    for (set, said, words, remedy) in [
        (
            9,
            7,
            "a partner without TLS gets in by tcp-dialback",
            "9 (O/O/T)",
        ),
        (1, 7, "dialback is off", "1 (R/R/T)"),
        (
            7,
            1,
            "unknown authority gets in by tls-dialback",
            "7 (R/O/T)",
        ),
        (8, 7, "dialback is off", "8 (R/O/F)"),
        (7, 9, "STARTTLS is required", "7 (R/O/T)"),
        (
            17,
            9,
            "STARTTLS is not offered: the server has no certificate",
            "TLS on",
        ),
    ] {
        let lab = lab();
        let (subject, running, stop) = proxy(&lab, set).await;
        let subject = Subject {
            row: PolicyNumber::new(said),
            ..subject
        };
        let diagnosis = in_full(&subject, &running, &lab, PATIENCE).await;
        let found = about_the_policy(&diagnosis);
        let first = found.first().expect(words);
        assert!(
            first.what.contains(words),
            "{set} as {said}: {}",
            first.what
        );
        assert!(
            first.advice.contains(remedy),
            "{set} as {said}: {}",
            first.advice
        );
        drop(running);
        stop().await.expect("a proxy stops");
    }
}

#[tokio::test]
async fn a_target_that_wants_good_certificates_where_dialback_is_enough_is_told_so() {
    let lab = lab();
    let strict = Reference {
        strict_certificates: true,
    };
    let (subject, running, stop) = proxy_that(strict, &lab, 7).await;
    let diagnosis = in_full(&subject, &running, &lab, PATIENCE).await;
    let found = about_the_policy(&diagnosis);
    assert!(
        found[0].what.contains("may not use dialback"),
        "{}",
        found[0].what
    );
    assert!(found[0].advice.contains("s2s_secure_auth = false"));
    drop(running);
    stop().await.expect("a proxy stops");
}

#[tokio::test]
async fn a_clock_that_is_wrong_comes_before_the_trust_that_it_costs() {
    for (days, words) in [(400, "a year ahead"), (-400, "a day behind")] {
        let lab = lab();
        let (subject, running, stop) = proxy(&lab, 7).await;
        let ago = time::Duration::days(days);
        let lab = Lab {
            authority: lab.authority.back_then(ago),
            ..lab
        };
        let diagnosis = examine(&subject, &lab, Depth::Quick, PATIENCE).await;
        let clock = diagnosis.result(Check::Clock).expect("it is made");
        assert!(clock.findings()[0].what.contains(words), "{clock:?}");
        let trust = diagnosis.result(Check::Trust);
        assert!(
            matches!(trust, Some(CheckResult::NotSeen { .. })),
            "{trust:?}"
        );
        drop(running);
        stop().await.expect("a proxy stops");
    }
}

#[tokio::test]
async fn a_port_for_somebody_else_is_named() {
    for (namespace, words) in [
        ("jabber:client", "the port for clients"),
        ("jabber:component:accept", "the port for components"),
    ] {
        let lab = lab();
        let header = format!(
            "<stream:stream xmlns='{namespace}' id='1' version='1.0' from='im.example' \
             xmlns:stream='http://etherx.jabber.org/streams'><stream:features/>"
        );
        let (address, task) = says(Box::leak(header.into_boxed_str())).await;
        let subject = Subject {
            address,
            ..subject(7)
        };
        let diagnosis = examine(&subject, &lab, Depth::Quick, PATIENCE).await;
        let (check, severity, what) = first(&diagnosis).expect(words);
        assert_eq!((check, severity), (Check::Stream, Severity::Blocking));
        assert!(what.contains(words), "{what}");
        task.abort();
    }
}

#[tokio::test]
async fn a_server_in_the_other_family_of_addresses_is_found() {
    let socket = TcpSocket::new_v6().expect("a socket");
    if socket.bind((Ipv6Addr::LOCALHOST, 0).into()).is_err() {
        return;
    }
    let there = socket.local_addr().expect("bound");
    let address = (Ipv4Addr::LOCALHOST, there.port()).into();
    let refused = std::io::ErrorKind::ConnectionRefused.into();
    let finding = port::no_connection(address, &refused).await;
    assert!(finding.what.ends_with("the S2S port"), "{}", finding.what);
    let _listener = socket.listen(1).expect("it is bound");
    let finding = port::no_connection(address, &refused).await;
    assert!(
        finding
            .what
            .ends_with(&format!("but {there} accepts connections")),
        "{}",
        finding.what
    );
}

/// Stands before a target: passes on connections, `most` at a time, but answers itself to what contains
/// `refused`.
async fn before(
    target: SocketAddr,
    most: usize,
    refused: &'static str,
    answer: &'static str,
) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let places = Arc::new(tokio::sync::Semaphore::new(most));
    let task = tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let place = Arc::clone(&places).try_acquire_owned();
            tokio::spawn(async move {
                let Ok(_place) = place else {
                    return;
                };
                let mut heard = vec![0; 4096];
                let length = tcp.read(&mut heard).await.unwrap_or_default();
                if String::from_utf8_lossy(&heard[..length]).contains(refused) {
                    let _ = tcp.write_all(answer.as_bytes()).await;
                    return;
                }
                if let Ok(mut behind) = TcpStream::connect(target).await {
                    let _ = behind.write_all(&heard[..length]).await;
                    let _ = tokio::io::copy_bidirectional(&mut tcp, &mut behind).await;
                }
            });
        }
    });
    (address, task)
}

#[tokio::test]
async fn a_limit_of_connections_and_a_gap_in_an_allow_list_are_told_apart() {
    const NOBODY: &str = "nobody.example";
    let refusal = "<stream:stream xmlns='jabber:server' id='1' version='1.0' \
        xmlns:stream='http://etherx.jabber.org/streams'><stream:error><policy-violation \
        xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";
    let lab = lab();
    let (real, running, stop) = proxy(&lab, 7).await;
    let [_, unknown, _] = real.partners.clone();
    let unknown: &'static str = Box::leak(unknown.into_boxed_str());
    for (most, refused, words) in [
        (
            1,
            NOBODY,
            "one connection works, and another beside it is turned away",
        ),
        (9, unknown, "the target takes "),
    ] {
        let (address, task) = before(real.address, most, refused, refusal).await;
        let subject = Subject {
            address,
            ..real.clone()
        };
        let diagnosis = in_full(&subject, &running, &lab, PATIENCE).await;
        let (check, severity, what) = first(&diagnosis).expect(words);
        assert_eq!((check, severity), (Check::Stream, Severity::Blocking));
        assert!(what.contains(words), "{what}");
        task.abort();
    }
    let (address, task) = before(real.address, 9, NOBODY, refusal).await;
    let subject = Subject { address, ..real };
    let diagnosis = in_full(&subject, &running, &lab, PATIENCE).await;
    assert_eq!(first(&diagnosis), None);
    task.abort();
    drop(running);
    stop().await.expect("a proxy stops");
}

#[tokio::test]
async fn partners_with_one_domain_come_one_after_the_other() {
    let lab = lab();
    let (subject, running, stop) = proxy(&lab, 7).await;
    let one = subject.partners[0].clone();
    let subject = Subject {
        partners: [one.clone(), one.clone(), one],
        ..subject
    };
    let diagnosis = in_full(&subject, &running, &lab, PATIENCE).await;
    assert_eq!(diagnosis.blocking(), None);
    assert_eq!(diagnosis.partners.len(), 1);
    drop(running);
    stop().await.expect("a proxy stops");
}

#[tokio::test]
async fn a_server_that_keeps_silent_partners_is_told_what_to_shorten() {
    let listener = TcpListener::bind("127.45.3.2:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let silent = Subject {
        address,
        patience: None,
        ..subject(7)
    };
    let result = silence::silence(&silent, true).await;
    let Some(CheckResult::Found { findings }) = result else {
        panic!("{result:?}");
    };
    assert_eq!(findings[0].severity, Severity::Warning);
    let advice = &findings[0].advice;
    assert!(
        advice.contains("s2s_timeout") && advice.contains("cases that wait"),
        "{advice}"
    );
    // A connection that is refused tells nothing of silence. A listener that is dropped would still take one while a
    // child that another test starts has a copy of it.
    let held = TcpSocket::new_v4().expect("a socket");
    held.bind(([127, 45, 3, 2], 0).into()).expect("a port");
    let refusing = Subject {
        address: held.local_addr().expect("it is bound"),
        ..silent
    };
    let result = silence::silence(&refusing, true).await;
    assert!(
        matches!(result, Some(CheckResult::NotSeen { .. })),
        "{result:?}"
    );
}

#[test]
fn a_target_that_is_ready_is_told_its_first_warning() {
    let mut diagnosis = Diagnosis::of(&subject(7));
    diagnosis.add(Check::Port, CheckResult::fine("it is open"));
    let (severity, blame) = (Severity::Warning, Blame::Configuration);
    let late = Finding::new(severity, blame, "the clock is 3 hours ahead", "set it");
    diagnosis.add(Check::Clock, late.into());
    let text = render(&diagnosis, 80, crate::console::Charset::Ascii);
    let text = anstream::adapter::strip_str(&text).to_string();
    let start = "Ready to be tested, with 1 warning. First (clock): the clock is 3 hours ahead.\n\
                 To do: set it\n";
    assert!(text.starts_with(start), "{text}");
}
