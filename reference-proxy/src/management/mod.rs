//! Stream management (XEP-0198): its elements, and what a peer has not acknowledged yet.

mod managed;
mod settled;

use std::collections::{VecDeque, vec_deque};

use crate::stanza::StanzaError;
use crate::stream::{Condition, error_with};
use crate::xml::namespace::{MANAGEMENT, STANZA_ERRORS};
use crate::xml::{Element, escape};

pub use managed::{Managed, Session};
pub(crate) use managed::{Receipt, settle};

/// Why a stanza is dropped that comes after this side's last acknowledgement.
pub(crate) const TOO_LATE: &str = "it can no longer be acknowledged, and its sender has it still";

/// An element of stream management.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Management {
    /// So many stanzas have been handled; without a number it means nothing.
    Acknowledgement(Option<u32>),
    /// A wish for acknowledgements.
    Enable {
        /// Whether the stream is to be resumable.
        resume: bool,
    },
    /// Stanzas are acknowledged from here on.
    Enabled {
        /// By which the stream can be resumed, if it can.
        id: Option<String>,
    },
    /// It cannot be had.
    Failed {
        /// How many stanzas of the former stream have been handled, if that is still known.
        handled: Option<u32>,
    },
    /// An acknowledgement is asked for.
    Request,
    /// A wish to go on with a former stream.
    Resume {
        /// Its name.
        previous: String,
        /// How many of its stanzas have been handled.
        handled: Option<u32>,
    },
    /// The former stream goes on.
    Resumed {
        /// Its name.
        previous: String,
        /// How many of its stanzas have been handled.
        handled: Option<u32>,
    },
}

impl Management {
    /// Reads an element, if it is one of stream management.
    pub fn read(element: &Element) -> Option<Self> {
        if element.namespace != MANAGEMENT {
            return None;
        }
        let text = |name| element.attribute(name).map(str::to_owned);
        let handled = || element.attribute("h")?.trim().parse().ok();
        let resume = || matches!(element.attribute("resume"), Some("true" | "1"));
        Some(match element.name.as_str() {
            "a" => Self::Acknowledgement(handled()),
            "enable" => Self::Enable { resume: resume() },
            "enabled" => Self::Enabled {
                id: text("id").filter(|_| resume()),
            },
            "failed" => Self::Failed { handled: handled() },
            "r" => Self::Request,
            "resume" => Self::Resume {
                previous: text("previd").unwrap_or_default(),
                handled: handled(),
            },
            "resumed" => Self::Resumed {
                previous: text("previd").unwrap_or_default(),
                handled: handled(),
            },
            _ => return None,
        })
    }

    /// The element as this side sends it.
    pub fn text(&self) -> String {
        let number = |handled: &Option<u32>| match handled {
            Some(handled) => format!(" h='{handled}'"),
            None => String::new(),
        };
        let inner = match self {
            Self::Acknowledgement(handled) => format!("a{}", number(handled)),
            Self::Enable { resume: false } => "enable".to_owned(),
            Self::Enable { resume: true } => "enable resume='true'".to_owned(),
            Self::Enabled { id: None } => "enabled".to_owned(),
            Self::Enabled { id: Some(id) } => format!("enabled id='{}' resume='true'", escape(id)),
            Self::Failed { handled } => format!("failed{}", number(handled)),
            Self::Request => "r".to_owned(),
            Self::Resume { previous, handled } => {
                format!("resume previd='{}'{}", escape(previous), number(handled))
            }
            Self::Resumed { previous, handled } => {
                format!("resumed previd='{}'{}", escape(previous), number(handled))
            }
        };
        format!("<{inner} xmlns='{MANAGEMENT}'/>")
    }
}

/// The answer to a request that cannot be met (XEP-0198 §6).
pub(crate) fn failed(condition: StanzaError) -> String {
    format!("<failed xmlns='{MANAGEMENT}'><{condition} xmlns='{STANZA_ERRORS}'/></failed>")
}

/// A peer acknowledged more than was sent to it.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{handled} acknowledged of {sent}")]
pub struct TooMany {
    handled: u32,
    sent: u32,
}

impl TooMany {
    /// The stream error (XEP-0198 §4).
    pub(crate) fn error(self) -> String {
        let Self { handled, sent } = self;
        error_with(
            Condition::Undefined,
            &format!(
                "<handled-count-too-high xmlns='{MANAGEMENT}' h='{handled}' send-count='{sent}'/>"
            ),
        )
    }
}

/// What was sent and not acknowledged yet, in order.
#[derive(Debug)]
pub struct Unacknowledged<T> {
    acknowledged: u32,
    waiting: VecDeque<T>,
}

