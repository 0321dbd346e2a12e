//! Scripted sessions, ends, texts and pauses.

use super::*;

#[test]
fn a_hand_sent_success_restarts_the_stream_of_a_listener() {
    let success = format!("{{ send = \"<success {SASL}/>\" }}, {{ wait = 5 }}");
    let mut hand = Hand::listening(&modern(), &[("when = 'auth'", &success)]);
    hand.told(HEADER)
        .told(&format!("<auth {SASL}/>"))
        .told(HEADER);
    hand.feed(Input::Timer);
    assert_eq!(hand.state(), State::Established, "{:?}", hand.said);
    hand.has_said("established SaslTls");
}

#[test]
fn a_challenge_is_answered_by_hand_on_both_sides() {
    let challenge = format!("{{ send = \"<challenge {SASL}/>\" }}");
    let success = format!("{{ send = \"<success {SASL}/>\" }}");
    let response = format!("{{ send = \"<response {SASL}>{{domain|base64}}</response>\" }}");
    let a = reacting(&modern(), &[("when = 'challenge-received'", &response)]);
    let b = reacting(
        &modern(),
        &[
            ("when = 'auth'", &challenge),
            ("when = 'response'", &success),
        ],
    );
    let network = meet(&a, &b);
    assert_eq!(network.established(), 4, "{}", network.transcript());
    assert!(network.saw("←* <response>"), "{}", network.transcript());
}

#[test]
fn a_hand_sent_proceed_begins_the_handshake_when_the_list_is_through() {
    let proceed =
        format!("{{ send = \"<proceed {TLS}/>\" }}, {{ wait = 5 }}, {{ raise = 'late' }}");
    let mut hand = Hand::listening(&modern(), &[("when = 'starttls'", &proceed)]);
    hand.told(HEADER).told(&format!("<starttls {TLS}/>"));
    // What comes now belongs to the handshake.
    hand.has_said("Read(false)");
    assert_eq!(hand.state(), State::Negotiating);
    hand.feed(Input::Timer);
    hand.has_said("raised late");
    hand.has_said(&format!("{:?}", Action::StartTls(TlsRole::Server)));
    let pipelined = format!("{{ send = \"<proceed {TLS}/><message/>\" }}, 'stay-silent'");
    let mut holding = Hand::listening(&modern(), &[("when = 'starttls'", &pipelined)]);
    holding.told(HEADER).told(&format!("<starttls {TLS}/>"));
    assert_eq!(holding.state(), State::Held);
    holding.has_said("→ <message>");
}

#[test]
fn start_tls_takes_the_natural_role() {
    let now = [
        ("when = 'connected'", "'start-tls'"),
        ("when = 'accepted'", "'start-tls'"),
    ];
    let mut dialling = Hand::dialling(&modern(), &now);
    dialling.has_said("StartTls(Client)");
    dialling.secured();
    dialling.has_said("→* <stream version db>");
    let mut listening = Hand::listening(&modern(), &now);
    listening.has_said("StartTls(Server)");
    listening.secured().told(HEADER);
    listening.has_said("→* <features [mechanisms/mechanism dialback/errors]>");
}

#[test]
fn a_hand_sent_valid_establishes() {
    let valid = "{ send = \"<db:result from='{to}' to='{from}' type='valid'/>\" }";
    let mut hand = Hand::listening(
        &clear(),
        &[
            ("when = 'db-result'", valid),
            ("when = 'established'", "{ raise = 'in' }"),
        ],
    );
    hand.told(HEADER)
        .told("<db:result from='t.example' to='p.example'>key</db:result>");
    assert_eq!(hand.state(), State::Established);
    hand.has_said("raised in");
    let invalid = valid.replace("type='valid'", "type='invalid'");
    let mut refused = Hand::listening(&clear(), &[("when = 'db-result'", &invalid)]);
    refused
        .told(HEADER)
        .told("<db:result from='t.example' to='p.example'>key</db:result>");
    assert_eq!(refused.state(), State::Negotiating);
}

#[test]
fn established_takes_the_place_of_the_stanza() {
    let mut hand = Hand::dialling(
        &clear(),
        &[("when = 'established'", "{ send = '<message/>' }")],
    );
    hand.told(HEADER).told("<stream:features/>").told(VALID);
    hand.has_said("→ <message>");
    assert!(!hand.sent.contains("<iq"), "{}", hand.sent);
    assert_eq!(hand.state(), State::Established);
}

