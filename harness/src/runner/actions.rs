//! What a case does by itself, at once or when its signal is raised: partners dial, the inner side sends,
//! DNS records change, an administrator changes the target.

use std::time::Duration;

use simulated_partners::board::Begins;
use simulated_partners::stanza::ping;
use simulated_partners::wire::Element;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::case_run::CaseRun;
use super::error::CaseError;
use crate::case::names;

/// An action waiting for a signal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Dial(usize),
    Local(usize),
    Dns(usize),
    Step(usize),
}

impl CaseRun<'_> {
    /// Executes the initial actions. The rest arrives on `due` when its signal is raised.
    pub(super) fn dues(
        &mut self,
        due: &mpsc::UnboundedSender<Due>,
        waiting: &mut JoinSet<()>,
    ) -> Vec<Due> {
        let mut wait = |name: &str, what: Due| {
            self.pending.insert(what, name.to_owned());
            let (board, name, due) = (self.board.clone(), name.to_owned(), due.clone());
            let kept = match what {
                Due::Dns(_) => self.bench.lab.pool.dns_cache(),
                Due::Dial(_) | Due::Local(_) | Due::Step(_) => Duration::ZERO,
            };
            waiting.spawn(async move {
                board.wait_for(&name).await;
                if !kept.is_zero() {
                    sleep_until(Instant::now() + kept).await;
                }
                // The case may have ended.
                let _ = due.send(what);
            });
        };
        let mut now = Vec::new();
        for (at, role) in self.script.roles.iter().enumerate() {
            match &role.dials {
                Begins::Plain(true) => now.push(Due::Dial(at)),
                Begins::Plain(false) => {}
                Begins::When(name) => wait(name, Due::Dial(at)),
            }
        }
        for (at, local) in self.script.local.iter().enumerate() {
            match &local.when {
                None => now.push(Due::Local(at)),
                Some(name) => wait(name, Due::Local(at)),
            }
        }
        for (at, dns) in self.script.dns.iter().enumerate() {
            if let Some(name) = &dns.when {
                wait(name, Due::Dns(at));
            }
        }
        let steps = self.script.administration.iter().flat_map(|one| &one.steps);
        for (at, step) in steps.enumerate() {
            match &step.when {
                None => now.push(Due::Step(at)),
                Some(name) => wait(name, Due::Step(at)),
            }
        }
        now
    }

    pub(super) async fn due(&mut self, due: Due) -> Result<(), CaseError> {
        self.pending.remove(&due);
        match due {
            Due::Dial(at) => {
                let Some(one) = self.partners.get(at) else {
                    return Ok(());
                };
                let domain = self.names.of_role(one.role);
                let target = self.names.of_target(one.role);
                for _ in 0..one.role.times {
                    let probe = ping(self.names.probe(), &domain, &target);
                    one.partner.dial(probe);
                }
            }
            Due::Local(at) => {
                let local = &self.script.local[at];
                for number in 1..=local.times {
                    let text = local.send.replace("{n}", &number.to_string());
                    let text = self.fill()(&text);
                    if local.raw {
                        self.backend.send_raw(&text).await;
                        self.passes(false, text)?;
                    } else {
                        let stanza = names::stanza(&text).map_err(CaseError::Stanza)?;
                        self.say(&stanza).await?;
                    }
                }
            }
            Due::Dns(at) => {
                self.set_records(at)?;
                self.changed += 1;
                self.board.raise("records-changed", "");
            }
            Due::Step(at) => self.step(at).await?,
        }
        Ok(())
    }

    /// Does what an administrator does, or what befalls the target.
    async fn step(&mut self, at: usize) -> Result<(), CaseError> {
        let administration = self.script.administration.as_ref();
        let step = administration.and_then(|one| one.steps.get(at));
        if let (Some(step), Some(administrator)) = (step, &self.bench.target.administrator) {
            let done = administrator(&step.what).await;
            done.map_err(CaseError::Step)?;
            self.board.raise(format!("done-{}", at + 1), "");
        }
        Ok(())
    }

    /// Notes what the rooms of the inner side make of a stanza that has reached it.
    pub(super) fn say_in_rooms(&mut self, stanza: &Element) {
        let fill = self.fill();
        let rooms = self.script.rooms.iter();
        let copies: Vec<_> = rooms.flat_map(|room| room.copies(stanza, &fill)).collect();
        drop(fill);
        self.said.extend(copies);
    }

    /// Sends what was said in rooms. Returns whether there was anything.
    pub(super) async fn speak(&mut self) -> Result<bool, CaseError> {
        let said = std::mem::take(&mut self.said);
        for stanza in &said {
            self.say(stanza).await?;
        }
        Ok(!said.is_empty())
    }

    /// Sends a stanza into the target.
    async fn say(&mut self, stanza: &Element) -> Result<(), CaseError> {
        self.backend.send(stanza).await?;
        // Without a link it went elsewhere.
        match self.backend.is_attached() {
            true => self.passes(false, stanza.to_xml()),
            false => Ok(()),
        }
    }

    /// How long the case waits for what the target may have kept of records that change.
    pub(super) fn waits_for_dns(&self) -> Duration {
        let change = self.script.dns.iter().any(|dns| dns.when.is_some());
        if change {
            self.bench.lab.pool.dns_cache()
        } else {
            Duration::ZERO
        }
    }

    /// Whether a signal was raised after which something is done that is not done yet.
    pub(super) fn is_about_to_act(&self) -> bool {
        let raised = self.board.snapshot();
        self.pending.values().any(|name| raised.contains_key(name))
    }

    /// Whether records are about to change.
    pub(super) fn is_changing(&self) -> bool {
        let raised = self.board.snapshot();
        let due = self.script.dns.iter().filter_map(|dns| dns.when.as_ref());
        due.filter(|&name| raised.contains_key(name)).count() > self.changed
    }
}
