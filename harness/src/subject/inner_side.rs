//! The inner side of a running target, shared by its cases: stanzas in both directions, cut by the
//! partner's domain.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use simulated_partners::inner::{Ending, Inner, InnerError, Outgoing};
use simulated_partners::stanza::{self, domain_of, ping};
use simulated_partners::wire::{Element, NS_SERVER};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::cause::with_causes;

/// How long a target may take to answer on its inner side, which is not under test.
const ANSWER: Duration = Duration::from_secs(10);
/// How often so long is waited for one that is busy.
const ANSWERS: u32 = 4;

/// Somebody at a domain that is no partner's, and of which a target tells at once that it is none.
pub const NOBODY: &str = "nobody@unlisted.example";

/// A link to the inner side with one mailbox per case.
pub struct InnerSide {
    outgoing: Exit,
    shared: Arc<Shared>,
    barrier_to: String,
    barrier_from: String,
    barriers: AtomicU64,
    opened: AtomicU64,
    /// Whether the target does not answer there, so that nobody needs to wait for it.
    mute: AtomicBool,
    reader: tokio::task::JoinHandle<()>,
}

/// Where stanzas go in: a link of the harness's own, or users of a gateway behind the target.
enum Exit {
    Link(Outgoing),
    Users(mpsc::Sender<Element>),
}

/// Where they come out.
enum Entrance {
    Link(Inner),
    Users(mpsc::Receiver<Element>),
}

struct Shared {
    /// By domain: as a rule one for each, but several cases may name the same.
    boxes: Mutex<BTreeMap<String, Vec<Mailbox>>>,
    barriers: Mutex<BTreeMap<String, oneshot::Sender<()>>>,
    dead: watch::Sender<Option<LinkLost>>,
}

/// How a link was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkLost {
    /// In words.
    pub why: String,
    /// Whether the target sent something over it that is no well-formed stream.
    pub ill_formed: bool,
}

#[derive(Clone)]
struct Mailbox {
    number: u64,
    to_case: mpsc::UnboundedSender<Element>,
    answers: bool,
    /// Stanzas that hold it are for this box, wherever they claim to come from.
    mark: Option<String>,
}

/// The stanzas that came through from one partner's domain. Dropping it closes the box.
pub struct Stanzas {
    number: u64,
    domains: Vec<String>,
    stanzas: mpsc::UnboundedReceiver<Element>,
    shared: Arc<Shared>,
}

impl InnerSide {
    /// Takes over a link. A stanza from `barrier_from` to `barrier_to` must be answered by the
    /// target at once, with a result or an error.
    pub fn new(link: Inner, barrier_from: &str, barrier_to: &str) -> Self {
        let outgoing = Exit::Link(link.outgoing());
        Self::over(outgoing, Entrance::Link(link), barrier_from, barrier_to)
    }

    /// Takes over the users of a gateway, who send and get stanzas through these. What `barrier_from` sends to
    /// [`NOBODY`] must come back from the target at once.
    pub fn of_users(
        outgoing: mpsc::Sender<Element>,
        incoming: mpsc::Receiver<Element>,
        barrier_from: &str,
    ) -> Self {
        let incoming = Entrance::Users(incoming);
        Self::over(Exit::Users(outgoing), incoming, barrier_from, NOBODY)
    }

    fn over(outgoing: Exit, incoming: Entrance, barrier_from: &str, barrier_to: &str) -> Self {
        let shared = Arc::new(Shared {
            boxes: Mutex::default(),
            barriers: Mutex::default(),
            dead: watch::Sender::new(None),
        });
        let reader = tokio::spawn(read(incoming, Arc::clone(&shared)));
        Self {
            outgoing,
            shared,
            barrier_to: barrier_to.to_owned(),
            barrier_from: barrier_from.to_owned(),
            barriers: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            mute: AtomicBool::new(false),
            reader,
        }
    }

    /// Opens one mailbox for the stanzas of several domains and, where there is a `mark`, for every
    /// stanza whose id or text holds it. With `answers`, requests from there are answered.
    pub fn open(&self, domains: &[String], answers: bool, mark: Option<&str>) -> Stanzas {
        let (to_case, stanzas) = mpsc::unbounded_channel();
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let mailbox = Mailbox {
            number,
            to_case,
            answers,
            mark: mark.map(str::to_owned),
        };
        let mut boxes = self.boxes();
        for domain in domains {
            let all = boxes.entry(domain.clone()).or_default();
            all.push(mailbox.clone());
        }
        Stanzas {
            number,
            domains: domains.to_vec(),
            stanzas,
            shared: Arc::clone(&self.shared),
        }
    }

    /// Sends a stanza out through the target. A link that is lost shows in [`InnerSide::lost`].
    pub async fn send(&self, stanza: &Element) {
        match &self.outgoing {
            Exit::Link(link) => {
                let _ = link.send(stanza).await;
            }
            Exit::Users(users) => {
                let _ = users.send(stanza.clone()).await;
            }
        }
    }

    /// Whether it is a link of the harness's own, which answers by itself.
    pub fn is_link(&self) -> bool {
        matches!(self.outgoing, Exit::Link(_))
    }

    /// Sends text that need not be XML. Users send stanzas alone.
    pub async fn send_raw(&self, text: &str) {
        if let Exit::Link(link) = &self.outgoing {
            let _ = link.send_raw(text).await;
        }
    }

