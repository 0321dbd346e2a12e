//! What follows from what, over several steps.

use super::Action;
use super::fixture::{ANA, BEN, FRIENDS, World, bare, directory, in_short, shown, subscribed};
use crate::directory::{PublicVerified, Subscription};
use crate::refusal::Refusal;

const FAY: &str = FRIENDS[0];

fn entry(world: &World, user: &str, contact: &str) -> (bool, bool, bool, bool, bool) {
    let entry = world.state.entry(&bare(user), &bare(contact));
    (entry.listed, entry.to, entry.from, entry.asked, entry.asks)
}

#[test]
fn a_federated_contact_adds_and_sees_the_user_at_once() {
    let mut world = World::busy(directory());
    assert_eq!(
        world.gets("<presence type='subscribe' from='S@federated.example' to='ben@contoso.com'/>"),
        [
            "out <presence from='ben@contoso.com' to='s@federated.example' type='subscribed'/>",
            "out <presence from='ben@contoso.com/x' to='s@federated.example'><show>dnd</show></presence>",
        ]
    );
    assert_eq!(
        entry(&world, BEN, "s@federated.example"),
        (false, false, true, false, false)
    );
    assert_eq!(
        world.says(
            BEN,
            "<presence><show>away</show><status>lunch</status></presence>"
        ),
        [
            "out <presence from='ben@contoso.com/x' to='s@federated.example'><show>away</show>\
             <status>lunch</status></presence>"
        ]
    );
    assert_eq!(
        world
            .gets("<presence type='unsubscribe' from='s@federated.example' to='ben@contoso.com'/>"),
        [
            "to ben@contoso.com <presence type='unsubscribe' from='s@federated.example' to='ben@contoso.com'/>",
            "out <presence from='ben@contoso.com/x' to='s@federated.example' type='unavailable'/>",
        ]
    );
    assert!(
        world
            .state
            .roster()
            .get(&bare(BEN), &bare("s@federated.example"))
            .is_none()
    );
    assert_eq!(world.says(BEN, "<presence/>"), [""; 0]);
}

#[test]
fn an_unverified_contact_comes_in_once_it_is_added() {
    let mut world = World::busy(directory());
    let request = "<presence type='subscribe' from='s@unverified.example' to='ben@contoso.com'/>";
    let message = "<message from='s@unverified.example' to='ben@contoso.com'/>";
    assert_eq!(in_short(&world.gets(request)), "unsubscribed");
    assert_eq!(in_short(&world.gets(message)), "service-unavailable");
    assert_eq!(
        in_short(&world.says(BEN, "<message to='s@unverified.example'/>")),
        "subscription-required"
    );
    assert_eq!(
        world.says(
            BEN,
            "<presence type='subscribe' to='s@unverified.example/r'/>"
        ),
        ["out <presence from='ben@contoso.com' to='s@unverified.example' type='subscribe'/>"]
    );
    assert_eq!(in_short(&world.gets(message)), "passes");
    assert_eq!(in_short(&world.gets(request)), "subscribed + presence");
    let accepted = "<presence type='subscribed' from='s@unverified.example' to='ben@contoso.com'/>";
    assert_eq!(in_short(&world.gets(accepted)), "subscribed");
    assert_eq!(
        in_short(&world.gets(accepted)),
        "nothing",
        "it was not asked twice"
    );
    assert_eq!(
        entry(&world, BEN, "s@unverified.example"),
        (true, true, true, false, false)
    );
    assert_eq!(
        world.says(
            BEN,
            "<presence type='unsubscribe' to='s@unverified.example'/>"
        ),
        [
            "out <presence from='ben@contoso.com' to='s@unverified.example' type='unsubscribe'/>",
            "out <presence from='ben@contoso.com/x' to='s@unverified.example' type='unavailable'/>",
            "out <presence from='ben@contoso.com' to='s@unverified.example' type='unsubscribed'/>",
        ]
    );
    assert_eq!(in_short(&world.gets(message)), "service-unavailable");
}

