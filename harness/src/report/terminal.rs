//! The report on a terminal: tables of marks, totals, and details of single cases.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use owo_colors::OwoColorize as _;

use super::gather::{Report, Tally};
use super::grid::{Grid, Heading, in_columns};
use crate::case::Set;
use crate::console::failure::{self, Rerun, Transcript, filled, wrapped};
use crate::console::mark::{Charset, Mark};
use crate::console::words::counted;
use crate::record::Record;
use crate::transcript::printable;
use crate::verdict::Verdict;

/// The number of cases printed in full; more are listed by id.
const AT_LENGTH: usize = 10;
/// The number of ids listed after those.
const LISTED: usize = 40;

/// How to show a report. Colours are always in the text, and the stream removes them if
/// necessary.
#[derive(Clone, Debug)]
pub struct View {
    /// The width of the terminal.
    pub width: usize,
    /// What the terminal can show.
    pub charset: Charset,
    /// Prints every unexpected case in full, and lists every warning.
    pub verbose: bool,
    /// Prints only what is unexpected, and the counts.
    pub quiet: bool,
    /// Prints the transcript of every case that has one.
    pub transcripts: bool,
    /// How much of a transcript is shown.
    pub transcript: Transcript,
    /// The command to run a case again.
    pub rerun: Rerun,
}

/// The whole report as text.
pub fn render(report: &Report, view: &View) -> String {
    let mut out = String::new();
    if !view.quiet {
        tables(report, view, &mut out);
    }
    let causes = report.causes();
    let mut told = super::causes::at_length(&causes, view);
    told.extend(told_at_length(&unexpected_records(report), view));
    if view.transcripts {
        transcripts(report, view, &told, &mut out);
    }
    if !view.quiet {
        super::causes::remarks(&causes, view, &mut out);
        reasons(report, view, &mut out);
        super::repetition::remarks(report, view, &mut out);
    }
    super::causes::failures(&causes, report, view, &mut out);
    unexpected(report, view, &mut out);
    for unneeded in &report.unneeded {
        let title = format!("{} xpass", Mark::Xpass.symbol(view.charset));
        let text = format!(
            "{} {}",
            title.style(Mark::Xpass.colour()),
            printable(unneeded)
        );
        out.push_str(&filled(&text, view.width));
        out.push('\n');
    }
    for breach in &report.breaches {
        let mark = Mark::Fail;
        let title = format!("{} {}", mark.symbol(view.charset), mark.meaning());
        let text = format!("{} {}", title.style(mark.colour()), printable(breach));
        out.push_str(&filled(&text, view.width));
        out.push('\n');
    }
    for trouble in &report.trouble {
        let _ = writeln!(out, "{} {}", "trouble:".red().bold(), printable(trouble));
    }
    if !report.trouble.is_empty() {
        out.push('\n');
    }
    summary(report, view, &mut out);
    view.charset.fit(out)
}

fn tables(report: &Report, view: &View, out: &mut String) {
    let mut marks = BTreeSet::new();
    for set in [Set::Personas, Set::Policies, Set::Offers] {
        let records: Vec<&Record> = report
            .records
            .values()
            .filter(|r| r.result.case.set == set && !r.result.added_as_control)
            .collect();
        let mut grid = grid(&records, set);
        if grid.is_empty() {
            continue;
        }
        let left_out = grid.take_unsupported_rows();
        marks.extend(grid.marks());
        let (title, heading) = match set {
            Set::Personas => ("personas: one column per simulated server", Heading::Codes),
            Set::Policies => ("policies: columns are the partner's policy", Heading::Names),
            Set::Offers => (
                "offers: STARTTLS and certificate, the rest in one mark",
                Heading::Codes,
            ),
            // The others have tables of their own.
            Set::Settings | Set::Failover | Set::Scenarios => continue,
        };
        let _ = writeln!(out, "{}", title.bold());
        out.push_str(&grid.render(heading, view.width, view.charset));
        if !left_out.is_empty() {
            let rows: Vec<String> = left_out.iter().map(u8::to_string).collect();
            let text = format!("rows without a case that can be run: {}", rows.join(", "));
            out.push_str(&wrapped("unsupported", &text, view.width));
        }
        if heading == Heading::Codes {
            out.push('\n');
        }
    }
    if !marks.is_empty() {
        legend(&marks, view, out);
    }
    out.push_str(&super::areas::render(report));
}

fn grid(records: &[&Record], set: Set) -> Grid {
    let mut grid = Grid::default();
    for record in records {
        let case = &record.result.case;
        let row = case.row.number();
        let column = match set {
            Set::Personas => case.partner.name.clone(),
            // The second segment of the id, `row03`.
            Set::Policies => case
                .id
                .split('/')
                .nth(2)
                .and_then(|label| label.strip_prefix("row"))
                .unwrap_or("??")
                .to_owned(),
            Set::Offers | Set::Settings | Set::Failover | Set::Scenarios => format!(
                "{} {}",
                case.partner.offer.tls, case.partner.offer.certificate
            ),
        };
        grid.add(
            row,
            format!("{row:>2} {}", case.row.policy()),
            column,
            case.direction,
            Mark::of(record),
        );
    }
    grid
}

