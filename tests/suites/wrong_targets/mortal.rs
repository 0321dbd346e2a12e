//! Targets that die: the case that kills one fails, and no other is blamed for it.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use s2spec::case::Case;
use s2spec::lab::Lab;
use s2spec::oracle::Profile;
use s2spec::record::Record;
use s2spec::runner::{Collected, Deadlines};
use s2spec::subject::reference::Reference;
use s2spec::subject::{Pending, Placement, Running, StartError, Stop, Target};
use s2spec::verdict::Verdict;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::case;
use crate::support::collect;

const CHUNK: usize = 8192;

/// What it dies of.
#[derive(Clone, Copy)]
enum Cause {
    /// Bytes of a partner, read before TLS hides them.
    Word(&'static str),
    /// A connection too many.
    Connection(usize),
}

/// The embedded proxy behind a door that can close for good.
struct Mortal {
    proxy: Reference,
    cause: Cause,
    /// How often it can be started.
    lives: usize,
    starts: AtomicUsize,
}

impl Mortal {
    fn of(cause: Cause, lives: usize) -> Self {
        Self {
            proxy: Reference {
                strict_certificates: false,
            },
            cause,
            lives,
            starts: AtomicUsize::new(0),
        }
    }
}

impl Target for Mortal {
    fn name(&self) -> String {
        "a proxy that dies".to_owned()
    }

    fn place(&self, case: &Case) -> Placement {
        self.proxy.place(case)
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async move {
            if self.starts.fetch_add(1, Ordering::Relaxed) >= self.lives {
                return Err(StartError::Environment("nobody starts it".to_owned()));
            }
            let (running, stop) = self.proxy.start(lab, group, cases).await?;
            let trouble = |error: io::Error| StartError::Environment(error.to_string());
            let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .map_err(trouble)?;
            let address = door.local_addr().map_err(trouble)?;
            let door = tokio::spawn(stand(door, running.address, self.cause));
            let stop: Stop = Box::new(move || {
                Box::pin(async move {
                    door.abort();
                    stop().await
                })
            });
            Ok((Running { address, ..running }, stop))
        })
    }
}

/// Lets connections through until it dies, and all of them with it.
async fn stand(door: TcpListener, to: SocketAddr, cause: Cause) {
    let (fatal, mut died) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut count = 0;
    loop {
        tokio::select! {
            biased;
            _ = died.wait_for(|died| *died) => {
                // Whoever sees a connection end finds the port closed.
                return close(&door);
            }
            accepted = door.accept() => {
                let Ok((partner, _)) = accepted else { return };
                count += 1;
                if matches!(cause, Cause::Connection(last) if count > last) {
                    return close(&door);
                }
                connections.spawn(pass(partner, to, cause, fatal.clone()));
            }
        }
    }
}

/// Lets nobody in any more, even while a process that another test starts has a copy of the socket.
fn close(door: &TcpListener) {
    SockRef::from(door)
        .shutdown(Shutdown::Both)
        .expect("it listens");
}

