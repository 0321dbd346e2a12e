//! Lets time pass for a target whose clock is moved from here: when the partners have done their last
//! act, and nothing but time is missing for something to happen.

use std::time::Duration;

use simulated_partners::driver::Ahead;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::case_run::CaseRun;
use super::error::CaseError;
use crate::case::{DnsAnswer, Script, Setting};
use crate::subject::Clock;

/// How far the clock is moved at once while a partner repeats something: longer than most timeouts, but
/// less than a whole negotiation takes at most, which must not be renewed each time.
const STEP: Duration = Duration::from_secs(40);
/// When to look again at a partner in the middle of something.
const SOON: Duration = Duration::from_millis(10);
/// How long the target has to rest before it is moved. What the system is just handing over is in no queue that can be
/// asked for it.
const MOMENT: Duration = Duration::from_millis(1);
/// How far it is moved in all where a negotiation has to end, and where an idle stream has to.
const NEGOTIATION: Duration = Duration::from_secs(120);
const IDLENESS: Duration = Duration::from_secs(240);

/// What is raised when the clock has been moved as far as it is.
const UP: &str = "time-is-up";

/// The time that can pass.
pub(super) struct Passing<'a> {
    clock: &'a Clock,
    rests: watch::Receiver<()>,
    left: Duration,
    /// How much has passed.
    passed: Duration,
    /// What partners do something after, each time that it has passed.
    every: Option<Duration>,
    /// Turns of the target's tasks at the last move.
    turns: Option<u64>,
    /// The same when it was last found at rest.
    rested: Option<u64>,
    /// When a partner goes on after a pause.
    pause: Option<Instant>,
    /// Whether a question to DNS may stay without an answer.
    silent_dns: bool,
    /// Whether the inner side has sent what may not have arrived.
    sent: bool,
}

impl<'a> Passing<'a> {
    pub(super) fn of(clock: &'a Clock, script: &Script) -> Self {
        let mut rests = clock.rests.clone();
        // It may rest from the beginning.
        rests.mark_changed();
        Self {
            clock,
            rests,
            left: match (&script.administration, script.setting) {
                (Some(one), _) => one.passes.unwrap_or_default(),
                (None, Setting::ShortIdle) => IDLENESS,
                (None, _) => NEGOTIATION,
            },
            passed: Duration::ZERO,
            every: script.administration.as_ref().and_then(|one| one.every),
            turns: None,
            rested: None,
            pause: None,
            silent_dns: script
                .dns
                .iter()
                .any(|dns| dns.answer == Some(DnsAnswer::Silence)),
            sent: true,
        }
    }

    /// The inner side has sent something.
    pub(super) fn was_sent(&mut self) {
        self.sent = true;
    }

    /// Something has happened, after which the target may rest as before.
    pub(super) fn look_again(&mut self) {
        self.rests.mark_changed();
    }

    /// Moves the clock, unless the target has stirred since it rested.
    fn move_on(&mut self, rested: u64, ahead: Ahead, silent_dns: bool) {
        if (self.clock.at_rest)(silent_dns) != Some(rested) || self.left.is_zero() {
            return;
        }
        let most = match ahead {
            Ahead::Nothing => match self.every {
                None => self.left,
                // What a partner does then has to arrive between two moves.
                Some(_) if self.turns == Some(rested) => return,
                Some(every) => every.saturating_sub(remainder(self.passed, every)),
            },
            // What a partner repeats has to arrive between two moves.
            Ahead::Repetition if self.turns == Some(rested) => return,
            Ahead::Repetition => STEP,
            Ahead::Pause(time) => {
                self.pause = Some(Instant::now() + time);
                return;
            }
            Ahead::Soon => {
                self.pause = Some(Instant::now() + SOON);
                return;
            }
        };
        if self.rested.replace(rested) != Some(rested) {
            self.pause = Some(Instant::now() + MOMENT);
            return;
        }
        self.turns = Some(rested);
        if let Some(moved) = (self.clock.advance)(most.min(self.left)) {
            self.left -= moved;
            self.passed += moved;
            if self.left.is_zero() {
                // Whatever waits for longer does not stir.
                self.look_again();
            }
        }
    }
}

/// Returns when the target has come to rest; never without a clock to move.
pub(super) async fn rest(passing: &mut Option<Passing<'_>>) {
    let Some(passing) = passing else {
        return std::future::pending().await;
    };
    let Passing { rests, pause, .. } = passing;
    let paused = async {
        match *pause {
            Some(end) => sleep_until(end).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // The clock, which is held here, tells of rests as long as it is there.
        _ = rests.changed() => {}
        () = paused => {}
    }
    *pause = None;
}

/// What is left over when a time is cut into pieces of this length.
fn remainder(time: Duration, piece: Duration) -> Duration {
    let nanos = time.as_nanos() % piece.as_nanos().max(1);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

impl CaseRun<'_> {
    /// Tells partners that a time has passed after which they do something.
    fn tell_of_time(&self, before: Duration, passing: &Passing<'_>) {
        let Some(every) = passing.every else { return };
        let whole = |time: Duration| time.as_nanos() / every.as_nanos().max(1);
        if whole(passing.passed) > whole(before) {
            let passed = passing.passed - remainder(passing.passed, every);
            self.board.raise(format!("passed-{}", passed.as_secs()), "");
        }
    }

    /// Moves the target's clock if nothing else can happen.
    pub(super) async fn let_time_pass(
        &mut self,
        passing: &mut Passing<'_>,
    ) -> Result<(), CaseError> {
        // What partners have sent may be what something is done after.
        let spoke = std::mem::take(&mut self.partner_spoke) && self.script.administration.is_some();
        if (std::mem::take(&mut passing.sent) || spoke)
            && let Some(inner) = self.backend.inner()
        {
            // A target that does not answer there fails for that later.
            let _ = timeout(
                self.bench.deadlines.settle,
                self.bench.instance.barrier(inner),
            )
            .await;
        }
        // A lookup that has only begun will be answered, unless its answer is silence.
        let silent_dns = passing.silent_dns && !self.queries().is_empty();
        let Some(rested) = (passing.clock.at_rest)(silent_dns) else {
            return Ok(());
        };
        let mut ahead = Ahead::Nothing;
        for one in &self.partners {
            ahead = ahead.max(one.partner.settle().await);
        }
        if self.takes_in()? {
            passing.look_again();
        } else if self.is_about_to_act() {
            // It is looked at again when that is done.
        } else if passing.left.is_zero() {
            self.board.raise(UP, "");
        } else {
            let before = passing.passed;
            passing.move_on(rested, ahead, silent_dns);
            self.tell_of_time(before, passing);
        }
        Ok(())
    }
}
