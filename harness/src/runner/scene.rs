//! What was there when a case ran, for those who read of it or run it again.

use std::sync::Arc;

use super::case_run::CaseRun;
use crate::record::Scene;

impl CaseRun<'_> {
    /// Certificates, records and configuration.
    pub(super) fn scene(&self) -> Scene {
        let Self { bench, names, .. } = self;
        let partners = self.partners.iter().map(|one| {
            let domain = names.of_role(one.role);
            (one.role.name.to_string(), (domain, one.identity.clone()))
        });
        let records = bench.lab.dns.records();
        let domains: Vec<&str> = self.published.domains().collect();
        Scene {
            authority: Arc::new((
                bench.lab.authority.root_pem(),
                bench.lab.authority.root_key_pem(),
            )),
            partners: partners.collect(),
            configuration: bench.target.traces.configuration(&domains),
            dns: (domains.into_iter())
                .flat_map(|one| records.listed(one))
                .collect(),
            log: Vec::new(),
            capture: self.capture.clone(),
        }
    }
}
