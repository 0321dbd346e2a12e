//! What a load has shown, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use hdrhistogram::Histogram;
use serde::Serialize;
use strum::VariantArray as _;

use super::books::Books;
use super::process::Usage;
use super::stanza::Way;
use crate::console::paragraph;

/// The version of the JSON document.
const SCHEMA: u32 = 1;

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of this document.
    pub schema: u32,
    /// Name and version of the target.
    pub target: String,
    /// What was asked for, in words.
    pub load: String,
    /// Whether the user ended it.
    pub interrupted: bool,
    /// How long stanzas were counted.
    pub seconds: f64,
    /// The connections.
    pub connections: Connections,
    /// The ways that stanzas went.
    pub ways: Vec<Traffic>,
    /// Everything that went wrong, by kind, with how often.
    pub errors: BTreeMap<String, u64>,
    /// What the target used. None where its process cannot be seen.
    pub usage: Option<Uses>,
    /// Each second.
    pub samples: Vec<Sample>,
}

/// The connections of a load.
#[derive(Clone, Debug, Serialize)]
pub struct Connections {
    /// The partners.
    pub partners: usize,
    /// How many connections partners had opened when stanzas began to count.
    pub dialled: usize,
    /// How many the target had opened.
    pub accepted: usize,
    /// How many were closed and opened anew.
    pub renewed: u64,
    /// How long it took until a partner that dialled was let in.
    pub handshakes_in: Option<Times>,
    /// How long it took from a connection of the target's to its authentication.
    pub handshakes_out: Option<Times>,
}

/// What went one way.
#[derive(Clone, Debug, Serialize)]
pub struct Traffic {
    /// `inward`, `outward` or `ping`.
    pub way: String,
    /// Stanzas that were sent.
    pub sent: u64,
    /// Stanzas that arrived, or pings that were answered.
    pub arrived: u64,
    /// Stanzas that came back as errors.
    pub returned: u64,
    /// Stanzas of which nothing was heard.
    pub lost: u64,
    /// Stanzas that arrived each second.
    pub rate: f64,
    /// How long they took.
    pub delivery: Option<Times>,
}

/// Durations in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    /// How many there were.
    pub count: u64,
    /// Half of them took no longer.
    pub p50_us: f64,
    /// Nine of ten.
    pub p90_us: f64,
    /// 99 of 100.
    pub p99_us: f64,
    /// The longest.
    pub max_us: f64,
}

/// What the process of the target used.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Uses {
    /// Before the first connection.
    pub before: Usage,
    /// With all connections, before the first stanza that counts.
    pub connected: Usage,
    /// When the last stanza had arrived.
    pub after: Usage,
    /// The most memory that was seen.
    pub most_memory: u64,
    /// The most descriptors that were seen.
    pub most_descriptors: u64,
    /// Memory for each connection with a partner.
    pub memory_each: Option<u64>,
}

/// How it stood at a moment.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// Since the load began.
    pub seconds: f64,
    /// Stanzas that had arrived, of all ways.
    pub arrived: u64,
    /// Connections that were open, in both directions.
    pub connections: usize,
    /// What the target used.
    pub usage: Option<Usage>,
}

impl Times {
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let microseconds = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            p50_us: microseconds(0.5),
            p90_us: microseconds(0.9),
            p99_us: microseconds(0.99),
            max_us: histogram.max() as f64 / 1e3,
        })
    }
}

impl Uses {
    /// From what was seen before, with the connections, and afterwards.
    pub(super) fn of(
        seen: [Option<Usage>; 3],
        connections: usize,
        samples: &[Sample],
    ) -> Option<Self> {
        let [before, connected, after] = seen;
        let (before, connected, after) = (before?, connected?, after?);
        let all = || {
            let sampled = samples.iter().filter_map(|sample| sample.usage);
            sampled.chain([before, connected, after])
        };
        let grown = connected.memory.saturating_sub(before.memory);
        Some(Self {
            most_memory: all().map(|usage| usage.memory).max()?,
            most_descriptors: all().map(|usage| usage.descriptors).max()?,
            memory_each: grown.checked_div(connections as u64),
            before,
            connected,
            after,
        })
    }
}

