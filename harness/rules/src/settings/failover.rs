//! A pool of two, the first of which goes: by a stop in order, or from one moment to the next. Partners find the other
//! one, it verifies the keys of the first, and no stanza is lost without a word.

use std::sync::Arc;
use std::time::Duration;

use simulated_partners::board::Begins;
use simulated_partners::event::ConnectionKind;
use simulated_partners::persona::Tls;
use simulated_partners::reaction::{Await, Capture, Do, Stage, When};
use simulated_partners::wire::Unit;
use strum::{Display, VariantArray};

use super::draft::{
    Draft, at, delivered, exactly, from_contact, message, never, on, partner, raise, send, stanza,
    to_contact, wait_for, with,
};
use crate::case::{
    Access, Case, Direction, Expect, Need, PartnerType, Role, Rule, Scope, Sees, Set, Settings,
    Users, What,
};
use crate::requirement::Level;

static REACHED: Rule = Rule {
    id: "failover.partner",
    clause: "Lync Server 2013, setting up XMPP federation, step 23",
    level: Level::Must,
    says: "When the pool of the first priority is down, partners reach the other one, without another SRV record.",
};
static ARRIVES: Rule = Rule {
    id: "failover.arrives",
    clause: "Lync Server 2013, setting up XMPP federation, step 23; RFC 6120 §4.4, XEP-0198 §4",
    level: Level::Derived,
    says: "What a partner sends while a member goes is delivered, and once unless the partner had to send it again.",
};
static VERIFIED: Rule = Rule {
    id: "failover.dialback",
    clause: "Set-CsXmppGatewayConfiguration, DialbackPassphrase; XEP-0185 §2",
    level: Level::Derived,
    says: "A member verifies the keys of the other one, since all share the passphrase.",
};
static NOT_LOST: Rule = Rule {
    id: "failover.not-lost",
    clause: "RFC 6120 §8.1.2.1, §10.1; RFC 6121 §8.1",
    level: Level::Derived,
    says: "What a user sends while a member goes is not delivered twice, and returned unless it is delivered.",
};

pub(super) fn rules() -> impl Iterator<Item = &'static Rule> {
    [&REACHED, &ARRIVES, &VERIFIED, &NOT_LOST].into_iter()
}

/// How far a stream has come when the first member goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, VariantArray)]
#[strum(serialize_all = "kebab-case")]
enum Phase {
    /// There is no connection yet.
    BeforeTcp,
    /// There is a connection, and nothing was said.
    Connected,
    /// The headers were exchanged.
    Header,
    /// TLS is about to begin.
    Tls,
    /// EXTERNAL is under way.
    Sasl,
    /// A dialback key was sent, and its answer is awaited.
    Dialback,
    /// The stream is established, and stanzas are under way.
    Established,
}

/// What the partner does where the first member goes. One that is stopped in order closes its streams and waits for
/// partners to do so: they do not go on, so that nothing crosses that.
fn as_it_goes(way: Way, last: Do) -> Vec<Do> {
    match way {
        Way::Dies => vec![raise(NOW), wait_for(GONE), last],
        Way::Stops => vec![raise(NOW), Do::NoReply],
    }
}

/// How it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, VariantArray)]
#[strum(serialize_all = "kebab-case")]
enum Way {
    Dies,
    Stops,
}

impl Way {
    fn what(self) -> What {
        match self {
            Self::Dies => What::Die,
            Self::Stops => What::Stop,
        }
    }
}

const FIRST: &str = "{probe}";
const NEXT: &str = "{probe}-2";
const LAST: &str = "{probe}-3";
const NOW: &str = "now";
/// Longer than a gateway waits for a member to come back.
const GIVEN_UP: Duration = Duration::from_secs(120);
const GONE: &str = "done-1";
const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3'/>";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &way in Way::VARIANTS {
        for &phase in Phase::VARIANTS {
            cases.push(dials_in(way, phase));
            cases.push(sends_in(way, phase));
            cases.push(is_dialled(way, phase));
        }
        cases.push(key_of_the_first(way));
    }
    cases
}

fn draft(id: &str, rule: &'static Rule, direction: Direction) -> Draft {
    Draft::of(Set::Failover, id, rule, direction).set_to(Settings {
        kind: Some(PartnerType::Federated),
        users: Some(Users {
            has_contact: true,
            policies: vec![(Scope::Global, Access::ENOUGH)],
            by_invitation: false,
            public_needs_cloud: false,
        }),
        ..Settings::default()
    })
}

