use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use simulated_partners::persona::builtin;
use tokio::sync::Semaphore;

use super::*;
use crate::case::Case;
use crate::lab::Lab;
use crate::matrix::{Selection, cases};
use crate::oracle::Profile;
use crate::runner::{Budget, Deadlines, jobs};
use crate::subject::reference::Reference;
use crate::subject::{CallError, Pending, Placement, Running, StartError, Stop, Target, Words};

/// A case that any working target accepts.
const CASE: &str = "policies/row09/row03/inbound";

/// The reference proxy, which rejects its configuration at some starts, and at others says that it
/// cannot have it.
struct Moody {
    proxy: Reference,
    starts: AtomicU32,
    refuses_at: fn(u32) -> bool,
    cannot_at: fn(u32) -> bool,
}

impl Target for Moody {
    fn name(&self) -> String {
        self.proxy.name()
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
        let start = 1 + self.starts.fetch_add(1, Ordering::Relaxed);
        if (self.refuses_at)(start) {
            Box::pin(async { Err(StartError::ConfigRefused("not in the mood".to_owned())) })
        } else if (self.cannot_at)(start) {
            Box::pin(async { Err(StartError::Unsupported("no longer there".to_owned())) })
        } else {
            self.proxy.start(lab, group, cases)
        }
    }
}

fn plan(ids: &[&str], refuses_at: fn(u32) -> bool) -> Plan {
    plan_of(ids, refuses_at, |_| false)
}

fn plan_of(ids: &[&str], refuses_at: fn(u32) -> bool, cannot_at: fn(u32) -> bool) -> Plan {
    let target = Moody {
        proxy: Reference {
            strict_certificates: false,
        },
        starts: AtomicU32::new(0),
        refuses_at,
        cannot_at,
    };
    let all = cases(&builtin());
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let selection = Selection::new(&ids, crate::requirement::Registry::builtin()).unwrap();
    let selected: Vec<Case> = selection
        .select(&all)
        .unwrap()
        .into_iter()
        .cloned()
        .collect();
    let profile = Profile::default();
    Plan {
        jobs: jobs(&all, &selected, &target, profile),
        target: Arc::new(target),
        profile,
        deadlines: Deadlines::default(),
        slots: Arc::new(Semaphore::new(8)),
        seed: 5,
        keep_events: false,
        keeps: None,
        check: Arc::new(BaselineCheck::none()),
        doubts: false,
        asks_again: false,
        budget: None,
        prove: false,
    }
}

/// All results, the number of rounds, and whether the run was interrupted.
async fn told(plan: Plan, repetition: Repetition) -> (Vec<Record>, u32, bool) {
    let (sender, mut events) = mpsc::channel(64);
    let (_never, interrupt) = watch::channel(false);
    tokio::spawn(repeat(plan, repetition, sender, interrupt));
    let mut records = Vec::new();
    while let Some(event) = events.recv().await {
        match event {
            RunEvent::Finished(record) => records.push(*record),
            RunEvent::Ended {
                rounds,
                interrupted,
                ..
            } => return (records, rounds, interrupted),
            RunEvent::Breach(what) | RunEvent::Trouble(what) => panic!("{what}"),
            RunEvent::Started { .. } | RunEvent::Repeating { .. } => {}
        }
    }
    panic!("the run has no end");
}

