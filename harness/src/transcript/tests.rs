use std::time::Duration;

use proptest::prelude::*;
use simulated_partners::event::{
    Close, ConnectionId, ConnectionKind, Event, EventKind, Method, Party, TlsSignal,
};

use super::script::{Script, dialback_session, header, sasl_session};
use super::*;

#[test]
fn two_runs_of_a_session_have_one_canonical_transcript() {
    assert_eq!(
        canonical_text(&sasl_session("9f3c", "ping-77", false)),
        canonical_text(&sasl_session("00aa", "x", true)),
    );
    assert_eq!(
        canonical_text(&dialback_session("51d0", "abcdef0123456789", false)),
        canonical_text(&dialback_session("77e1", "fedcba9876543210", true)),
    );
}

#[test]
fn canonical_transcript_names_what_varies() {
    insta::assert_snapshot!(canonical_text(&dialback_session(
        "51d0",
        "abcdef0123456789",
        false
    )));
}

#[test]
fn human_transcript_fits_the_width_and_leaves_namespaces_out() {
    let text = render(&sasl_session("9f3c", "ping-77", false), Detail::Columns(72));
    assert!(text.lines().all(|l| l.chars().count() <= 72), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn summary_shows_the_negotiation_in_one_line() {
    assert_eq!(
        wire_summary(&sasl_session("9f3c", "ping-77", false)),
        "T→P: T:header P:header+features[dialback,starttls!] T:starttls P:proceed TLS1.3 T:header \
         P:header+features[EXTERNAL,dialback] T:auth P:success T:header P:header+features[] \
         =sasl-tls T:iq[get]"
    );
    assert_eq!(
        wire_summary(&dialback_session("51d0", "abcdef01", true)),
        "P→T: P:header T:header+features[dialback] P:db:result T:db:result[valid] =tcp-dialback \
         P:iq[get] | T→P: T:header P:header+features[] T:db:verify P:db:verify[valid]"
    );
    assert_eq!(wire_summary(&[]), "-");
}

#[test]
fn a_refused_leg_keeps_its_close_and_an_established_one_does_not() {
    let refused = Script::new()
        .open(1, ConnectionKind::Outbound)
        .target(1, &header("t.example", "p.example", ""))
        .partner(1, &header("p.example", "t.example", "1"))
        .partner(1, "<stream:features/>")
        .target(
            1,
            "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             </stream:error></stream:stream>",
        )
        .closed(1, Party::Target, Close::Stream)
        .events();
    assert_eq!(
        wire_summary(&refused),
        "T→P: T:header P:header+features[] T:error[policy-violation]"
    );
    let closed = Script::new()
        .open(1, ConnectionKind::Outbound)
        .target(1, &header("t.example", "p.example", ""))
        .closed(1, Party::Partner, Close::Reset)
        .events();
    assert_eq!(wire_summary(&closed), "T→P: T:header P:reset");
    assert!(!wire_summary(&sasl_session("1", "2", false)).contains("end"));
}

#[test]
fn an_alert_after_the_clients_side_of_the_handshake_was_done_is_a_failed_handshake() {
    let failed = |spoke: bool| {
        let script = Script::new().open(1, ConnectionKind::Inbound);
        let script = if spoke {
            script
                .tls(1)
                .partner(1, &header("p.example", "t.example", ""))
        } else {
            script
        };
        wire_summary(&script.alert(1, "bad_certificate").events())
    };
    assert_eq!(failed(true), "P→T: TLS-failed[T:bad_certificate]");
    assert_eq!(failed(true), failed(false));
}

#[test]
fn a_verification_that_the_end_of_the_case_cut_short_is_kept_and_a_late_attempt_is_not() {
    let case = |closed_in_time: bool, retried: bool| {
        let mut script = Script::new()
            .open(1, ConnectionKind::Inbound)
            .partner(1, &header("p.example", "t.example", ""))
            .open(2, ConnectionKind::Outbound)
            .target(2, &header("t.example", "p.example", ""));
        if closed_in_time {
            script = script.closed(2, Party::Target, Close::Fin);
        }
        script = script
            .target(1, &header("t.example", "p.example", "1"))
            .target(1, "</stream:stream>");
        if retried {
            script = script
                .open(3, ConnectionKind::Outbound)
                .target(3, &header("t.example", "p.example", ""));
        }
        wire_summary(&script.events())
    };
    assert_eq!(
        case(true, false),
        "P→T: P:header T:header+end | T→P: T:header"
    );
    assert_eq!(case(true, false), case(false, false));
    assert_eq!(case(true, false), case(true, true));
}

#[test]
fn nothing_from_the_wire_can_steer_a_terminal() {
    assert_eq!(
        printable("a\u{1b}[31m\u{202e}b\r\n\u{9b}"),
        "a\\u{1b}[31m\\u{202e}b\\r\\n\\u{9b}"
    );
    assert_eq!(printable("Grüße → ✓"), "Grüße → ✓");
}

#[test]
fn long_text_loses_its_middle() {
    assert_eq!(shorten("abcdefghij", 10), "abcdefghij");
    assert_eq!(shorten("abcdefghijk", 7), "abcd…jk");
    assert_eq!(shorten("abc", 0), "…");
}

fn party() -> impl Strategy<Value = Party> {
    prop_oneof![Just(Party::Target), Just(Party::Partner)]
}

fn kind() -> impl Strategy<Value = ConnectionKind> {
    prop_oneof![
        Just(ConnectionKind::Outbound),
        Just(ConnectionKind::Inbound),
        Just(ConnectionKind::Verification)
    ]
}

/// One step on a connection: XML from a side, or another event.
#[derive(Clone, Debug)]
enum Step {
    Says(Party, String),
    EventKind(EventKind),
}

fn step() -> impl Strategy<Value = Step> {
    let value = "[a-z0-9{}-]{1,12}";
    let xml = prop_oneof![
        value.prop_map(|id| format!("<iq id='{id}' type='get'/>")),
        value.prop_map(|key| format!("<db:result from='a' to='b'>{key}</db:result>")),
        (value, value)
            .prop_map(|(id, key)| format!("<db:verify id='{id}'>{key} 127.0.0.1:4711</db:verify>")),
        value.prop_map(|id| format!("<db:verify id='{id}' type='valid'/>")),
        value.prop_map(|text| format!(
            "<stream:error><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{text} 1234567</text>\
             </stream:error>"
        )),
        Just("<stream:features><b xmlns='y'/><a xmlns='x'/></stream:features>".to_owned()),
        Just(" ".to_owned()),
    ];
    prop_oneof![
        8 => (party(), xml).prop_map(|(from, xml)| Step::Says(from, xml)),
        1 => Just(Step::EventKind(EventKind::Established(Method::SaslTls))),
        1 => party().prop_map(|by| Step::EventKind(EventKind::Closed { by, how: Close::Fin })),
        1 => party().prop_map(|by| Step::EventKind(EventKind::TlsFailed {
            by,
            signal: TlsSignal::Garbage("at 1234567".to_owned()),
        })),
        1 => (party(), proptest::option::of("[a-z0-9 ]{0,12}"), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(from, fault, bytes)| Step::EventKind(EventKind::Raw { from, bytes, fault })),
        1 => Just(Step::EventKind(EventKind::GaveUp { waiting_for: "features" })),
    ]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let connection = (
        kind(),
        "[a-z0-9]{1,10}",
        prop::collection::vec((0_u16..4, step()), 0..12),
    );
    prop::collection::vec(connection, 0..4).prop_map(|connections| {
        let mut script = Script::new();
        let count = connections.len() as u16;
        let mut opened = 0;
        for (index, (kind, id, steps)) in connections.into_iter().enumerate() {
            let connection = index as u16 + 1;
            opened = connection;
            script = script
                .open(connection, kind)
                .target(connection, &header("t.example", "p.example", &id))
                .partner(connection, &header("p.example", "t.example", ""));
            for (on, step) in steps {
                let on = on.clamp(1, opened);
                script = match step {
                    Step::Says(from, xml) => script.says(on, from, &xml),
                    Step::EventKind(what) => script.what(on, what),
                };
            }
        }
        assert!(opened == count);
        script.events()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn canonical_twice_is_canonical_once(events in events()) {
        let once = canonical(&events);
        let twice = canonical(&once);
        let times = |events: &[Event]| events.iter().map(|e| e.at).collect::<Vec<_>>();
        prop_assert_eq!(render(&once, Detail::Full), render(&twice, Detail::Full));
        prop_assert_eq!(times(&once), times(&twice));
        prop_assert_eq!(wire_summary(&once), wire_summary(&events));
    }

    #[test]
    fn time_does_not_show_in_a_canonical_transcript(mut events in events(), step in 1_u64..1000) {
        let before = canonical_text(&events);
        for event in &mut events {
            event.at = event.at * 2 + Duration::from_millis(step);
        }
        prop_assert_eq!(before, canonical_text(&events));
    }

    #[test]
    fn every_line_fits_whatever_was_sent(bytes in prop::collection::vec(any::<u8>(), 0..200), width in 40_usize..120) {
        let event = Event {
            connection: ConnectionId(1),
            at: Duration::ZERO,
            kind: EventKind::Raw { from: Party::Target, bytes, fault: None },
        };
        let text = line(1, &event, Detail::Columns(width));
        prop_assert!(text.chars().count() <= width);
        prop_assert!(text.chars().all(|c| !c.is_control()));
    }
}
