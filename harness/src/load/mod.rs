//! Load: many partners, many stanzas, and what the target makes of them.
//!
//! Partners shake hands as everywhere, by their machines. Then their connections are handed over, and stanzas are
//! only counted (`line.rs`, `inner.rs`): a generator that parsed each of them would be slower than what it measures.
//! Start at [`run`].

mod books;
mod inner;
mod line;
mod member;
mod method;
mod process;
mod relay;
mod report;
mod source;
mod stanza;
mod target;
mod view;
mod wanted;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use simulated_partners::driver::{Partner, PartnerSetup, Place};
use simulated_partners::persona::Persona;
use strum::VariantArray as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use books::{Books, Phase};
use inner::Senders;
use line::Sending;
use member::Member;
use method::{in_turn, only};
use process::Usage;
pub use relay::relay;
pub use report::Report;
use report::{Frame, Sample, Uses};
use source::{Pace, Source};
use stanza::{Mould, Way};
use target::Opened;
pub use target::TargetError;
use view::View;
pub use wanted::{Direction, Wanted};

use crate::listening::Process;
use crate::outcome::Method;
use crate::subject::Target;

/// How long a partner waits for each step of a handshake.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long connecting may take besides that.
const CONNECTING: Duration = Duration::from_secs(300);
/// How long stanzas under way may take at the end.
const DRAINING: Duration = Duration::from_secs(10);
/// How long closing may take.
const CLOSING: Duration = Duration::from_secs(15);
/// Samples that are kept; of longer loads every other one is.
const SAMPLES: usize = 3600;

/// Puts a load on a target: the embedded proxy where there is none. It also ends when it is told so, with what was seen
/// until then, and when told again does not wait for what is under way.
///
/// # Errors
/// When the target does not run.
pub async fn run(
    target: Option<&dyn Target>,
    wanted: &Wanted,
    ends: &mut mpsc::Receiver<()>,
) -> Result<Report, TargetError> {
    let mut opened = match target {
        None => target::embedded(wanted).await?,
        Some(target) => target::other(target, wanted).await?,
    };
    let link = opened.link.take();
    let mut load = Load::new(&opened, wanted, link.is_some());
    let books = Arc::clone(&load.books);
    let inner = link.map(|link| {
        let serving = inner::serve(link, load.senders(&opened), Arc::clone(&books));
        tokio::spawn(serving)
    });
    let before = load.usage();
    load.enter(Phase::Connecting);
    let places = load.start(&opened).await;
    let seen = match &places {
        Ok(_) => load.measure(ends).await,
        Err(error) => {
            books.error(&format!("a partner cannot listen: {error}"));
            Seen::default()
        }
    };
    let after = load.usage();
    load.enter(Phase::Closing);
    tokio::select! {
        () = load.until_closed() => {}
        Some(()) = ends.recv() => load.members.shutdown().await,
    }
    load.view.clear();
    if let Some(inner) = inner {
        // It is the link's end.
        let _ = timeout(CLOSING, inner).await;
    }
    drop(places);
    if let Err(error) = (opened.stop)().await {
        books.error(&format!("the target did not stop: {error}"));
    }
    opened.lab.close().await;
    let connections = seen.dialled + seen.accepted;
    let frame = Frame {
        target: opened.name,
        load: wanted.text(),
        interrupted: seen.interrupted,
        seconds: seen.seconds,
        partners: wanted.partners,
        dialled: seen.dialled,
        accepted: seen.accepted,
        usage: Uses::of([before, seen.usage, after], connections, &load.samples),
        samples: load.samples,
    };
    Ok(Report::of(frame, &books))
}

/// What was seen between the first stanza that counts and the last.
#[derive(Debug, Default)]
struct Seen {
    interrupted: bool,
    /// How long stanzas were counted.
    seconds: f64,
    /// The connections at the beginning, by who had dialled, and what the target used.
    dialled: usize,
    accepted: usize,
    usage: Option<Usage>,
}

