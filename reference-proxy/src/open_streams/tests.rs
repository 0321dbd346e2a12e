use std::time::Duration;

use super::*;

fn domain(name: &str) -> Domain {
    Domain::parse(name).expect("a domain")
}

fn pair(from: &str, to: &str) -> Pair {
    Pair {
        from: domain(from),
        to: domain(to),
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn offer(errors: bool) -> Option<Offer> {
    Some(Offer {
        address: address(1),
        to: domain("b.example"),
        errors,
        asked: BTreeSet::from([pair("a.example", "b.example")]),
        most: 2,
    })
}

fn finds(streams: &OpenStreams, pair: &Pair, port: Option<u16>) -> bool {
    let found = streams.find(pair, &domain("b.example"), port.map(address));
    matches!(found, Found::Stream(_))
}

#[test]
fn pairs_share_where_errors_are_announced_and_the_stream_leads_there() {
    let second_sender = pair("a2.example", "b.example");
    let second_target = pair("a.example", "b2.example");
    for errors in [true, false] {
        let streams = Arc::new(OpenStreams::default());
        let stream = streams.register(&domain("b.example"), offer(errors));
        assert_eq!(streams.shares(&domain("b.example")), errors);
        assert_eq!(finds(&streams, &second_sender, None), errors);
        assert!(!finds(&streams, &second_target, None));
        assert!(!finds(&streams, &second_target, Some(2)));
        assert_eq!(finds(&streams, &second_target, Some(1)), errors);
        // The own pair may be asked for again in any case.
        assert!(finds(&streams, &pair("a.example", "b.example"), None));
        let other = streams.find(&second_sender, &domain("c.example"), Some(address(1)));
        assert!(matches!(other, Found::Nothing), "of another partner");
        stream.asked(&second_sender);
        assert!(
            !finds(&streams, &pair("a3.example", "b.example"), None),
            "full"
        );
        drop(stream);
        assert!(!finds(&streams, &second_sender, None));
    }
}

#[test]
fn ready_pairs_need_no_offer() {
    let streams = Arc::new(OpenStreams::default());
    let stream = streams.register(&domain("b.example"), None);
    let one = pair("a.example", "b.example");
    assert!(!finds(&streams, &one, Some(1)));
    stream.carries(BTreeSet::from([one.clone()]));
    assert!(finds(&streams, &one, None));
    stream.closes();
    assert!(!finds(&streams, &one, None));
}

#[test]
fn stream_that_comes_is_told_until_it_is_there_or_given_up() {
    let streams = Arc::new(OpenStreams::default());
    let one = pair("a.example", "b.example");
    let coming = streams.coming(&domain("b.example"));
    let other = streams.coming(&domain("b.example"));
    let found = || streams.find(&one, &domain("b.example"), None);
    assert!(matches!(found(), Found::Coming));
    drop(coming);
    assert!(matches!(found(), Found::Coming));
    drop(other);
    assert!(matches!(found(), Found::Nothing));
}

#[tokio::test]
async fn the_one_that_rested_longest_makes_room() {
    let streams = Arc::new(OpenStreams::default());
    let now = Instant::now();
    let mut early = streams.register(&domain("b.example"), None);
    let mut late = streams.register(&domain("b.example"), None);
    let busy = streams.register(&domain("b.example"), None);
    let other = streams.register(&domain("c.example"), None);
    early.rests(Some(now));
    late.rests(Some(now + Duration::from_secs(1)));
    other.rests(Some(now - Duration::from_secs(1)));
    busy.rests(None);
    let b = domain("b.example");
    let closing = streams.close_idlest(Some(&b)).expect("one rests");
    assert!(matches!(early.call().await, Call::Close));
    assert!(streams.close_idlest(Some(&b)).is_some());
    assert!(matches!(late.call().await, Call::Close));
    let none = streams.close_idlest(Some(&b));
    assert!(none.is_none(), "one works, two close");
    assert!(streams.close_idlest(None).is_some());
    assert!(streams.close_idlest(None).is_none());
    drop(early);
    closing.ended().await;
}
