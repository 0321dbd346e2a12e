//! Differences as an HTML page.

use maud::{Markup, html};

use super::text::{counts, listed, verdicts, why};
use super::{Change, Changed, Diff};
use crate::report::html::document;
use crate::transcript::printable;

/// The page.
pub fn to_html(diff: &Diff<'_>) -> String {
    let (before, after) = (
        printable(&diff.before.target),
        printable(&diff.after.target),
    );
    let body = html! {
        header {
            h1 { "s2spec " span.target { (before) " → " (after) } }
            p.facts { (counts(diff)) }
        }
        main #main {
            @for (kind, cases) in &diff.changes { (section(*kind, cases)) }
            @if !diff.requirements.is_empty() {
                section {
                    h2 { "Requirements" }
                    ul { @for (id, was, is) in &diff.requirements {
                        li { strong { (id) } ": " (was) " → " (is) }
                    } }
                }
            }
        }
    };
    document(&format!("s2spec: {before} → {after}"), &body)
}

fn section(kind: Change, cases: &[Changed<'_>]) -> Markup {
    let listed = listed(kind, cases.len());
    html! {
        section {
            h2 { (kind.title()) " (" (cases.len()) ")" }
            ul.findings {
                @for case in cases.iter().take(listed) {
                    li {
                        code { (case.id) } " " (verdicts(case))
                        @let why = why(kind, case);
                        @if !why.is_empty() { p.source { (printable(&why)) } }
                    }
                }
                @if cases.len() > listed { li { "and " (cases.len() - listed) " more" } }
            }
        }
    }
}
