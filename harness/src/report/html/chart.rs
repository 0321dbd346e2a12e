//! What happened in a case as a sequence chart: the inner side, the target, DNS and each partner have a lane, and
//! each step leads from one to another.

use maud::{Markup, html};

use crate::report::saved::{Case, Timings};
use crate::transcript::printable;

/// The target's own lane.
const TARGET: &str = "target";
const DNS: &str = "DNS";
const INNER: &str = "inner side";
/// A longer text is folded.
const SHORT: usize = 110;

/// A step of the chart.
struct Leg<'a> {
    /// In microseconds since the start of the case; as the step before where that is not known.
    at: Option<u64>,
    /// The lanes between which it goes.
    lanes: [&'a str; 2],
    /// Whether it goes from the first to the second, as most do; else it is something that both know.
    is_sent: bool,
    /// The number of the partner's connection.
    connection: Option<u64>,
    layer: &'a str,
    text: &'a str,
}

/// The chart; nothing where no transcript was kept.
pub(super) fn chart(case: &Case, times: Option<&Timings>) -> Markup {
    if case.transcript.is_empty() {
        return html! {};
    }
    let legs = legs(case, times);
    let mut lanes = Vec::new();
    for lane in [INNER, TARGET, DNS] {
        if legs.iter().any(|leg| leg.lanes.contains(&lane)) {
            lanes.push(lane);
        }
    }
    lanes.extend(case.transcript.iter().map(|one| one.partner.as_str()));
    let place = |lane: &str| lanes.iter().position(|one| *one == lane).unwrap_or(0);
    html! {
        div.chart style=(format!("--lanes: {0}; --columns: repeat({1}, 1fr)", lanes.len(), 2 * lanes.len())) {
            p.ends aria-hidden="true" { @for lane in &lanes { span { (lane) } } }
            ol { @for leg in &legs { (step(leg, leg.lanes.map(place))) } }
        }
    }
}

/// All steps, in the order of their times.
fn legs<'a>(case: &'a Case, times: Option<&'a Timings>) -> Vec<Leg<'a>> {
    let mut legs = Vec::new();
    for transcript in &case.transcript {
        let at = times.and_then(|times| times.steps.get(&transcript.partner));
        for (number, step) in transcript.steps.iter().enumerate() {
            let partner = transcript.partner.as_str();
            legs.push(Leg {
                at: at.and_then(|at| at.get(number).copied()),
                lanes: match step.by.as_deref() {
                    Some("partner") => [partner, TARGET],
                    _ => [TARGET, partner],
                },
                is_sent: step.by.is_some(),
                connection: Some(step.connection),
                layer: &step.layer,
                text: &step.text,
            });
        }
    }
    for (number, passage) in case.inner.iter().enumerate() {
        legs.push(Leg {
            at: times.and_then(|times| times.inner.get(number).copied()),
            lanes: match passage.by.as_str() {
                "inner" => [INNER, TARGET],
                _ => [TARGET, INNER],
            },
            is_sent: true,
            connection: None,
            layer: "xml",
            text: &passage.text,
        });
    }
    for question in times.iter().flat_map(|times| &times.dns) {
        legs.push(Leg {
            at: Some(question.at),
            lanes: [TARGET, DNS],
            is_sent: true,
            connection: None,
            layer: "dns",
            text: &question.text,
        });
    }
    // Steps without a time keep their places.
    let mut last = 0;
    let mut keyed: Vec<(u64, Leg<'a>)> = Vec::new();
    for leg in legs {
        last = leg.at.unwrap_or(last);
        keyed.push((last, leg));
    }
    keyed.sort_by_key(|(at, _)| *at);
    keyed.into_iter().map(|(_, leg)| leg).collect()
}

fn step(leg: &Leg<'_>, [from, to]: [usize; 2]) -> Markup {
    let [left, right] = [from.min(to), from.max(to)].map(|lane| 2 * lane + 2);
    let way = match leg.is_sent {
        false => "both",
        true if from < to => "right",
        true => "left",
    };
    let arrow = if leg.is_sent { "→" } else { "–" };
    html! {
        li {
            span class=(format!("way {way}")) style=(format!("grid-column: {left} / {right}")) aria-hidden="true" {}
            span.what {
                span.leg {
                    (leg.lanes[0]) " " (arrow) " " (leg.lanes[1])
                    @if let Some(connection) = leg.connection { " #" (connection) }
                }
                @if let Some(at) = leg.at { " " span.layer { (milliseconds(at)) } }
                " " span.layer { (leg.layer) } " "
                (text(leg.text))
            }
        }
    }
}

/// Microseconds as milliseconds.
pub(super) fn milliseconds(microseconds: u64) -> String {
    format!("{}.{} ms", microseconds / 1000, microseconds % 1000 / 100)
}

/// A text, of which a long one is folded.
fn text(whole: &str) -> Markup {
    let whole = printable(whole);
    html! {
        @match whole.char_indices().nth(SHORT) {
            None => code { (whole) },
            Some((at, _)) => details { summary { code { (whole[..at]) "…" } } pre { (whole) } },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_legs_stand_in_the_order_of_their_times() {
        let step = |by, text| json!({"connection": 1, "by": by, "layer": "xml", "text": text});
        let case = json!({
            "id": "a/b", "set": "personas", "direction": "outbound", "row": 7,
            "policy": {"tls": "required", "sasl": "optional", "dialback": true},
            "partner": {"name": "modern", "title": "x"}, "verdict": "fail", "why": "", "wire": "",
            "findings": [], "added_as_control": false,
            "transcript": [
                {"partner": "romeo", "steps": [step("target", "<hello/>"), step("partner", "<hi/>")]},
                {"partner": "authority", "steps": [step("target", "<verify/>")]},
            ],
            "inner": [{"by": "inner", "text": "<sent/>"}, {"by": "target", "text": "<came/>"}],
        });
        let case: Case = serde_json::from_value(case).unwrap();
        let times = json!({
            "total": 9, "steps": {"romeo": [3, 6], "authority": [5]}, "inner": [1, 7],
            "dns": [{"at": 2, "text": "SRV romeo"}],
        });
        let times: Timings = serde_json::from_value(times).unwrap();
        let texts =
            |times| -> Vec<&str> { legs(&case, times).iter().map(|leg| leg.text).collect() };
        let in_order = [
            "<sent/>",
            "SRV romeo",
            "<hello/>",
            "<verify/>",
            "<hi/>",
            "<came/>",
        ];
        assert_eq!(texts(Some(&times)), in_order);
        let page = chart(&case, Some(&times)).into_string();
        let ends = "<span>inner side</span><span>target</span><span>DNS</span><span>romeo</span>";
        assert!(page.contains(ends), "{page}");
        assert!(
            page.contains("target → DNS") && page.contains("inner side → target"),
            "{page}"
        );
        // An older report has no times.
        assert_eq!(texts(None).len(), 5);
        assert_eq!(texts(None)[0], "<hello/>");
    }
}
