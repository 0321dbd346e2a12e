//! The results, as lines and as a page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::mutant::{Level, Mutant};
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

/// A mutant that can be seen, and what became of it.
type Seen<'a> = (&'a Mutant, Option<&'a Verdict>);

fn noticed((_, verdict): &Seen<'_>) -> Option<Noticed> {
    verdict.map(|verdict| verdict.noticed)
}

/// Whether the first finding names what the mutant is said to break today.
fn named((mutant, verdict): &Seen<'_>) -> bool {
    let first = verdict.and_then(|verdict| verdict.first.as_ref());
    let broken = |id| mutant.requirements.contains(id);
    first.is_some_and(|[_, against, _]| against.split(", ").any(broken))
}

/// The page `docs/mutants.md`.
pub(crate) fn page(mutants: &[Mutant], verdicts: &BTreeMap<String, Verdict>) -> String {
    let visible = mutants.iter().filter(|mutant| mutant.invisible.is_none());
    let visible: Vec<Seen<'_>> = visible
        .map(|mutant| (mutant, verdicts.get(&mutant.id)))
        .collect();
    let (musts, shoulds): (Vec<Seen<'_>>, Vec<Seen<'_>>) = visible
        .iter()
        .partition(|(mutant, _)| mutant.level() == Level::Must);
    let mut page = String::from(include_str!("page.md"));
    type Test<'a> = &'a dyn Fn(&Seen<'_>) -> bool;
    let rows: [(&str, Test<'_>); 8] = [
        ("noticed as `fail`", &|seen| {
            noticed(seen) == Some(Noticed::Fail)
        }),
        ("noticed as `warn` only", &|seen| {
            noticed(seen) == Some(Noticed::Warn)
        }),
        ("noticed as `error` only", &|seen| {
            noticed(seen) == Some(Noticed::Error)
        }),
        ("left undecided", &|seen| {
            noticed(seen) == Some(Noticed::Undecided)
        }),
        ("the run did not end in time", &|seen| {
            noticed(seen) == Some(Noticed::Endless)
        }),
        ("not noticed", &|seen| noticed(seen) == Some(Noticed::No)),
        ("all that can be seen", &|_| true),
        ("the first finding names the rule that is broken", &named),
    ];
    for (what, test) in rows {
        write!(page, "| {what} |").expect("a String takes all text");
        for some in [&musts, &shoulds, &visible] {
            let count = some.iter().filter(|seen| test(seen)).count();
            let share = 100.0 * count as f64 / some.len().max(1) as f64;
            write!(page, " {count} | {share:.1} % |").expect("a String takes all text");
        }
        page.push('\n');
    }
    let why = |mutant: &Mutant, how: String| match &mutant.lenient {
        Some(why) => format!("{how}: {why}"),
        None => how,
    };
    for (title, some) in [
        ("Forbidden by a must, and no `fail`", &musts),
        ("Forbidden by a should, and no `fail`", &shoulds),
    ] {
        let rest = some
            .iter()
            .filter(|seen| noticed(seen) != Some(Noticed::Fail));
        list(
            &mut page,
            title,
            rest.map(|seen| {
                let how = noticed(seen).map_or("not run", word);
                (seen.0, why(seen.0, how.to_lowercase()))
            }),
        );
    }
    let others = visible.iter().filter_map(|seen| {
        let [case, against, _] = seen.1?.first.as_ref()?;
        let broken = seen.0.requirements.iter().cloned().collect::<Vec<String>>();
        let instead = format!("{} in `{case}`, not {}", against, broken.join(", "));
        (!named(seen)).then_some((seen.0, instead))
    });
    list(&mut page, "The first finding names another rule", others);
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
