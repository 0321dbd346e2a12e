//! A stop under load: what was sent is delivered or comes back.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::outbound::accept;
use crate::support::{Net, PATIENCE, Peer, message};

const A: &str = "alpha.example";
const B: &str = "beta.example";
/// How many stanzas of a gateway are under way.
const WINDOW: usize = 50;

type Stream = TlsStream<TcpStream>;

/// How many of a gateway's stanzas were delivered or came back.
type Flow = Arc<watch::Sender<usize>>;

/// A gateway under load.
struct Station {
    enough: watch::Sender<bool>,
    /// The ids of what it sent.
    sending: JoinHandle<BTreeSet<String>>,
    /// The ids of what it got, and of what came back, until its stream ends.
    reading: JoinHandle<(BTreeSet<String>, BTreeSet<String>)>,
}

fn station(gateway: Peer<Stream>, pair: [&'static str; 2], own: Flow, other: Flow) -> Station {
    let (reader, writer) = split(gateway.into_stream());
    let (end, ended) = watch::channel(false);
    let (enough, stop) = watch::channel(false);
    Station {
        enough,
        sending: tokio::spawn(send(writer, pair, own.subscribe(), stop, ended)),
        reading: tokio::spawn(read(reader, own, other, end)),
    }
}

/// What a sender does.
enum Next {
    Close,
    Look,
    Send,
}

/// Sends until the proxy closes the stream, or until it is enough and all is accounted for. What is not
/// sent by then stays here.
async fn send(
    mut writer: WriteHalf<Stream>,
    [from, to]: [&str; 2],
    mut done: watch::Receiver<usize>,
    mut enough: watch::Receiver<bool>,
    mut ended: watch::Receiver<bool>,
) -> BTreeSet<String> {
    let mut sent = BTreeSet::new();
    loop {
        let all = sent.len();
        let over = *enough.borrow();
        let next = async {
            tokio::select! {
                biased;
                _ = ended.wait_for(|ended| *ended) => Next::Close,
                _ = enough.wait_for(|enough| *enough), if !over => Next::Look,
                _ = done.wait_for(|done| (*done == all) || (!over && *done + WINDOW > all)) => {
                    if over { Next::Close } else { Next::Send }
                }
            }
        };
        match timeout(PATIENCE, next).await {
            Ok(Next::Send) => {}
            Ok(Next::Look) => continue,
            Ok(Next::Close) => break,
            Err(_) => panic!("of {all} from {from} some are lost"),
        }
        let id = format!("{from}-{all}");
        let text = message(from, to, &id);
        writer.write_all(text.as_bytes()).await.expect("written");
        writer.flush().await.expect("flushed");
        sent.insert(id);
    }
    let _ = writer.write_all(b"</stream:stream>").await;
    let _ = writer.flush().await;
    sent
}

async fn read(
    mut reader: ReadHalf<Stream>,
    own: Flow,
    other: Flow,
    end: watch::Sender<bool>,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut delivered, mut returned) = (BTreeSet::new(), BTreeSet::new());
    let mut text = String::new();
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = reader.read(&mut buffer).await {
        text.push_str(std::str::from_utf8(&buffer[..count]).expect("ASCII"));
        while let Some(at) = text.find("</message>") {
            let rest = text.split_off(at + "</message>".len());
            let stanza = std::mem::replace(&mut text, rest);
            let id = stanza.split(" id='").nth(1).expect("an id");
            let id = id.split('\'').next().unwrap_or_default().to_owned();
            let (fresh, flow) = match stanza.contains("type='error'") {
                true => (returned.insert(id), &own),
                false => (delivered.insert(id), &other),
            };
            assert!(fresh, "twice: {stanza}");
            flow.send_modify(|done| *done += 1);
        }
        if text.contains("</stream:stream>") {
            end.send_replace(true);
        }
    }
    (delivered, returned)
}

/// Stops a proxy when so many stanzas of either gateway were delivered, and returns how many were sent,
/// delivered and returned in all.
async fn stop_after(count: usize) -> [usize; 3] {
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 17);
    settings.limits += "stop-timeout = '20s'\n";
    let (alpha, alpha_gateway) = net.station(&settings).await;
    let (beta, beta_gateway) = net.station(&net.settings(B, A, 17)).await;
    let (out, back) = (Flow::default(), Flow::default());
    let near = station(alpha_gateway, [A, B], Arc::clone(&out), Arc::clone(&back));
    let far = station(beta_gateway, [B, A], Arc::clone(&back), Arc::clone(&out));
    for flow in [out, back] {
        let mut flow = flow.subscribe();
        let enough = timeout(PATIENCE, flow.wait_for(|done| *done >= count));
        enough.await.expect("in time").expect("it is there");
    }
    alpha.stop().await;
    let near_sent = near.sending.await.expect("no panic");
    let (near_got, near_returned) = near.reading.await.expect("no panic");
    // What the other one has sent too late comes back.
    far.enough.send_replace(true);
    let far_sent = far.sending.await.expect("no panic");
    beta.stop().await;
    let (far_got, far_returned) = far.reading.await.expect("no panic");
    for (sent, got, returned) in [
        (&near_sent, &far_got, &near_returned),
        (&far_sent, &near_got, &far_returned),
    ] {
        let lost: Vec<_> = sent
            .iter()
            .filter(|id| !got.contains(*id) && !returned.contains(*id))
            .collect();
        assert!(
            lost.is_empty(),
            "after {count}, of {}: {lost:?}",
            sent.len()
        );
    }
    [
        near_sent.len() + far_sent.len(),
        near_got.len() + far_got.len(),
        near_returned.len() + far_returned.len(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_in_twenty_stops_under_load() {
    let mut sums = [0; 3];
    for few in 0..4 {
        let mut stops = JoinSet::new();
        for round in 0..5 {
            stops.spawn(stop_after(1 + 45 * (5 * few + round)));
        }
        for counts in stops.join_all().await {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }
    let [sent, delivered, returned] = sums;
    println!("{sent} sent, {delivered} delivered, {returned} returned");
    assert!(sent >= 5_000, "{sent}");
    assert!(returned > 0, "some are too late");
}

#[tokio::test]
async fn a_stopping_proxy_opens_no_stream_and_says_so() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 17)).await;
    gateway.send(&message(A, B, "one")).await;
    // It waits for an answer to its header.
    let mut partner = accept(&listener).await;
    partner.expect("version='1.0'>").await;
    let stopping = tokio::spawn(proxy.stop());
    let bounce = gateway.expect("</message>").await;
    assert!(bounce.contains("the proxy stops"), "{bounce}");
    assert_eq!(gateway.expect("</stream:stream>").await, "</stream:stream>");
    stopping.await.expect("no panic");
}