#[test]
fn by_invitation_the_user_decides_about_a_verified_contact() {
    let mut rules = directory();
    rules.rules.public_verified = PublicVerified::ByInvitation;
    let mut world = World::busy(rules);
    let request = "<presence type='subscribe' from='s@verified.example' to='ben@contoso.com'/>";
    assert_eq!(
        world.gets(request),
        [
            "to ben@contoso.com <presence from='s@verified.example' to='ben@contoso.com' type='subscribe'/>"
        ]
    );
    let signed_in_later = world.state.sign_out(&bare(BEN), "x");
    assert_eq!(shown(&signed_in_later), [""; 0]);
    world.state.sign_in(&bare(BEN), "x").expect("a user");
    assert_eq!(
        in_short(&world.says(BEN, "<presence/>")),
        "subscribe",
        "it still waits"
    );
    assert_eq!(
        in_short(&world.says(BEN, "<presence type='subscribed' to='s@verified.example'/>")),
        "subscribed + passes"
    );
    assert_eq!(
        in_short(&world.says(
            BEN,
            "<presence type='unsubscribed' to='s@verified.example'/>"
        )),
        "unavailable + unsubscribed"
    );
    assert_eq!(
        in_short(&world.says(
            BEN,
            "<presence type='unsubscribed' to='s@verified.example'/>"
        )),
        "service-unavailable"
    );
}

#[test]
fn whoever_signs_in_asks_and_shows_and_takes_leave() {
    let mut world = World::new(subscribed(Subscription::Both));
    world.state.sign_in(&bare(ANA), "x").expect("a user");
    let arrival = world.says(ANA, "<presence><status>here</status></presence>");
    let probes = arrival
        .iter()
        .filter(|line| line.contains("'probe'"))
        .count();
    let notes = arrival
        .iter()
        .filter(|line| line.contains("<status>"))
        .count();
    assert_eq!((arrival.len(), probes, notes), (6, 3, 1), "{arrival:#?}");
    assert_eq!(world.says(ANA, "<presence/>").len(), 3, "no further probes");
    let answer = world.gets(&format!("<presence type='probe' from='{FAY}' to='{ANA}'/>"));
    assert_eq!(
        answer,
        [format!("out <presence from='{ANA}/x' to='{FAY}'/>")]
    );
    assert_eq!(
        in_short(&world.says(ANA, "<presence to='s@federated.example/r'/>")),
        "passes"
    );
    let parting = shown(&world.state.sign_out(&bare(ANA), "x"));
    assert_eq!(parting.len(), 4, "{parting:#?}");
    assert!(
        parting
            .iter()
            .all(|line| line.contains("type='unavailable'")),
        "{parting:#?}"
    );
    assert!(
        parting[3].contains("to='s@federated.example/r'"),
        "{parting:#?}"
    );
    let answer = world.gets(&format!("<presence type='probe' from='{FAY}' to='{ANA}'/>"));
    assert_eq!(
        answer,
        [format!(
            "out <presence from='{ANA}' to='{FAY}' type='unavailable'/>"
        )]
    );
}

#[test]
fn last_words_go_only_where_notes_may() {
    let mut world = World::busy(subscribed(Subscription::From));
    let parting = world.says(
        ANA,
        "<presence type='unavailable'><status>bye</status></presence>",
    );
    assert_eq!(parting.len(), 3);
    assert!(parting[0].contains("<status>bye</status>"), "{parting:#?}");
    assert!(!parting[1..].concat().contains("status"), "{parting:#?}");
    assert!(!world.state.refreshed.contains_key(&bare(ANA)));
}