const fn times(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

#[tokio::test]
async fn a_case_that_fails_once_and_passes_then_is_unstable_and_no_pass() {
    let plan = plan(&[CASE], |start| start == 1);
    let (records, rounds, _) = told(plan, Repetition::Retries(times(2))).await;
    assert_eq!((records.len(), rounds), (1, 3));
    let record = &records[0];
    assert_eq!(record.verdict, Verdict::Unstable, "{}", record.why);
    assert!(
        record
            .why
            .starts_with("2 of 3 runs ended differently: round 1 fail"),
        "{}",
        record.why
    );
    let repeated = record.result.repeated.as_ref().unwrap();
    let divergence = repeated.divergence.as_ref().unwrap();
    assert_eq!((divergence.rounds, divergence.event), ([1, 2], 1));
    assert_eq!(divergence.lines[0], None);
    assert!(divergence.lines[1].as_ref().unwrap().contains("open"));
}

#[tokio::test]
async fn a_case_that_fails_each_time_stays_a_failure() {
    let plan = plan(&[CASE], |_| true);
    let (records, rounds, _) = told(plan, Repetition::Retries(times(2))).await;
    assert_eq!((records[0].verdict, rounds), (Verdict::Fail, 3));
    assert_eq!(records[0].result.repeated.as_ref().unwrap().runs, 3);
}

#[tokio::test]
async fn a_case_that_becomes_unsupported_is_told_once() {
    let retries = Repetition::Retries(times(1));
    let rounds = Repetition::Rounds(Rounds {
        at_most: Some(times(2)),
        until_unexpected: false,
    });
    for repetition in [retries, rounds] {
        let plan = plan_of(&[CASE], |start| start == 1, |start| start == 2);
        let (records, rounds, _) = told(plan, repetition).await;
        assert_eq!((records.len(), rounds), (1, 2));
        assert_eq!(records[0].verdict, Verdict::Unstable, "{}", records[0].why);
        assert!(
            records[0].why.contains("round 2 unsupported"),
            "{}",
            records[0].why
        );
    }
}

#[tokio::test]
async fn what_passes_is_not_tried_again() {
    let plan = plan(&[CASE], |_| false);
    let (records, rounds, _) = told(plan, Repetition::Retries(times(2))).await;
    assert_eq!((records[0].verdict, rounds), (Verdict::Pass, 1));
    assert_eq!(records[0].result.repeated, None);
}

#[tokio::test]
async fn rounds_that_end_the_same_are_one_result() {
    let ids = [CASE, "personas/row07/{modern,google-talk,cert-expired}"];
    let rounds = Rounds {
        at_most: Some(times(3)),
        until_unexpected: false,
    };
    let plan = plan(&ids, |_| false);
    let wanted = plan.jobs.len();
    let (records, rounds, interrupted) = told(plan, Repetition::Rounds(rounds)).await;
    assert_eq!((records.len(), rounds, interrupted), (wanted, 3, false));
    for record in records {
        assert_eq!(record.verdict, Verdict::Pass, "{}", record.why);
        let repeated = record.result.repeated.unwrap();
        assert_eq!((repeated.runs, repeated.divergence), (3, None));
        assert!(
            record.result.events.is_empty(),
            "kept without being requested"
        );
    }
}

#[tokio::test]
async fn repetition_ends_with_the_first_unexpected_round() {
    let rounds = Rounds {
        at_most: None,
        until_unexpected: true,
    };
    let plan = plan(&[CASE], |start| start == 3);
    let (records, rounds, interrupted) = told(plan, Repetition::Rounds(rounds)).await;
    assert_eq!((rounds, interrupted), (3, false));
    assert_eq!(records[0].verdict, Verdict::Unstable);
}

#[tokio::test]
async fn an_interrupt_is_a_good_end_of_endless_rounds_and_keeps_their_results() {
    let (sender, mut events) = mpsc::channel(64);
    let (interrupt, interrupted) = watch::channel(false);
    let rounds = Repetition::Rounds(Rounds {
        at_most: None,
        until_unexpected: true,
    });
    let plan = plan(&[CASE], |_| false);
    tokio::spawn(repeat(plan, rounds, sender, interrupted));
    let mut verdicts = Vec::new();
    let mut end = None;
    while let Some(event) = events.recv().await {
        match event {
            RunEvent::Repeating { round: 2, .. } => {
                interrupt.send_replace(true);
            }
            RunEvent::Finished(record) => verdicts.push(record.verdict),
            RunEvent::Ended { interrupted, .. } => end = Some(interrupted),
            _ => {}
        }
    }
    assert_eq!((verdicts, end), (vec![Verdict::Pass], Some(false)));
}

/// A target whose stop command fails.
struct Stubborn(Arc<dyn Target>);

impl Target for Stubborn {
    fn name(&self) -> String {
        self.0.name()
    }

    fn place(&self, case: &Case) -> Placement {
        self.0.place(case)
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async move {
            let (running, stop) = self.0.start(lab, group, cases).await?;
            let stop: Stop = Box::new(move || {
                Box::pin(async move {
                    stop().await?;
                    Err(CallError::Hung {
                        purpose: "stop",
                        command: "`stop`".to_owned(),
                        after: Duration::from_secs(1),
                        words: Words::default(),
                    })
                })
            });
            Ok((running, stop))
        })
    }
}