/// A load that runs.
struct Load<'a> {
    books: Arc<Books>,
    wanted: &'a Wanted,
    process: Option<Process>,
    /// Which way partners send, if they do.
    inward: Option<Way>,
    /// Whether the inner side does.
    outward: bool,
    began: Instant,
    members: JoinSet<()>,
    /// Asks each partner to close a connection and open it anew.
    renew: Vec<mpsc::Sender<()>>,
    samples: Vec<Sample>,
    view: View,
}

impl<'a> Load<'a> {
    fn new(opened: &Opened, wanted: &'a Wanted, linked: bool) -> Self {
        Self {
            books: Arc::new(Books::new(wanted.partners, wanted.window)),
            wanted,
            process: Process::listening_at(opened.address).first().copied(),
            inward: match (linked, wanted.direction) {
                (false, _) => Some(Way::Ping),
                (true, Direction::Both | Direction::In) => Some(Way::Inward),
                (true, Direction::Out) => None,
            },
            outward: linked && wanted.direction != Direction::In,
            began: Instant::now(),
            members: JoinSet::new(),
            renew: Vec::new(),
            samples: Vec::new(),
            view: View::new(wanted.partners),
        }
    }

    /// What the target uses now.
    fn usage(&self) -> Option<Usage> {
        self.process.and_then(Usage::of)
    }

    fn enter(&self, phase: Phase) {
        self.view.enter(phase);
        self.books.enter(phase);
    }

    fn senders(&self, opened: &Opened) -> Senders {
        let wanted = self.wanted;
        let half = self.inward.is_some();
        let rate = wanted.rate.map(|rate| if half { rate / 2.0 } else { rate });
        let partners = opened.partners.iter().enumerate();
        let moulds = partners.filter(|_| self.outward).map(|(number, partner)| {
            let (from, to) = (format!("load@{}", opened.domain), format!("load@{partner}"));
            Mould::new(Way::Outward, number, &from, &to, wanted.size)
        });
        Senders {
            moulds: moulds.collect(),
            pace: Pace::of(rate, 0, 1),
        }
    }

    /// Starts the partners. What is returned holds their addresses.
    async fn start(&mut self, opened: &Opened) -> io::Result<Vec<Arc<Place>>> {
        let wanted = self.wanted;
        // The inner side has half of the rate, if both sides send.
        let flows = wanted.partners * if self.outward { 2 } else { 1 };
        let mut places = Vec::new();
        for (number, domain) in opened.partners.iter().enumerate() {
            let lab = &opened.lab;
            let place = lab.place(domain, lab.partners)?;
            lab.publish(domain, place.address())
                .map_err(io::Error::other)?;
            let method = in_turn(&wanted.methods, number);
            let setup = setup(opened, wanted, domain, method, &place);
            let (partner, released) = Partner::start_releasing(setup).await?;
            let sending = self.inward.map(|way| {
                let to = match way {
                    Way::Ping => opened.domain.clone(),
                    Way::Inward | Way::Outward => format!("load@{}", opened.domain),
                };
                let mould = Mould::new(way, number, &format!("load@{domain}"), &to, wanted.size);
                Sending {
                    source: Source::new(way, mould, Pace::of(wanted.rate, number, flows)),
                    partner: number,
                }
            });
            let (renew, renewals) = mpsc::channel(1);
            let member = Member::new(&self.books, partner, released, sending, renewals);
            self.members.spawn(member.run());
            self.renew.push(renew);
            places.push(place);
        }
        Ok(places)
    }

