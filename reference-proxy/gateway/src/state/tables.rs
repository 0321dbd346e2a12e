//! What passes between whom: each type of partner, each contact, each stanza, both directions.

use std::fmt::Write as _;

use insta::assert_snapshot;
use reference_proxy::wire::PartnerType;
use rstest::rstest;

use super::fixture::{
    ANA, BEN, FRIENDS, STRANGERS, World, bare, directory, everything, in_short, subscribed,
};
use crate::directory::{Directory, PublicVerified, Subscription};
use crate::policy::{Policies, Policy, Scope};
use crate::refusal::Refusal;

/// What a contact sends to Ana.
const INBOUND: [(&str, &str); 12] = [
    (
        "message",
        "<message from='F/r' to='T'><body>x</body></message>",
    ),
    (
        "groupchat",
        "<message type='groupchat' from='F/r' to='T'><body>x</body></message>",
    ),
    (
        "invitation",
        "<message from='F/r' to='T'><x xmlns='jabber:x:conference' jid='r@c.example'/></message>",
    ),
    (
        "join",
        "<presence from='F/r' to='T'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
    ),
    ("subscribe", "<presence type='subscribe' from='F' to='T'/>"),
    ("probe", "<presence type='probe' from='F' to='T'/>"),
    (
        "presence",
        "<presence from='F/r' to='T'><show>away</show></presence>",
    ),
    (
        "status note",
        "<presence from='F/r' to='T'><status>x</status></presence>",
    ),
    (
        "subscribed",
        "<presence type='subscribed' from='F' to='T'/>",
    ),
    (
        "query",
        "<iq type='get' id='1' from='F/r' to='T'><q xmlns='jabber:iq:version'/></iq>",
    ),
    (
        "error",
        "<message type='error' from='F' to='T'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
    ),
    ("result", "<iq type='result' id='1' from='F' to='T'/>"),
];

/// What Ana sends to a contact.
const OUTBOUND: [(&str, &str); 9] = [
    ("message", "<message to='T'><body>x</body></message>"),
    (
        "groupchat",
        "<message type='groupchat' to='T'><body>x</body></message>",
    ),
    (
        "invitation",
        "<message to='T'><x xmlns='jabber:x:conference' jid='r@c.example'/></message>",
    ),
    (
        "join",
        "<presence to='T/ana'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
    ),
    ("subscribe", "<presence type='subscribe' to='T'/>"),
    ("unsubscribe", "<presence type='unsubscribe' to='T'/>"),
    ("presence", "<presence to='T'><show>away</show></presence>"),
    (
        "status note",
        "<presence to='T'><status>x</status></presence>",
    ),
    (
        "query",
        "<iq type='get' id='1' to='T'><q xmlns='jabber:iq:version'/></iq>",
    ),
];

/// A table of what becomes of each stanza with each contact. Each cell has a world of its own.
fn table(directory: &Directory) -> String {
    let mut text = String::new();
    let mut row = |title: &str, cells: [&str; 3]| {
        let [federated, verified, unverified] = cells;
        let line = format!("{title:<15} | {federated:<23} | {verified:<23} | {unverified}");
        writeln!(text, "{line}").expect("text");
    };
    for (title, contacts) in [("a contact", FRIENDS), ("a stranger", STRANGERS)] {
        row(title, ["federated", "verified", "unverified"]);
        for (name, stanza) in INBOUND {
            let cells = contacts.map(|contact| {
                let stanza = stanza.replace("'F", &format!("'{contact}"));
                let stanza = stanza.replace("'T'", &format!("'{ANA}'"));
                cell(name, &World::busy(directory.clone()).gets(&stanza))
            });
            row(&format!("in {name}"), cells.each_ref().map(String::as_str));
        }
        for (name, stanza) in OUTBOUND {
            let cells = contacts.map(|contact| {
                let stanza = stanza.replace("'T", &format!("'{contact}"));
                cell(name, &World::busy(directory.clone()).says(ANA, &stanza))
            });
            row(&format!("out {name}"), cells.each_ref().map(String::as_str));
        }
    }
    text
}

fn cell(name: &str, lines: &[String]) -> String {
    let has_note = lines.iter().any(|line| line.contains("<status>"));
    match name {
        "error" if !lines.is_empty() => "passes".to_owned(),
        "status note" if has_note => "passes with note".to_owned(),
        _ => in_short(lines),
    }
}

#[test]
fn who_may_do_what_without_a_subscription() {
    assert_snapshot!(table(&directory()));
}

#[test]
fn who_may_do_what_with_subscriptions_both_ways() {
    assert_snapshot!(table(&subscribed(Subscription::Both)));
}

#[test]
fn who_may_do_what_where_verified_contacts_have_to_be_let_in() {
    let mut directory = directory();
    directory.rules.public_verified = PublicVerified::ByInvitation;
    assert_snapshot!(table(&directory));
}