fn legend(marks: &BTreeSet<Mark>, view: &View, out: &mut String) {
    out.push_str(
        "Rows: TLS/SASL/dialback of the target; R required, O optional, N not supported.\n",
    );
    out.push_str("Cells: outbound (target dials), then inbound (partner dials).\n");
    let shown: Vec<Mark> = Mark::ALL
        .into_iter()
        .filter(|m| marks.contains(m))
        .collect();
    let entries: Vec<String> = shown
        .iter()
        .map(|m| format!("{} {}", m.symbol(view.charset), m.meaning()))
        .collect();
    let mut text = in_columns(&entries, view.width);
    // Coloured after the layout, so that colour codes do not count as columns. Each symbol appears once
    // before its meaning.
    for (mark, entry) in shown.iter().zip(&entries) {
        let coloured = format!(
            "{} {}",
            mark.symbol(view.charset).style(mark.colour()),
            mark.meaning()
        );
        text = text.replacen(entry.as_str(), &coloured, 1);
    }
    out.push_str(&text);
    out.push('\n');
}

/// Other remarkable cases by reason, because many have the same one.
fn reasons(report: &Report, view: &View, out: &mut String) {
    for (verdict, title) in [
        (Verdict::Xfail, "xfail"),
        (Verdict::Unsupported, "unsupported"),
        (Verdict::Undecided, "undecided"),
        (Verdict::NotRun, "not run"),
    ] {
        let mut grounds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for record in report.records.values() {
            if record.verdict == verdict {
                let ids = grounds.entry(&record.why).or_default();
                ids.push(&record.result.case.id);
            }
        }
        for (why, ids) in grounds {
            let mut text = match ids.as_slice() {
                [only] => format!("{} ({only})", printable(why)),
                ids => format!(
                    "{} ({} cases, such as {})",
                    printable(why),
                    ids.len(),
                    ids[0]
                ),
            };
            if view.verbose && ids.len() > 1 {
                text = format!("{} ({})", printable(why), ids.join(" "));
            }
            out.push_str(&wrapped(title, &text, view.width));
        }
    }
    if !out.is_empty() && !out.ends_with("\n\n") {
        out.push('\n');
    }
}

/// What is unexpected, or an error, and has no cause.
fn unexpected_records(report: &Report) -> Vec<&Record> {
    report
        .records
        .values()
        .filter(|record| match record.verdict {
            Verdict::Unstable | Verdict::Xpass | Verdict::Error => true,
            Verdict::Pass
            | Verdict::Warn
            | Verdict::Fail
            | Verdict::Unsupported
            | Verdict::Disputed
            | Verdict::Undecided
            | Verdict::NotRun
            | Verdict::Xfail => false,
        })
        .collect()
}

fn number_at_length(records: &[&Record], view: &View) -> usize {
    if view.verbose {
        records.len()
    } else {
        AT_LENGTH.min(records.len())
    }
}

fn told_at_length<'a>(records: &[&'a Record], view: &View) -> Vec<&'a str> {
    let told = &records[..number_at_length(records, view)];
    told.iter()
        .map(|record| record.result.case.id.as_str())
        .collect()
}

fn unexpected(report: &Report, view: &View, out: &mut String) {
    let records = unexpected_records(report);
    let at_length = number_at_length(&records, view);
    for record in &records[..at_length] {
        out.push_str(&failure::block(
            record,
            &view.rerun.command(&record.result.case.id),
            view.width,
            view.charset,
            view.transcript,
        ));
        out.push('\n');
    }
    let rest = &records[at_length..];
    if !rest.is_empty() {
        let _ = writeln!(out, "{} more (-v for details):", rest.len());
        for record in rest.iter().take(LISTED) {
            let mark = Mark::of(record);
            let _ = writeln!(
                out,
                "  {} {}",
                mark.symbol(view.charset).style(mark.colour()),
                record.result.case.id
            );
        }
        if rest.len() > LISTED {
            let _ = writeln!(out, "  and {} more", rest.len() - LISTED);
        }
        out.push('\n');
    }
}

/// The transcripts of all cases but those that are printed in full below.
fn transcripts(report: &Report, view: &View, told: &BTreeSet<&str>, out: &mut String) {
    for (id, record) in &report.records {
        if told.contains(id.as_str()) || !failure::has_transcript(record) {
            continue;
        }
        let mark = Mark::of(record);
        let _ = writeln!(
            out,
            "{} {}",
            mark.symbol(view.charset).style(mark.colour()),
            record.result.case.id.bold()
        );
        out.push_str(&failure::transcript(record, view.width, view.transcript));
        out.push('\n');
    }
}