#[test]
fn contact_lists_are_bounded() {
    let mut small = directory();
    small.rules.contacts = 3;
    let mut world = World::busy(small);
    for number in 0..4 {
        let request =
            format!("<presence type='subscribe' from='s{number}@federated.example' to='{ANA}'/>");
        let expected = if number < 3 {
            "subscribed + presence"
        } else {
            "resource-constraint"
        };
        assert_eq!(in_short(&world.gets(&request)), expected);
    }
    let wish = "<presence type='subscribe' to='s@federated.example'/>";
    assert_eq!(in_short(&world.says(ANA, wish)), "resource-constraint");
    let known = format!("<presence type='subscribe' from='{FAY}' to='{ANA}'/>");
    assert_eq!(in_short(&world.gets(&known)), "subscribed + presence");
    for number in 0..100 {
        let directed = format!("<presence to='s{number}@federated.example'/>");
        assert_eq!(in_short(&world.says(ANA, &directed)), "passes");
    }
    let one_more = "<presence to='s@federated.example'/>";
    assert_eq!(in_short(&world.says(ANA, one_more)), "resource-constraint");
}

#[test]
fn a_message_goes_to_the_session_that_it_names_or_to_all() {
    let mut world = World::busy(directory());
    world.state.sign_in(&bare(ANA), "y").expect("a user");
    for (to, resource) in [("", None), ("/y", Some("y")), ("/gone", None)] {
        let text = format!("<message from='{FAY}' to='{ANA}{to}'/>");
        let stanza = crate::session::stanza(&text).expect("a stanza");
        let decision = world
            .state
            .decide(super::Source::Partner, &stanza, world.now);
        let [Action::ToUser { resource: one, .. }] = &decision.actions[..] else {
            panic!("{decision:?}");
        };
        assert_eq!(one.as_deref(), resource, "{to}");
    }
    for resource in ["x", "y"] {
        world.state.sign_out(&bare(ANA), resource);
    }
    let text = format!("<message from='{FAY}' to='{ANA}'/>");
    assert_eq!(in_short(&world.gets(&text)), "service-unavailable");
}

#[test]
fn domains_answer_pings_and_nothing_else() {
    let mut world = World::busy(directory());
    let ping = "<iq type='get' id='1' from='federated.example' to='contoso.com'><ping xmlns='urn:xmpp:ping'/></iq>";
    assert_eq!(
        world.gets(ping),
        ["out <iq type='result' from='contoso.com' to='federated.example' id='1'/>"]
    );
    for other in [
        ping.replace("urn:xmpp:ping", "jabber:iq:version"),
        ping.replace("'contoso.com'", "'ana@contoso.com'"),
    ] {
        assert_eq!(
            in_short(&world.gets(&other)),
            "service-unavailable",
            "{other}"
        );
    }
}

#[test]
fn whom_the_gateway_does_not_know_is_refused() {
    let mut world = World::busy(directory());
    for (stanza, why, answer) in [
        (
            "<message from='x@other.example' to='ana@contoso.com'/>",
            Refusal::NotAPartner,
            "policy-violation",
        ),
        (
            "<message from='x@federated.example' to='ana@other.example'/>",
            Refusal::UnknownUser,
            "service-unavailable",
        ),
        (
            "<message from='x@federated.example' to='no one@contoso.com'/>",
            Refusal::AddressMalformed,
            "jid-malformed",
        ),
        (
            "<message from='x@federated.example'/>",
            Refusal::AddressMalformed,
            "jid-malformed",
        ),
        (
            "<message to='ana@contoso.com'/>",
            Refusal::AddressMalformed,
            "nothing",
        ),
    ] {
        let read = crate::session::stanza(stanza).expect("a stanza");
        let decision = world.state.decide(super::Source::Partner, &read, world.now);
        assert_eq!(decision.refused, Some(why), "{stanza}");
        assert_eq!(in_short(&shown(&decision.actions)), answer, "{stanza}");
    }
    for (stanza, answer) in [
        ("<message to='x@other.example'/>", "policy-violation"),
        ("<message to='ben@contoso.com'/>", "service-unavailable"),
        ("<message to='a b@federated.example'/>", "jid-malformed"),
        ("<message/>", "service-unavailable"),
        (
            "<presence type='probe' to='x@federated.example'/>",
            "feature-not-implemented",
        ),
    ] {
        assert_eq!(in_short(&world.says(ANA, stanza)), answer, "{stanza}");
    }
    assert_eq!(
        world.state.sign_in(&bare("nobody@contoso.com"), "x"),
        Err(Refusal::UnknownUser)
    );
}
