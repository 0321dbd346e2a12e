//! Tests of what is written, told and handed over.

use super::*;
use crate::xml::Kind;

fn stanza(id: &str) -> Stanza {
    Stanza {
        kind: Kind::Message,
        from: None,
        to: None,
        id: Some(id.to_owned()),
        type_: None,
        bytes: format!("<{id}/>").into_bytes(),
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

fn composed(managed: &Managed, ids: &[&str]) -> Option<String> {
    composed_at(managed, ids, Instant::now())
}

fn composed_at(managed: &Managed, ids: &[&str], now: Instant) -> Option<String> {
    let mut batch = ids.iter().map(|id| stanza(id)).collect();
    let bytes = managed.compose(&mut batch, || 0, now, PATIENCE)?;
    assert_eq!(batch.is_empty(), managed.is_on() || ids.is_empty());
    let text = String::from_utf8(bytes).expect("UTF-8");
    Some(text.replace(" xmlns='urn:xmpp:sm:3'", ""))
}

#[test]
fn stanzas_count_from_the_beginning_of_management() {
    let managed = Managed::default();
    assert_eq!(composed(&managed, &["x"]).as_deref(), Some("<x/>"));
    managed.count();
    managed.begin(&Management::Enabled { id: None }.text());
    assert_eq!(
        composed(&managed, &["y", "z"]).as_deref(),
        Some("<enabled/><y/><z/><r/>")
    );
    assert_eq!(composed(&managed, &["w"]).as_deref(), Some("<w/>"), "once");
    managed.count();
    managed.acknowledge();
    assert_eq!(composed(&managed, &[]).as_deref(), Some("<a h='1'/>"));
    assert!(managed.has_room(4, 13) && !managed.has_room(3, 13) && !managed.has_room(4, 12));
    managed.handled(2, Instant::now()).expect("sent");
    // What is left is asked for at once, without another stanza.
    assert_eq!(composed(&managed, &[]).as_deref(), Some("<r/>"));
    managed.handled(4, Instant::now()).expect_err("not sent");
    assert_eq!(managed.last_word().matches("h='1'").count(), 1);
    assert_eq!(composed(&managed, &["v"]), None);
}

#[tokio::test]
async fn another_stream_repeats_what_was_not_handled() {
    let first = Managed::default();
    first.begin("");
    composed(&first, &["a", "b", "c"]).expect("written");
    let pen = first.pen().await;
    let turn = first.turn().await.expect("nobody else");
    let surrendered = first.surrender();
    tokio::pin!(surrendered);
    // What is being handled just now still counts.
    assert!(is_pending(surrendered.as_mut()).await);
    first.count();
    drop(turn);
    // Nor is it before the writer has said what it has not sent.
    assert!(is_pending(surrendered.as_mut()).await);
    first.leave(vec![stanza("l")]);
    drop(pen);
    let (session, mut meanwhile) = surrendered.await.expect("it is there");
    assert_eq!(session.handled, 1);
    assert!(first.turn().await.is_none() && first.take().is_none());
    let second = Managed::default();
    let resumed = Management::Resumed {
        previous: "s".to_owned(),
        handled: Some(session.handled),
    };
    let resumed = resumed.text();
    meanwhile.push(stanza("m"));
    let resumed = second.resume(session, 1, meanwhile, &resumed);
    resumed.expect("sent");
    assert_eq!(
        composed(&second, &["d"]).as_deref(),
        Some("<resumed previd='s' h='1'/><b/><c/><l/><m/><d/><r/>")
    );
    let left = second.take().expect("it is there").unacknowledged;
    let left: Vec<_> = left.iter().filter_map(|stanza| stanza.id.clone()).collect();
    assert_eq!(left, ["b", "c", "l", "m", "d"]);
}

#[test]
fn a_stanza_is_handled_once_it_is_settled_and_the_peer_is_told_again() {
    let managed = Arc::new(Managed::default());
    assert!(managed.receive().is_none(), "not counted yet");
    managed.begin("");
    let mut receipts: Vec<Receipt> = (0..4).map_while(|_| managed.receive()).collect();
    managed.acknowledge();
    let composed = || composed(&managed, &[]).expect("it goes on");
    assert_eq!(composed(), "<a h='0'/>");
    settle(receipts.drain(1..3));
    assert_eq!(composed(), "", "the first one is not settled");
    settle(receipts.drain(..1));
    assert_eq!(composed(), "<a h='3'/>");
    assert_eq!(composed(), "", "once");
    settle(receipts);
    assert_eq!(composed(), "<a h='4'/>");
    // It knows of all that had come when it asked.
    settle(managed.receive());
    drop(managed.receive());
    assert_eq!(composed(), "");
    assert_eq!(
        managed.last_word(),
        Management::Acknowledgement(Some(6)).text(),
        "what has come is still taken care of"
    );
}

#[test]
fn an_answer_that_tells_nothing_new_is_a_sign_of_life_and_the_next_question_waits() {
    let managed = Managed::default();
    managed.begin("");
    let now = Instant::now();
    let (soon, later) = (now + PATIENCE / 4, now + PATIENCE);
    let due = || managed.answer_due(PATIENCE);
    let composed = |ids: &[&str], now| composed_at(&managed, ids, now).expect("it goes on");
    assert_eq!(composed(&["a", "b"], now), "<a/><b/><r/>");
    assert_eq!(due(), Some(now + PATIENCE));
    managed.handled(0, now).expect("sent");
    assert_eq!(due(), None);
    assert_eq!(managed.progress_due(PATIENCE), Some(now + PATIENCE));
    assert_eq!(composed(&["c"], soon), "<c/>");
    assert_eq!(managed.next_question(PATIENCE), Some(now + PATIENCE / 2));
    assert_eq!(composed(&[], later), "<r/>");
    assert_eq!(due(), Some(later + PATIENCE));
    managed.handled(0, later).expect("sent");
    // Whatever is new is followed by a question at once.
    managed.handled(2, later).expect("sent");
    assert_eq!(managed.progress_due(PATIENCE), Some(later + PATIENCE));
    assert_eq!(composed(&[], later), "<r/>");
    managed.handled(3, later).expect("sent");
    assert_eq!(composed(&[], later), "");
    assert_eq!((due(), managed.progress_due(PATIENCE)), (None, None));
}

#[test]
fn what_a_former_stream_has_left_outlives_a_wrong_count() {
    let managed = Managed::default();
    let resumed = managed.resume(Session::default(), 1, vec![stanza("m")], "");
    resumed.expect_err("nothing was sent");
    let session = managed.take().expect("it is there");
    assert_eq!(session.unacknowledged.len(), 1);
}

/// Whether a future is not ready yet.
async fn is_pending(future: std::pin::Pin<&mut impl Future>) -> bool {
    let mut future = future;
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(future.as_mut().poll(context).is_pending())
    })
    .await
}
