//! A server with a process of its own that gets no processor for a while, as on a busy machine.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use s2spec::case::{Case, Direction, Set};
use s2spec::lab::Lab;
use s2spec::oracle::Profile;
use s2spec::subject::{Pending, Placement, Running, StartError, Stop, Target};
use s2spec::verdict::Verdict;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::case;
use crate::support::{all_cases, others, reference, run};

/// The embedded proxy behind a door that leaves some connections without an answer.
struct Stalling {
    proxy: Arc<dyn Target>,
    /// How many, from the first.
    silent: usize,
    connections: Arc<AtomicUsize>,
    /// Whether a process of the server has work without end.
    never_rests: bool,
}

/// A process that has a copy of a listener, which is how the run finds it, and work without end.
fn worker(door: &TcpListener) -> io::Result<Child> {
    let copy: OwnedFd = door.as_fd().try_clone_to_owned()?;
    Command::new("nice")
        // It ends with the test, whatever ends that.
        .args(["-n", "19", "sh", "-c", "while kill -0 $PPID; do :; done"])
        .stdin(copy)
        // As what s2spec starts has a group of its own.
        .process_group(0)
        .spawn()
}

impl Target for Stalling {
    fn name(&self) -> String {
        "a server that stalls".to_owned()
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
            let (running, stop) = self.proxy.start(lab, group, cases).await?;
            let trouble = |error: io::Error| StartError::Environment(error.to_string());
            let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let door = door.map_err(trouble)?;
            let address = door.local_addr().map_err(trouble)?;
            let work = self.never_rests.then(|| worker(&door)).transpose();
            let mut work = work.map_err(trouble)?;
            let (to, silent) = (running.address, self.silent);
            let connections = Arc::clone(&self.connections);
            let door = tokio::spawn(async move {
                let mut under_way = JoinSet::new();
                while let Ok((mut partner, _)) = door.accept().await {
                    let is_silent = connections.fetch_add(1, Ordering::Relaxed) < silent;
                    under_way.spawn(async move {
                        if is_silent {
                            std::future::pending::<()>().await;
                        }
                        if let Ok(mut proxy) = TcpStream::connect(to).await {
                            let _ = copy_bidirectional(&mut partner, &mut proxy).await;
                        }
                    });
                }
            });
            let (alive, process) = watch::channel(None);
            let stop: Stop = Box::new(move || {
                Box::pin(async move {
                    door.abort();
                    drop(alive);
                    if let Some(work) = &mut work {
                        let _ = work.kill();
                        let _ = work.wait();
                    }
                    stop().await
                })
            });
            let process = Some(process);
            Ok((
                Running {
                    address,
                    process,
                    is_inside: false,
                    ..running
                },
                stop,
            ))
        })
    }
}

/// Inbound cases of a policy, and the connections that they took.
fn verdicts(silent: usize) -> (Vec<String>, usize, usize) {
    let is_meant = |case: &&Case| {
        case.set == Set::Policies && case.row.number() == 9 && case.direction == Direction::Inbound
    };
    let cases: Vec<Case> = all_cases().iter().filter(is_meant).cloned().collect();
    let connections = Arc::default();
    let target = Stalling {
        proxy: reference(),
        silent,
        connections: Arc::clone(&connections),
        never_rests: false,
    };
    let records = run(Arc::new(target), Profile::default(), &cases);
    let wrong = others(&records, &[Verdict::Pass]);
    (wrong, records.len(), connections.load(Ordering::Relaxed))
}

#[test]
fn what_a_stalled_server_leaves_unanswered_is_asked_again() {
    let (wrong, _, connections) = verdicts(0);
    assert_eq!(wrong, Vec::<String>::new());
    // More than are run again at first.
    let silent = 12;
    let (wrong, cases, more) = verdicts(silent);
    assert_eq!(wrong, Vec::<String>::new());
    assert!(cases > silent, "{cases}");
    assert!(
        more > connections,
        "{more} connections, {connections} without stalls"
    );
}

#[test]
fn what_a_server_that_never_rests_leaves_unanswered_is_asked_again() {
    let target = Stalling {
        proxy: reference(),
        silent: 1,
        connections: Arc::default(),
        never_rests: true,
    };
    let id = "personas/row09/modern/inbound";
    let records = run(Arc::new(target), Profile::default(), &[case(id)]);
    let record = records.first().expect("it was run");
    assert_eq!(record.verdict, Verdict::Pass, "{}", record.why);
}

#[test]
fn a_server_that_answers_nothing_is_not_asked_all_again() {
    let (wrong, cases, connections) = verdicts(usize::MAX);
    assert!(wrong.len() > cases / 2, "{wrong:?}");
    // Each case also asks whether the server still answers.
    assert!(
        connections < 3 * cases,
        "{connections} connections for {cases} cases"
    );
}