#[test]
fn the_end_of_a_stream_can_be_answered_late_or_not_at_all() {
    let error = "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    let mut hand = Hand::dialling(
        &clear(),
        &[
            ("when = 'stream-error'", "{ raise = 'error' }"),
            (
                "when = 'stream-end'",
                "{ send = '<message/>' }, { wait = 5 }, 'close'",
            ),
        ],
    );
    hand.told(HEADER).told(error);
    assert_eq!(hand.state(), State::Scripted);
    hand.has_said("raised error");
    hand.told("</stream:stream>");
    hand.has_said("→ <message>");
    assert!(!hand.sent.contains("</stream:stream>"));
    hand.feed(Input::Timer);
    hand.has_said("→ </stream>");
    assert_eq!(hand.state(), State::Ended);
}

#[test]
fn the_end_of_a_stream_is_reached_after_an_end_of_ones_own() {
    let end = "{ send = '</stream:stream>' }, { await = 'nothing' }";
    let reactions = [
        ("when = 'features-received'", end),
        ("when = 'stream-end'", "{ raise = 'both' }, 'close-tcp'"),
    ];
    let mut hand = Hand::dialling(&clear(), &reactions);
    hand.told(HEADER).told("<stream:features/>");
    hand.told("</stream:stream>");
    hand.has_said("raised both");
    let ends = hand.sent.matches("</stream:stream>").count();
    assert_eq!((hand.state(), ends), (State::Ended, 1));
    let mut correct = Hand::dialling(&clear(), &reactions[..1]);
    correct.told(HEADER).told("<stream:features/>");
    correct.told("</stream:stream>");
    let ends = correct.sent.matches("</stream:stream>").count();
    assert_eq!((correct.state(), ends), (State::Ended, 1));
}

#[test]
fn a_failed_handshake_can_raise_a_signal() {
    let mut hand = Hand::dialling(
        &modern(),
        &[
            ("when = 'connected'", "'start-tls'"),
            (
                "when = 'tls-failed'",
                "{ raise = 'failed' }, { send = 'x' }",
            ),
        ],
    );
    hand.feed(Input::TlsFailed {
        by: crate::event::Party::Target,
        signal: crate::event::TlsSignal::Closed,
    });
    hand.has_said("raised failed");
    assert!(hand.sent.is_empty(), "there is no one to send to");
    assert_eq!(hand.state(), State::Ended);
}

#[test]
fn failure_received_and_success_received_take_the_place_of_the_engine() {
    let negotiate = |reactions: &[(&str, &str)], answer: &str| {
        let mut hand = Hand::dialling(&modern(), reactions);
        hand.told(HEADER).told(FEATURES);
        hand.told(&format!("<proceed {TLS}/>")).secured();
        hand.told(HEADER).told(&format!(
            "<stream:features><mechanisms {SASL}><mechanism>EXTERNAL</mechanism></mechanisms></stream:features>"
        ));
        assert_eq!(hand.state(), State::AwaitSuccess);
        hand.told(answer);
        hand
    };
    let failure = format!("<failure {SASL}><not-authorized/></failure>");
    let again = format!("{{ send = \"<auth {SASL} mechanism='EXTERNAL'>=</auth>\" }}");
    let hand = negotiate(&[("when = 'failure-received'", &again)], &failure);
    assert_eq!(hand.state(), State::AwaitSuccess);
    assert_eq!(negotiate(&[], &failure).state(), State::AwaitResult);
    let success = format!("<success {SASL}/>");
    let mut hand = negotiate(
        &[("when = 'success-received'", "{ header-without = ['from'] }")],
        &success,
    );
    assert_eq!(hand.state(), State::AwaitHeader);
    hand.told(HEADER).told("<stream:features/>");
    assert_eq!(hand.state(), State::Established, "{:?}", hand.said);
}

#[test]
fn texts_know_the_stream_the_scenario_and_the_board() {
    let mut hand = Hand::dialling(
        &clear(),
        &[(
            "when = 'features-received'",
            "{ capture = { name = 'mine', value = '{stream-id}' } }, \
             { send = '<a>{dialback-key} {stream-id} {probe} {mine} {other} {x*3}</a>' }",
        )],
    );
    hand.raised("other", "o&o");
    hand.told(HEADER).told("<stream:features/>");
    let key = crate::negotiate::dialback::key("secret of p.example", TARGET, DOMAIN, "i1");
    assert!(
        hand.sent
            .ends_with(&format!("<a>{key} i1 &lt;p&gt; i1 o&amp;o xxx</a>")),
        "{}",
        hand.sent
    );
    hand.has_said("Raise { name: \"mine\", value: \"i1\", after_sent: false }");
}

