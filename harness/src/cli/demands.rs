//! What a run has to show to be a success: its exit code.

use std::collections::BTreeMap;

use super::words::words;
use super::{number, output};
use crate::console::words::counted;
use crate::error::Exit;
use crate::report::Report;
use crate::verdict::Verdict;

/// Demands beyond those that a run makes by itself.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Demands {
    /// Also end with 1 where a case has this verdict, such as `unsupported` or `warn`; repeat it for several
    #[arg(long, value_name = "VERDICT", env = "S2SPEC_FAIL_ON", value_delimiter = ',', value_parser = words::<Verdict>())]
    fail_on: Vec<Verdict>,

    /// End with 1 unless at least N cases were run; controls that were added do not count
    #[arg(long, value_name = "N", value_parser = number::count::<usize>, env = "S2SPEC_AT_LEAST")]
    at_least: Option<usize>,
}

impl Demands {
    /// The exit code of a run. A proven deviation outweighs an incomplete run.
    pub(super) fn exit(&self, report: &Report) -> Exit {
        let tally = report.tally();
        let unexpected =
            tally.unexpected() > 0 || !report.breaches.is_empty() || !report.unneeded.is_empty();
        let unmet = self.unmet(report);
        for text in &unmet {
            output::note(&format!("error: {text}"));
        }
        if unexpected || !unmet.is_empty() {
            Exit::Unexpected
        } else if tally.open() > 0 || !report.trouble.is_empty() || report.partial() {
            Exit::Environment
        } else if report.ran_nothing() {
            Exit::NothingSelected
        } else {
            Exit::Expected
        }
    }

    /// What was demanded and is not so, in sentences.
    fn unmet(&self, report: &Report) -> Vec<String> {
        let mut counts: BTreeMap<Verdict, usize> = BTreeMap::new();
        let mut ran = 0;
        for record in report.records.values() {
            *counts.entry(record.verdict).or_default() += 1;
            let was_run = !matches!(record.verdict, Verdict::Unsupported | Verdict::NotRun);
            ran += usize::from(was_run && !record.result.added_as_control);
        }
        let of_verdict = |verdict: &Verdict| Some((*verdict, *counts.get(verdict)?));
        let mut unmet: Vec<String> = self
            .fail_on
            .iter()
            .filter_map(of_verdict)
            .map(|(verdict, count)| {
                let are = if count == 1 { "is" } else { "are" };
                format!("{} {are} {verdict} (--fail-on)", counted(count, "case"))
            })
            .collect();
        if let Some(least) = self.at_least.filter(|least| ran < *least) {
            unmet.push(format!(
                "{} run, and {least} demanded (--at-least)",
                counted(ran, "case")
            ));
        }
        unmet
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn exit(demands: &Demands, verdict: Verdict) -> Exit {
        let mut record = fixture::failed();
        record.verdict = verdict;
        demands.exit(&fixture::report(fixture::gather(vec![record], false)))
    }

    #[test]
    fn other_verdicts_fail_where_that_is_asked_for() {
        let none = Demands::default();
        assert_eq!(exit(&none, Verdict::Warn), Exit::Expected);
        let on_warn = Demands {
            fail_on: vec![Verdict::Warn],
            ..Demands::default()
        };
        assert_eq!(exit(&on_warn, Verdict::Warn), Exit::Unexpected);
        assert_eq!(exit(&on_warn, Verdict::Pass), Exit::Expected);
    }

    #[test]
    fn fewer_cases_than_demanded_fail() {
        let demands = |least| Demands {
            at_least: Some(least),
            ..Demands::default()
        };
        assert_eq!(exit(&demands(1), Verdict::Pass), Exit::Expected);
        assert_eq!(exit(&demands(2), Verdict::Pass), Exit::Unexpected);
        assert_eq!(exit(&demands(1), Verdict::Unsupported), Exit::Unexpected);
    }
}