impl<T> Default for Unacknowledged<T> {
    fn default() -> Self {
        Self {
            acknowledged: 0,
            waiting: VecDeque::new(),
        }
    }
}

impl<T> Unacknowledged<T> {
    /// Another one was sent.
    pub fn push(&mut self, item: T) {
        self.waiting.push_back(item);
    }

    /// Whether all are acknowledged.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many are not.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Those that are not, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter()
    }

    /// Takes out what the peer has handled, of everything since the beginning. The count wraps. Returns what is
    /// new.
    ///
    /// # Errors
    /// [`TooMany`] if the peer has handled more than was sent.
    pub fn handled(&mut self, handled: u32) -> Result<vec_deque::Drain<'_, T>, TooMany> {
        let count = usize::try_from(handled.wrapping_sub(self.acknowledged)).unwrap_or(usize::MAX);
        if count > self.waiting.len() {
            let waiting = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
            let sent = self.acknowledged.wrapping_add(waiting);
            return Err(TooMany { handled, sent });
        }
        self.acknowledged = handled;
        Ok(self.waiting.drain(..count))
    }

    /// Takes out everything, which is going to be sent again or not.
    pub fn drain(&mut self) -> impl Iterator<Item = T> {
        self.waiting.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(count: u32) -> Unacknowledged<u32> {
        let mut sent = Unacknowledged::default();
        (1..=count).for_each(|number| sent.push(number));
        sent
    }

    fn waiting(sent: &Unacknowledged<u32>) -> Vec<u32> {
        sent.iter().copied().collect()
    }

    fn handled(sent: &mut Unacknowledged<u32>, count: u32) -> Result<Vec<u32>, TooMany> {
        sent.handled(count).map(Iterator::collect)
    }

    #[test]
    fn acknowledged_ones_are_forgotten_and_the_others_keep_their_order() {
        let mut sent = sent(4);
        assert_eq!(handled(&mut sent, 0), Ok(vec![]));
        assert_eq!(waiting(&sent), [1, 2, 3, 4]);
        assert_eq!(handled(&mut sent, 3), Ok(vec![1, 2, 3]));
        assert_eq!(waiting(&sent), [4]);
        assert_eq!(handled(&mut sent, 3), Ok(vec![]), "once more");
        sent.push(5);
        assert_eq!(sent.drain().collect::<Vec<_>>(), [4, 5]);
        // What is sent again counts on from there.
        sent.push(4);
        assert_eq!(handled(&mut sent, 4), Ok(vec![4]));
        assert!(sent.is_empty());
    }

    #[test]
    fn more_than_was_sent_and_less_than_before_is_too_many() {
        let mut sent = sent(2);
        let wrong = |handled| Err(TooMany { handled, sent: 2 });
        assert_eq!(handled(&mut sent, 3), wrong(3));
        assert_eq!(handled(&mut sent, u32::MAX), wrong(u32::MAX));
        assert_eq!(handled(&mut sent, 2), Ok(vec![1, 2]));
        assert_eq!(handled(&mut sent, 1), wrong(1));
    }

    #[test]
    fn count_wraps() {
        let mut sent = sent(0);
        sent.acknowledged = u32::MAX - 1;
        (1..=3).for_each(|number| sent.push(number));
        assert_eq!(handled(&mut sent, 0), Ok(vec![1, 2]));
        assert_eq!(waiting(&sent), [3]);
        assert_eq!(handled(&mut sent, 1), Ok(vec![3]));
        assert!(sent.is_empty());
    }

    #[test]
    fn elements_are_read_as_they_are_written() {
        let id = || Some("an id".to_owned());
        for management in [
            Management::Acknowledgement(Some(u32::MAX)),
            Management::Acknowledgement(None),
            Management::Enable { resume: true },
            Management::Enable { resume: false },
            Management::Enabled { id: id() },
            Management::Enabled { id: None },
            Management::Failed { handled: Some(3) },
            Management::Request,
            Management::Resume {
                previous: "an id".to_owned(),
                handled: Some(0),
            },
            Management::Resumed {
                previous: "an id".to_owned(),
                handled: Some(1),
            },
        ] {
            let text = management.text();
            let mut reader = crate::xml::Reader::new(crate::xml::Bounds {
                bytes: 1000,
                depth: 8,
                attributes: 8,
            });
            let whole = format!("<stream>{text}");
            let mut bytes = whole.as_bytes();
            let mut next = || reader.read(&mut bytes).expect("XML").expect("a frame");
            next();
            let crate::xml::Frame::Element(element) = next() else {
                panic!("no element: {text}");
            };
            assert_eq!(Management::read(&element), Some(management), "{text}");
        }
    }
}
