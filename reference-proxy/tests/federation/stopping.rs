//! A stop under load: what was sent is delivered or comes back.

use std::collections::BTreeSet;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::support::{Net, PATIENCE, Peer, message};

const A: &str = "alpha.example";
const B: &str = "beta.example";
/// How many stanzas each gateway wants to send before, during and after a stop.
const LOAD: usize = 1000;
/// How many of them are sent at once.
const BURST: usize = 5;

type Stream = TlsStream<TcpStream>;

/// A gateway under load.
struct Station {
    /// The ids of what it sent.
    sending: JoinHandle<BTreeSet<String>>,
    /// The ids of what it got, and of what came back, until its stream ends.
    reading: JoinHandle<(BTreeSet<String>, BTreeSet<String>)>,
    /// How much it got so far, and how much came back.
    got: watch::Receiver<[usize; 2]>,
    /// Asks it to close.
    close: watch::Sender<bool>,
}

fn station(gateway: Peer<Stream>, from: &'static str, to: &'static str) -> Station {
    let (reader, writer) = split(gateway.into_stream());
    let (close, closing) = watch::channel(false);
    let (tell, got) = watch::channel([0; 2]);
    let (end, ended) = watch::channel(false);
    Station {
        sending: tokio::spawn(send(writer, from, to, closing, ended)),
        reading: tokio::spawn(read(reader, tell, end)),
        got,
        close,
    }
}

/// Sends until the proxy closes the stream: what is not sent by then stays here.
async fn send(
    mut writer: WriteHalf<Stream>,
    from: &str,
    to: &str,
    mut closing: watch::Receiver<bool>,
    mut ended: watch::Receiver<bool>,
) -> BTreeSet<String> {
    let mut sent = BTreeSet::new();
    for burst in 0..LOAD / BURST {
        if *ended.borrow() {
            break;
        }
        let ids: Vec<String> = (0..BURST)
            .map(|number| format!("{from}-{burst}-{number}"))
            .collect();
        let text: String = ids.iter().map(|id| message(from, to, id)).collect();
        writer.write_all(text.as_bytes()).await.expect("written");
        writer.flush().await.expect("flushed");
        sent.extend(ids);
        tokio::task::yield_now().await;
    }
    let over = async {
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => {}
            _ = ended.wait_for(|ended| *ended) => {}
        }
    };
    timeout(PATIENCE, over).await.expect("somebody closes");
    let _ = writer.write_all(b"</stream:stream>").await;
    let _ = writer.flush().await;
    sent
}

async fn read(
    mut reader: ReadHalf<Stream>,
    tell: watch::Sender<[usize; 2]>,
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
            let back = stanza.contains("type='error'");
            let fresh = match back {
                true => returned.insert(id),
                false => delivered.insert(id),
            };
            assert!(fresh, "twice: {stanza}");
            tell.send_modify(|got| got[usize::from(back)] += 1);
        }
        if text.contains("</stream:stream>") {
            end.send_replace(true);
        }
    }
    (delivered, returned)
}

/// Stops a proxy when either gateway has got so many stanzas, and returns how many were sent, delivered and
/// returned in all.
async fn stop_after(count: usize) -> [usize; 3] {
    let net = Net::new().await;
    let mut here = net.settings(A, B, 17);
    here.limits += "stop-timeout = '20s'\nqueue-stanzas = 2000\n";
    let mut there = net.settings(B, A, 17);
    there.limits += "queue-stanzas = 2000\n";
    let (alpha, alpha_gateway) = net.station(&here).await;
    let (beta, beta_gateway) = net.station(&there).await;
    let mut near = station(alpha_gateway, A, B);
    let mut far = station(beta_gateway, B, A);
    for station in [&mut near, &mut far] {
        let got = station.got.wait_for(|[got, _]| *got >= count);
        let got = timeout(PATIENCE, got).await;
        got.expect("in time").expect("the stream is there");
    }
    alpha.stop().await;
    let near_sent = near.sending.await.expect("no panic");
    let (near_got, near_returned) = near.reading.await.expect("no panic");
    // The other one sends all that it has, and what is too late comes back to it.
    let missing = LOAD - near_got.len();
    let back = far.got.wait_for(|[_, back]| *back >= missing);
    let back = timeout(PATIENCE, back).await.is_ok();
    let counts = *far.got.borrow();
    assert!(
        back,
        "{missing} have to come back after {count}, of {counts:?}"
    );
    far.close.send_replace(true);
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
    for round in 0..20 {
        let counts = stop_after(1 + round * 40).await;
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    let [sent, delivered, returned] = sums;
    println!("{sent} sent, {delivered} delivered, {returned} returned");
    assert!(sent >= 5_000, "{sent}");
    assert!(delivered > 0 && returned > 0, "{delivered}, {returned}");
}

#[tokio::test]
async fn a_stopping_proxy_opens_no_stream_and_says_so() {
    let net = Net::new().await;
    let listener = net.listen(B).await;
    let (proxy, mut gateway) = net.station(&net.settings(A, B, 17)).await;
    gateway.send(&message(A, B, "one")).await;
    // It waits for an answer to its header.
    let mut partner = crate::outbound::accept(&listener).await;
    partner.expect("version='1.0'>").await;
    let stopping = tokio::spawn(proxy.stop());
    let bounce = gateway.expect("</message>").await;
    assert!(bounce.contains("the proxy stops"), "{bounce}");
    assert_eq!(gateway.expect("</stream:stream>").await, "</stream:stream>");
    stopping.await.expect("no panic");
}
