//! What holds whatever is sent, in whatever order.

use std::time::Duration;

use proptest::prelude::*;
use reference_proxy::wire::{Kind, PartnerType, Stanza};

use super::fixture::{ANA, BEN, FRIENDS, STRANGERS, World, bare, directory, shown};
use super::{Action, Source, State};
use crate::address::Address;
use crate::directory::PublicVerified;
use crate::policy::{Policies, Policy, Scope};
use crate::session::stanza;

#[derive(Clone, Debug)]
enum Step {
    In(String),
    Out(&'static str, String),
    SignIn(&'static str),
    SignOut(&'static str),
    Time(u64),
    /// Another configuration: the switches of the global policy, types of partners, rules.
    Reload(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let user = prop_oneof![Just(ANA), Just(BEN)];
    let contact = prop::sample::select([FRIENDS, STRANGERS].concat());
    let types = [
        "",
        "chat",
        "groupchat",
        "error",
        "unavailable",
        "subscribe",
        "subscribed",
        "unsubscribe",
        "unsubscribed",
        "probe",
        "get",
        "result",
        "odd",
    ];
    let type_ = prop::sample::select(types.to_vec());
    let kind = prop::sample::select(vec!["message", "presence", "presence", "presence", "iq"]);
    let content = prop::sample::select(vec![
        "",
        "<status>secret</status>",
        "<show>dnd</show><a:status xmlns:a='jabber:server'>secret</a:status>",
        "<body>x</body>",
        "<x xmlns='http://jabber.org/protocol/muc'/>",
    ]);
    let sent = (user, contact, type_, kind, content, any::<u8>());
    prop_oneof![
        8 => sent.prop_map(|(user, contact, type_, kind, content, bits)| {
            let type_ = match type_ {
                "" => String::new(),
                type_ => format!(" type='{type_}'"),
            };
            let inbound = bits & 1 != 0;
            let (from, to) = match (inbound, bits & 2 != 0) {
                (true, _) => (format!(" from='{contact}/r'"), format!(" to='{user}'")),
                (false, true) => (String::new(), format!(" to='{contact}'")),
                (false, false) => (String::new(), String::new()),
            };
            let text = format!("<{kind}{type_}{from}{to}>{content}</{kind}>");
            if inbound { Step::In(text) } else { Step::Out(user, text) }
        }),
        1 => prop_oneof![Just(ANA), Just(BEN)].prop_map(Step::SignIn),
        1 => prop_oneof![Just(ANA), Just(BEN)].prop_map(Step::SignOut),
        1 => (1..40_000_u64).prop_map(Step::Time),
        1 => any::<u8>().prop_map(Step::Reload),
    ]
}

fn changed(bits: u8) -> crate::directory::Directory {
    let mut directory = directory();
    directory.policies = Policies::default();
    let policy = Policy {
        federation: bits & 1 != 0,
        xmpp: bits & 2 != 0,
        public_cloud: bits & 4 != 0,
    };
    directory.policies.add(Scope::Global, policy);
    if bits & 8 != 0 {
        directory.rules.public_verified = PublicVerified::ByInvitation;
    }
    if bits & 16 != 0 {
        directory.partners.pop_first();
    }
    if bits & 32 != 0 {
        directory
            .partners
            .values_mut()
            .for_each(|kind| *kind = PartnerType::PublicUnverified);
    }
    directory
}

/// Checks what goes out against the state after the step.
fn check(state: &State, actions: &[Action], asked: Option<&Stanza>) {
    let is_error = asked.is_some_and(|stanza| stanza.type_.as_deref() == Some("error"));
    for (action, text) in actions.iter().zip(shown(actions)) {
        let (Action::ToPartner(sent) | Action::ToUser { stanza: sent, .. }) = action;
        let read = stanza(std::str::from_utf8(&sent.bytes).expect("UTF-8")).expect("well-formed");
        assert_eq!((&read.from, &read.to), (&sent.from, &sent.to), "{text}");
        let says_error = sent.type_.as_deref() == Some("error");
        let is_inbound = asked.is_some_and(|asked| asked.from.is_some());
        let goes_back = is_inbound == matches!(action, Action::ToPartner(_));
        assert!(
            !(is_error && says_error && goes_back),
            "an error is answered: {text}"
        );
        let Action::ToPartner(sent) = action else {
            continue;
        };
        let address = |text: &Option<String>| {
            Address::parse(text.as_deref().expect("an address")).expect("an address")
        };
        let (from, to) = (address(&sent.from), address(&sent.to));
        let kind = state.directory.partners.get(to.bare.domain());
        let may_talk = state.may_talk(&from.bare, &to.bare).is_ok();
        let noted = sent.kind == Kind::Presence && text.contains("secret");
        assert!(
            !noted || kind == Some(&PartnerType::Federated),
            "a note leaks: {text}"
        );
        match (sent.kind, sent.type_.as_deref()) {
            (Kind::Message, Some("error"))
            | (_, Some("error" | "result" | "unsubscribed" | "unsubscribe")) => {}
            (Kind::Presence, Some("unavailable")) => {}
            (Kind::Presence, None) => {
                let sees = state.entry(&from.bare, &to.bare).from;
                let directed =
                    asked.is_some_and(|asked| asked.to.is_some() && asked.type_.is_none());
                assert!(may_talk && (sees || directed), "presence leaks: {text}");
            }
            _ => assert!(may_talk, "{text}"),
        }
    }
}

proptest! {
    #[test]
    fn nothing_goes_where_it_may_not(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::busy(directory());
        for step in steps {
            match step {
                Step::In(text) => {
                    let sent = stanza(&text).expect("a stanza");
                    let decision = world.state.decide(Source::Partner, &sent, world.now);
                    check(&world.state, &decision.actions, Some(&sent));
                }
                Step::Out(user, text) => {
                    let (sent, user) = (stanza(&text).expect("a stanza"), bare(user));
                    let source = Source::User { user: &user, resource: "x" };
                    let decision = world.state.decide(source, &sent, world.now);
                    check(&world.state, &decision.actions, Some(&sent));
                }
                Step::SignIn(user) => world.state.sign_in(&bare(user), "x").expect("a user"),
                Step::SignOut(user) => {
                    let actions = world.state.sign_out(&bare(user), "x");
                    check(&world.state, &actions, None);
                }
                Step::Time(seconds) => {
                    world.now += Duration::from_secs(seconds);
                    let actions = world.state.refresh(world.now);
                    check(&world.state, &actions, None);
                    prop_assert!(world.state.due().is_none_or(|due| due > world.now));
                }
                Step::Reload(bits) => {
                    let actions = world.state.reload(changed(bits));
                    check(&world.state, &actions, None);
                }
            }
        }
        // A restart changes nothing.
        let saved = world.state.roster().clone();
        let (again, actions) = State::new(world.state.directory().clone(), saved.clone());
        prop_assert_eq!(actions, []);
        prop_assert_eq!(again.roster().all().count(), saved.all().count());
    }
}
