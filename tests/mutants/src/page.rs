//! The results, as lines and as a page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::mutant::Mutant;
use crate::run::{Noticed, Verdict};

fn word(noticed: Noticed) -> &'static str {
    match noticed {
        Noticed::Fail => "fail",
        Noticed::Warn => "warn",
        Noticed::Error => "error",
        Noticed::Undecided => "undecided",
        Noticed::Endless => "endless",
        Noticed::No => "SURVIVED",
    }
}

/// One mutant on one line.
pub(crate) fn line(mutant: &Mutant, verdict: &Verdict) -> String {
    let [fail, warn, error, run] = verdict.counts;
    let mut line = format!(
        "{:8} {:40} {fail:4} fail {warn:4} warn {error:4} error of {run:4} {:6.1} s",
        word(verdict.noticed),
        mutant.id,
        verdict.seconds
    );
    if let Some([case, against, text]) = &verdict.first {
        let mark = if verdict.named { "" } else { "OTHER " };
        write!(line, "  {mark}{case} [{against}] {text}").expect("a String takes all text");
    }
    line
}

/// The page `docs/mutants.md`.
pub(crate) fn page(mutants: &[Mutant], verdicts: &BTreeMap<String, Verdict>) -> String {
    let visible = mutants.iter().filter(|mutant| mutant.invisible.is_none());
    let visible: Vec<(&Mutant, Option<&Verdict>)> = visible
        .map(|mutant| (mutant, verdicts.get(&mutant.id)))
        .collect();
    let count = |wanted: Noticed| {
        let ends = visible.iter().filter_map(|(_, verdict)| *verdict);
        ends.filter(|verdict| verdict.noticed == wanted).count()
    };
    let all = visible.len().max(1);
    let share = |part: usize| format!("{part} | {:.1} %", 100.0 * part as f64 / all as f64);
    let noticed = visible.iter().filter_map(|(_, verdict)| *verdict);
    let named = noticed.clone().filter(|verdict| verdict.named).count();
    let mut page = String::from(include_str!("page.md"));
    let rows = [
        ("noticed as `fail`", share(count(Noticed::Fail))),
        ("noticed as `warn` only", share(count(Noticed::Warn))),
        ("noticed as `error` only", share(count(Noticed::Error))),
        ("left undecided", share(count(Noticed::Undecided))),
        (
            "the run did not end in time",
            share(count(Noticed::Endless)),
        ),
        ("not noticed", share(count(Noticed::No))),
        (
            "all that a standard forbids and that can be seen",
            share(visible.len()),
        ),
        (
            "the first finding names the rule that is broken",
            share(named),
        ),
    ];
    for (what, figures) in rows {
        writeln!(page, "| {what} | {figures} |").expect("a String takes all text");
    }
    let rest = visible
        .iter()
        .filter(|(_, verdict)| !verdict.is_some_and(|verdict| verdict.noticed == Noticed::Fail));
    list(
        &mut page,
        "Not a `fail`",
        rest.map(|(mutant, verdict)| {
            let how = verdict.map_or("not run", |verdict| word(verdict.noticed));
            (*mutant, how.to_lowercase())
        }),
    );
    let invisible = mutants
        .iter()
        .filter_map(|mutant| Some((mutant, mutant.invisible.clone()?)));
    list(&mut page, "Out of sight", invisible);
    page
}

fn list<'a>(page: &mut String, title: &str, rows: impl Iterator<Item = (&'a Mutant, String)>) {
    write!(
        page,
        "\n## {title}\n\n| mutant | the proxy then | |\n|---|---|---|\n"
    )
    .expect("a String takes all text");
    for (mutant, why) in rows {
        writeln!(page, "| `{}` | {} | {why} |", mutant.id, mutant.breaks)
            .expect("a String takes all text");
    }
}