fn summary(report: &Report, view: &View, out: &mut String) {
    let tally = report.tally();
    let mut parts = Vec::new();
    for (count, verdict, mark) in [
        (tally.pass, "pass", Mark::Established),
        (tally.warn, "warn", Mark::Warn),
        (tally.fail, "fail", Mark::Fail),
        (tally.xfail, "xfail", Mark::Xfail),
        (tally.xpass, "xpass", Mark::Xpass),
        (tally.disputed, "disputed", Mark::Disputed),
        (tally.unstable, "unstable", Mark::Unstable),
        (tally.unsupported, "unsupported", Mark::Unsupported),
        (tally.undecided, "undecided", Mark::Undecided),
        (tally.error, "error", Mark::Error),
        (tally.not_run, "not run", Mark::NotRun),
    ] {
        if count > 0 {
            let mut part = format!("{count} {verdict}")
                .style(mark.colour())
                .to_string();
            if verdict == "pass" {
                part.push_str(&passes(&tally));
            }
            parts.push(part);
        }
    }
    if report.partial() {
        let word = match report {
            Report {
                interrupted: true, ..
            } => "INTERRUPTED:",
            Report { enough: true, .. } => "STOPPED: enough has failed;",
            _ => "INCOMPLETE:",
        };
        let text = format!(
            "{} {} of {} {} run; these results are partial.",
            word.red().bold(),
            report.records.len(),
            counted(report.cases, "case"),
            if report.cases == 1 { "was" } else { "were" }
        );
        out.push_str(&filled(&text, view.width));
    }
    let mut text = format!(
        "{} against {} in {:.2} s: {}",
        counted(report.records.len(), "case"),
        if report.target.is_empty() {
            "no target".to_owned()
        } else {
            printable(&report.target)
        },
        report.elapsed.as_secs_f64(),
        if parts.is_empty() {
            "nothing was run".to_owned()
        } else {
            parts.join(", ")
        }
    );
    if report.controls > 0 {
        let _ = write!(text, "; {} run as controls only", report.controls);
    }
    text.push_str(&super::repetition::summary(report));
    let _ = write!(text, "; seed {}", report.seed);
    out.push_str(&filled(&text, view.width));
    if view.quiet {
        return;
    }
    let strengths = super::causes::strengths(report);
    if !strengths.is_empty() {
        out.push_str(&filled(&strengths, view.width));
    }
    let requirements = super::requirements::counted(report);
    if !requirements.is_empty() {
        out.push_str(&filled(&requirements, view.width));
    }
    timing(report, view, out);
}

/// What the passes of the matrix were, and the number of the others.
fn passes(tally: &Tally) -> String {
    let of_matrix = tally.established + tally.refused;
    let scenarios = tally.pass - of_matrix - tally.administered;
    let mut parts = Vec::new();
    if of_matrix > 0 {
        let one_way = match tally.one_way {
            0 => String::new(),
            number => format!(", {number} of them one way"),
        };
        parts.push(format!("{} established{one_way}", tally.established));
        parts.push(format!("{} rightly refused", tally.refused));
        if scenarios > 0 {
            parts.push(format!("{scenarios} by scenarios"));
        }
    }
    if tally.administered > 0 && tally.administered < tally.pass {
        parts.push(format!("{} by settings", tally.administered));
    }
    match parts.as_slice() {
        [] => String::new(),
        parts => format!(" ({})", parts.join(", ")),
    }
}

fn timing(report: &Report, view: &View, out: &mut String) {
    let [connect, tls, auth, probe, Some(total)] = report.medians() else {
        return;
    };
    let parts: Vec<String> = [
        ("connect", connect),
        ("TLS", tls),
        ("auth", auth),
        ("probe", probe),
    ]
    .into_iter()
    .filter_map(|(name, time)| Some(format!("{name} {}", millis(time?))))
    .collect();
    let mut text = format!("Median of a case {}", millis(total));
    if !parts.is_empty() {
        let _ = write!(text, " ({})", parts.join(", "));
    }
    let slowest: Vec<String> = report
        .slowest(3)
        .into_iter()
        .map(|r| format!("{} {}", r.result.case.id, millis(r.result.timings.total)))
        .collect();
    let _ = write!(text, "; slowest: {}", slowest.join(", "));
    out.push_str(&filled(&text, view.width));
    if let Some((late, all)) = report.delayed() {
        let text = format!(
            "In {late} of {} the target waited about 40 ms before it sent something: it seems \
             to wait for delayed acknowledgements (TCP_NODELAY on its sockets ends that).",
            counted(all, "case")
        );
        out.push_str(&filled(&text, view.width));
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