    /// Returns when everything that the target had passed on before has been read: it answers a
    /// later stanza of ours on the same link. If it did not answer one in time, nobody waits again, unless it was
    /// too busy since that moment.
    pub async fn barrier(&self, was_busy: impl Fn(Instant) -> bool) {
        if self.is_mute() {
            return;
        }
        let since = Instant::now();
        let mut answered = pin!(self.answered());
        for _ in 0..ANSWERS {
            if timeout(ANSWER, &mut answered).await.is_ok() {
                return;
            }
            if !was_busy(since) {
                break;
            }
        }
        self.mute.store(true, Ordering::Relaxed);
    }

    /// Whether the target owes an answer to a stanza of [`InnerSide::barrier`].
    pub fn is_mute(&self) -> bool {
        self.mute.load(Ordering::Relaxed)
    }

    /// What a target does wrong that is mute, in words.
    pub fn muteness(&self) -> String {
        format!(
            "the target neither answered nor returned a request from its inner side to {} within {} s: \
             one of the two is due (RFC 6120 §8.2.3, §10.4.3)",
            self.barrier_to,
            ANSWER.as_secs()
        )
    }

    async fn answered(&self) {
        let id = format!("barrier-{}", self.barriers.fetch_add(1, Ordering::Relaxed));
        let (done, wait) = oneshot::channel();
        self.shared
            .barriers
            .lock()
            .expect("no panic under this lock")
            .insert(id.clone(), done);
        let question = match &self.outgoing {
            Exit::Link(_) => ping(&id, &self.barrier_from, &self.barrier_to),
            // A gateway lets no query pass.
            Exit::Users(_) => Element::new(NS_SERVER, "message")
                .attr("id", &id)
                .attr("from", &self.barrier_from)
                .attr("to", &self.barrier_to),
        };
        self.send(&question).await;
        let mut dead = self.shared.dead.subscribe();
        tokio::select! {
            _ = wait => {}
            _ = dead.wait_for(Option::is_some) => {}
        }
    }

    /// Returns when the link is lost, with the reason.
    pub async fn lost(&self) -> LinkLost {
        let mut dead = self.shared.dead.subscribe();
        match dead.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(lost)) => lost.clone(),
            Ok(None) | Err(_) => LinkLost {
                why: "the link's reader ended".to_owned(),
                ill_formed: false,
            },
        }
    }

    fn boxes(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<Mailbox>>> {
        self.shared.boxes.lock().expect("no panic under this lock")
    }
}

impl Drop for InnerSide {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Stanzas {
    /// The next stanza from this domain.
    pub async fn next(&mut self) -> Option<Element> {
        self.stanzas.recv().await
    }
}

impl Drop for Stanzas {
    fn drop(&mut self) {
        if let Ok(mut boxes) = self.shared.boxes.lock() {
            for domain in &self.domains {
                if let Some(all) = boxes.get_mut(domain) {
                    all.retain(|one| one.number != self.number);
                }
                if boxes.get(domain).is_some_and(Vec::is_empty) {
                    boxes.remove(domain);
                }
            }
        }
    }
}

async fn read(incoming: Entrance, shared: Arc<Shared>) {
    let reason = match incoming {
        Entrance::Link(link) => read_link(link, &shared).await,
        Entrance::Users(mut users) => {
            while let Some(stanza) = users.recv().await {
                // Users answer nothing by themselves.
                let _ = shared.deliver(&stanza);
            }
            LinkLost {
                why: "the gateway has signed its users out".to_owned(),
                ill_formed: false,
            }
        }
    };
    shared.dead.send_replace(Some(reason));
}

async fn read_link(mut link: Inner, shared: &Shared) -> LinkLost {
    loop {
        match link.receive().await {
            Ok(stanza) => {
                if let Some(answer) = shared.deliver(&stanza) {
                    let _ = link.send(&answer).await;
                }
            }
            Err(error) => {
                return LinkLost {
                    ill_formed: matches!(error, InnerError::Ended(Ending::Wire(_))),
                    why: with_causes(&error),
                };
            }
        }
    }
}

impl Shared {
    /// Puts a stanza where it belongs and gives the answer that it wants.
    fn deliver(&self, stanza: &Element) -> Option<Element> {
        if let Some(id) = stanza.attribute("id") {
            let waiting = self
                .barriers
                .lock()
                .expect("no panic under this lock")
                .remove(id);
            if let Some(waiting) = waiting {
                let _ = waiting.send(());
                return None;
            }
        }
        let from = domain_of(stanza.attribute("from").unwrap_or_default());
        let boxes = self.boxes.lock().expect("no panic under this lock");
        let is_for = |one: &&Mailbox| {
            let id = stanza.attribute("id");
            let holds = |mark: &str| {
                id.is_some_and(|id| id.contains(mark)) || stanza.to_xml().contains(mark)
            };
            one.mark.as_deref().is_some_and(holds)
        };
        let mailbox = match boxes.get(from).map(Vec::as_slice) {
            Some([only]) => only,
            // What it answers tells them apart.
            Some(several) => several.iter().find(is_for).or_else(|| several.last())?,
            None => boxes.values().flatten().find(is_for)?,
        };
        let _ = mailbox.to_case.send(stanza.clone());
        (mailbox.answers && stanza::is_question(stanza)).then(|| stanza::result(stanza))
    }
}