/// What is known besides what was counted.
pub(super) struct Frame {
    pub(super) target: String,
    pub(super) load: String,
    pub(super) interrupted: bool,
    pub(super) seconds: f64,
    pub(super) partners: usize,
    pub(super) dialled: usize,
    pub(super) accepted: usize,
    pub(super) usage: Option<Uses>,
    pub(super) samples: Vec<Sample>,
}

impl Report {
    pub(super) fn of(frame: Frame, books: &Books) -> Self {
        let ways = Way::VARIANTS.iter().map(|way| {
            let counts = books.counts(*way);
            let sent = counts.sent.load(Ordering::Relaxed);
            let arrived = counts.arrived.load(Ordering::Relaxed);
            let returned = counts.returned.load(Ordering::Relaxed);
            Traffic {
                way: way.to_string(),
                sent,
                arrived,
                returned,
                lost: sent.saturating_sub(arrived + returned),
                rate: arrived as f64 / frame.seconds.max(f64::MIN_POSITIVE),
                delivery: Times::of(&counts.delivery.histogram()),
            }
        });
        Self {
            schema: SCHEMA,
            target: frame.target,
            load: frame.load,
            interrupted: frame.interrupted,
            seconds: frame.seconds,
            connections: Connections {
                partners: frame.partners,
                dialled: frame.dialled,
                accepted: frame.accepted,
                renewed: books.renewed.load(Ordering::Relaxed),
                handshakes_in: Times::of(&books.handshakes_in.histogram()),
                handshakes_out: Times::of(&books.handshakes_out.histogram()),
            },
            ways: ways.filter(|traffic| traffic.sent > 0).collect(),
            errors: books.errors(),
            usage: frame.usage,
            samples: frame.samples,
        }
    }

    /// Whether nothing went wrong.
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty() && self.ways.iter().all(|way| way.lost == 0)
    }

    /// The report for people, in lines of at most so many columns.
    pub fn text(&self, width: usize) -> String {
        let mut text = format!("{}\n", self.target);
        text += &paragraph("", 0, &self.load, width);
        let line = |text: &mut String, name: &str, what: &str| line(text, name, what, width);
        if self.interrupted {
            text.push_str("interrupted: this is what was seen until then\n");
        }
        let Connections {
            partners,
            dialled,
            accepted,
            renewed,
            handshakes_in,
            handshakes_out,
        } = &self.connections;
        let opened =
            format!("{dialled} opened by partners (of {partners}), {accepted} by the target");
        line(&mut text, "connections", &opened);
        if *renewed > 0 {
            line(&mut text, "", &format!("{renewed} closed and opened anew"));
        }
        for traffic in &self.ways {
            let Traffic {
                way,
                sent,
                arrived,
                returned,
                lost,
                rate,
                delivery: _,
            } = traffic;
            let what = format!(
                "{sent} sent, {arrived} arrived ({rate:.0} a second), {returned} returned, {lost} lost"
            );
            line(&mut text, way, &what);
        }
        let deliveries = self.ways.iter().map(|way| (way.way.as_str(), way.delivery));
        let handshakes = [
            ("handshake in", *handshakes_in),
            ("handshake out", *handshakes_out),
        ];
        let times: Vec<(&str, Times)> = handshakes
            .into_iter()
            .chain(deliveries)
            .filter_map(|(name, times)| Some((name, times?)))
            .collect();
        if !times.is_empty() {
            let head = ["p50", "p90", "p99", "max"].map(|name| format!("{name:>11}"));
            writeln!(text, "\n{:14}{}", "", head.concat()).expect("a String takes all text");
        }
        for (name, times) in times {
            let all = [times.p50_us, times.p90_us, times.p99_us, times.max_us];
            let all = all.map(|time| format!("{:>11}", duration(time)));
            writeln!(text, "{name:14}{}", all.concat()).expect("a String takes all text");
        }
        if let Some(usage) = &self.usage {
            text.push('\n');
            usage.write(&mut text, self.seconds, width);
        }
        if !self.errors.is_empty() {
            text.push_str("\nerrors\n");
            for (kind, count) in &self.errors {
                text.push_str(&paragraph(&format!("  {count:>7}  "), 11, kind, width));
            }
        }
        text
    }
}

