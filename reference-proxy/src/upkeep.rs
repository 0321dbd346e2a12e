//! What has to be looked at from time to time: the proxy's own certificates, and lists of revoked ones.

use std::sync::Arc;
use std::time::Duration;

use crate::certificate::{Remark, Rule};
use crate::context::Context;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Tells what is wrong with the proxy's own certificates, and which lists of revoked ones have ended, at the start, after
/// each reload and each day. Nothing is told twice, unless it was right in between.
pub(crate) async fn certificates(mut context: Arc<Context>) {
    let mut stop = context.tasks.stop();
    let mut changes = context.changes();
    let mut told: Vec<(String, &'static str, Rule)> = Vec::new();
    let mut ended: Vec<String> = Vec::new();
    loop {
        let examined = context.config.examine(context.clock.unix());
        let remarks: Vec<Remark> = examined.into_iter().flat_map(|one| one.remarks).collect();
        for remark in &remarks {
            if !told.contains(&known(remark)) {
                tell(remark);
            }
        }
        told = remarks.iter().map(known).collect();
        let lists = context.config.ended_lists(context.clock.unix());
        for list in lists.iter().filter(|list| !ended.contains(list)) {
            tracing::warn!("{list}");
        }
        ended = lists;
        tokio::select! {
            _ = context.clock.aside(DAY, changes.next()) => context = context.newest(),
            () = stop.asked() => return,
        }
    }
}

/// What makes a remark the same as an earlier one.
fn known(remark: &Remark) -> (String, &'static str, Rule) {
    (remark.presented.clone(), remark.key, remark.rule)
}

fn tell(remark: &Remark) {
    let Remark {
        presented,
        key,
        refused,
        text,
        ..
    } = remark;
    match refused {
        true => tracing::error!(%presented, key, "own certificate: {text}"),
        false => tracing::warn!(%presented, key, "own certificate: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::io;
    use std::sync::{Mutex, PoisonError};

    use rcgen::date_time_ymd;
    use tokio::runtime::Handle;

    use super::*;
    use crate::certificate::fixture::{Authority, leaf};
    use crate::clock::Clock;
    use crate::config::Config;
    use crate::config::fixture::text_of;
    use crate::reload::Reloader;
    use crate::task::Supervisor;

    /// The lines of a log.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    impl io::Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(String::from_utf8_lossy(line).into_owned());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        /// How many there are about certificates since the last time.
        fn told(&self) -> usize {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let all = lines.drain(..);
            all.filter(|line| line.contains("own certificate: "))
                .count()
        }
    }

    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets a day pass.
    async fn day(clock: &Clock) {
        let waiting = clock.clone();
        let passed = tokio::spawn(async move { waiting.timeout(DAY, pending::<()>()).await });
        settle().await;
        assert_eq!(clock.advance(DAY), Some(DAY));
        assert!(passed.await.expect("no panic").is_err());
        settle().await;
    }

    /// A configuration whose certificate ends in so many days.
    fn ending(clock: &Clock, days: u64) -> Config {
        let authority = Authority::new("CA");
        let mut params = leaf(&["alpha.example"]);
        let end = clock.unix().as_secs() + days * DAY.as_secs();
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(end);
        let text = text_of(&authority, &authority.issue_with(&params));
        Config::from_toml(&text, "proxy.toml").expect("loads")
    }

    #[tokio::test]
    async fn certificates_are_judged_each_day_and_nothing_is_told_twice() {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone());
        let _log = tracing::subscriber::set_default(log.finish());
        let clock = Clock::by_hand();
        let (_supervisor, tasks) = Supervisor::start(&Handle::current(), &clock);
        let reloader = Reloader::new(ending(&clock, 16), clock.clone(), tasks.clone());
        let reloader = reloader.expect("settled");
        tasks.spawn(certificates(reloader.context()));
        settle().await;
        // It is presented to partners and to gateways.
        assert_eq!(lines.told(), 2);
        let mut told = Vec::new();
        for _ in 0..17 {
            day(&clock).await;
            told.push(lines.told());
        }
        // 14, 7, 3 and 1 days before the end, and after it.
        assert_eq!(told, [0, 2, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 2, 0, 2]);
        reloader.take_in(ending(&clock, 100)).expect("taken in");
        settle().await;
        assert_eq!(lines.told(), 0, "a good one");
        reloader.take_in(ending(&clock, 29)).expect("taken in");
        settle().await;
        reloader.take_in(ending(&clock, 28)).expect("taken in");
        settle().await;
        assert_eq!(lines.told(), 2, "another bad one is the same remark");
    }
}
