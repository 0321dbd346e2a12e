//! Two users, five contacts, and short words for what becomes of a stanza.

use reference_proxy::wire::{Domain, PartnerType, Stanza};
use tokio::time::Instant;

use super::{Action, Decision, Source, State};
use crate::address::Bare;
use crate::directory::{Directory, Subscription, User};
use crate::policy::{Policies, Policy, Scope};
use crate::roster::Roster;
use crate::session::stanza;

pub(super) const ANA: &str = "ana@contoso.com";
pub(super) const BEN: &str = "ben@contoso.com";
/// One contact of each type of partner that the configuration lists for Ana.
pub(super) const FRIENDS: [&str; 3] = [
    "fay@federated.example",
    "vic@verified.example",
    "uma@unverified.example",
];
/// One of each that nobody has added.
pub(super) const STRANGERS: [&str; 3] = [
    "s@federated.example",
    "s@verified.example",
    "s@unverified.example",
];

pub(super) fn bare(text: &str) -> Bare {
    Bare::user(text).expect("an address")
}

pub(super) fn everything() -> Policy {
    Policy {
        federation: true,
        xmpp: true,
        public_cloud: true,
    }
}

/// Ana has a friend with each partner, without subscriptions; Ben has nobody. All may talk to partners.
pub(super) fn directory() -> Directory {
    let mut policies = Policies::default();
    policies.add(Scope::Global, everything());
    let domain = |text: &str| Domain::parse(text).expect("a domain");
    let contacts = FRIENDS.map(|friend| (bare(friend), Subscription::None));
    let ana = User {
        contacts: contacts.into(),
        ..User::default()
    };
    Directory {
        domains: [domain("contoso.com")].into(),
        users: [(bare(ANA), ana), (bare(BEN), User::default())].into(),
        partners: [
            (domain("federated.example"), PartnerType::Federated),
            (domain("verified.example"), PartnerType::PublicVerified),
            (domain("unverified.example"), PartnerType::PublicUnverified),
        ]
        .into(),
        policies,
        ..Directory::default()
    }
}

/// The same with this subscription for each of Ana's friends.
pub(super) fn subscribed(subscription: Subscription) -> Directory {
    let mut directory = directory();
    for user in directory.users.values_mut() {
        user.contacts
            .values_mut()
            .for_each(|one| *one = subscription);
    }
    directory
}

/// A world with its time.
pub(super) struct World {
    pub(super) state: State,
    pub(super) now: Instant,
}

impl World {
    pub(super) fn new(directory: Directory) -> Self {
        let (state, actions) = State::new(directory, Roster::default());
        assert_eq!(actions, []);
        let now = Instant::now();
        Self { state, now }
    }

    /// A world in which Ana and Ben are signed in, and available.
    pub(super) fn busy(directory: Directory) -> Self {
        let mut world = Self::new(directory);
        for user in [ANA, BEN] {
            world.state.sign_in(&bare(user), "x").expect("a user");
            world.says(user, "<presence><show>dnd</show></presence>");
        }
        world
    }

    /// A partner sends this.
    pub(super) fn gets(&mut self, text: &str) -> Vec<String> {
        let stanza = stanza(text).expect("a stanza");
        told(&self.state.decide(Source::Partner, &stanza, self.now))
    }

    /// A user sends this.
    pub(super) fn says(&mut self, user: &str, text: &str) -> Vec<String> {
        let (user, stanza) = (bare(user), stanza(text).expect("a stanza"));
        let source = Source::User {
            user: &user,
            resource: "x",
        };
        told(&self.state.decide(source, &stanza, self.now))
    }
}

pub(super) fn told(decision: &Decision) -> Vec<String> {
    shown(&decision.actions)
}

pub(super) fn shown(actions: &[Action]) -> Vec<String> {
    let text = |stanza: &Stanza| String::from_utf8(stanza.bytes.clone()).expect("UTF-8");
    let all = actions.iter().map(|action| match action {
        Action::ToPartner(stanza) => format!("out {}", text(stanza)),
        Action::ToUser { user, stanza, .. } => format!("to {user} {}", text(stanza)),
    });
    all.collect()
}

/// What came of a stanza in a word or two: what went on, and what went back.
pub(super) fn in_short(lines: &[String]) -> String {
    if lines.is_empty() {
        return "nothing".to_owned();
    }
    let word = |line: &String| {
        let (_, stanza) = line.split_once('<').expect("a stanza");
        let head = stanza.split_once('>').map_or(stanza, |(head, _)| head);
        let type_ = head
            .split_once(" type='")
            .and_then(|(_, rest)| rest.split_once('\''));
        match type_.map(|(type_, _)| type_) {
            Some("error") => {
                let (_, condition) = stanza.split_once("'><").expect("an error");
                let condition = condition
                    .split_once("'><")
                    .map_or(condition, |(_, rest)| rest);
                condition.split(' ').next().unwrap_or_default().to_owned()
            }
            Some(type_) if head.starts_with("presence") => type_.to_owned(),
            Some(_) | None if stanza.contains("<show>") => "presence".to_owned(),
            Some(_) | None => "passes".to_owned(),
        }
    };
    let words: Vec<String> = lines.iter().map(word).collect();
    words.join(" + ")
}
