//! Domains of an allow list, lent to cases one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use simulated_partners::persona::Tls;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::case::{AllowList, Case, Domains};

/// The domains that a target takes partners from. Cases wait for those of a list.
#[derive(Debug)]
pub struct Pool {
    allow: AllowList,
    /// How long the target may keep answers of DNS.
    dns_cache: Duration,
    state: Mutex<State>,
    returned: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The list, longest unused first.
    order: Vec<String>,
    lent: BTreeSet<String>,
    /// How each was used last.
    last: BTreeMap<String, Use>,
}

/// The last use of a domain.
#[derive(Clone, Copy, Debug)]
struct Use {
    ended: Instant,
    /// Whether DNS said of it what it says by default.
    plain: bool,
}

/// The domains of a case while it has them. They are returned when it is dropped.
#[derive(Debug)]
pub struct Lease {
    pool: Arc<Pool>,
    /// The domains.
    pub domains: Domains,
    /// All names that belong to the case, and nothing below them to another.
    names: Vec<String>,
    plain: bool,
}

impl Pool {
    /// The domains of a list. The target may keep answers of DNS for this time.
    pub fn new(allow: AllowList, dns_cache: Duration) -> Self {
        let order = match &allow {
            AllowList::Only(listed) => listed.clone(),
            AllowList::Any | AllowList::Below(_) => Vec::new(),
        };
        Self {
            allow,
            dns_cache,
            state: Mutex::new(State {
                order,
                ..State::default()
            }),
            returned: Notify::new(),
        }
    }

    /// How long the target may keep answers of DNS.
    pub fn dns_cache(&self) -> Duration {
        self.dns_cache
    }

    /// Whether cases share domains.
    pub fn is_shared(&self) -> bool {
        matches!(self.allow, AllowList::Only(_))
    }

    /// Whether this is one of the domains that cases share.
    pub fn shares(&self, domain: &str) -> bool {
        matches!(&self.allow, AllowList::Only(listed) if listed.iter().any(|one| one == domain))
    }

    /// Waits for the domains of a case. `hidden`: there is no link to the target's inner side.
    ///
    /// # Errors
    /// Why the list can never have them.
    pub async fn lend(self: &Arc<Self>, case: &Case, hidden: bool) -> Result<Lease, String> {
        let plain = has_plain_records(case);
        loop {
            let mut returned = std::pin::pin!(self.returned.notified());
            returned.as_mut().enable();
            let wait = match self.try_lend(case, hidden, plain) {
                Ok(lease) => return Ok(lease),
                Err(wait) => wait,
            };
            let Some(until) = wait else {
                let anything = self.allow.assign(case, hidden, |_| true);
                if let Err(too_few) = anything {
                    return Err(too_few.to_string());
                }
                returned.await;
                continue;
            };
            tokio::select! {
                () = returned => {}
                () = sleep_until(until) => {}
            }
        }
    }

    /// The domains of a case, or when one that is not lent is fit for it.
    fn try_lend(
        self: &Arc<Self>,
        case: &Case,
        hidden: bool,
        plain: bool,
    ) -> Result<Lease, Option<Instant>> {
        let mut state = self.lock();
        let now = Instant::now();
        let list = match &self.allow {
            AllowList::Only(_) => AllowList::Only(state.order.clone()),
            other @ (AllowList::Any | AllowList::Below(_)) => other.clone(),
        };
        let is_free = |name: &str| {
            let fit = self.fit(&state, name, plain);
            fit.is_none_or(|since| since <= now) && !state.lent.iter().any(|lent| meet(lent, name))
        };
        let Ok(domains) = list.assign(case, hidden, is_free) else {
            let rests = state.order.iter();
            let rests = rests.filter(|name| !state.lent.contains(*name));
            let fit = rests.filter_map(|name| self.fit(&state, name, plain));
            return Err(fit.filter(|since| *since > now).min());
        };
        let names = self.allow.taken(case, hidden, &domains);
        if self.is_shared() {
            state.lent.extend(names.iter().cloned());
            state.order.retain(|one| !names.contains(one));
        }
        Ok(Lease {
            pool: Arc::clone(self),
            domains,
            names,
            plain,
        })
    }

