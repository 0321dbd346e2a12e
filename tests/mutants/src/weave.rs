//! Writes many mutants into one source file.
//!
//! Each function that has mutants gets a copy of its body for each of them, and chooses when it is
//! called. So a mutant may change anything in a body, and several mutants of one place work. Functions
//! are found by their indentation: the sources are formatted by rustfmt.

use std::fmt::Write as _;
use std::ops::Range;

use crate::mutant::Change;

/// A mutant that does not fit its file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misfit {
    #[error("mutant {0}: its text does not occur in its file")]
    Absent(String),
    #[error("mutant {0}: its text occurs more than once in its file")]
    Ambiguous(String),
    #[error("mutant {0}: its text is in no function")]
    NoFunction(String),
}

/// A place of a mutant: the lines of the function's body, and the bytes to replace.
#[derive(Debug)]
struct Place<'a> {
    id: &'a str,
    replace: &'a str,
    body: Range<usize>,
    text: Range<usize>,
}

/// The source with all changes in it, each given with the id of its mutant.
pub(crate) fn weave(source: &str, changes: &[(&str, Change)]) -> Result<String, Misfit> {
    let places = changes.iter().map(|(id, change)| place(source, id, change));
    let mut places = places.collect::<Result<Vec<Place<'_>>, Misfit>>()?;
    places.sort_by_key(|place| place.body.start);
    let mut woven = String::new();
    let mut done = 0;
    for group in places.chunk_by(|one, other| one.body == other.body) {
        let body = group[0].body.clone();
        woven.push_str(&source[done..body.start]);
        for Place {
            id, replace, text, ..
        } in group
        {
            let (before, after) = (&source[body.start..text.start], &source[text.end..body.end]);
            write!(
                woven,
                "if crate::mutants::active({id:?}) {{\n{before}{replace}{after}}} else "
            )
            .expect("a String takes all text");
        }
        write!(woven, "{{\n{}}}\n", &source[body.clone()]).expect("a String takes all text");
        done = body.end;
    }
    woven.push_str(&source[done..]);
    Ok(woven)
}

fn place<'a>(source: &str, id: &'a str, change: &'a Change) -> Result<Place<'a>, Misfit> {
    // Tests of the proxy come last in its files, and are no place for mutants.
    let code = source.split("\n#[cfg(test)]\nmod tests {").next();
    let code = code.unwrap_or(source);
    let mut found = occurrences(code, &change.find);
    let text = found.next().ok_or_else(|| Misfit::Absent(id.to_owned()))?;
    if found.next().is_some() {
        return Err(Misfit::Ambiguous(id.to_owned()));
    }
    let body = body(code, &text).ok_or_else(|| Misfit::NoFunction(id.to_owned()))?;
    Ok(Place {
        id,
        replace: &change.replace,
        body,
        text,
    })
}

/// Where the text occurs, with any blanks where it has some.
fn occurrences(source: &str, text: &str) -> impl Iterator<Item = Range<usize>> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let first = words.first().copied().unwrap_or_default();
    let starts = source.match_indices(first).map(|(start, _)| start);
    starts.filter_map(move |start| {
        let mut end = start;
        for (index, word) in words.iter().enumerate() {
            if index > 0 {
                let rest = source[end..].trim_start();
                if rest.len() == source[end..].len() {
                    return None;
                }
                end = source.len() - rest.len();
            }
            end += source[end..].strip_prefix(word).map(|_| word.len())?;
        }
        Some(start..end)
    })
}

/// The lines inside the innermost function around the text.
fn body(source: &str, text: &Range<usize>) -> Option<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        lines.push((start, line.trim_end()));
        start += line.len();
    }
    let at = lines.partition_point(|(start, _)| *start <= text.start) - 1;
    (0..=at).rev().find_map(|index| {
        let indentation = function(lines[index].1)?;
        let same = |line: &str| indent(line) == indentation && !line.is_empty();
        let open =
            (index..lines.len()).find(|i| same(lines[*i].1) && lines[*i].1.ends_with('{'))?;
        let close =
            (open + 1..lines.len()).find(|i| same(lines[*i].1) && lines[*i].1.trim() == "}")?;
        let body = lines.get(open + 1)?.0..lines[close].0;
        (body.start <= text.start && text.end <= body.end).then_some(body)
    })
}

/// The indentation of a line where a function begins.
fn function(line: &str) -> Option<usize> {
    let words = line.split_whitespace();
    let mut words = words
        .skip_while(|word| word.starts_with("pub") || ["async", "const", "default"].contains(word))
        .skip_while(|word| word.ends_with(')') && word.contains("::"));
    (words.next() == Some("fn")).then(|| indent(line))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
struct Some;

fn two(n: u8) -> u8 {
    if n == 2 {
        1
    } else {
        n
    }
}

impl Some {
    pub(crate) async fn one(
        &self,
    ) -> u8 {
        two(2)
    }
}

#[cfg(test)]
mod tests {
    fn test() {
        two(2);
    }
}
";

    fn change(find: &str, replace: &str) -> Change {
        Change {
            file: "a.rs".to_owned(),
            find: find.to_owned(),
            replace: replace.to_owned(),
        }
    }

    #[test]
    fn functions_choose_between_their_bodies() {
        let changes = [
            ("c", change("two(2)", "two(3)")),
            ("a", change("n == 2 { 1", "n == 3 { 1")),
            ("b", change("== 2", "== 4")),
        ];
        let woven = weave(SOURCE, &changes).expect("they fit");
        assert_eq!(
            woven.lines().take(19).collect::<Vec<_>>().join("\n"),
            "\
struct Some;

fn two(n: u8) -> u8 {
if crate::mutants::active(\"a\") {
    if n == 3 { 1
    } else {
        n
    }
} else if crate::mutants::active(\"b\") {
    if n == 4 {
        1
    } else {
        n
    }
} else {
    if n == 2 {
        1
    } else {
        n"
        );
        assert!(
            woven.contains("active(\"c\") {\n        two(3)\n} else {\n        two(2)\n}\n    }")
        );
    }

    #[test]
    fn says_what_does_not_fit() {
        let fits = |find: &str| weave(SOURCE, &[("a", change(find, ""))]).map(drop);
        assert_eq!(fits("two(3)"), Err(Misfit::Absent("a".to_owned())));
        assert_eq!(fits("n"), Err(Misfit::Ambiguous("a".to_owned())));
        assert_eq!(fits("struct"), Err(Misfit::NoFunction("a".to_owned())));
        assert_eq!(fits("n == 2 { 1 } else"), Ok(()));
    }
}
