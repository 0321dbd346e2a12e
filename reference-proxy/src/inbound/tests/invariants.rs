use proptest::prelude::*;

use super::*;
use crate::config::fixture::CONFIG;
use crate::negotiation::Method;

fn pieces() -> impl Strategy<Value = Vec<String>> {
    let names = prop::sample::select(vec![
        "row1", "row7", "row9", "row13", "row17", "a", "a2", "zz",
    ]);
    let piece = (0..12u8, names.clone(), names).prop_map(|(kind, from, to)| {
        let (from, to) = (format!("{from}.example"), format!("{to}.example"));
        match kind {
            0 => header(&from, &to),
            1 => "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>".to_owned(),
            2 => "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"
                .to_owned(),
            3 => "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'/>".to_owned(),
            4 => "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(),
            5 => format!("<db:result from='{from}' to='{to}'>k</db:result>"),
            6 => format!("<db:result from='{from}' to='{to}' type='valid'/>"),
            7 => format!("<db:verify from='{from}' to='{to}' id='x'>k</db:verify>"),
            8 => format!("<message from='u@{from}' to='v@{to}'/>"),
            9 => "<x xmlns='urn:x'/>".to_owned(),
            10 => "</stream:stream>".to_owned(),
            _ => "<".to_owned(),
        }
    });
    prop::collection::vec(piece, 0..12)
}

proptest! {
    /// For any input: no panic, no stanza from a pair that was not authenticated, and nothing after
    /// the end.
    #[test]
    fn any_conversation_keeps_the_invariants(
        from in prop::sample::select(vec!["row1", "row7", "row9", "row13", "row17"]),
        certificate in prop::sample::select(vec![GOOD, BAD, Judged::Absent]),
        pieces in pieces(),
    ) {
        let mut peer = Peer::new(&CONFIG);
        peer.certificate = certificate;
        let mut authenticated = Vec::new();
        let mut secured = false;
        peer.send(&header(&format!("{from}.example"), "a.example"));
        for piece in pieces {
            let over = matches!(peer.state, Receiving::Ended);
            let actions = peer.send(&piece);
            prop_assert!(!over || actions.is_empty());
            for action in actions {
                match action {
                    Action::Authenticated(pair, method) => {
                        prop_assert_eq!(method, Method::SaslTls);
                        prop_assert!(secured && certificate == GOOD);
                        authenticated.push(pair);
                    }
                    Action::Deliver(pair, _) => prop_assert!(authenticated.contains(&pair)),
                    Action::Manage(..) => prop_assert!(false, "it is off"),
                    Action::StartTls { .. } => {
                        prop_assert!(!secured);
                        secured = true;
                        peer.reader = reader();
                        peer.input(Input::Secured);
                    }
                    Action::Dropped(..)
                    | Action::Refund
                    | Action::Refused(_)
                    | Action::Restart
                    | Action::Send(_)
                    | Action::Verify { .. } => {}
                }
            }
        }
    }
}