/// The partner, dialling in; without EXTERNAL where dialback is the point.
fn offering(role: &mut Role, phase: Phase) {
    let offer = &mut Arc::make_mut(&mut role.persona).offer;
    offer.external = phase != Phase::Dialback;
}

/// Where the partner stands when the first member goes, as the one who dials.
fn point_in(phase: Phase) -> Option<(When, Option<Stage>)> {
    Some(match phase {
        Phase::BeforeTcp => return None,
        Phase::Connected => (When::Connected, None),
        Phase::Header => (When::FeaturesReceived, Some(Stage::Clear)),
        Phase::Tls => (When::ProceedReceived, None),
        Phase::Sasl => (When::FeaturesReceived, Some(Stage::Secured)),
        // The target asks about the key.
        Phase::Dialback => (When::DbVerify, None),
        Phase::Established => (When::Established, None),
    })
}

/// The partner dials the first member, which goes, and then the other one.
fn dials_in(way: Way, phase: Phase) -> Case {
    let id = format!("partner-dials/{way}/{phase}");
    let draft = draft(&id, &REACHED, Direction::Inbound);
    let say = vec![from_contact("{domain}", FIRST)];
    dials_both(draft, way, phase, say, &[NEXT])
        .expecting([exactly(delivered(NEXT), 1)])
        .case()
}

/// The partner has one message, and sends it to the other member unless the first one has it for sure.
fn sends_in(way: Way, phase: Phase) -> Case {
    let id = format!("partner-sends/{way}/{phase}");
    let draft = draft(&id, &ARRIVES, Direction::Inbound);
    let first = from_contact("{domain}", FIRST);
    let once = exactly(delivered(FIRST), 1);
    match (phase, way) {
        // It wants an acknowledgement, and has none yet.
        (Phase::Established, Way::Dies) => {
            let say = vec![send(ENABLE), first];
            dials_both(draft, way, phase, say, &[FIRST, NEXT])
                .changed(|script| script.needs.push(Need::StreamManagement))
                .expecting([delivered(FIRST), exactly(delivered(NEXT), 1)])
        }
        // What comes before the closing tag has been taken.
        (Phase::Established, Way::Stops) => {
            dials_both(draft, way, phase, vec![first], &[NEXT]).expecting([once, delivered(NEXT)])
        }
        (_, _) => dials_both(draft, way, phase, Vec::new(), &[FIRST]).expecting([once]),
    }
    .case()
}

/// The partner dials the first member, says this once it is let in, and then dials the other one with these messages.
fn dials_both(draft: Draft, way: Way, phase: Phase, mut say: Vec<Do>, next: &[&str]) -> Draft {
    let inbound = ConnectionKind::Inbound;
    let draft = match point_in(phase) {
        // It goes before anybody comes: nothing has to be waited for.
        None => draft
            .first(way.what())
            .changed(|script| script.roles[0].dials = Begins::When(GONE.to_owned())),
        Some((When::Established, _)) => {
            say.extend(as_it_goes(way, Do::Await(Await::Nothing)));
            draft.then(NOW, way.what()).once_established(say)
        }
        Some((when, stage)) => {
            let kind = match when {
                When::DbVerify => ConnectionKind::Outbound,
                _ => inbound,
            };
            let does = match (way, when) {
                // Whoever has asked for TLS has to go on with it.
                (Way::Stops, When::ProceedReceived) => vec![raise(NOW), Do::Proceed],
                _ => as_it_goes(way, Do::Proceed),
            };
            let mut here = on(when, kind, does);
            here.stage = stage;
            here.connection = Some(1);
            draft.then(NOW, way.what()).reacting(here)
        }
    };
    draft
        .changed(|script| offering(&mut script.roles[0], phase))
        .beside("again", |role| {
            role.serves = false;
            role.other_member = true;
            role.dials = Begins::When(GONE.to_owned());
            let mut persona = partner();
            let reactions = &mut Arc::make_mut(&mut persona).reactions;
            let mut say: Vec<Do> = next.iter().map(|id| from_contact("{domain}", id)).collect();
            say.push(Do::Await(Await::Nothing));
            reactions.push(on(When::Established, inbound, say));
            role.persona = persona;
            offering(role, phase);
        })
}

