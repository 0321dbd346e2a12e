//! A case of the conformance suite: partners that follow a script, until everything that has to be
//! seen was seen, or nothing more can come.

mod ending;
mod polling;

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use simulated_partners::board::Board;
use simulated_partners::driver::{CONNECTIONS, Partner, PartnerSetup};
use simulated_partners::event::{Event, Party, What};
use simulated_partners::tls::Habits;
use simulated_partners::wire::Element;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use polling::{next_event, next_stanza, own_address, ready};

use super::case::{Deadlines, Job, setup, start};
use crate::case::names::Names;
use crate::case::{Dials, MAIN, Role, Script, Sees};
use crate::judge::{self, Arrival, Bounce, Evidence};
use crate::judge::{Grade, Verdicts, grade};
use crate::lab::Lab;
use crate::observe::{self, Eye, Sight};
use crate::outcome::Outcome;
use crate::subject::inner_side::{InnerSide, Stanzas, ping};
use crate::subject::{Inside, Running};

/// How long nothing may happen, with all connections ended, before nothing more is expected.
const QUIET: Duration = Duration::from_millis(2500);
/// What a partner listens at that has to be found without SRV records (RFC 6120 §3.2.2).
const DEFAULT_PORT: u16 = 5269;

/// What a scripted case showed.
pub(super) struct Shown {
    /// Events of the main partner, in order.
    pub(super) events: Vec<Event>,
    /// How the main partner's negotiation ended.
    pub(super) outcome: Outcome,
    /// How its expectations stand.
    pub(super) verdicts: Verdicts,
    /// Expectations that cannot fail, where that was asked for.
    pub(super) vacuous: Vec<String>,
}

/// Runs a scripted case. Gives the partners back, which have yet to be stopped.
pub(super) async fn bench(
    job: &Job,
    script: &Script,
    lab: &Lab,
    target: &Running,
    deadlines: Deadlines,
    prove: bool,
) -> Result<(Shown, Vec<Partner>), String> {
    let began = Instant::now();
    let whole = script.seconds.map_or(deadlines.case, |seconds| {
        Duration::from_secs(seconds.into())
    });
    let names = Names::of(
        script,
        &job.case.domain(),
        &target.domain,
        target.second.as_deref(),
    )
    .with_secret(target.secret.as_deref());
    let board = Board::default();
    let domains: Vec<String> = names.domains(script).into_iter().collect();
    let inner = match &target.inner {
        Inside::Linked(inner) => Some(inner),
        Inside::Hidden(_) => None,
    };
    let stanzas = inner.map(|inner| inner.open_marked(&domains, names.probe()));
    let _records = Records {
        lab,
        domain: job.case.domain(),
    };
    let mut bench = Bench {
        script,
        lab,
        target,
        inner,
        names,
        board,
        partners: Vec::new(),
        stanzas,
        eye: Eye::default(),
        sights: Vec::new(),
        events: Vec::new(),
        evidence: Evidence::default(),
        counts: BTreeMap::new(),
        began,
        open: 0,
    };
    bench.start_partners(deadlines).await?;
    bench.publish()?;
    bench.run(began + whole).await?;
    let alive = bench.finish(deadlines).await?;
    let outcome = judge::read(job.case.direction, &bench.events, bench.evidence);
    let verdicts = bench.verdicts(&outcome, alive);
    let vacuous = if prove { bench.vacuous() } else { Vec::new() };
    let partners = bench.partners.into_iter().map(|one| one.partner).collect();
    Ok((
        Shown {
            events: bench.events,
            outcome,
            verdicts,
            vacuous,
        },
        partners,
    ))
}

/// The records of a case's domains, for as long as it runs.
struct Records<'a> {
    lab: &'a Lab,
    domain: String,
}

impl Drop for Records<'_> {
    fn drop(&mut self) {
        self.lab.dns.records().remove(&self.domain);
    }
}

struct Started<'a> {
    role: &'a Role,
    partner: Partner,
}

/// Something that waits for a name on the board.
#[derive(Clone, Copy)]
enum Due {
    Dial(usize),
    Local(usize),
    Dns(usize),
}

struct Bench<'a> {
    script: &'a Script,
    lab: &'a Lab,
    target: &'a Running,
    /// What is behind the target, where that can be seen.
    inner: Option<&'a InnerSide>,
    names: Names,
    board: Board,
    partners: Vec<Started<'a>>,
    stanzas: Option<Stanzas>,
    eye: Eye,
    sights: Vec<Sight>,
    /// Of the main partner.
    events: Vec<Event>,
    evidence: Evidence,
    /// How often names were raised from here.
    counts: BTreeMap<&'static str, u32>,
    began: Instant,
    /// Connections that were opened and have not ended.
    open: usize,
}

