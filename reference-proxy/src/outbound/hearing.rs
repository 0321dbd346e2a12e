//! What the partner says on a stream that this side opened.

use super::accepting::TooMany;
use super::managing::Fruitless;
use super::open_stream::{End, OpenStream, WRONG_WAY};
use super::send::deliver;
use crate::dialback::{self, Answer, Dialback, KeyStatus, Step};
use crate::domain::Pair;
use crate::ledger::By;
use crate::management::Management;
use crate::open_streams::{Left, Passenger};
use crate::stanza;
use crate::stream::{CLOSING, Condition, StreamError, is_error};
use crate::xml::{Frame, Stanza};

/// Bytes of answers that wait. A partner that asks and does not read gets no more of them.
const ANSWERS: usize = 16_384;

impl OpenStream {
    /// Queues the answers that the partner waits for, if the last bytes have gone out.
    pub(super) fn give_answers(&mut self) {
        if self.connection.has_unsent() {
            return;
        }
        let mut answers = std::mem::take(&mut self.answers);
        if std::mem::take(&mut self.is_asked) {
            answers += &Management::Acknowledgement(Some(self.handled)).text();
        }
        self.connection.queue(answers.as_bytes());
    }

    pub(super) async fn frame(&mut self, frame: Frame) -> Option<End> {
        match frame {
            Frame::Closed => Some(End::Answered {
                last_words: CLOSING.to_owned(),
                how: "closed by the partner",
            }),
            Frame::Element(element) if is_error(&element) => {
                let StreamError { condition, said } = StreamError::received(&element);
                self.ended(By::Peer, condition, said);
                Some(End::Answered {
                    last_words: CLOSING.to_owned(),
                    how: "closed by the partner",
                })
            }
            Frame::Element(element) => {
                if let Some(management) = Management::read(&element) {
                    return self.manages(management).await;
                }
                let dialback = Dialback::read(&element)?;
                match dialback.answer.clone() {
                    Some(answer) => self.answer(dialback, answer),
                    None => self.request(dialback),
                }
            }
            Frame::Stanza(stanza) if self.opened.stream.bidi => self.accept(stanza).await,
            Frame::Stanza(stanza) => {
                stanza.dropped(WRONG_WAY);
                None
            }
            // Only answers may arrive here.
            Frame::Header(_) | Frame::Skipped(_) => None,
        }
    }

    /// The partner's verdict on a key. Any that was not asked for has no effect.
    fn answer(&mut self, dialback: Dialback, answer: Answer) -> Option<End> {
        let pair = Pair {
            from: dialback.to?,
            to: dialback.from?,
        };
        if dialback.step != Step::Result {
            return None;
        }
        let (left, _) = self.asked.remove(&pair)?;
        match answer {
            Answer::Valid => {
                self.context.router.opened(&pair);
                tracing::info!(%pair, stream = %self.pair, "stream shared");
                self.carry(Passenger { pair, left });
                None
            }
            Answer::Error(reason) => {
                let _ = left.send(Left::Refused(reason, self.address));
                None
            }
            // No stream is trusted any further on which a key was held for wrong (XEP-0220 §2.1.1).
            Answer::Invalid => {
                let _ = left.send(Left::Invalid);
                Some(End::Closed)
            }
        }
    }

    /// A key of the partner's for sending on this stream (XEP-0288 §2.2).
    fn request(&mut self, dialback: Dialback) -> Option<End> {
        let pair = Pair {
            from: dialback.from?,
            to: dialback.to?,
        };
        if dialback.step != Step::Result || !self.opened.stream.bidi {
            return None;
        }
        if self.answers.len() > ANSWERS {
            return Some(self.refusal(Condition::PolicyViolation, "answers are not read"));
        }
        let (id, method) = (&self.opened.stream.id, self.opened.method);
        let accepting = &mut self.accepting;
        match accepting.request(&pair, dialback.key, id, &self.connection, method) {
            Ok(None) => {}
            Ok(Some(error)) => {
                let status = KeyStatus::Failed(error);
                self.answers += &dialback::answer(Step::Result, &pair, None, status);
            }
            Err(TooMany) => {
                return Some(self.refusal(Condition::PolicyViolation, "too many requests"));
            }
        }
        None
    }

    /// A stanza of the partner's on a bidirectional stream. Only where this side has authenticated for
    /// a pair has the partner for its inverse (XEP-0288 §2.2).
    async fn accept(&mut self, stanza: Stanza) -> Option<End> {
        let Ok(pair) = stanza::pair(&stanza) else {
            return Some(self.refusal(Condition::ImproperAddressing, ""));
        };
        if !self.sending.carries(&pair.reversed()) && !self.accepting.accepts(&pair) {
            return Some(self.refusal(Condition::InvalidFrom, "not authenticated on this stream"));
        }
        self.last_stanza = self.context.clock.now();
        deliver(&self.context, &pair, stanza).await;
        // What the partner sent before it had agreed does not count (XEP-0198 §4).
        if self.is_managed() {
            self.fruitless = Fruitless::default();
            self.handled = self.handled.wrapping_add(1);
        }
        None
    }
}
