//! Bundles of cases that were really run, for tests.

use std::sync::Arc;
use std::time::Duration;

use simulated_partners::persona;
use tokio::sync::Semaphore;

use super::{Bundle, Circumstances};
use crate::baseline::BaselineCheck;
use crate::matrix;
use crate::oracle::Profile;
use crate::record::Record;
use crate::runner::{self, Deadlines, Keeps, Plan};
use crate::scenario::{Catalogue, Library};
use crate::subject::Target;

/// The record of a case that was run with its scene, and its bundle, written and read back.
pub(crate) fn bundle(id: &str, target: Arc<dyn Target>) -> (Record, Bundle) {
    let mut all = matrix::cases(&persona::builtin());
    let area = id.split('/').next().unwrap_or_default().to_owned();
    all.extend(Library::builtin_where(|name, _| name.starts_with(&area)).cases());
    let case = all.into_iter().find(|case| case.id == id).expect(id);
    let cases = [case];
    let run = Circumstances {
        built_in: Some("reference".to_owned()),
        target_file: None,
        seed: 7,
        profile: Profile::default(),
        timeout: Duration::from_secs(20),
        catalogue: Catalogue::builtin().clone(),
    };
    let plan = Plan {
        jobs: runner::jobs(&cases, &cases, target.as_ref(), run.profile),
        target,
        profile: run.profile,
        deadlines: Deadlines::within(run.timeout),
        doubts: true,
        asks_again: false,
        budget: None,
        slots: Arc::new(Semaphore::new(runner::SLOTS)),
        seed: run.seed,
        keep_events: true,
        keeps: Some(Keeps {
            passes: true,
            traffic: true,
        }),
        check: Arc::new(BaselineCheck::none()),
        prove: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let collected = runtime.block_on(runner::collect(plan));
    let record = collected.records.into_iter().next().expect("it was run");
    let made = Bundle::of(&record, "a server", &run).expect("it has a JSON form");
    let text = serde_json::to_string(&made).expect("it has a JSON form");
    (record, Bundle::read(&text).expect("it is one"))
}