impl<'a> Bench<'a> {
    async fn start_partners(&mut self, deadlines: Deadlines) -> Result<(), String> {
        for role in &self.script.roles {
            let domain = self.names.of_role(role);
            let plain = setup(self.lab, self.target, &domain, &role.persona, deadlines);
            let identity = match &role.certificate {
                None => plain.identity.clone(),
                Some(recipe) => Some(
                    self.lab
                        .authority
                        .cook(recipe, &|text| self.names.fill(text, &domain, &self.board))
                        .map_err(|error| format!("the certificate of `{}`: {error}", role.name))?,
                ),
            };
            let listen = if role.default_port {
                SocketAddr::from((own_address(), DEFAULT_PORT))
            } else if role.over_ipv6 {
                SocketAddr::from((Ipv6Addr::LOCALHOST, 0))
            } else {
                plain.listen
            };
            let partner = start(PartnerSetup {
                identity,
                listen,
                habits: Habits {
                    server_name: role
                        .handshake
                        .server_name
                        .as_ref()
                        .map(|name| self.names.fill(name, &domain, &self.board)),
                    ..role.handshake.clone()
                },
                connections: CONNECTIONS + usize::from(role.times),
                insists: role.insists,
                answers: role.answers,
                patience: role
                    .patience
                    .map_or(plain.patience, |ms| Duration::from_millis(ms.into())),
                board: self.board.clone(),
                values: Arc::new(self.names.values(&domain)),
                ..plain
            })
            .await?;
            self.names.listens(&role.name, partner.address());
            self.partners.push(Started { role, partner });
        }
        Ok(())
    }

    /// Sets the records that hold from the start.
    fn publish(&mut self) -> Result<(), String> {
        if !self.script.dns.is_empty() {
            for one in &self.partners {
                let host = format!("{}-host.{}", one.role.name, self.names.domain());
                let host = self
                    .lab
                    .host(&host, one.partner.address().ip())
                    .map_err(|error| error.to_string())?;
                self.names.is_hosted(&one.role.name, host);
            }
        }
        for one in &self.partners {
            if one.role.serves {
                let domain = self.names.of_role(one.role);
                // A domain that is none is a part of the script.
                let _ = self.lab.publish(&domain, one.partner.address());
            }
        }
        for at in 0..self.script.dns.len() {
            if self.script.dns[at].when.is_none() {
                self.set_records(at)?;
            }
        }
        Ok(())
    }

    fn set_records(&self, at: usize) -> Result<(), String> {
        let fill = |text: &str| self.names.fill(text, self.names.domain(), &self.board);
        super::records::set(
            &self.script.dns[at],
            self.lab.dns.records(),
            &fill,
            &|name| {
                self.names
                    .port(name)
                    .or_else(|| (name == "target").then(|| self.target.address.port()))
            },
        )
        .map_err(|error| error.to_string())
    }