/// Who waits for a signal that announces an end may rely on the end.
#[test]
fn a_signal_before_an_end_is_raised_behind_it() {
    for (end, wanted) in [
        ("'close'", "→ </stream>"),
        ("'close-tcp'", "Cut"),
        ("'reset'", "Reset"),
        ("'shutdown-write'", "ShutWrite"),
    ] {
        let list = format!("{{ raise = 'over' }}, {end}");
        let mut hand = Hand::dialling(&clear(), &[("when = 'features-received'", &list)]);
        hand.told(HEADER).told("<stream:features/>");
        let at = |word: &str| hand.said.iter().rposition(|line| line.starts_with(word));
        let (raised, ended) = (at("Raise {"), at(wanted));
        assert!(
            raised > ended && ended.is_some(),
            "{}",
            hand.said.join("\n")
        );
        hand.has_said("Raise { name: \"over\", value: \"\", after_sent: true }");
    }
    let list = "{ raise = 'begun' }, { send = '<a/>' }, 'close'";
    let mut hand = Hand::dialling(&clear(), &[("when = 'features-received'", list)]);
    hand.told(HEADER).told("<stream:features/>");
    hand.has_said("Raise { name: \"begun\", value: \"\", after_sent: false }");
}

#[test]
fn a_text_is_kept_as_the_key_that_a_secret_makes_of_it() {
    let mut hand = Hand::dialling(
        &clear(),
        &[(
            "when = 'features-received'",
            "{ capture = { name = 'k', value = '{domain} {target} {stream-id}', secret = '{other}' } }, \
             { send = '<a>{k}</a>' }",
        )],
    );
    hand.raised("other", "s3cr3t");
    hand.told(HEADER).told("<stream:features/>");
    let key = crate::negotiate::dialback::key("s3cr3t", DOMAIN, TARGET, "i1");
    assert!(
        hand.sent.ends_with(&format!("<a>{key}</a>")),
        "{}",
        hand.sent
    );
}

#[test]
fn the_id_of_a_hand_sent_header_is_the_id_of_the_stream() {
    let header = "{ send = \"<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
                  xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' \
                  id='D60000229F' from='p.example' version='1.0'>\" }, 'features'";
    let mut hand = Hand::listening(&clear(), &[("when = 'header'", header)]);
    hand.told(HEADER)
        .told("<db:result from='t.example' to='p.example'>key</db:result>");
    let question = Question {
        sender: TARGET.to_owned(),
        receiver: DOMAIN.to_owned(),
        id: "D60000229F".to_owned(),
        key: "key".to_owned(),
    };
    hand.has_said(&format!("{question:?}"));
}

#[test]
fn a_paused_list_waits_for_its_own_wake_and_keeps_what_comes() {
    let mut hand = Hand::listening(
        &clear(),
        &[
            ("when = 'header'", "{ wait-for = 'go' }, 'proceed'"),
            ("when = 'stanza'", "{ raise = 'stanza' }"),
        ],
    );
    hand.told(HEADER).told("<message/>");
    hand.feed(Input::Timer).raised("else", "");
    assert!(hand.sent.is_empty(), "{}", hand.sent);
    hand.raised("go", "");
    hand.has_said("→ <features [dialback/errors]>");
    hand.has_said("raised stanza");
    let mut ended = Hand::listening(&clear(), &[("when = 'header'", "{ wait = 5 }, 'proceed'")]);
    ended
        .told(HEADER)
        .told("</stream:stream>")
        .feed(Input::Timer);
    assert_eq!(ended.state(), State::Ended);
    assert!(ended.sent.is_empty(), "the list is dropped: {}", ended.sent);
}