/// Where the target stands when it goes, as the partner sees it.
fn point_out(phase: Phase) -> Option<(When, Option<Stage>)> {
    Some(match phase {
        Phase::BeforeTcp => return None,
        Phase::Connected => (When::Header, Some(Stage::Clear)),
        Phase::Header => (When::Starttls, None),
        Phase::Tls => (When::ProceedSent, None),
        Phase::Sasl => (When::Auth, None),
        Phase::Dialback => (When::DbResult, None),
        Phase::Established => (When::Stanza, None),
    })
}

/// The user sends to the partner by way of the first member, which goes.
fn is_dialled(way: Way, phase: Phase) -> Case {
    let id = format!("user-sends/{way}/{phase}");
    let draft = draft(&id, &NOT_LOST, Direction::Outbound).changed(|script| {
        let main = &mut script.roles[0];
        offering(main, phase);
        // It has keys verified where SRV records lead to when the first member is gone.
        main.other_member = true;
    });
    let draft = match point_out(phase) {
        None => draft
            .first(way.what())
            .local(Some(GONE), to_contact("{domain}", FIRST)),
        Some((when, stage)) => {
            let last = match when {
                When::Stanza => Do::NoReply,
                _ => Do::Proceed,
            };
            let does = match (way, when) {
                // Whoever has agreed to TLS has to go on with it.
                (Way::Stops, When::ProceedSent) => vec![raise(NOW), Do::Proceed],
                _ => as_it_goes(way, last),
            };
            let mut here = on(when, ConnectionKind::Outbound, does);
            here.stage = stage;
            here.connection = Some(1);
            draft
                .then(NOW, way.what())
                .local(None, to_contact("{domain}", FIRST))
                .reacting(here)
        }
    };
    let once = |id: &str, other: Expect| {
        let other = Expect {
            or: vec![other],
            ..message(id)
        };
        [other, at_most_once(id)]
    };
    let returned = |id: &str| with(stanza(Sees::Returned, id), "type", "error");
    // What a member that died had not passed on comes back when the gateway gives it up.
    let draft = match way {
        Way::Dies => draft.lasting(GIVEN_UP),
        Way::Stops => draft,
    };
    // A user who gets it back tries again, which goes by way of the other member.
    let draft = draft
        .local(Some("returned"), to_contact("{domain}", NEXT))
        .expecting(once(FIRST, message(NEXT)))
        .expecting([at_most_once(NEXT)]);
    match phase {
        Phase::Established => draft
            .local(Some(GONE), to_contact("{domain}", LAST))
            .expecting(once(LAST, returned(LAST)))
            .case(),
        _ => draft.case(),
    }
}

fn at_most_once(id: &str) -> Expect {
    Expect {
        at_most: Some(1),
        ..message(id)
    }
}

/// A key that the first member has made is verified by the other one, while the first goes.
fn key_of_the_first(way: Way) -> Case {
    let id = format!("key-of-the-first/{way}");
    let key = vec![
        Do::Capture(Capture {
            name: "made".to_owned(),
            value: "{key}".to_owned(),
            secret: None,
        }),
        Do::Capture(Capture {
            name: "stream".to_owned(),
            value: "{stream-id}".to_owned(),
            secret: None,
        }),
        raise(NOW),
        Do::NoReply,
    ];
    let ask = vec![
        Do::Send(
            "<db:verify from='{domain}' to='{target}' id='{stream}'>{made}</db:verify>".to_owned(),
        ),
        Do::Await(Await::Answer),
    ];
    let answer = with(Expect::new(Sees::Unit(Unit::DbVerify)), "type", "valid");
    let answer = at(with(answer, "id", "{stream}"), "asker");
    let wrong = with(Expect::new(Sees::Unit(Unit::DbVerify)), "type", "invalid");
    draft(&id, &VERIFIED, Direction::Outbound)
        .then(NOW, way.what())
        .changed(|script| {
            let offer = &mut Arc::make_mut(&mut script.roles[0].persona).offer;
            (offer.external, offer.tls) = (false, Tls::None);
        })
        .local(None, to_contact("{domain}", FIRST))
        .reacting(on(When::DbResult, ConnectionKind::Outbound, key))
        .beside("asker", |role| {
            role.serves = false;
            role.other_member = true;
            role.dials = Begins::When(GONE.to_owned());
            let persona = Arc::make_mut(&mut role.persona);
            (persona.offer.external, persona.offer.tls) = (false, Tls::None);
            persona
                .reactions
                .push(on(When::FeaturesReceived, ConnectionKind::Inbound, ask));
        })
        .expecting([answer, never(at(wrong, "asker"))])
        .case()
}