    /// Goes on until everything wanted was seen, or nothing more can come.
    async fn run(&mut self, until: Instant) -> Result<(), String> {
        let (due, mut dues) = mpsc::unbounded_channel();
        let mut waiting = JoinSet::new();
        let mut wait = |name: &str, what: Due| {
            let (board, name, due) = (self.board.clone(), name.to_owned(), due.clone());
            waiting.spawn(async move {
                board.wait_for(&name).await;
                // The bench may have ended.
                let _ = due.send(what);
            });
        };
        let (board, records) = (self.board.clone(), self.lab.dns.records().clone());
        let service = format!("_xmpp-server._tcp.{}", self.names.domain());
        let mut asked = JoinSet::new();
        asked.spawn(async move {
            records.asked(&service).await;
            board.raise("looked-up", "");
        });
        let mut now = Vec::new();
        for (at, role) in self.script.roles.iter().enumerate() {
            match &role.dials {
                Dials::Plain(true) => now.push(Due::Dial(at)),
                Dials::Plain(false) => {}
                Dials::When(name) => wait(name, Due::Dial(at)),
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
        for due in now {
            self.due(due).await?;
        }
        if self.script.sends_by_itself() {
            let sender = format!("juliet@{}", self.target.domain);
            let probe = ping(self.names.probe(), &sender, self.names.domain());
            self.send(&probe).await;
        }
        let mut last = Instant::now();
        loop {
            if self.is_complete() {
                return Ok(());
            }
            let quiet = if self.open == 0 && !self.sights.is_empty() {
                until.min(last + QUIET)
            } else {
                until
            };
            tokio::select! {
                biased;
                (at, event) = next_event(&mut self.partners) => self.event(at, event),
                Some(stanza) = next_stanza(&mut self.stanzas) => self.stanza(&stanza),
                Some(due) = dues.recv() => self.due(due).await?,
                () = sleep_until(quiet) => return Ok(()),
            }
            self.drain();
            last = Instant::now();
        }
    }

    async fn send(&self, stanza: &Element) {
        if let Some(inner) = self.inner {
            inner.send(stanza).await;
        }
    }

    async fn due(&mut self, due: Due) -> Result<(), String> {
        match due {
            Due::Dial(at) => {
                let Some(one) = self.partners.get(at) else {
                    return Ok(());
                };
                let domain = self.names.of_role(one.role);
                for _ in 0..one.role.times {
                    let probe = ping(self.names.probe(), &domain, &self.target.domain);
                    one.partner.dial(probe);
                }
            }
            Due::Local(at) => {
                let local = &self.script.local[at];
                for number in 1..=local.times {
                    let text = local.send.replace("{n}", &number.to_string());
                    let text = self.names.fill(&text, self.names.domain(), &self.board);
                    let stanza = crate::case::names::stanza(&text)
                        .map_err(|why| format!("what the local side sends: {why}"))?;
                    self.send(&stanza).await;
                }
            }
            Due::Dns(at) => self.set_records(at)?,
        }
        Ok(())
    }

    /// Takes in what has happened already.
    fn drain(&mut self) {
        loop {
            if let Some((at, event)) = ready(next_event(&mut self.partners)) {
                self.event(at, event);
            } else if let Some(Some(stanza)) = ready(next_stanza(&mut self.stanzas)) {
                self.stanza(&stanza);
            } else {
                return;
            }
        }
    }

    fn event(&mut self, at: usize, event: Event) {
        let name = Arc::clone(&self.partners[at].role.name);
        match &event.what {
            What::Opened(_) => self.open += 1,
            What::Closed { .. } => {
                self.open = self.open.saturating_sub(1);
                self.count("ended");
            }
            _ => {}
        }
        let sights = self.eye.look(&name, self.began.elapsed(), &event);
        for sight in &sights {
            if sight.sees == Sees::Stanza || Sees::Stanza.covers(sight.sees) {
                self.evidence_of(sight);
            }
        }
        self.sights.extend(sights);
        if &*name == MAIN {
            self.events.push(event);
        }
    }

    /// Outbound, the probe has arrived when its partner has it.
    fn evidence_of(&mut self, sight: &Sight) {
        let is_probe = sight
            .attribute("id")
            .is_some_and(|id| id.starts_with(self.names.probe()));
        if is_probe && sight.by == Party::Target {
            self.evidence.arrived = Arrival::Seen;
            // An answer shows that the question was delivered.
            if self.inner.is_none()
                && let Some(answer) = &sight.element
            {
                let at = self.began.elapsed();
                let mut delivered = observe::local(answer, at);
                delivered.sees = Sees::Delivered;
                self.tell(&delivered);
                self.sights.push(delivered);
            }
        }
    }

    fn stanza(&mut self, stanza: &Element) {
        let sight = observe::local(stanza, self.began.elapsed());
        self.tell(&sight);
        self.sights.push(sight);
    }

    /// Tells the partners of what reached the local side.
    fn tell(&mut self, sight: &Sight) {
        let word = match sight.sees {
            Sees::Answered => "answered",
            Sees::Returned => {
                self.evidence.bounced = Bounce::Seen;
                "returned"
            }
            _ => {
                self.evidence.arrived = Arrival::Seen;
                "delivered"
            }
        };
        self.count(word);
    }

    /// Puts a word on the board, and the same with how often it was there.
    fn count(&mut self, word: &'static str) {
        let count = self.counts.entry(word).or_default();
        *count += 1;
        self.board.raise(word, "");
        self.board.raise(format!("{word}-{count}"), "");
    }

    /// Whether everything that has to be seen was seen.
    fn is_complete(&mut self) -> bool {
        let Some(first) = self.script.expect.iter().find(|one| !one.is_negative()) else {
            // Only what must not be: it is over when all is over.
            return false;
        };
        // Most of the time the first one is not there yet.
        if !self.stands(first).is_met() {
            return false;
        }
        self.script
            .expect
            .iter()
            .filter(|one| !one.is_negative())
            .all(|one| self.stands(one).is_met())
    }

    fn stands(&self, expect: &crate::case::Expect) -> Grade {
        let fill = |text: &str| self.names.fill(text, self.names.domain(), &self.board);
        if expect.sees == Sees::Query {
            let mut sights = self.sights.clone();
            sights.extend(self.queries());
            return grade(expect, &sights, &fill);
        }
        grade(expect, &self.sights, &fill)
    }

    fn queries(&self) -> Vec<Sight> {
        let at = self.began.elapsed();
        let records = self.lab.dns.records();
        let own = self.names.domain();
        let below = format!(".{own}");
        // Domains of partners are below the case's own, or stand for themselves.
        let domains = self.names.domains(self.script);
        let others = domains
            .iter()
            .filter(|domain| *domain != own && !domain.ends_with(&below))
            .flat_map(|domain| records.queries_below(domain));
        records
            .queries_below(own)
            .into_iter()
            .chain(others)
            .map(|(name, query)| observe::query(&name, &query.kind, query.tcp, at))
            .collect()
    }
}
