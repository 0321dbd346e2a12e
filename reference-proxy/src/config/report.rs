//! Mistakes in a file, shown as rustc shows them.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};
use toml::de::{DeTable, DeValue};

use super::checked::Problem;

/// At most this many mistakes are shown; the rest are counted.
const SHOWN: usize = 20;

/// A mistake and its place in the text, or the beginning of the text if it has none.
pub(super) struct Mistake {
    pub(super) span: Option<Range<usize>>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// Finds the places of problems in the text, and sorts them by place.
pub(super) fn located(problems: Vec<Problem>, text: &str) -> Vec<Mistake> {
    let table = DeTable::parse(text).ok();
    let located = |problem: Problem| {
        let mut places = problem.places.iter();
        Mistake {
            span: places.find_map(|place| span(table.as_ref()?.get_ref(), place)),
            message: problem.message,
            help: problem.help,
        }
    };
    let mut mistakes: Vec<Mistake> = problems.into_iter().map(located).collect();
    mistakes.sort_by_key(|mistake| mistake.span.as_ref().map(|span| span.start));
    mistakes
}

/// The place of a value, given its path.
fn span(table: &DeTable<'_>, path: &str) -> Option<Range<usize>> {
    let mut steps = path
        .split(['.', '['])
        .map(|step| step.trim_end_matches(']'));
    let mut value = table.get(steps.next()?)?;
    for step in steps {
        value = match value.get_ref() {
            DeValue::Array(values) => values.get(step.parse::<usize>().ok()?)?,
            DeValue::Table(table) => table.get(step)?,
            _ => return None,
        };
    }
    Some(value.span())
}

/// All mistakes, each with file, line and caret.
pub(super) fn render(mistakes: &[Mistake], text: &str, file_name: &str) -> String {
    let shown = mistakes.iter().take(SHOWN);
    let mut groups: Vec<Group<'_>> = shown
        .map(|mistake| group(mistake, text, file_name))
        .collect();
    let hidden = mistakes.len().saturating_sub(SHOWN);
    if hidden > 0 {
        let mistakes = if hidden == 1 { "mistake" } else { "mistakes" };
        let title = Level::ERROR.primary_title(format!("{hidden} more {mistakes}"));
        groups.push(Group::with_title(title));
    }
    Renderer::plain().render(&groups)
}

fn group<'a>(mistake: &'a Mistake, text: &'a str, file_name: &'a str) -> Group<'a> {
    let title = Level::ERROR.primary_title(mistake.message.as_str());
    let span = marked(text, mistake.span.clone().unwrap_or(0..0));
    let group = title.element(
        Snippet::source(text)
            // A name gives a terminal no orders.
            .path(normalize_untrusted_str(file_name).replace('\n', "␊"))
            .annotation(AnnotationKind::Primary.span(span)),
    );
    match &mistake.help {
        Some(help) => group.element(Level::HELP.message(normalize_untrusted_str(help))),
        None => group,
    }
}

/// The part of a span that is marked: within the text, on whole characters, and only the first
/// byte of a value over several lines. That may be a private key, which must not be shown.
fn marked(text: &str, span: Range<usize>) -> Range<usize> {
    let floor = |index: usize| {
        let mut places = (0..=index.min(text.len())).rev();
        places
            .find(|place| text.is_char_boundary(*place))
            .unwrap_or(0)
    };
    let start = floor(span.start);
    let end = floor(span.end).max(start);
    match text[start..end].contains('\n') {
        true => start..floor(start + 1).max(start),
        false => start..end,
    }
}
