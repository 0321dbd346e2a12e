//! Mistakes in a file, shown as rustc shows them.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// So many mistakes are shown; the others are counted.
const SHOWN: usize = 20;

/// One mistake in a file.
#[derive(Clone, Debug)]
pub(super) struct Mistake {
    /// The bytes of the text that it is about; the whole file where absent.
    pub(super) span: Option<Range<usize>>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// All mistakes, each with file, line and caret.
pub(super) fn render(mistakes: &[Mistake], text: &str, file_name: &str) -> String {
    let shown = mistakes.iter().take(SHOWN);
    let mut groups: Vec<Group<'_>> = shown
        .map(|mistake| group(mistake, text, file_name))
        .collect();
    let hidden = mistakes.len().saturating_sub(SHOWN);
    if hidden > 0 {
        let title = Level::ERROR.primary_title(format!("{hidden} more mistakes"));
        groups.push(Group::with_title(title));
    }
    Renderer::plain().render(&groups)
}

fn group<'a>(mistake: &'a Mistake, text: &'a str, file_name: &'a str) -> Group<'a> {
    let title = Level::ERROR.primary_title(mistake.message.as_str());
    let span = within(text, mistake.span.clone().unwrap_or(0..0));
    let group = title.element(
        Snippet::source(text)
            .path(file_name)
            .annotation(AnnotationKind::Primary.span(span)),
    );
    match &mistake.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}

/// The span, moved onto the text and onto whole characters.
fn within(text: &str, span: Range<usize>) -> Range<usize> {
    let floor = |mut index: usize| {
        index = index.min(text.len());
        while !text.is_char_boundary(index) {
            index -= 1;
        }
        index
    };
    let start = floor(span.start);
    start..floor(span.end).max(start)
}
