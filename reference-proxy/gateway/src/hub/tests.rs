//! The hub with queues in place of links and sessions.

use std::collections::BTreeSet;

use super::*;
use crate::directory::{Directory, User};
use crate::policy::{Policies, Policy, Scope};
use crate::session::stanza;
use reference_proxy::wire::{Domain, PartnerType, ReadError, Supervisor};

fn hub() -> (Hub, mpsc::Receiver<Roster>) {
    let mut policies = Policies::default();
    let policy = Policy {
        federation: true,
        xmpp: true,
        public_cloud: true,
    };
    policies.add(Scope::Global, policy);
    let domain = |text| Domain::parse(text).expect("a domain");
    let directory = Directory {
        domains: [domain("contoso.com")].into(),
        users: [(ana(), User::default())].into(),
        partners: [(domain("fabrikam.com"), PartnerType::Federated)].into(),
        policies,
        ..Directory::default()
    };
    let (save, rosters) = mpsc::channel(1);
    let state = State::new(directory, Roster::default());
    (
        Hub::new(state, Clock::default(), 4, save, watch::Sender::new(0)),
        rosters,
    )
}

fn ana() -> Bare {
    Bare::user("ana@contoso.com").expect("an address")
}

fn link(hub: &mut Hub, place: usize, room: usize) -> (LinkId, mpsc::Receiver<Stanza>) {
    let (queue, stanzas) = mpsc::channel(room);
    let id = LinkId {
        place,
        connection: 1,
    };
    let way = Way {
        queue,
        given: 0,
        through: watch::channel(0).1,
    };
    hub.take(Event::LinkUp(id, way));
    (id, stanzas)
}

fn session(hub: &mut Hub, room: usize) -> (SessionId, mpsc::Receiver<Stanza>) {
    let (queue, stanzas) = mpsc::channel(room);
    let (id, _) = hub.admit(ana(), None, queue).expect("signed in");
    (id, stanzas)
}

fn message(number: usize) -> Stanza {
    stanza(&format!("<message id='{number}' to='bob@fabrikam.com'/>")).expect("a stanza")
}

fn ids(stanzas: &mut mpsc::Receiver<Stanza>) -> Vec<String> {
    let all = std::iter::from_fn(|| stanzas.try_recv().ok());
    all.map(|stanza| stanza.id.unwrap_or_default()).collect()
}

#[test]
fn answers_go_back_on_their_link_and_the_rest_on_the_first() {
    let (mut hub, _rosters) = hub();
    let (second, mut at_second) = link(&mut hub, 1, 8);
    let (_, mut at_first) = link(&mut hub, 0, 8);
    let (id, _stanzas) = session(&mut hub, 8);
    let asked = stanza("<message id='q' from='bob@fabrikam.com' to='eve@contoso.com'/>");
    hub.take(Event::FromLink(second, asked.expect("a stanza")));
    hub.take(Event::FromSession(id, message(1)));
    assert_eq!(ids(&mut at_second), ["q"]);
    assert_eq!(ids(&mut at_first), ["1"]);
}

#[test]
fn what_a_lost_link_leaves_goes_to_the_next_or_back() {
    let (mut hub, _rosters) = hub();
    let (first, at_first) = link(&mut hub, 0, 8);
    let (second, mut at_second) = link(&mut hub, 1, 8);
    let (_, mut ana) = session(&mut hub, 8);
    let sent = message(1).addressed(Some("ana@contoso.com/session-1"), Some("bob@fabrikam.com"));
    let sent = sent.expect("a stanza");
    drop(at_first);
    hub.take(Event::LinkDown(first, vec![sent.clone()]));
    assert_eq!(ids(&mut at_second), ["1"]);
    hub.take(Event::LinkDown(second, vec![sent]));
    let error = ana.try_recv().expect("an error");
    assert_eq!(
        (error.type_.as_deref(), error.id.as_deref()),
        (Some("error"), Some("1"))
    );
}

#[test]
fn what_partners_are_owed_waits_for_a_link() {
    let (mut hub, _rosters) = hub();
    let request = "<presence type='subscribe' from='bob@fabrikam.com' to='ana@contoso.com'/>";
    let request = stanza(request).expect("a stanza");
    hub.state.decide(Source::Partner, &request, hub.clock.now());
    let mut without = hub.state.directory().clone();
    without.users.clear();
    hub.take(Event::Reload(Box::new(without)));
    let (_, mut stanzas) = link(&mut hub, 0, 8);
    assert_eq!(
        stanzas.try_recv().expect("owed").type_.as_deref(),
        Some("unsubscribed")
    );
}

#[test]
fn full_queues_are_told_and_never_waited_for() {
    let (mut hub, _rosters) = hub();
    let (_, _stanzas) = link(&mut hub, 0, 1);
    let (id, mut ana) = session(&mut hub, 2);
    for number in 0..2 {
        hub.take(Event::FromSession(id, message(number)));
    }
    let error = ana.try_recv().expect("an error");
    let text = String::from_utf8(error.bytes).expect("UTF-8");
    assert!(text.contains("<resource-constraint "), "{text}");
    for number in 2..5 {
        hub.take(Event::FromSession(id, message(number)));
    }
    assert!(
        hub.sessions.is_empty(),
        "a session that does not read is ended"
    );
}

