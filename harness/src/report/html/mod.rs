//! A report as one HTML page that opens from disk: no file beside it, nothing loaded.
//!
//! Everything is in the page before any script runs. The script only filters, and opens what a link names.

mod case;
mod chart;
mod matrix;
mod settings;
mod target;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::saved::{Case, Cause, Requirement, Saved};
use crate::console::words::counted;
use crate::transcript::printable;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Verdicts in the order in which they are counted, with a mark that does not depend on colour.
const VERDICTS: [(&str, &str); 11] = [
    ("fail", "✕"),
    ("unstable", "~"),
    ("xpass", "^"),
    ("error", "?"),
    ("undecided", "%"),
    ("warn", "!"),
    ("disputed", "≠"),
    ("xfail", "x"),
    ("pass", "✓"),
    ("unsupported", "·"),
    ("not-run", "o"),
];

/// What stands behind a clause, in words.
const STRENGTHS: [(&str, &str); 3] = [
    ("demanded", "Demanded by a standard"),
    ("recommended", "Recommended by one"),
    ("unwritten", "Derived, for security or practice"),
];

/// How many cases a list leads to.
const LINKED: usize = 100;

/// End tags that HTML does not need. They are a twentieth of the page of a large run.
const OPTIONAL_ENDS: [&str; 5] = ["</dt>", "</dd>", "</li>", "</td>", "</tr>"];

/// The mark of a pass that is a rightful refusal.
const REFUSED: &str = "–";

/// The page.
pub fn to_html(saved: &Saved) -> String {
    let title = format!("s2spec: {}", printable(&saved.target));
    let body = html! {
        a.skip href="#main" { "Skip to the results" }
        header {
            h1 { "s2spec " span.target { (printable(&saved.target)) } }
            (facts(saved))
            nav aria-label="Sections" {
                a href="#first" { "What to read first" }
                a href="#requirements" { "Requirements" }
                a href="#matrix" { "Matrix" }
                @if saved.cases.iter().any(|case| case.rule.is_some()) {
                    a href="#settings" { "Settings" }
                }
                a href="#cases" { "Cases" }
            }
        }
        main #main {
            (target::section(saved))
            (whole(saved))
            (causes(saved))
            (requirements(saved))
            (matrix::section(saved))
            (settings::section(saved))
            (case::section(saved))
        }
        footer {
            "Written by " (saved.tool.name) " " (saved.tool.version) ", seed " (saved.seed) ". "
            "Nothing in this page is loaded from elsewhere."
        }
        script { (PreEscaped(SCRIPT)) }
    };
    document(&title, &body)
}

/// A page with the style of a report, which loads nothing.
pub(super) fn document(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    // What is quoted in the page has none: it is escaped.
    let without = |page: String, end: &&str| page.replace(end, "");
    OPTIONAL_ENDS.iter().fold(page.into_string(), without)
}

/// A cell of a table, which leads to its case.
fn cell(case: &Case, what: &str) -> Markup {
    let label = format!("{what}: {} {}", case.verdict, case.ended());
    html! {
        a class=(format!("v-{}", case.verdict)) href=(format!("#case={}", case.id)) aria-label=(label) {
            (verdict_mark(case))
        }
    }
}

/// The mark of a case in a cell of a table.
pub(super) fn verdict_mark(case: &Case) -> &'static str {
    match case.verdict.as_str() {
        "pass" if case.method().is_none() => REFUSED,
        verdict => mark(verdict),
    }
}

/// What the marks in the cells of a table mean, as far as they occur.
fn legend(saved: &Saved) -> Markup {
    let others = VERDICTS.iter().filter(|(verdict, _)| *verdict != "pass");
    html! {
        p.legend {
            "✓ pass, established · " (REFUSED) " pass, rightly refused"
            @for (verdict, mark) in others.filter(|(verdict, _)| saved.count(verdict) > 0) {
                " · " (mark) " " (verdict)
            }
        }
    }
}

/// The mark of a verdict.
fn mark(verdict: &str) -> &'static str {
    let found = VERDICTS.iter().find(|(word, _)| *word == verdict);
    found.map_or("?", |(_, mark)| mark)
}

pub(super) fn badge(verdict: &str) -> Markup {
    html! {
        span class=(format!("badge v-{verdict}")) { span aria-hidden="true" { (mark(verdict)) } " " (verdict) }
    }
}

