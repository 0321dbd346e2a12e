//! A target that sends without end.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use simulated_partners::persona::builtin;
use tokio::sync::{Semaphore, mpsc, watch};

use super::schedule::run;
use super::{Deadlines, Plan, jobs};
use crate::baseline::BaselineCheck;
use crate::case::Case;
use crate::lab::Lab;
use crate::matrix::{Selection, cases};
use crate::oracle::Profile;
use crate::record::{Run, RunEvent};
use crate::subject::{
    Hidden, Inside, Pending, Placement, Running, StartError, Stop, Target, Trigger,
};

const DOMAIN: &str = "flood.example";

/// A target that accepts everybody by dialback and then sends messages as fast as they are read.
struct Flooding;

impl Target for Flooding {
    fn name(&self) -> String {
        DOMAIN.to_owned()
    }

    fn place(&self, _: &Case) -> Placement {
        Placement::Group(DOMAIN.to_owned())
    }

    fn start<'a>(
        &'a self,
        _: &'a Lab,
        _: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async {
            let partner = cases[0].domain();
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            std::thread::spawn(move || flood(&listener, &partner));
            let stop: Stop = Box::new(|| Box::pin(async { Ok(()) }));
            Ok((running(address), stop))
        })
    }
}

fn running(address: SocketAddr) -> Running {
    let inner = Inside::Hidden(Hidden::new(Trigger::Reply));
    Running::new(DOMAIN, address, inner)
}

/// Serves the first connection until it is closed.
fn flood(listener: &TcpListener, partner: &str) {
    let (mut socket, _) = listener.accept().unwrap();
    let hello = format!(
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
         xmlns:db='jabber:server:dialback' from='{DOMAIN}' to='{partner}' id='1' version='1.0'>\
         <stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>\
         <db:result from='{DOMAIN}' to='{partner}' type='valid'/>"
    );
    let body = "x".repeat(200_000);
    let message = format!("<message from='{DOMAIN}' to='{partner}'><body>{body}</body></message>");
    let mut sent = socket.write_all(hello.as_bytes());
    while sent.is_ok() {
        sent = socket.write_all(message.as_bytes());
    }
}

#[tokio::test]
async fn a_flood_ends_the_case_with_an_error_that_says_so() {
    let all = cases(&builtin());
    let ids = ["personas/row17/modern/inbound".to_owned()];
    let selection = Selection::new(&ids, crate::requirement::Registry::builtin()).unwrap();
    let selected: Vec<Case> = (selection.select(&all).unwrap().into_iter())
        .cloned()
        .collect();
    let profile = Profile::default();
    let plan = Plan {
        jobs: jobs(&all, &selected, &Flooding, profile),
        target: Arc::new(Flooding),
        profile,
        deadlines: Deadlines::default(),
        doubts: false,
        asks_again: false,
        budget: None,
        slots: Arc::new(Semaphore::new(1)),
        seed: 5,
        keep_events: true,
        keeps: None,
        check: Arc::new(BaselineCheck::none()),
        prove: false,
    };
    let (sender, mut events) = mpsc::channel(64);
    let (_never, interrupt) = watch::channel(false);
    tokio::spawn(run(plan, sender, interrupt));
    let mut why = None;
    while let Some(event) = events.recv().await {
        if let RunEvent::Finished(record) = event {
            let Run::Failed(error) = record.result.run else {
                panic!("{:?}", record.result.run);
            };
            assert!(record.result.events.is_empty(), "nothing of it is kept");
            why = Some(error);
        }
    }
    // Which limit is reached first depends on who is faster.
    let why = why.expect("a record");
    assert!(why.contains("a flood"), "{why}");
}