#[test]
fn one_save_at_a_time_and_the_last_state_at_the_end() {
    let (mut hub, mut rosters) = hub();
    for number in 0..3 {
        let text = format!(
            "<presence type='subscribe' from='b{number}@fabrikam.com' to='ana@contoso.com'/>"
        );
        hub.state.decide(
            Source::Partner,
            &stanza(&text).expect("a stanza"),
            hub.clock.now(),
        );
        hub.save();
    }
    assert_eq!(rosters.try_recv().expect("saved").of(&ana()).count(), 1);
    assert!(rosters.try_recv().is_err(), "the first one is not done");
    hub.take(Event::Saved(true));
    hub.save();
    assert_eq!(rosters.try_recv().expect("saved").of(&ana()).count(), 3);
    hub.take(Event::Saved(true));
    hub.save();
    assert!(rosters.try_recv().is_err(), "nothing has changed");
}

#[test]
fn a_state_that_could_not_be_saved_is_tried_again() {
    let (mut hub, mut rosters) = hub();
    let asks = "<presence type='subscribe' from='bob@fabrikam.com' to='ana@contoso.com'/>";
    let asks = stanza(asks).expect("a stanza");
    hub.state.decide(Source::Partner, &asks, hub.clock.now());
    hub.save();
    assert_eq!(rosters.try_recv().expect("saved").of(&ana()).count(), 1);
    hub.take(Event::Saved(false));
    hub.save();
    assert!(rosters.try_recv().is_err(), "not at once");
    assert!(hub.save_again > Some(hub.clock.now()));
    hub.save_again = Some(hub.clock.now());
    hub.save();
    assert_eq!(rosters.try_recv().expect("again").of(&ana()).count(), 1);
    hub.take(Event::Saved(true));
    hub.save();
    assert!(rosters.try_recv().is_err(), "it is saved");
}

#[test]
fn presence_without_a_link_is_repeated_when_there_is_one() {
    let (mut hub, _rosters) = hub();
    let request = "<presence type='subscribe' from='bob@fabrikam.com' to='ana@contoso.com'/>";
    let request = stanza(request).expect("a stanza");
    hub.state.decide(Source::Partner, &request, hub.clock.now());
    let (id, mut ana) = session(&mut hub, 8);
    let presence = stanza("<presence><show>dnd</show></presence>").expect("a stanza");
    hub.take(Event::FromSession(id, presence));
    assert!(ana.try_recv().is_err(), "no error for it");
    let (_, mut stanzas) = link(&mut hub, 0, 8);
    let shown = stanzas.try_recv().expect("presence");
    assert_eq!(shown.to.as_deref(), Some("bob@fabrikam.com"));
}

#[test]
fn presence_is_taken_back_and_subscriptions_change_without_a_link_too() {
    let (mut hub, _rosters) = hub();
    let asks = "<presence type='subscribe' from='bob@fabrikam.com' to='ana@contoso.com'/>";
    let asks = stanza(asks).expect("a stanza");
    hub.state.decide(Source::Partner, &asks, hub.clock.now());
    let (id, mut ana) = session(&mut hub, 8);
    let (first, mut stanzas) = link(&mut hub, 0, 8);
    hub.take(Event::FromSession(
        id,
        stanza("<presence/>").expect("a stanza"),
    ));
    assert_eq!(stanzas.try_recv().expect("presence").type_, None);
    hub.take(Event::LinkDown(first, Vec::new()));
    for sent in [
        "<presence type='unavailable'/>",
        "<presence type='subscribe' to='eve@fabrikam.com'/>",
        "<presence type='unsubscribed' to='bob@fabrikam.com'/>",
    ] {
        hub.take(Event::FromSession(id, stanza(sent).expect("a stanza")));
    }
    assert!(ana.try_recv().is_err(), "no error for what will be sent");
    hub.take(Event::FromSession(id, message(1)));
    assert_eq!(ids(&mut ana), ["1"], "an error");
    let (_, mut stanzas) = link(&mut hub, 0, 8);
    let told = std::iter::from_fn(|| stanzas.try_recv().ok());
    let told: Vec<_> = told.map(|one| one.type_.unwrap_or_default()).collect();
    assert_eq!(told, ["unavailable", "subscribe", "unsubscribed"]);
}

