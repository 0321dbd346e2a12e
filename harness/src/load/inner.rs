//! The inner side of the target: what is sent to partners there, and what arrives.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use simulated_partners::inner::gateway::OpenLine;
use simulated_partners::line::Turn;
use simulated_partners::wire::Cut;
use tokio::time::{Instant, sleep_until};

use super::books::{Books, HANDSHAKES, Phase};
use super::source::{Due, Pace, UNSENT};
use super::stanza::{Mould, Way};
use crate::subject::inner_side::{InnerSide, Stanzas};

/// Text that waits for a link that parses stanzas.
const QUEUED: usize = 64;

/// A link to the inner side.
pub(super) enum Link {
    /// To the embedded proxy, as fast as it goes.
    Line(Box<OpenLine>),
    /// To another server, which parses.
    Side {
        inner: InnerSide,
        stanzas: Stanzas,
        queue: VecDeque<String>,
    },
}

impl Link {
    /// A link that takes what comes from these domains.
    pub(super) fn of(inner: InnerSide, domains: &[String]) -> Self {
        Self::Side {
            stanzas: inner.open(domains, false, None),
            inner,
            queue: VecDeque::new(),
        }
    }

    fn queue(&mut self, stanza: &[u8]) {
        match self {
            Self::Line(line) => line.queue(stanza),
            Self::Side { queue, .. } => {
                queue.push_back(String::from_utf8_lossy(stanza).into_owned());
            }
        }
    }

    fn has_room(&self) -> bool {
        match self {
            Self::Line(line) => line.unsent() < UNSENT,
            Self::Side { queue, .. } => queue.len() < QUEUED,
        }
    }

    /// Sends and receives until something has happened. Nothing is lost when the future is dropped.
    async fn turn(&mut self, books: &Books) -> io::Result<()> {
        match self {
            Self::Line(line) => {
                if line.turn().await? == Turn::Ended {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                while let Some(cut) = line.cut().map_err(io::Error::other)? {
                    match cut {
                        Cut::Element(stanza) => books.take(stanza),
                        Cut::End(_) => return Err(io::Error::other("it was closed")),
                    }
                }
            }
            Self::Side {
                inner,
                stanzas,
                queue,
            } => {
                let sends = async {
                    match queue.front() {
                        Some(text) => inner.send_raw(text).await,
                        None => pending().await,
                    }
                };
                tokio::select! {
                    () = sends => drop(queue.pop_front()),
                    stanza = stanzas.next() => match stanza {
                        Some(stanza) => books.take(stanza.to_xml().as_bytes()),
                        None => return Err(io::ErrorKind::UnexpectedEof.into()),
                    },
                    lost = inner.lost() => return Err(io::Error::other(lost.why)),
                }
            }
        }
        Ok(())
    }
}

/// What the inner side sends: to each partner in its turn.
pub(super) struct Senders {
    /// One for each partner. None where it sends nothing.
    pub(super) moulds: Vec<Mould>,
    pub(super) pace: Pace,
}

/// Serves the link until the load closes.
pub(super) async fn serve(mut link: Link, senders: Senders, books: Arc<Books>) -> Link {
    let mut phases = books.phase.subscribe();
    let mut sending = Sending {
        moulds: senders.moulds,
        due: Due::new(senders.pace),
        turn: 0,
        warm: 0,
        books: Arc::clone(&books),
    };
    loop {
        let phase = *phases.borrow_and_update();
        let waits = match phase {
            Phase::Closing => return link,
            Phase::WarmingUp => sending.warm_up(&mut link),
            Phase::Steady => sending.write(&mut link),
            Phase::Connecting | Phase::Draining => false,
        };
        let steady = phase == Phase::Steady && !sending.moulds.is_empty();
        let due = sending.due.next().filter(|_| steady && !waits);
        let due = due.map(|due| books.moment(due));
        let arrived = books.outward.first().map(|flow| Arc::clone(&flow.arrived));
        tokio::select! {
            turn = link.turn(&books) => if let Err(error) = turn {
                books.error(&format!("the link to the inner side was lost: {error}"));
                let _ = phases.wait_for(|phase| *phase == Phase::Closing).await;
                return link;
            },
            () = async {
                match &arrived {
                    Some(arrived) => arrived.notified().await,
                    None => pending().await,
                }
            }, if waits => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            _ = phases.changed() => {}
        }
    }
}

struct Sending {
    books: Arc<Books>,
    moulds: Vec<Mould>,
    due: Due,
    /// Whose turn it is.
    turn: usize,
    /// How many partners have been sent their first stanza.
    warm: usize,
}

impl Sending {
    /// Sends each partner its first stanza, as many at a time as may shake hands. Returns whether more wait.
    fn warm_up(&mut self, link: &mut Link) -> bool {
        let books = &self.books;
        let warmed = books.warmed.load(Ordering::Relaxed);
        while let Some(mould) = self.moulds.get(self.warm)
            && self.warm < warmed + HANDSHAKES
        {
            let mut stanza = Vec::new();
            mould.write(books.now(), &mut stanza);
            link.queue(&stanza);
            books.sends(Way::Outward, &books.outward[self.warm]);
            self.warm += 1;
        }
        self.warm < self.moulds.len()
    }

    /// Sends what is due, as long as there is room for it. Returns whether more waits for room.
    fn write(&mut self, link: &mut Link) -> bool {
        let books = Arc::clone(&self.books);
        let Some(_steady) = books.steady().filter(|_| !self.moulds.is_empty()) else {
            return false;
        };
        let now = books.now();
        self.due.look(now);
        let mut stanza = Vec::new();
        while self.due.waits() && link.has_room() {
            let Some(partner) = self.next_with_room() else {
                return true;
            };
            let Some(due) = self.due.take(now) else {
                break;
            };
            stanza.clear();
            self.moulds[partner].write(due, &mut stanza);
            link.queue(&stanza);
            books.sends(Way::Outward, &books.outward[partner]);
        }
        false
    }

    /// The next partner in turn to whom not too many stanzas are under way.
    fn next_with_room(&mut self) -> Option<usize> {
        let count = self.moulds.len();
        let turns = (0..count).map(|step| (self.turn + step) % count);
        let mut with_room = turns.filter(|partner| {
            let flow = &self.books.outward[*partner];
            flow.under_way() < self.books.window
        });
        let partner = with_room.next()?;
        self.turn = (partner + 1) % count;
        Some(partner)
    }
}
