//! What DNS says of the domains of a case.

use crate::lab::{Lab, Lease};

/// The DNS records of a case's domains while it runs.
pub(super) struct Published<'a> {
    lab: &'a Lab,
    domains: Vec<String>,
    /// Whether they stay for the next case, as they are the same there.
    stays: bool,
}

impl<'a> Published<'a> {
    pub(super) fn of(lab: &'a Lab, lease: &Lease) -> Self {
        let mut domains = lease.names().to_vec();
        domains.push(lease.domains.base().to_owned());
        for domain in &domains {
            // What others have asked is not the case's.
            lab.dns.records().forget(domain);
        }
        Self {
            lab,
            domains,
            stays: lease.is_shared() && lease.is_plain(),
        }
    }

    /// The domains, none of which is below another.
    pub(super) fn domains(&self) -> impl Iterator<Item = &str> {
        let all = || self.domains.iter().map(String::as_str);
        let is_below = |one: &str, other: &str| {
            one.strip_suffix(other)
                .is_some_and(|rest| rest.ends_with('.'))
        };
        let mut topmost: Vec<&str> = all()
            .filter(|one| !all().any(|other| is_below(one, other)))
            .collect();
        topmost.sort_unstable();
        topmost.dedup();
        topmost.into_iter()
    }
}

impl Drop for Published<'_> {
    fn drop(&mut self) {
        let records = self.lab.dns.records();
        for domain in &self.domains {
            if self.stays {
                records.forget(domain);
            } else {
                records.remove(domain);
            }
        }
    }
}