#[test]
fn an_answer_waits_for_a_link_where_its_own_is_gone() {
    let (mut hub, _rosters) = hub();
    let (first, at_first) = link(&mut hub, 0, 8);
    drop(at_first);
    for asked in [
        "<presence type='subscribe' from='bob@fabrikam.com' to='ana@contoso.com'/>",
        "<message id='q' from='bob@fabrikam.com' to='nobody@contoso.com'/>",
    ] {
        hub.take(Event::FromLink(first, stanza(asked).expect("a stanza")));
    }
    hub.take(Event::LinkDown(first, Vec::new()));
    let (_, mut stanzas) = link(&mut hub, 0, 8);
    let told = std::iter::from_fn(|| stanzas.try_recv().ok());
    let told: Vec<_> = told.map(|one| one.type_.unwrap_or_default()).collect();
    assert_eq!(told, ["subscribed", "unavailable", "error"]);
}

#[tokio::test]
async fn what_was_taken_over_is_decided_before_the_end() {
    let (mut hub, _rosters) = hub();
    let (_, mut stanzas) = link(&mut hub, 0, 8);
    let (id, _ana) = session(&mut hub, 8);
    let (events, queue) = mpsc::channel(8);
    let (_signed_out, signing_out) = mpsc::unbounded_channel();
    for number in 0..3 {
        let sent = Event::FromSession(id, message(number));
        events.send(sent).await.expect("room");
    }
    let runtime = tokio::runtime::Handle::current();
    let (supervisor, tasks) = Supervisor::start(&runtime, &Clock::default());
    let stop = tasks.stop();
    let stopping = tokio::spawn(supervisor.stop(Duration::from_secs(1)));
    hub.run(queue, signing_out, stop).await;
    assert_eq!(ids(&mut stanzas), ["0", "1", "2"]);
    assert!(events.is_closed());
    stopping.await.expect("stopped");
}

#[test]
fn a_message_that_no_session_takes_goes_back() {
    let (mut hub, _rosters) = hub();
    let (id, mut at_link) = link(&mut hub, 0, 8);
    let (_, _ana) = session(&mut hub, 1);
    for number in 1..=3 {
        let text = format!("<message id='{number}' from='bob@fabrikam.com' to='ana@contoso.com'/>");
        hub.take(Event::FromLink(id, stanza(&text).expect("a stanza")));
    }
    assert!(hub.sessions.is_empty(), "it does not read");
    assert_eq!(ids(&mut at_link), ["2", "3"]);
}

#[test]
fn two_sessions_never_have_one_address() {
    let (mut hub, _rosters) = hub();
    let (queue, _stanzas) = mpsc::channel(1);
    let names = [Some("session-2"), None, Some("session-2"), None];
    let names = names.map(|name| {
        let signed = hub.admit(ana(), name.map(str::to_owned), queue.clone());
        signed.expect("signed in").1
    });
    let all: BTreeSet<&String> = names.iter().collect();
    assert_eq!(all.len(), names.len(), "{names:?}");
}

#[test]
fn what_cannot_be_taken_is_answered_on_its_link() {
    let (mut hub, _rosters) = hub();
    let (id, mut stanzas) = link(&mut hub, 0, 8);
    let asked = "<message id='big' from='bob@fabrikam.com' to='ana@contoso.com'/>";
    let asked = stanza(asked).expect("a stanza");
    hub.take(Event::Skipped(id, asked, ReadError::TooLarge));
    let answer = stanzas.try_recv().expect("an answer");
    let text = String::from_utf8(answer.bytes).expect("UTF-8");
    assert!(text.contains("id='big' type='error'"), "{text}");
    assert!(text.contains("<policy-violation "), "{text}");
}

#[tokio::test]
async fn withdrawals_wait_for_room_and_their_end_is_known() {
    let (mut hub, _rosters) = hub();
    for number in 0..3 {
        let text = format!(
            "<presence type='subscribe' from='b{number}@fabrikam.com' to='ana@contoso.com'/>"
        );
        let request = stanza(&text).expect("a stanza");
        hub.state.decide(Source::Partner, &request, hub.clock.now());
    }
    let (queue, mut stanzas) = mpsc::channel(1);
    let (progress, through) = watch::channel(0);
    let id = LinkId {
        place: 0,
        connection: 1,
    };
    let way = Way {
        queue,
        given: 0,
        through,
    };
    hub.take(Event::LinkUp(id, way));
    let mut without = hub.state.directory().clone();
    without.partners.clear();
    hub.take(Event::Reload(Box::new(without)));
    let (events, queue) = mpsc::channel(8);
    let (_signed_out, signing_out) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Handle::current();
    let (supervisor, tasks) = Supervisor::start(&runtime, &Clock::default());
    tokio::spawn(hub.run(queue, signing_out, tasks.stop()));
    let mut settled = Box::pin(crate::door::withdrawn(events, Clock::default()));
    for number in 0..3 {
        let stanza = tokio::select! {
            stanza = stanzas.recv() => stanza.expect("a link"),
            _ = &mut settled => panic!("it is not through"),
        };
        assert_eq!(stanza.type_.as_deref(), Some("unsubscribed"));
        progress.send_replace(number + 1);
    }
    assert_eq!(settled.await, None);
    supervisor.stop(Duration::from_secs(1)).await;
}
