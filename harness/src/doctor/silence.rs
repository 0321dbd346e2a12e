//! How long the target keeps a partner that says nothing: cases with silent partners wait for that.

use std::time::Duration;

use simulated_partners::persona;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::Subject;
use super::finding::{Blame, CheckResult, Finding, Severity};
use crate::case::Case;
use crate::matrix;
use crate::scenario::Library;

/// How long a partner of a case waits by default, so longer ones are of no use.
const BOUND: Duration = Duration::from_secs(5);
/// What is read at once and thrown away.
const CHUNK: usize = 1024;

/// Whether the target drops a silent partner soon enough, and when it said it would. None where it is
/// known that no case waits for it.
pub(super) async fn silence(subject: &Subject, reachable: bool) -> Option<CheckResult> {
    if subject.patience == Some(Duration::ZERO) {
        return None;
    }
    if !reachable {
        return Some(CheckResult::not_seen("no stream that could be silent"));
    }
    let Ok(silent) = TcpStream::connect(subject.address).await else {
        return Some(CheckResult::not_seen(
            "it took no connection to be silent on",
        ));
    };
    Some(match kept(silent).await {
        Some(time) => in_time(subject, time),
        None => too_long(subject),
    })
}

/// How long a connection lasted on which nothing was sent. None if it outlasts the bound.
async fn kept(mut silent: TcpStream) -> Option<Duration> {
    let began = Instant::now();
    let ended = async {
        let mut chunk = [0; CHUNK];
        while matches!(silent.read(&mut chunk).await, Ok(1..)) {}
    };
    timeout(BOUND, ended).await.ok()?;
    Some(began.elapsed())
}

fn in_time(subject: &Subject, time: Duration) -> CheckResult {
    let seen = format!("a silent partner is dropped after {}", seconds(time));
    match subject.patience {
        Some(_) => CheckResult::fine(seen),
        None => Finding::new(
            Severity::Note,
            Blame::Configuration,
            format!("{seen}, and the target file does not say so"),
            format!(
                "state it, so that a longer silence is a failure: `stream = {}` in [timeouts]",
                (time.as_secs_f64() + 0.5).ceil()
            ),
        )
        .into(),
    }
}

fn too_long(subject: &Subject) -> CheckResult {
    let kept = format!("a silent partner is kept for more than {}", seconds(BOUND));
    let what = match subject.patience {
        Some(stated) if stated < BOUND => {
            format!("{kept}, though the target file states {}", seconds(stated))
        }
        Some(_) | None => kept,
    };
    let gain = match waiting(subject) {
        0 => String::new(),
        1 => ", which decides 1 case that waits for it".to_owned(),
        cases => format!(", which decides {cases} cases that wait for it"),
    };
    Finding::new(
        Severity::Warning,
        Blame::Configuration,
        what,
        format!(
            "set its timeout for negotiations to 4 s (Prosody: s2s_timeout; ejabberd: \
             negotiation_timeout) and state it as `stream = 4` in [timeouts]{gain}"
        ),
    )
    .into()
}

/// The number of cases in this policy in which a partner is silent.
fn waiting(subject: &Subject) -> usize {
    let matrix = matrix::cases(&persona::builtin());
    let cases = matrix.into_iter().chain(Library::builtin().cases());
    let waits = |case: &Case| case.waits() && subject.row.is_none_or(|row| row == case.row);
    cases.filter(waits).count()
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
