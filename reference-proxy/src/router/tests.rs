//! Tests of the queues.

use super::*;
use crate::xml::Kind;

fn pair() -> Pair {
    Pair {
        from: Domain::parse("a.example").expect("domain"),
        to: Domain::parse("b.example").expect("domain"),
    }
}

fn queued(bytes: usize) -> Queued {
    Queued {
        stanza: Stanza {
            kind: Kind::Message,
            from: None,
            to: None,
            id: None,
            type_: None,
            bytes: vec![b'x'; bytes],
        },
        origin: Origin::Proxy,
        receipt: None,
    }
}

fn router() -> Router {
    Router::new(&Limits {
        queue_stanzas: 3,
        queue_bytes: 100,
        ..Limits::default()
    })
}

#[test]
fn one_link_attends_a_queue() {
    let router = router();
    let now = Instant::now();
    assert!(matches!(
        router.enqueue(&pair(), queued(1), now),
        Placed::Unattended
    ));
    assert!(matches!(
        router.enqueue(&pair(), queued(1), now),
        Placed::Waiting
    ));
    assert!(!router.leave(&pair()), "something waits");
    assert_eq!(router.take(&pair(), 1, 1).len(), 1);
    assert_eq!(router.take(&pair(), 1, 1).len(), 1);
    assert!(router.leave(&pair()));
    assert!(matches!(
        router.enqueue(&pair(), queued(1), now),
        Placed::Unattended
    ));
}

#[test]
fn queue_is_bounded_in_stanzas_and_bytes() {
    let router = router();
    let now = Instant::now();
    for _ in 0..3 {
        assert!(!matches!(
            router.enqueue(&pair(), queued(1), now),
            Placed::Refused(..)
        ));
    }
    let refused = router.enqueue(&pair(), queued(1), now);
    assert!(matches!(
        refused,
        Placed::Refused(_, StanzaError::ResourceConstraint, _)
    ));
    router.take(&pair(), usize::MAX, usize::MAX);
    assert!(matches!(
        router.enqueue(&pair(), queued(100), now),
        Placed::Waiting
    ));
    let refused = router.enqueue(&pair(), queued(1), now);
    assert!(matches!(
        refused,
        Placed::Refused(_, StanzaError::ResourceConstraint, _)
    ));
}

#[test]
fn failure_empties_the_queue_and_pauses_the_route() {
    let router = router();
    let mut now = Instant::now();
    router.enqueue(&pair(), queued(1), now);
    router.enqueue(&pair(), queued(1), now);
    let handed = router.failed(&pair(), StanzaError::RemoteServerTimeout, "why", now);
    assert_eq!(handed.len(), 2);
    assert!(router.leave(&pair()));
    let refused = router.enqueue(&pair(), queued(1), now);
    assert!(matches!(
        refused,
        Placed::Refused(_, StanzaError::RemoteServerTimeout, _)
    ));
    now += FIRST_PAUSE;
    assert!(matches!(
        router.enqueue(&pair(), queued(1), now),
        Placed::Unattended
    ));
    router.failed(&pair(), StanzaError::RemoteServerTimeout, "why", now);
    now += FIRST_PAUSE;
    let Placed::Refused(_, _, text) = router.enqueue(&pair(), queued(1), now) else {
        panic!("the second pause is longer");
    };
    assert_eq!(text, "not tried again for 1 s: why");
    router.seen(&pair().from);
    assert!(matches!(
        router.enqueue(&pair(), queued(1), now),
        Placed::Refused(..)
    ));
    router.seen(&pair().to);
    assert!(!matches!(
        router.enqueue(&pair(), queued(1), now),
        Placed::Refused(..)
    ));
}

#[tokio::test]
async fn latest_gateway_of_the_domain_gets_the_stanza() {
    let router = router();
    let domain = pair().from;
    let stanza = || queued(1).stanza;
    assert!(router.deliver(&domain, stanza()).await.is_err());
    let (all, mut all_queue) = mpsc::channel(8);
    let (first, mut first_queue) = mpsc::channel(8);
    let (second, second_queue) = mpsc::channel(8);
    router.join(Serves::All, all);
    assert!(router.deliver(&domain, stanza()).await.is_ok());
    assert!(all_queue.try_recv().is_ok());
    router.join(Serves::Domain(domain.clone()), first);
    router.join(Serves::Domain(domain.clone()), second);
    drop(second_queue);
    assert!(
        router.deliver(&domain, stanza()).await.is_ok(),
        "the next one takes over"
    );
    assert!(first_queue.try_recv().is_ok());
    assert!(all_queue.try_recv().is_err());
}

#[tokio::test]
async fn an_error_waits_for_whichever_gateway_of_the_domain_may_go_on() {
    let router = router();
    let domain = pair().from;
    let serves = || Serves::Domain(domain.clone());
    let error = || queued(1).stanza;
    let join = || router.join(serves(), mpsc::channel(8).0);
    let (first, second) = (join(), join());
    router.part(first);
    assert!(router.is_followed(first, &serves()) && !router.is_followed(second, &serves()));
    assert!(!router.is_followed(first, &Serves::All));
    // The first one has handed its stream over to the second one.
    router.await_return(second, serves(), &mut Vec::new());
    let returned = router.give_back(&domain, first, error()).await;
    returned.expect("it waits");
    let elsewhere = pair().to;
    let returned = router.give_back(&elsewhere, first, error()).await;
    returned.expect_err("that is for another gateway");
    assert_eq!(router.unpark(first).len(), 0);
    assert_eq!(router.unpark(second).len(), 1);
    let returned = router.give_back(&domain, second, error()).await;
    returned.expect_err("nobody comes back");
}