impl Uses {
    fn write(&self, text: &mut String, seconds: f64, width: usize) {
        let line = |text: &mut String, name: &str, what: &str| line(text, name, what, width);
        let Self {
            before,
            connected,
            after,
            most_memory,
            most_descriptors,
            memory_each,
        } = self;
        let each = memory_each.map_or_else(String::new, |each| {
            format!(", {:.1} KiB for each connection", each as f64 / 1024.0)
        });
        let memory = format!(
            "{} before, {} connected, {} after, at most {}{each}",
            mebibytes(before.memory),
            mebibytes(connected.memory),
            mebibytes(after.memory),
            mebibytes(*most_memory),
        );
        line(text, "memory", &memory);
        let descriptors = format!(
            "{} before, {} connected, {} after, at most {most_descriptors}",
            before.descriptors, connected.descriptors, after.descriptors,
        );
        line(text, "descriptors", &descriptors);
        let busy = after.processor.saturating_sub(connected.processor);
        let share = 100.0 * busy.as_secs_f64() / seconds.max(f64::MIN_POSITIVE);
        line(text, "processor", &format!("{share:.0} % of one"));
    }
}

fn line(text: &mut String, name: &str, what: &str, width: usize) {
    text.push_str(&paragraph(&format!("{name:14}"), 14, what, width));
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0)
}

/// Microseconds in a unit that is short to read.
fn duration(microseconds: f64) -> String {
    match microseconds {
        short if short < 1e3 => format!("{short:.0} µs"),
        medium if medium < 1e6 => format!("{:.2} ms", medium / 1e3),
        long => format!("{:.2} s", long / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::books::Phase;
    use super::super::stanza::Mould;
    use super::*;

    fn usage(memory: u64, descriptors: u64, ms: u64) -> Usage {
        Usage {
            memory: memory << 20,
            descriptors,
            processor: Duration::from_millis(ms),
        }
    }

    fn report(fails: bool) -> Report {
        let books = Books::new(1, 8);
        books.enter(Phase::Steady);
        for way in Way::VARIANTS {
            let mut stanza = Vec::new();
            Mould::new(*way, 0, "a@p.example", "b@x.example", 1).write(books.now(), &mut stanza);
            books.sends(*way, &books.inward[0]);
            if *way == Way::Outward {
                books.sends(*way, &books.outward[0]);
            }
            books.take(&stanza);
        }
        if fails {
            books.error("no connection: stream-error resource-constraint");
        }
        let seen = [
            usage(10, 9, 50),
            usage(20, 1009, 100),
            usage(21, 1009, 1100),
        ];
        let sample = Sample {
            seconds: 1.0,
            arrived: 3,
            connections: 1000,
            usage: Some(usage(22, 1011, 500)),
        };
        let uses = Uses::of(seen.map(Some), 1000, &[sample]);
        let frame = Frame {
            target: "reference-proxy 0.1.0".to_owned(),
            load: "1000 partners".to_owned(),
            interrupted: fails,
            seconds: 2.0,
            partners: 1000,
            dialled: 999,
            accepted: 1,
            usage: uses,
            samples: vec![sample],
        };
        Report::of(frame, &books)
    }

    #[test]
    fn a_report_says_what_was_seen() {
        let text = report(true).text(60);
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(60), "{text}");
        let text = report(true).text(120);
        for part in [
            "interrupted",
            "999 opened by partners (of 1000), 1 by the target",
            "inward        1 sent, 1 arrived (0 a second), 0 returned, 0 lost",
            "outward       2 sent, 1 arrived",
            "1 lost",
            "10.0 MiB before, 20.0 MiB connected, 21.0 MiB after, at most 22.0 MiB, 10.2 KiB for each",
            "9 before, 1009 connected, 1009 after, at most 1011",
            "processor     50 % of one",
            "1  no connection: stream-error resource-constraint",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn what_is_lost_or_failed_is_not_clean() {
        assert!(!report(true).is_clean());
        assert!(!report(false).is_clean(), "one is lost");
        let mut clean = report(false);
        clean.ways.retain(|way| way.lost == 0);
        assert!(clean.is_clean());
    }

    #[test]
    fn durations_are_short() {
        for (microseconds, text) in [(12.4, "12 µs"), (1234.0, "1.23 ms"), (2.5e6, "2.50 s")] {
            assert_eq!(duration(microseconds), text);
        }
    }
}
