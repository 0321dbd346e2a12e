use super::*;

/// A report of cases: id, verdict, outcome and the text of a finding.
fn report(target: &str, cases: &[(&str, &str, &str, &str)]) -> Saved {
    let cases: Vec<serde_json::Value> = cases
        .iter()
        .map(|(id, verdict, method, text)| {
            let finding = serde_json::json!({
                "clause": {"requirement": null, "level": "must", "source": "RFC 6120 §5", "text": "…"},
                "weight": "fail", "text": text,
            });
            serde_json::json!({
                "id": id, "set": "personas", "direction": "inbound", "row": 7, "verdict": verdict,
                "policy": {"tls": "required", "sasl": "optional", "dialback": true}, "allowed": null,
                "outcome": {"established": method}, "partner": {"name": "p", "title": "t"},
                "reason": null, "why": text, "scenario": null, "control": null,
                "findings": if text.is_empty() { vec![] } else { vec![finding] },
                "added_as_control": false, "wire": "",
            })
        })
        .collect();
    let document = serde_json::json!({
        "schema": 4, "tool": {"name": "s2spec", "version": "1"}, "target": target, "seed": 1,
        "partial": false, "interrupted": false, "rounds": 1, "summary": {}, "breaches": [],
        "unneeded": [], "trouble": [], "causes": [], "requirements": [], "cases": cases,
        "times": {"elapsed_us": 0, "cases": {}},
    });
    Saved::read(&document.to_string()).expect("a report")
}

#[test]
fn each_kind_of_change_is_told_apart() {
    let before = report(
        "old 1",
        &[
            ("a/breaks", "pass", "sasl-tls", ""),
            ("a/mended", "fail", "sasl-tls", "it was wrong"),
            ("a/gone", "pass", "sasl-tls", ""),
            ("a/lost", "pass", "sasl-tls", ""),
            ("a/weaker", "pass", "sasl-tls", ""),
            ("a/other-reason", "fail", "sasl-tls", "one thing"),
            ("a/other-way", "pass", "sasl-tls", ""),
            ("a/same", "fail", "sasl-tls", "as ever"),
            ("a/never", "unsupported", "sasl-tls", ""),
        ],
    );
    let after = report(
        "new 2",
        &[
            ("a/breaks", "fail", "sasl-tls", "it is wrong"),
            ("a/mended", "pass", "sasl-tls", ""),
            (
                "a/lost",
                "unsupported",
                "sasl-tls",
                "it has no such setting",
            ),
            ("a/weaker", "warn", "sasl-tls", "it is weak"),
            ("a/other-reason", "fail", "sasl-tls", "another"),
            ("a/other-way", "pass", "tls-dialback", ""),
            ("a/same", "fail", "sasl-tls", "as ever"),
            ("a/never", "not-run", "sasl-tls", ""),
            ("a/new", "pass", "sasl-tls", ""),
            ("a/new-and-wrong", "fail", "sasl-tls", "\u{202e}wrong"),
        ],
    );
    let diff = Diff::of(&before, &after);
    insta::assert_snapshot!(to_text(&diff, 80));
    insta::assert_snapshot!(to_markdown(&diff));
    assert!(diff.has(&[Change::NewFailure]));
    assert!(!Diff::of(&before, &before).has(Change::VARIANTS));
    assert!(!to_html(&diff).contains('\u{202e}'));
}