    /// When what the target may have kept of a domain is no longer wrong; `None` if it is not.
    fn fit(&self, state: &State, name: &str, plain: bool) -> Option<Instant> {
        let last = state.last.get(name)?;
        (!(last.plain && plain)).then(|| last.ended + self.dns_cache)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// The domains of the list that the case has, or those of its own.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether DNS says of them what it always says.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// The target knows of them what DNS always says.
    pub fn settled(&mut self) {
        self.plain = true;
    }

    /// Whether other cases have them before and after.
    pub fn is_shared(&self) -> bool {
        self.pool.is_shared()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_shared() {
            return;
        }
        let used = Use {
            ended: Instant::now(),
            plain: self.plain,
        };
        let mut state = self.pool.lock();
        for name in std::mem::take(&mut self.names) {
            state.lent.remove(&name);
            state.last.insert(name.clone(), used);
            if self.pool.shares(&name) {
                state.order.push(name);
            }
        }
        drop(state);
        self.pool.returned.notify_waiters();
    }
}

/// Whether DNS points to each partner of a case in the usual way.
fn has_plain_records(case: &Case) -> bool {
    let script = &case.script;
    script.dns.is_empty()
        && script.roles.iter().all(|role| {
            let usual = !role.default_port && !role.over_ipv6;
            let direct = role.persona.offer.tls == Tls::Direct;
            role.serves && usual && !direct
        })
}

/// Whether one of two names is the other, or below it: records and queries of one are those of the other.
fn meet(one: &str, other: &str) -> bool {
    let below = |name: &str, of: &str| {
        name.strip_suffix(of)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    below(one, other) || below(other, one)
}

#[cfg(test)]
mod tests {
    use simulated_partners::persona::builtin;

    use super::*;
    use crate::case::Direction;
    use crate::matrix::cases;

    fn pool(listed: &[&str], dns_cache: Duration) -> Arc<Pool> {
        let listed = listed.iter().map(|&one| one.to_owned()).collect();
        Arc::new(Pool::new(AllowList::Only(listed), dns_cache))
    }

    fn case(persona: &str) -> Case {
        let all = cases(&builtin());
        let found = all.into_iter().find(|case| {
            case.partner.name == persona
                && case.direction == Direction::Outbound
                && case.row.policy().valid()
        });
        found.unwrap_or_else(|| panic!("no case of {persona}"))
    }

    #[tokio::test]
    async fn no_more_cases_run_than_there_are_domains() {
        let pool = pool(&["a.example", "b.example"], Duration::ZERO);
        let case = case("modern");
        let first = pool.lend(&case, true).await.expect("one is free");
        let second = pool.lend(&case, true).await.expect("one is free");
        assert_eq!(first.domains.base(), "a.example");
        assert_eq!(second.domains.base(), "b.example");
        tokio::select! {
            biased;
            third = pool.lend(&case, true) => panic!("{third:?}"),
            () = tokio::task::yield_now() => {}
        }
        drop(second);
        let third = pool.lend(&case, true).await.expect("it was returned");
        assert_eq!(third.domains.base(), "b.example");
    }

    #[tokio::test]
    async fn other_records_wait_until_nobody_keeps_the_old_ones() {
        let kept = Duration::from_millis(50);
        let pool = pool(&["a.example"], kept);
        let (plain, direct) = (case("modern"), case("direct-tls-only"));
        drop(pool.try_lend(&plain, false, true));
        let again = pool.try_lend(&plain, false, true);
        assert!(again.is_ok(), "they are the same");
        drop(again);
        let began = Instant::now();
        drop(pool.lend(&direct, false).await);
        let wait = pool.try_lend(&plain, false, true).map(|_| ());
        assert!(matches!(wait, Err(Some(until)) if until > began + kept));
    }

    #[tokio::test]
    async fn what_can_never_be_lent_is_told_at_once() {
        let mut one = case("modern");
        one.direction = Direction::Inbound;
        let pool = pool(&["a.example"], Duration::ZERO);
        let why = pool.lend(&one, true).await.map(|_| ());
        let told = "it takes 2 partner domains, and the target file names 1";
        assert_eq!(why, Err(told.to_owned()));
    }

    #[test]
    fn names_that_share_records_meet() {
        assert!(meet("a.example", "a.example"));
        assert!(meet("child.a.example", "a.example"));
        assert!(meet("a.example", "child.a.example"));
        assert!(!meet("ba.example", "a.example"));
    }
}
