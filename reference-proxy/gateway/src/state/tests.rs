//! What follows from what, over several steps.

use std::time::Duration;

use super::fixture::{ANA, BEN, FRIENDS, World, bare, directory, in_short, shown, subscribed};
use super::{Action, State};
use crate::directory::{PublicVerified, Subscription};
use crate::policy::Policies;
use crate::refusal::Refusal;
use crate::roster::Roster;
use reference_proxy::wire::PartnerType;

const FAY: &str = FRIENDS[0];
const UMA: &str = FRIENDS[2];

fn entry(world: &World, user: &str, contact: &str) -> (bool, bool, bool, bool, bool) {
    let entry = world.state.entry(&bare(user), &bare(contact));
    (entry.listed, entry.to, entry.from, entry.asked, entry.asks)
}

fn reload(world: &mut World, directory: crate::directory::Directory) -> Vec<String> {
    let actions = world.state.reload(directory);
    shown(&actions)
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
fn subscriptions_are_refreshed_and_silent_contacts_go() {
    let mut world = World::new(directory());
    assert_eq!(world.state.due(), None, "nobody is there");
    world = World::busy(subscribed(Subscription::Both));
    let interval = world.state.directory().rules.refresh;
    assert_eq!(interval, Duration::from_secs(28_800));
    let due = world.state.due().expect("Ana is there");
    assert_eq!(due, world.now + interval);
    world.gets(&format!("<presence from='{FAY}/r' to='{ANA}'/>"));
    world.gets(&format!("<presence from='{UMA}/r' to='{ANA}'/>"));
    assert_eq!(world.state.refresh(due - Duration::from_secs(1)), []);
    let first = shown(&world.state.refresh(due));
    assert_eq!(first.len(), 6, "{first:#?}");
    assert_eq!(
        first.iter().filter(|line| line.contains("'probe'")).count(),
        3
    );
    // Fay answers, Uma does not.
    world.now = due + Duration::from_secs(1);
    world.gets(&format!("<presence from='{FAY}/r' to='{ANA}'/>"));
    let second = shown(&world.state.refresh(due + interval));
    let gone: Vec<&String> = second
        .iter()
        .filter(|line| line.starts_with("to "))
        .collect();
    assert_eq!(
        gone,
        [&format!(
            "to {ANA} <presence from='{UMA}/r' to='{ANA}' type='unavailable'/>"
        )]
    );
    let third = shown(&world.state.refresh(due + interval * 2));
    let gone: Vec<&String> = third
        .iter()
        .filter(|line| line.starts_with("to "))
        .collect();
    assert_eq!(
        gone,
        [&format!(
            "to {ANA} <presence from='{FAY}/r' to='{ANA}' type='unavailable'/>"
        )]
    );
}

#[test]
fn a_request_without_an_answer_is_repeated() {
    let mut world = World::busy(directory());
    world.says(ANA, &format!("<presence type='subscribe' to='{FAY}'/>"));
    let due = world.state.due().expect("Ana is there");
    let repeated = format!("out <presence from='{ANA}' to='{FAY}' type='subscribe'/>");
    assert!(shown(&world.state.refresh(due)).contains(&repeated));
}

#[test]
fn presence_is_withdrawn_when_a_partner_is_removed() {
    let mut world = World::busy(subscribed(Subscription::Both));
    world.gets(&format!("<presence from='{FAY}/r' to='{ANA}'/>"));
    world.gets("<presence type='subscribe' from='s@federated.example' to='ben@contoso.com'/>");
    let mut without = subscribed(Subscription::Both);
    without
        .partners
        .retain(|_, kind| *kind != PartnerType::Federated);
    assert_eq!(
        reload(&mut world, without.clone()),
        [
            format!("to {ANA} <presence from='{FAY}/r' to='{ANA}' type='unavailable'/>"),
            format!("out <presence from='{ANA}/x' to='{FAY}' type='unavailable'/>"),
            format!("out <presence from='{ANA}' to='{FAY}' type='unsubscribed'/>"),
            format!("out <presence from='{ANA}' to='{FAY}' type='unsubscribe'/>"),
            format!("out <presence from='{BEN}/x' to='s@federated.example' type='unavailable'/>"),
            format!("out <presence from='{BEN}' to='s@federated.example' type='unsubscribed'/>"),
        ]
    );
    assert!(world.state.take_changed());
    assert_eq!(reload(&mut world, without), [""; 0], "once is enough");
}

#[test]
fn access_that_is_taken_hides_and_access_that_is_given_shows() {
    let mut world = World::busy(subscribed(Subscription::Both));
    let mut closed = subscribed(Subscription::Both);
    closed.policies = Policies::default();
    let hidden = reload(&mut world, closed);
    assert_eq!(hidden.len(), 3, "{hidden:#?}");
    assert!(
        hidden
            .iter()
            .all(|line| line.contains("type='unavailable'")),
        "{hidden:#?}"
    );
    let shown = reload(&mut world, subscribed(Subscription::Both));
    assert_eq!(
        shown.iter().filter(|line| line.contains("'probe'")).count(),
        3,
        "{shown:#?}"
    );
    assert_eq!(
        shown
            .iter()
            .filter(|line| line.contains("<show>dnd</show>"))
            .count(),
        3
    );
}

#[test]
fn a_partner_that_becomes_unverified_keeps_its_listed_contacts_only() {
    let mut world = World::busy(subscribed(Subscription::Both));
    world.gets("<presence type='subscribe' from='s@federated.example' to='ana@contoso.com'/>");
    let mut strict = subscribed(Subscription::Both);
    strict
        .partners
        .values_mut()
        .for_each(|kind| *kind = PartnerType::PublicUnverified);
    assert_eq!(
        reload(&mut world, strict),
        [
            "out <presence from='ana@contoso.com/x' to='s@federated.example' type='unavailable'/>",
            "out <presence from='ana@contoso.com' to='s@federated.example' type='unsubscribed'/>",
        ]
    );
    assert!(entry(&world, ANA, FAY).2);
}

#[test]
fn configuration_counts_where_it_changes_and_else_what_happened_since() {
    let mut world = World::busy(subscribed(Subscription::Both));
    world.gets(&format!(
        "<presence type='unsubscribed' from='{FAY}' to='{ANA}'/>"
    ));
    world.says(
        ANA,
        "<presence type='subscribe' to='new@federated.example'/>",
    );
    // A restart with the same configuration.
    let saved = world.state.roster().clone();
    let (state, actions) = State::new(subscribed(Subscription::Both), saved.clone());
    assert_eq!(actions, []);
    assert_eq!(*state.roster(), saved);
    // A restart with another one.
    let mut other = subscribed(Subscription::Both);
    let ana = other.users.get_mut(&bare(ANA)).expect("Ana");
    ana.contacts.insert(bare(FAY), Subscription::To);
    ana.contacts.remove(&bare(UMA));
    let (state, actions) = State::new(other.clone(), saved.clone());
    let texts = shown(&actions);
    assert_eq!(
        texts,
        [
            format!("out <presence from='{ANA}' to='{UMA}' type='unsubscribed'/>"),
            format!("out <presence from='{ANA}' to='{UMA}' type='unsubscribe'/>"),
            format!("out <presence from='{ANA}' to='{FAY}' type='unsubscribed'/>"),
        ]
    );
    assert!(
        state
            .roster()
            .get(&bare(ANA), &bare(FAY))
            .is_some_and(|entry| entry.to)
    );
    assert!(
        state
            .roster()
            .get(&bare(ANA), &bare("new@federated.example"))
            .is_some()
    );
    // A user who is gone.
    other.users.remove(&bare(ANA));
    let (state, actions) = State::new(other, saved);
    assert_eq!(*state.roster(), Roster::default());
    assert!(actions.len() > 4, "{actions:?}");
}

#[test]
fn contact_lists_are_bounded() {
    let mut small = directory();
    small.rules.contacts = 3;
    let mut world = World::busy(small);
    let request = "<presence type='subscribe' from='s@federated.example' to='ana@contoso.com'/>";
    assert_eq!(in_short(&world.gets(request)), "resource-constraint");
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