#[test]
fn what_is_kept_while_a_list_is_paused_is_bounded() {
    let mut hand = Hand::listening(
        &clear(),
        &[
            ("when = 'established'", "{ wait-for = 'go' }"),
            (
                "when = 'db-result'",
                "{ send = \"<db:result type='valid'/>\" }",
            ),
            ("when = 'stanza'", "{ raise = 'stanza' }"),
        ],
    );
    hand.told(HEADER).told("<db:result>key</db:result>");
    for _ in 0..2000 {
        hand.told("<message/>");
    }
    hand.raised("go", "");
    let raised = hand.said.iter().filter(|line| *line == "raised stanza");
    assert_eq!(raised.count(), 256);
}

#[test]
fn shut_sends_nothing_more_and_cut_is_the_end() {
    let mut hand = Hand::dialling(
        &clear(),
        &[(
            "when = 'features-received'",
            "{ send = '<a/>' }, 'shutdown-write'",
        )],
    );
    hand.told(HEADER)
        .told("<stream:features/>")
        .told("</stream:stream>");
    assert!(hand.sent.ends_with("<a/>"), "{}", hand.sent);
    hand.has_said("ShutWrite");
    let mut cut = Hand::dialling(&clear(), &[("when = 'features-received'", "'close-tcp'")]);
    cut.told(HEADER).told("<stream:features/>");
    cut.has_said("closed by Partner without a word");
    cut.has_said("Cut");
}

#[test]
fn raw_bytes_and_repetitions_are_shown_in_short() {
    let mut hand = Hand::dialling(
        &clear(),
        &[(
            "when = 'features-received'",
            "{ send-bytes = 'c0 af C0' }, { repeat = { send = '<a n=\"{n}\"/>', times = 100000000 } }, 'stop-reading'",
        )],
    );
    hand.told(HEADER).told("<stream:features/>");
    hand.has_said("→ 3 raw bytes");
    hand.has_said("→ 10 bytes 100000000 times");
    hand.has_said("Read(false)");
}

#[test]
fn a_list_goes_on_later_and_the_connection_meanwhile() {
    let valid =
        "{ later = 'told' }, { send = \"<db:result from='{to}' to='{from}' type='valid'/>\" }";
    let result = "<db:result from='t.example' to='p.example'>key</db:result>";
    let verify = "<db:verify from='t.example' to='p.example' id='1'>key</db:verify>";
    let mut hand = Hand::listening(&clear(), &[("when = 'db-result'", valid)]);
    hand.told(HEADER).told(result).told(verify);
    hand.has_said("→ <verify");
    assert!(!hand.sent.contains("<db:result"), "{}", hand.sent);
    assert_eq!(hand.state(), State::Negotiating);
    hand.raised("other", "");
    assert_eq!(hand.state(), State::Negotiating);
    hand.raised("told", "");
    assert!(hand.sent.contains("<db:result"), "{}", hand.sent);
    assert_eq!(hand.state(), State::Established);

    // A signal that is raised already holds nothing up.
    let mut told = Hand::listening(&clear(), &[("when = 'db-result'", valid)]);
    told.raised("told", "").told(HEADER).told(result);
    assert_eq!(told.state(), State::Established);
}

#[test]
fn lists_that_are_put_off_end_with_the_stream_and_are_bounded() {
    let say = "{ later = 'told' }, { send = '<late/>' }";
    let mut hand = Hand::listening(&clear(), &[("when = 'db-verify'", say)]);
    hand.told(HEADER);
    let verify = "<db:verify from='t.example' to='p.example' id='1'>key</db:verify>";
    for _ in 0..256 {
        hand.told(verify);
    }
    assert!(!hand.said.iter().any(|line| line.contains("left out")));
    hand.told(verify);
    hand.has_said("left out a list that waits for later");
    hand.raised("told", "");
    assert_eq!(hand.sent.matches("<late/>").count(), 256);

    let mut ended = Hand::listening(&clear(), &[("when = 'db-verify'", say)]);
    ended.told(HEADER).told(verify).told("</stream:stream>");
    ended.raised("told", "");
    assert!(!ended.sent.contains("<late/>"), "{}", ended.sent);
}

#[test]
fn whitespace_is_a_point_that_replaces_nothing() {
    let raise = "{ raise = 'alive' }, 'proceed'";
    let mut hand = Hand::dialling(&clear(), &[("when = 'whitespace'\nnth = 2", raise)]);
    hand.told(HEADER).told(" ").told("<stream:features/>");
    assert!(!hand.said.iter().any(|line| line.contains("raised alive")));
    hand.told("\n");
    hand.has_said("raised alive");
    hand.told(VALID);
    assert_eq!(hand.state(), State::Established);
}