async fn pass(mut partner: TcpStream, to: SocketAddr, cause: Cause, fatal: watch::Sender<bool>) {
    let Ok(mut proxy) = TcpStream::connect(to).await else {
        return;
    };
    let (mut from_partner, mut to_partner) = partner.split();
    let (mut from_proxy, mut to_proxy) = proxy.split();
    let inwards = async {
        let mut chunk = vec![0; CHUNK];
        while let Ok(length @ 1..) = from_partner.read(&mut chunk).await {
            let text = String::from_utf8_lossy(&chunk[..length]);
            if matches!(cause, Cause::Word(word) if text.contains(word)) {
                fatal.send_replace(true);
                return std::future::pending().await;
            }
            if to_proxy.write_all(&chunk[..length]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = inwards => {}
        _ = tokio::io::copy(&mut from_proxy, &mut to_partner) => {}
    }
}

const CASES: [&str; 6] = [
    "personas/row09/dialback-only/inbound",
    "personas/row09/google-talk/inbound",
    "personas/row09/modern/inbound",
    "personas/row09/modern/outbound",
    "personas/row09/no-version/inbound",
    "personas/row09/tls12-only/inbound",
];
/// Kills a target that dies of its name.
const KILLER: &str = CASES[0];
const WORD: &str = "from='inbound.dialback-only";

fn run(target: Mortal, at_once: usize) -> Collected {
    run_within(Deadlines::default(), target, at_once)
}

fn run_within(deadlines: Deadlines, target: Mortal, at_once: usize) -> Collected {
    let selected = CASES.map(case);
    let slots = Arc::new(Semaphore::new(at_once));
    collect(
        &slots,
        deadlines,
        Arc::new(target),
        Profile::default(),
        &selected,
        false,
    )
}

fn of<'a>(collected: &'a Collected, id: &str) -> &'a Record {
    let mut all = collected.records.iter();
    all.find(|record| record.result.case.id == id)
        .expect("every case has a record")
}

#[test]
fn the_case_that_kills_a_target_fails_alone_where_the_target_can_be_started_again() {
    let collected = run(Mortal::of(Cause::Word(WORD), usize::MAX), 8);
    assert_eq!(collected.records.len(), CASES.len());
    for id in CASES {
        let record = of(&collected, id);
        if id == KILLER {
            assert_eq!(record.verdict, Verdict::Fail, "{}", record.why);
            let start = "the server stopped taking connections at 127.0.0.1:";
            assert!(record.why.starts_with(start), "{}", record.why);
            assert!(record.result.wire.contains("P:header"), "its way is shown");
        } else {
            assert_eq!(record.verdict, Verdict::Pass, "{id}: {}", record.why);
        }
    }
    assert_eq!(collected.trouble, Vec::<String>::new());
}

#[test]
fn one_at_a_time_the_killer_is_known_without_a_restart() {
    let deadlines = Deadlines::default();
    // However slow the machine is, no other case begins beside one that runs.
    let alone = Deadlines {
        still: deadlines.case,
        ..deadlines
    };
    let collected = run_within(alone, Mortal::of(Cause::Word(WORD), 1), 1);
    assert_eq!(of(&collected, KILLER).verdict, Verdict::Fail);
    let gone: Vec<&Record> = collected
        .records
        .iter()
        .filter(|record| record.verdict == Verdict::NotRun)
        .collect();
    assert_eq!(gone.len(), CASES.len() - 1, "all after the first");
    for record in gone {
        assert!(
            record.why.ends_with(&format!(
                "after {KILLER}; it cannot be started again: nobody starts it"
            )),
            "{}",
            record.why
        );
    }
    assert_eq!(collected.trouble, Vec::<String>::new());
}

#[test]
fn without_a_restart_no_case_under_way_is_blamed() {
    let collected = run(Mortal::of(Cause::Connection(2), 1), 8);
    let blamed = |record: &&Record| !matches!(record.verdict, Verdict::Pass | Verdict::NotRun);
    assert_eq!(collected.records.iter().filter(blamed).count(), 0);
    let [trouble] = collected.trouble.as_slice() else {
        panic!("{:?}", collected.trouble);
    };
    assert!(trouble.contains("stopped taking connections"), "{trouble}");
    let why = |record: &Record| {
        record.verdict == Verdict::NotRun && record.why.starts_with(trouble.as_str())
    };
    assert!(collected.records.iter().any(why), "they share one reason");
}

#[test]
fn a_target_that_dies_of_its_age_is_nobodys_fault() {
    let collected = run(Mortal::of(Cause::Connection(5), usize::MAX), 8);
    for record in &collected.records {
        assert_eq!(record.verdict, Verdict::Pass, "{}", record.why);
    }
    let told = |trouble: &String| trouble.contains("none of these cases does that");
    assert!(!collected.trouble.is_empty() && collected.trouble.iter().all(told));
}
