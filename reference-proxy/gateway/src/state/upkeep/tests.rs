//! What time and a new configuration do, over several steps.

use std::time::Duration;

use reference_proxy::wire::PartnerType;

use super::super::State;
use super::super::fixture::{ANA, BEN, FRIENDS, World, bare, directory, shown, subscribed};
use crate::directory::{Directory, PublicVerified, Subscription};
use crate::policy::Policies;
use crate::roster::Roster;

const FAY: &str = FRIENDS[0];
const UMA: &str = FRIENDS[2];

fn reload(world: &mut World, directory: Directory) -> Vec<String> {
    let actions = world.state.reload(directory);
    shown(&actions)
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
fn after_an_interruption_everybody_is_asked_and_nobody_gone() {
    let mut world = World::busy(subscribed(Subscription::Both));
    world.gets(&format!("<presence from='{FAY}/r' to='{ANA}'/>"));
    world.now += Duration::from_secs(60);
    let announced = shown(&world.state.announce(world.now));
    assert_eq!(announced.len(), 6, "{announced:#?}");
    assert!(
        announced.iter().all(|line| line.starts_with("out ")),
        "{announced:#?}"
    );
    let due = world.state.due().expect("Ana is there");
    assert_eq!(due, world.now + Duration::from_secs(28_800));
}

#[test]
fn presence_without_a_subscription_is_taken_back_from_who_may_not_see_it_any_more() {
    let directed = format!("<presence to='{FAY}/r'/>");
    let gone = format!("out <presence from='{ANA}/x' to='{FAY}/r' type='unavailable'/>");
    let mut without_access = directory();
    without_access.policies = Policies::default();
    let mut without_partner = directory();
    without_partner.partners.clear();
    for lesser in [without_access, without_partner] {
        let mut world = World::busy(directory());
        assert_eq!(world.says(ANA, &directed).len(), 1);
        assert_eq!(
            reload(&mut world, lesser)
                .iter()
                .filter(|line| **line == gone)
                .count(),
            1
        );
        assert_eq!(
            reload(&mut world, directory())
                .iter()
                .filter(|line| **line == gone)
                .count(),
            0
        );
        let left = shown(&world.state.sign_out(&bare(ANA), "x"));
        assert!(!left.contains(&gone), "{left:#?}");
    }
    // An unverified contact is seen by nobody whose list it is not on.
    let mut world = World::busy(directory());
    world.says(ANA, &format!("<presence to='{UMA}/r'/>"));
    let removed = world.says(ANA, &format!("<presence type='unsubscribe' to='{UMA}'/>"));
    let gone = gone.replace(FAY, UMA);
    assert!(removed.contains(&gone), "{removed:#?}");
}

#[test]
fn a_contact_keeps_its_subscription_while_a_user_has_no_access() {
    let mut world = World::busy(subscribed(Subscription::Both));
    let mut without_access = subscribed(Subscription::Both);
    without_access.policies = Policies::default();
    reload(&mut world, without_access);
    let probe = format!("<presence type='probe' from='{FAY}' to='{ANA}'/>");
    let absent = format!("out <presence from='{ANA}' to='{FAY}' type='unavailable'/>");
    assert_eq!(world.gets(&probe), [absent]);
    let stranger = "<presence type='probe' from='s@federated.example' to='ana@contoso.com'/>";
    assert!(world.gets(stranger)[0].contains("'unsubscribed'"));
}

#[test]
fn who_has_asked_is_answered_when_the_configuration_lets_it_see_the_user() {
    let by_invitation = |contacts: &[(&str, Subscription)]| {
        let mut directory = directory();
        directory.rules.public_verified = PublicVerified::ByInvitation;
        let ben = directory.users.get_mut(&bare(BEN)).expect("a user");
        let contacts = contacts
            .iter()
            .map(|(contact, wanted)| (bare(contact), *wanted));
        ben.contacts = contacts.collect();
        directory
    };
    let asker = "s@verified.example";
    let asks = format!("<presence type='subscribe' from='{asker}' to='{BEN}'/>");
    let accepted = format!("out <presence from='{BEN}' to='{asker}' type='subscribed'/>");
    let mut world = World::busy(by_invitation(&[]));
    world.gets(&asks);
    let told = reload(&mut world, by_invitation(&[(asker, Subscription::From)]));
    assert_eq!(told.first(), Some(&accepted), "{told:#?}");
    assert!(told.len() > 1, "and sees the user: {told:#?}");
    let mut world = World::busy(by_invitation(&[]));
    world.gets(&asks);
    assert!(!reload(&mut world, by_invitation(&[(asker, Subscription::To)])).contains(&accepted));
    let answer = world.says(BEN, &format!("<presence type='subscribed' to='{asker}'/>"));
    assert_eq!(
        answer.first(),
        Some(&accepted),
        "the user may still: {answer:#?}"
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
fn a_configured_contact_is_asked_again_when_its_partner_is_back() {
    let with = subscribed(Subscription::Both);
    let mut world = World::busy(with.clone());
    let mut without = with.clone();
    without
        .partners
        .retain(|_, kind| *kind != PartnerType::Federated);
    reload(&mut world, without);
    let (ana, fay) = (bare(ANA), bare(FAY));
    let entry = world.state.entry(&ana, &fay);
    assert!(entry.listed && entry.asked, "{entry:?}");
    assert!(!entry.to && !entry.from, "the partner knows of neither");
    let subscribe = format!("out <presence from='{ANA}' to='{FAY}' type='subscribe'/>");
    assert_eq!(reload(&mut world, with), [subscribe]);
}

#[test]
fn a_contact_that_the_user_has_taken_off_the_list_stays_off() {
    let mut world = World::busy(subscribed(Subscription::Both));
    world.says(ANA, &format!("<presence type='unsubscribe' to='{FAY}'/>"));
    let mut unverified = subscribed(Subscription::Both);
    for kind in unverified.partners.values_mut() {
        *kind = PartnerType::PublicUnverified;
    }
    reload(&mut world, unverified);
    let entry = world.state.entry(&bare(ANA), &bare(FAY));
    assert!(!entry.listed && !entry.to && !entry.from, "{entry:?}");
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
    assert!(world.state.entry(&bare(ANA), &bare(FAY)).from);
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
fn presence_is_repeated_without_its_note_when_a_partner_becomes_public() {
    let mut world = World::busy(subscribed(Subscription::From));
    world.says(
        ANA,
        "<presence><show>away</show><status>secret</status></presence>",
    );
    for (kind, told) in [
        (PartnerType::Federated, 0),
        (PartnerType::PublicVerified, 1),
        (PartnerType::PublicUnverified, 0),
    ] {
        let mut changed = subscribed(Subscription::From);
        changed
            .partners
            .values_mut()
            .filter(|one| **one == PartnerType::Federated)
            .for_each(|one| *one = kind);
        let repeated = reload(&mut world, changed);
        let again = format!("out <presence from='{ANA}/x' to='{FAY}'><show>away</show></presence>");
        assert_eq!(repeated, vec![again; told], "{kind}");
    }
}
