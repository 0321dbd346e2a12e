//! Arbitrary inputs: nothing panics, nothing grows without limit, nothing continues after the end.

use proptest::prelude::*;

use super::target::{FEATURES, HEADER, UNITS, facts};
use super::{config, offer, persona, ping};
use crate::event::{CertificateSeen, Party, TlsSignal};
use crate::reaction::When;
use crate::stream::{Action, Input, KeyAnswer, Machine, Purpose, Question, State};

#[derive(Clone, Debug)]
enum Arbitrary {
    Unit(usize),
    Bytes(Vec<u8>),
    TlsUp(bool),
    TlsFailed,
    Closed,
    Reset,
    Deadline,
    Verified(u32, bool),
    Timer,
    Board,
    Stop,
}

fn inputs() -> impl Strategy<Value = Vec<Arbitrary>> {
    let one = prop_oneof![
        12 => (0..UNITS.len()).prop_map(Arbitrary::Unit),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Arbitrary::Bytes),
        4 => any::<bool>().prop_map(Arbitrary::TlsUp),
        1 => Just(Arbitrary::TlsFailed),
        1 => Just(Arbitrary::Closed),
        1 => Just(Arbitrary::Reset),
        1 => Just(Arbitrary::Deadline),
        3 => (0..4_u32, any::<bool>()).prop_map(|(ticket, valid)| Arbitrary::Verified(ticket, valid)),
        3 => Just(Arbitrary::Timer),
        2 => Just(Arbitrary::Board),
        1 => Just(Arbitrary::Stop),
    ];
    prop::collection::vec(one, 0..40)
}

const DEEDS: [&str; 41] = [
    "{ send = '<a/>' }",
    "{ send = '</stream:stream>' }",
    "{ send = '<' }",
    "{ send = \"<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' id='h'>\" }",
    "{ send = \"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\" }",
    "{ send = \"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\" }",
    "{ send = \"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>\" }",
    "{ send = \"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>\" }",
    "{ send = '<db:result>{dialback-key}</db:result>' }",
    "{ send = \"<db:result type='valid'/>\" }",
    "{ send = '<db:verify>{key}</db:verify>' }",
    "{ header-without = ['id'] }",
    "{ send-bytes = 'c0 af' }",
    "{ repeat = { send = '<a>{n}</a>', times = 3 } }",
    "{ split = 1 }",
    "{ wait = 1 }",
    "{ wait = 2 }",
    "{ wait-for = 'x' }",
    "{ wait-for = 'y' }",
    "{ later = 'x' }",
    "{ raise = 'y' }",
    "{ capture = { name = 'x', value = '{id}' } }",
    "{ await = 'header' }",
    "{ await = 'features' }",
    "{ await = 'proceed' }",
    "{ await = 'success' }",
    "{ await = 'result' }",
    "{ await = 'answer' }",
    "{ await = 'nothing' }",
    "'flush'",
    "'features'",
    "'stop-reading'",
    "'shutdown-write'",
    "'start-tls'",
    "'close'",
    "'close-tcp'",
    "'reset'",
    "'stay-silent'",
    "'break-tls'",
    "'legacy-tls'",
    "'proceed'",
];

fn reactions() -> impl Strategy<Value = String> {
    let one = (
        prop::sample::select(When::ALL),
        prop::sample::select(
            &[
                "",
                "on = 'verification'\n",
                "nth = 2\n",
                "stage = 'clear'\n",
            ][..],
        ),
        prop::collection::vec(prop::sample::select(&DEEDS[..]), 1..4),
    )
        .prop_map(|(when, filter, deeds)| {
            format!(
                "[[reaction]]\nwhen = '{}'\n{filter}do = [{}]\n",
                when.word(),
                deeds.join(", ")
            )
        });
    prop::collection::vec(one, 0..5).prop_map(|all| all.concat())
}

fn purpose(which: u8) -> Purpose {
    match which {
        0 => Purpose::Serve,
        1 => Purpose::Deliver(ping("p.example", "t.example")),
        _ => Purpose::Verify(Question {
            sender: "t.example".to_owned(),
            receiver: "p.example".to_owned(),
            id: "i1".to_owned(),
            key: "key".to_owned(),
        }),
    }
}

