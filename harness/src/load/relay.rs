//! The same stanzas through a plain relay of bytes in place of a target: the most that this generator and this
//! machine can do.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use simulated_partners::line::{Line, Turn};
use simulated_partners::wire::Cut;
use tokio::io::copy;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use super::books::{Books, Phase};
use super::report::{Frame, Report};
use super::source::{Pace, Source, UNSENT};
use super::stanza::{Mould, Way};
use super::{DRAINING, Wanted};

/// Sends inward what is wanted, each partner on a connection of its own.
///
/// # Errors
/// When there is no loopback port.
pub async fn relay(wanted: &Wanted, ends: &mut mpsc::Receiver<()>) -> io::Result<Report> {
    let books = Arc::new(Books::new(wanted.partners, wanted.window));
    let behind = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let front = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut tasks = JoinSet::new();
    for number in 0..wanted.partners {
        let partner = connected(TcpStream::connect(front.local_addr()?).await?)?;
        let from = connected(front.accept().await?.0)?;
        let to = connected(TcpStream::connect(behind.local_addr()?).await?)?;
        let inner = connected(behind.accept().await?.0)?;
        let (from, to) = (from.into_split(), to.into_split());
        tasks.spawn(relayed(from.0, to.1));
        tasks.spawn(relayed(to.0, from.1));
        tasks.spawn(receive(Line::new(inner, b""), Arc::clone(&books)));
        let (from, to) = (
            format!("load@p{number}.load.example"),
            "load@contoso.example",
        );
        let mould = Mould::new(Way::Inward, number, &from, to, wanted.size);
        let pace = Pace::of(wanted.rate, number, wanted.partners);
        let source = Source::new(Way::Inward, mould, pace);
        tasks.spawn(send(
            Line::new(partner, b""),
            source,
            number,
            Arc::clone(&books),
        ));
    }
    books.enter(Phase::Steady);
    let interrupted = timeout(wanted.duration, ends.recv()).await;
    let interrupted = matches!(interrupted, Ok(Some(())));
    let seconds = books.counted().as_secs_f64();
    books.enter(Phase::Draining);
    let drained = books.until(|books| books.under_way() == 0);
    let _ = timeout(DRAINING.min(Duration::from_secs(2)), drained).await;
    tasks.shutdown().await;
    let frame = Frame {
        target: "a relay of bytes".to_owned(),
        load: wanted.text(),
        interrupted,
        seconds,
        partners: wanted.partners,
        dialled: wanted.partners,
        accepted: 0,
        usage: None,
        samples: Vec::new(),
    };
    Ok(Report::of(frame, &books))
}

fn connected(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn relayed(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
) {
    // How it ends shows at both ends.
    let _ = copy(&mut from, &mut to).await;
}

async fn send(mut line: Line<TcpStream>, mut source: Source, number: usize, books: Arc<Books>) {
    let flow = &books.inward[number];
    let mut phases = books.phase.subscribe();
    let mut batch = Vec::with_capacity(UNSENT);
    loop {
        let steady = *phases.borrow_and_update() == Phase::Steady;
        if steady && line.unsent() < UNSENT {
            source.write(&books, flow, &mut batch);
            line.queue(&batch);
            batch.clear();
        }
        let next = source.next().map(|next| books.moment(next));
        tokio::select! {
            turn = line.turn() => if !matches!(turn, Ok(Turn::Moved)) {
                return;
            },
            () = flow.arrived.notified(), if steady && source.waits() => {}
            () = sleep_until(next.unwrap_or_else(tokio::time::Instant::now)), if steady && next.is_some() && !source.waits() => {}
            _ = phases.changed() => {}
        }
    }
}

async fn receive(mut line: Line<TcpStream>, books: Arc<Books>) {
    while let Ok(Turn::Moved) = line.turn().await {
        while let Ok(Some(Cut::Element(stanza))) = line.cut() {
            books.take(stanza);
        }
    }
}