#[tokio::test]
async fn a_stop_command_that_fails_is_trouble_of_the_run() {
    let plan = plan(&[CASE], |start| start == 1);
    let plan = Plan {
        target: Arc::new(Stubborn(plan.target)),
        ..plan
    };
    let (sender, mut events) = mpsc::channel(64);
    let (_never, interrupt) = watch::channel(false);
    tokio::spawn(repeat(
        plan,
        Repetition::Retries(times(2)),
        sender,
        interrupt,
    ));
    let mut trouble = Vec::new();
    while let Some(event) = events.recv().await {
        if let RunEvent::Trouble(what) = event {
            trouble.push(what);
        }
    }
    // Two rounds of it are worth a line.
    let [told] = &trouble[..] else {
        panic!("{trouble:?}");
    };
    let end = ": the stop command `stop` did not end within 1 s and was killed (it wrote nothing)";
    assert!(told.ends_with(end), "{told}");
}

#[tokio::test]
async fn what_the_budget_does_not_reach_is_not_run() {
    let at_most = Some(times(3));
    let rounds = Rounds {
        at_most,
        until_unexpected: false,
    };
    for repetition in [Repetition::Once, Repetition::Rounds(rounds)] {
        let plan = Plan {
            budget: Some(Budget::from_now(Duration::ZERO)),
            ..plan(&["personas/row09/modern/*"], |_| false)
        };
        let (records, _, interrupted) = told(plan, repetition).await;
        assert!(!records.is_empty() && !interrupted);
        for record in records {
            assert_eq!(record.verdict, Verdict::NotRun);
            assert_eq!(record.why, "the budget of the run, 0 s, was spent");
        }
    }
}

#[tokio::test]
async fn endless_rounds_end_with_the_budget_and_keep_their_results() {
    let budget = Duration::from_secs(3);
    let rounds = Rounds {
        at_most: None,
        until_unexpected: true,
    };
    let plan = Plan {
        budget: Some(Budget::from_now(budget)),
        ..plan(&[CASE], |_| false)
    };
    let began = Instant::now();
    let (records, rounds, interrupted) = told(plan, Repetition::Rounds(rounds)).await;
    assert!(began.elapsed() < budget * 2, "{:?}", began.elapsed());
    assert!(rounds > 1 && !interrupted, "{rounds}");
    // A round that the budget has cut off takes nothing back.
    let verdicts: Vec<Verdict> = records.iter().map(|record| record.verdict).collect();
    assert_eq!(verdicts, [Verdict::Pass]);
}

#[tokio::test]
async fn nothing_is_tried_again_when_the_budget_is_spent() {
    let plan = Plan {
        budget: Some(Budget::from_now(Duration::from_secs(2))),
        ..plan(&[CASE], |_| true)
    };
    let many = times(1_000_000);
    let (records, rounds, _) = told(plan, Repetition::Retries(many)).await;
    assert!(rounds < many.get(), "{rounds}");
    assert_eq!(records[0].verdict, Verdict::Fail);
}

#[tokio::test]
async fn a_round_whose_target_was_gone_is_not_left_out() {
    let (records, ..) = told(plan(&[CASE], |_| false), Repetition::Once).await;
    let mut gone = records[0].clone();
    assert_eq!(gone.verdict, Verdict::Pass);
    let mut history = History::new(gone.clone(), 1, false);
    gone.verdict = Verdict::NotRun;
    gone.result.run = Run::NotRun(NotRun::TargetGone("it ended".to_owned()));
    history.add(gone, 2, false);
    assert!(matches!(history.result().run, Run::Failed(_)));
}