    /// Waits until all is connected, sends, and waits until all has arrived.
    async fn measure(&mut self, ends: &mut mpsc::Receiver<()>) -> Seen {
        let books = Arc::clone(&self.books);
        let mut seen = Seen::default();
        let sending = async {
            let partners = self.wanted.partners;
            let settled = |books: &Books| books.settled.load(Ordering::Relaxed) >= partners;
            self.until(CONNECTING, settled).await;
            if self.outward {
                self.enter(Phase::WarmingUp);
                let warmed = |books: &Books| books.warmed.load(Ordering::Relaxed) >= partners;
                self.until(CONNECTING, warmed).await;
            }
            (seen.dialled, seen.accepted) = self.open();
            seen.usage = self.usage();
            self.enter(Phase::Steady);
            self.send().await;
        };
        let interrupted = tokio::select! {
            () = sending => false,
            Some(()) = ends.recv() => true,
        };
        seen.interrupted = interrupted;
        if books.phase() == Phase::Steady {
            seen.seconds = books.counted().as_secs_f64();
        }
        self.enter(Phase::Draining);
        tokio::select! {
            () = self.until(DRAINING, |books| books.under_way() == 0) => {}
            Some(()) = ends.recv() => seen.interrupted = true,
        }
        seen
    }

    /// How many connections partners have open, and how many the target has.
    fn open(&self) -> (usize, usize) {
        let dialled = self.books.dialled.load(Ordering::Relaxed);
        (dialled, self.books.accepted.load(Ordering::Relaxed))
    }

    /// Waits until this holds, but not for longer, and looks at the target meanwhile.
    async fn until(&mut self, patience: Duration, holds: impl Fn(&Books) -> bool) {
        let books = Arc::clone(&self.books);
        let mut held = pin!(timeout(patience, books.until(holds)));
        let mut looks = every_second();
        loop {
            tokio::select! {
                _ = &mut held => return,
                _ = looks.tick() => self.look(None),
            }
        }
    }

    /// Has stanzas sent for the time that is wanted, and connections renewed.
    async fn send(&mut self) {
        let ends = Instant::now() + self.wanted.duration;
        let mut looks = every_second();
        let renewal = Duration::try_from_secs_f64(1.0 / self.wanted.churn);
        let mut renewals = renewal.ok().map(interval);
        let mut turn = 0;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(ends) => return,
                _ = looks.tick() => self.look(Some(ends.saturating_duration_since(Instant::now()))),
                () = tick(&mut renewals) => {
                    // One that is still busy with the last one is passed over.
                    let _ = self.renew[turn % self.renew.len()].try_send(());
                    turn += 1;
                }
            }
        }
    }

    /// Waits until all connections are closed.
    async fn until_closed(&mut self) {
        let closed = async { while self.members.join_next().await.is_some() {} };
        if timeout(CLOSING, closed).await.is_err() {
            self.books
                .error("the connections of a partner did not end in time");
            self.members.shutdown().await;
        }
    }

    /// Looks how it stands, and shows it.
    fn look(&mut self, left: Option<Duration>) {
        let books = &self.books;
        let (dialled, accepted) = self.open();
        let arrived = Way::VARIANTS.iter();
        let arrived = arrived.map(|way| books.counts(*way).arrived.load(Ordering::Relaxed));
        let sample = Sample {
            seconds: self.began.elapsed().as_secs_f64(),
            arrived: arrived.sum(),
            connections: dialled + accepted,
            usage: self.usage(),
        };
        self.view.show(books, self.samples.last(), &sample, left);
        if self.samples.len() >= SAMPLES {
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.samples.push(sample);
    }
}

fn every_second() -> tokio::time::Interval {
    let mut looks = interval(Duration::from_secs(1));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

async fn tick(renewals: &mut Option<tokio::time::Interval>) {
    match renewals {
        Some(renewals) => drop(renewals.tick().await),
        None => std::future::pending().await,
    }
}

fn setup(
    opened: &Opened,
    wanted: &Wanted,
    domain: &str,
    method: Method,
    place: &Place,
) -> PartnerSetup {
    let persona = Persona::correct("load", "one of many", only(method).as_offer());
    PartnerSetup {
        secret: format!("{domain} {}", wanted.seed),
        patience: PATIENCE,
        seed: wanted.seed,
        listen: place.address(),
        ..PartnerSetup::new(
            &opened.lab.authority,
            domain,
            Arc::new(persona),
            &opened.domain,
            opened.address,
        )
    }
}