proptest! {
    #[test]
    fn no_sequence_of_inputs_breaks_a_machine(
        which in 0..3_u8,
        tls in prop::sample::select(vec!["none", "offered", "required"]),
        external in any::<bool>(),
        dialback in any::<bool>(),
        reactions in reactions(),
        inputs in inputs(),
    ) {
        let persona = persona(&format!("{}{reactions}", offer(tls, external, dialback)));
        let config = config("p.example", "t.example", &persona);
        let mut machine = Machine::new(config, 1, purpose(which));
        let mut ended = false;
        let mut decided = 0;
        let mut feed = |machine: &mut Machine, input: Input<'_>| {
            let actions = machine.handle(input);
            prop_assert!(!ended || actions.is_empty());
            prop_assert!(actions.len() < 64, "{} actions", actions.len());
            for action in &actions {
                match action {
                    Action::Close | Action::Cut | Action::Reset => ended = true,
                    Action::Decide(_) => decided += 1,
                    // A signal that announces an end comes behind it.
                    Action::Raise { .. } | Action::Deadline(_) => {}
                    _ => prop_assert!(!ended, "{action:?} after the end"),
                }
            }
            prop_assert_eq!(ended, machine.state() == State::Ended);
            Ok(())
        };
        feed(&mut machine, Input::Opened)?;
        for input in inputs {
            match input {
                Arbitrary::Unit(index) => feed(&mut machine, Input::Bytes(UNITS[index].1.as_bytes()))?,
                Arbitrary::Bytes(bytes) => feed(&mut machine, Input::Bytes(&bytes))?,
                Arbitrary::TlsUp(good) => feed(
                    &mut machine,
                    Input::TlsUp(facts(if good { CertificateSeen::Good } else { CertificateSeen::None })),
                )?,
                Arbitrary::TlsFailed => feed(
                    &mut machine,
                    Input::TlsFailed { by: Party::Target, signal: TlsSignal::Closed },
                )?,
                Arbitrary::Closed => feed(&mut machine, Input::PeerClosed)?,
                Arbitrary::Reset => feed(&mut machine, Input::PeerReset)?,
                Arbitrary::Deadline => feed(&mut machine, Input::Deadline)?,
                Arbitrary::Verified(ticket, valid) => feed(
                    &mut machine,
                    Input::Verified {
                        ticket,
                        answer: if valid { KeyAnswer::Valid } else { KeyAnswer::Invalid },
                    },
                )?,
                Arbitrary::Timer => feed(&mut machine, Input::Timer)?,
                Arbitrary::Board => {
                    let names = std::collections::BTreeMap::from([("x".to_owned(), "1".to_owned())]);
                    feed(&mut machine, Input::Board(std::sync::Arc::new(names)))?;
                }
                Arbitrary::Stop => feed(&mut machine, Input::Stop)?,
            }
        }
        feed(&mut machine, Input::PeerClosed)?;
        prop_assert_eq!(decided, u32::from(which == 2));
    }

    #[test]
    fn a_unit_without_end_is_cut_off(filler in prop::sample::select(vec!["<a>", "x", " ", "<a b='"])) {
        let persona = persona(&offer("offered", true, true));
        let mut machine = Machine::new(config("p.example", "t.example", &persona), 1, Purpose::Serve);
        machine.handle(Input::Opened);
        machine.handle(Input::Bytes(HEADER.as_bytes()));
        machine.handle(Input::Bytes(b"<message from='t.example' to='p.example'>"));
        let chunk = filler.repeat(4096);
        for _ in 0..1000 {
            machine.handle(Input::Bytes(chunk.as_bytes()));
            prop_assert!(machine.unread().len() <= 300_000, "{} bytes held", machine.unread().len());
        }
        // A violated rule ends the stream, too many bytes the connection as well.
        prop_assert!(matches!(machine.state(), State::Closing | State::Ended));
    }
}

#[test]
fn features_come_only_after_a_header() {
    let persona = persona(&offer("offered", true, true));
    let mut machine = Machine::new(
        config("p.example", "t.example", &persona),
        1,
        Purpose::Deliver(ping("p.example", "t.example")),
    );
    machine.handle(Input::Opened);
    machine.handle(Input::Bytes(FEATURES.as_bytes()));
    assert_eq!(machine.state(), State::Closing);
}