#[test]
fn who_may_do_what_without_access() {
    let mut directory = subscribed(Subscription::Both);
    directory.policies = Policies::default();
    assert_snapshot!(table(&directory));
}

/// Each set of three switches, in each scope, above each set in the next scope below.
#[test]
fn the_narrowest_policy_decides_alone() {
    let sets: Vec<Option<Policy>> = (0..8)
        .map(|bits| {
            Some(Policy {
                federation: bits & 1 != 0,
                xmpp: bits & 2 != 0,
                public_cloud: bits & 4 != 0,
            })
        })
        .chain([None])
        .collect();
    let (granted, site) = (
        Scope::User("fedpic".to_owned()),
        Scope::Site("madrid".to_owned()),
    );
    for (global, at_site, of_user) in combinations(&sets) {
        for needs_public_cloud in [false, true] {
            let mut directory = directory();
            directory.rules.public_needs_public_cloud = needs_public_cloud;
            directory.policies = Policies::default();
            for (scope, policy) in [
                (&Scope::Global, global),
                (&site, at_site),
                (&granted, of_user),
            ] {
                if let Some(policy) = policy {
                    directory.policies.add(scope.clone(), policy);
                }
            }
            let user = directory.users.get_mut(&bare(ANA)).expect("Ana");
            user.site = Some(site.clone());
            user.policy = Some(granted.clone());
            let counts = of_user.or(at_site).or(global).unwrap_or_default();
            for contact in FRIENDS.map(bare) {
                let kind = directory.partners[contact.domain()];
                let wants_cloud = needs_public_cloud && kind != PartnerType::Federated;
                let allowed =
                    counts.federation && counts.xmpp && (counts.public_cloud || !wants_cloud);
                let access = directory.access(&bare(ANA), contact.domain());
                assert_eq!(access.is_ok(), allowed, "{counts:?} {kind} {access:?}");
            }
        }
    }
}

fn combinations(
    sets: &[Option<Policy>],
) -> impl Iterator<Item = (Option<Policy>, Option<Policy>, Option<Policy>)> {
    sets.iter().flat_map(move |a| {
        sets.iter()
            .flat_map(move |b| sets.iter().map(move |c| (*a, *b, *c)))
    })
}

#[rstest]
#[case::federation(|policy: &mut Policy| policy.federation = false, Refusal::NoFederationAccess)]
#[case::xmpp(|policy: &mut Policy| policy.xmpp = false, Refusal::NoXmppAccess)]
#[case::cloud(|policy: &mut Policy| policy.public_cloud = false, Refusal::NoPublicCloudAccess)]
fn senders_are_told_what_a_user_lacks_and_partners_are_not(
    #[case] take: fn(&mut Policy),
    #[case] why: Refusal,
) {
    let mut directory = directory();
    directory.rules.public_needs_public_cloud = true;
    let mut policy = everything();
    take(&mut policy);
    directory.policies = Policies::default();
    directory.policies.add(Scope::Global, policy);
    let mut world = World::busy(directory);
    let out = world.says(ANA, "<message to='uma@unverified.example' id='1'/>");
    assert_eq!(in_short(&out), "forbidden");
    assert!(out[0].contains(&why.to_string()), "{out:?}");
    let text = format!("<message to='{ANA}' from='uma@unverified.example' id='1'/>");
    let denied = world.gets(&text);
    let nobody = world.gets(&text.replace("ana@", "nobody@"));
    assert_eq!(in_short(&denied), "service-unavailable");
    assert_eq!(denied[0].replace("ana@", "nobody@"), nobody[0]);
}

#[test]
fn users_of_a_branch_appliance_talk_to_nobody() {
    let mut directory = subscribed(Subscription::Both);
    directory
        .users
        .get_mut(&bare(ANA))
        .expect("Ana")
        .branch_appliance = true;
    let mut world = World::busy(directory);
    let out = world.says(
        ANA,
        "<message to='fay@federated.example'><body>x</body></message>",
    );
    assert_eq!(in_short(&out), "forbidden");
    assert!(out[0].contains("branch appliance"), "{out:?}");
    for (stanza, answer) in [
        (
            "<message from='fay@federated.example' to='ana@contoso.com'/>",
            "service-unavailable",
        ),
        (
            "<presence type='subscribe' from='fay@federated.example' to='ana@contoso.com'/>",
            "unsubscribed",
        ),
        (
            "<presence type='probe' from='fay@federated.example' to='ana@contoso.com'/>",
            "unavailable",
        ),
        (
            "<presence from='fay@federated.example' to='ana@contoso.com'/>",
            "nothing",
        ),
    ] {
        assert_eq!(in_short(&world.gets(stanza)), answer, "{stanza}");
        let other = world.gets(&stanza.replace("ana@", "ben@"));
        assert_ne!(in_short(&other), "service-unavailable", "{stanza}");
    }
    assert_eq!(
        in_short(&world.says(BEN, "<message to='fay@federated.example'/>")),
        "passes"
    );
}