fn facts(saved: &Saved) -> Markup {
    let seconds = saved.times.elapsed_us as f64 / 1e6;
    html! {
        p.facts {
            (counted(saved.cases.len(), "case")) " in " (format!("{seconds:.1}")) " s"
            @if saved.rounds > 1 { ", " (saved.rounds) " rounds" }
            @if saved.partial { " · " strong { "these results are partial" } }
            @if saved.interrupted { " (interrupted)" }
            @if saved.without_bundle > 0 { " · no bundle of " (counted(saved.without_bundle, "failing case")) }
        }
        ul.counts {
            @for (verdict, _) in VERDICTS {
                @if saved.count(verdict) > 0 {
                    li { (badge(verdict)) " " strong { (saved.count(verdict)) } }
                }
            }
        }
    }
}

/// What is wrong whatever the case is, and what went wrong outside of cases.
fn whole(saved: &Saved) -> Markup {
    let lists = [
        ("Wrong whatever the case", &saved.breaches),
        ("Trouble", &saved.trouble),
        (
            "Entries of the baseline that are not needed any more",
            &saved.unneeded,
        ),
    ];
    html! {
        @for (title, lines) in lists.iter().filter(|(_, lines)| !lines.is_empty()) {
            section.whole {
                h2 { (title) }
                ul { @for line in lines.iter() { li { (printable(line)) } } }
            }
        }
    }
}

fn causes(saved: &Saved) -> Markup {
    html! {
        section #first {
            h2 { "What to read first" }
            @if saved.causes.is_empty() {
                p { "Nothing that failed, warned or is disputed." }
            } @else {
                ol.causes { @for one in &saved.causes { (cause(one)) } }
            }
        }
    }
}

fn cause(cause: &Cause) -> Markup {
    let clause = &cause.clause;
    html! {
        li {
            details {
                summary {
                    (badge(&cause.verdict)) " "
                    @if let Some(id) = &clause.requirement { strong { (id) } " " }
                    (clause.text)
                    " " span.source { (clause.source) ", " (clause.level) ", " (counted(cause.cases.len(), "case")) }
                }
                p { "Seen: " (printable(&cause.text)) }
                (links(&cause.cases))
                @for consequence in &cause.consequences {
                    p { "What may follow from it (" (consequence.because) "):" }
                    (links(&consequence.cases))
                }
            }
        }
    }
}

/// Links to cases.
fn links(ids: &[String]) -> Markup {
    html! {
        ul.links {
            @for id in ids.iter().take(LINKED) { li { a href=(format!("#case={id}")) { (id) } } }
            @if ids.len() > LINKED { li { "and " (ids.len() - LINKED) " more, in report.json" } }
        }
    }
}

fn requirements(saved: &Saved) -> Markup {
    let standings = [
        ("held", "held"),
        ("breached", "breached"),
        ("departed", "departed from"),
        ("open", "open"),
        ("not-tested", "not tested"),
    ];
    html! {
        section #requirements {
            h2 { "Requirements" }
            div.wide tabindex="0" role="region" aria-label="Requirements by strength" {
                table {
                    thead { tr {
                        th scope="col" { "Strength" }
                        @for (_, words) in standings { th scope="col" { (words) } }
                    } }
                    tbody {
                        @for (strength, words) in STRENGTHS {
                            tr {
                                th scope="row" { (words) }
                                @for (standing, _) in standings {
                                    td.number { (count(saved, strength, standing)) }
                                }
                            }
                        }
                    }
                }
            }
            @for (standing, words) in standings {
                @let all: Vec<&Requirement> = saved.requirements.iter().filter(|one| one.standing == standing).collect();
                @if !all.is_empty() {
                    details open[standing == "breached"] {
                        summary { (all.len()) " " (words) }
                        ul.requirements { @for one in all { (requirement(one)) } }
                    }
                }
            }
        }
    }
}

fn count(saved: &Saved, strength: &str, standing: &str) -> usize {
    let is = |one: &&Requirement| one.strength == strength && one.standing == standing;
    saved.requirements.iter().filter(is).count()
}

fn requirement(one: &Requirement) -> Markup {
    html! {
        li id=(format!("requirement-{}", one.id)) {
            strong { (one.id) } " " (one.text) " "
            span.source { (one.source) ", " (one.level) }
            @if let Some(why) = &one.why { ": " (printable(why)) }
            @if !one.against.is_empty() { (links(&one.against)) }
        }
    }
}
