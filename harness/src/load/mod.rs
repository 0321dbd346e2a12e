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

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use simulated_partners::board::{Begins, Board};
use simulated_partners::driver::{CONNECTIONS, Partner, PartnerSetup, Place};
use simulated_partners::persona::Persona;
use simulated_partners::tls::TlsOptions;
use strum::VariantArray as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use books::{Books, Phase};
use inner::Senders;
use line::Sending;
use member::Member;
pub use method::Method;
use process::Process;
pub use relay::relay;
pub use report::Report;
use report::{Frame, Sample, Uses};
use source::{Pace, Source};
use stanza::{Mould, Way};
use target::Opened;
pub use target::TargetError;
use view::View;

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

/// In which directions stanzas go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Direction {
    /// Both.
    #[default]
    Both,
    /// From partners to the inner side.
    In,
    /// From the inner side to partners.
    Out,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Partners, each with a domain and a connection of its own.
    pub partners: usize,
    /// Stanzas a second in all, or as many as arrive.
    pub rate: Option<f64>,
    /// How long they are sent.
    pub duration: Duration,
    /// How partners authenticate, in turns.
    pub methods: Vec<Method>,
    /// In which directions stanzas go.
    pub direction: Direction,
    /// Connections that are closed and opened anew each second.
    pub churn: f64,
    /// Bytes of text in each message.
    pub size: usize,
    /// Stanzas under way to or from each partner, at most.
    pub window: usize,
    /// The embedded proxy's limit of connections, where it is not what it is delivered with.
    pub limit: Option<usize>,
    /// The seed of the lab.
    pub seed: u64,
    /// s2spec itself, which also is the embedded proxy.
    pub program: PathBuf,
}

impl Wanted {
    fn text(&self) -> String {
        let many = |count: usize| if count == 1 { "" } else { "s" };
        let rate = match self.rate {
            Some(rate) => format!("{rate} stanzas a second"),
            None => "as many stanzas as arrive".to_owned(),
        };
        let methods: Vec<String> = self.methods.iter().map(ToString::to_string).collect();
        let mut text = format!(
            "{} partner{} ({}), {rate} for {} s",
            self.partners,
            many(self.partners),
            methods.join(", "),
            self.duration.as_secs_f64(),
        );
        match self.direction {
            Direction::Both => {}
            Direction::In => text.push_str(", only inward"),
            Direction::Out => text.push_str(", only outward"),
        }
        if self.churn > 0.0 {
            text.push_str(&format!(
                ", {} connections a second opened anew",
                self.churn
            ));
        }
        text
    }
}

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
    let way = match (&opened.link, wanted.direction) {
        (None, _) => Some(Way::Ping),
        (Some(_), Direction::Both | Direction::In) => Some(Way::Inward),
        (Some(_), Direction::Out) => None,
    };
    let books = Arc::new(Books::new(wanted.partners, wanted.window));
    let process = Process::listening_at(opened.address);
    let before = process.and_then(Process::look);
    let mut load = Load {
        books: Arc::clone(&books),
        wanted,
        process,
        began: Instant::now(),
        members: JoinSet::new(),
        renew: Vec::new(),
        samples: Vec::new(),
        view: View::new(wanted.partners),
    };
    let outward = opened.link.is_some() && wanted.direction != Direction::In;
    let senders = load.senders(&opened, outward, way.is_some());
    let inner = opened.link.take().map(|link| {
        let serving = inner::serve(link, senders, Arc::clone(&books));
        tokio::spawn(serving)
    });
    load.enter(Phase::Connecting);
    let places = load.start(&opened, way, outward).await;
    let mut interrupted = false;
    let (mut connected, mut seconds) = (None, 0.0);
    let mut open = (0, 0);
    if let Err(error) = &places {
        books.error(&format!("a partner cannot listen: {error}"));
    } else {
        let steady = async {
            load.until(CONNECTING, |books| {
                books.settled.load(Ordering::Relaxed) >= wanted.partners
            })
            .await;
            if outward {
                load.enter(Phase::WarmingUp);
                let all = |books: &Books| books.warmed.load(Ordering::Relaxed) >= wanted.partners;
                load.until(CONNECTING, all).await;
            }
            open = load.open();
            connected = load.process.and_then(Process::look);
            load.enter(Phase::Steady);
            load.steady().await;
        };
        tokio::select! {
            () = steady => {}
            Some(()) = ends.recv() => interrupted = true,
        }
        if books.phase() == Phase::Steady {
            seconds = books.counted().as_secs_f64();
        }
        load.enter(Phase::Draining);
        let drained = load.until(DRAINING, |books| books.under_way() == 0);
        tokio::select! {
            () = drained => {}
            Some(()) = ends.recv() => interrupted = true,
        }
    }
    let after = process.and_then(Process::look);
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
    let frame = Frame {
        target: opened.name,
        load: wanted.text(),
        interrupted,
        seconds,
        partners: wanted.partners,
        dialled: open.0,
        accepted: open.1,
        usage: Uses::of([before, connected, after], open.0 + open.1, &load.samples),
        samples: load.samples,
    };
    Ok(Report::of(frame, &books))
}

