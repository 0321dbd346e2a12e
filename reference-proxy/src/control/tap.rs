//! Log lines for whoever follows the log.

use std::io;
use std::sync::LazyLock;

use tokio::sync::broadcast;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::DynFilterFn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::registry::LookupSpan;

use crate::domain::Domain;

/// Lines kept for a follower that does not keep up.
const KEPT: usize = 1024;

/// One for the process, as the log itself is.
static LINES: LazyLock<broadcast::Sender<String>> = LazyLock::new(|| broadcast::Sender::new(KEPT));

/// A layer that passes log lines to those who follow the log by a control socket. Without one of them it costs
/// nothing.
pub fn tap<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let followed = DynFilterFn::new(|_, _| LINES.receiver_count() > 0);
    tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(Tap)
        .with_filter(followed)
}

/// The lines from now on.
pub(super) fn follow() -> broadcast::Receiver<String> {
    LINES.subscribe()
}

/// Whether a line names one of the domains, and not one above or below it.
pub(super) fn names(line: &str, domains: &[Domain]) -> bool {
    domains.iter().any(|domain| {
        let domain = domain.as_str();
        line.match_indices(domain).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + domain.len()..]);
            let in_name = |c: char| c.is_alphanumeric() || c == '-';
            let mut next = after.chars();
            let goes_on = match next.next() {
                Some('.') => next.next().is_some_and(in_name),
                Some(c) => in_name(c),
                None => false,
            };
            !goes_on && !before.ends_with(|c: char| in_name(c) || c == '.')
        })
    })
}

struct Tap;

impl<'a> MakeWriter<'a> for Tap {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

/// Each write is a whole line.
impl io::Write for Tap {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        // Nobody follows any more, if this fails.
        let _ = LINES.send(text.trim_end().to_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_names_a_domain_and_none_around_it() {
        let domains = [Domain::parse("b.example").expect("a domain")];
        for (line, named) in [
            ("stream open pair=a.example to b.example method", true),
            ("stream open pair=b.example to a.example", true),
            ("domain=b.example", true),
            ("b.example: closed", true),
            ("no federation with b.example.", true),
            ("none with b.example.org", false),
            ("none with chat.b.example", false),
            ("none with bb.example and b.examples", false),
            ("b.examples, then b.example", true),
            ("", false),
        ] {
            assert_eq!(names(line, &domains), named, "{line}");
        }
    }
}