/// A load that runs.
struct Load<'a> {
    books: Arc<Books>,
    wanted: &'a Wanted,
    process: Option<Process>,
    began: Instant,
    members: JoinSet<()>,
    /// Asks each partner to close a connection and open it anew.
    renew: Vec<mpsc::Sender<()>>,
    samples: Vec<Sample>,
    view: View,
}

impl Load<'_> {
    fn enter(&self, phase: Phase) {
        self.view.enter(phase);
        self.books.enter(phase);
    }

    /// The share of all stanzas that go each way, as the number of flows that share the rate.
    fn flows(&self, both: bool) -> usize {
        self.wanted.partners * if both { 2 } else { 1 }
    }

    fn senders(&self, opened: &Opened, outward: bool, inward: bool) -> Senders {
        let wanted = self.wanted;
        let rate = wanted
            .rate
            .map(|rate| if inward { rate / 2.0 } else { rate });
        let partners = opened.partners.iter().enumerate().filter(|_| outward);
        let moulds = partners.map(|(number, partner)| {
            let (from, to) = (format!("load@{}", opened.domain), format!("load@{partner}"));
            Mould::new(Way::Outward, number, &from, &to, wanted.size)
        });
        Senders {
            moulds: moulds.collect(),
            pace: Pace::of(rate, 0, 1),
        }
    }

    /// Starts the partners. What is returned holds their addresses.
    async fn start(
        &mut self,
        opened: &Opened,
        way: Option<Way>,
        outward: bool,
    ) -> io::Result<Vec<Arc<Place>>> {
        let wanted = self.wanted;
        let flows = self.flows(outward && way.is_some());
        let mut places = Vec::new();
        for (number, domain) in opened.partners.iter().enumerate() {
            let lab = &opened.lab;
            let place = lab.place(domain, lab.partners)?;
            lab.publish(domain, place.address())
                .map_err(io::Error::other)?;
            let method = Method::of(&wanted.methods, number);
            let setup = setup(opened, wanted, domain, method, &place);
            let (partner, released) = Partner::start_releasing(setup).await?;
            let sending = way.map(|way| {
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
    async fn steady(&mut self) {
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
            usage: self.process.and_then(Process::look),
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
    let offer = method.policy().as_offer();
    let authority = &opened.lab.authority;
    PartnerSetup {
        domain: domain.to_owned(),
        identity: authority.issue(&[domain], offer.certificate, offer.key),
        persona: Arc::new(Persona::correct("load", "one of many", offer)),
        tls: TlsOptions::default(),
        roots: authority.roots(),
        target_domain: opened.domain.clone(),
        other_domains: Vec::new(),
        target: opened.address,
        direct_tls: None,
        secret: format!("{domain} {}", wanted.seed),
        patience: PATIENCE,
        accepts: Begins::Plain(true),
        answers: false,
        insists: false,
        seed: wanted.seed,
        board: Board::default(),
        values: Arc::default(),
        connections: CONNECTIONS,
        listen: place.address(),
    }
}
