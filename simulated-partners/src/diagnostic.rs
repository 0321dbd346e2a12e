//! Mistakes in a file, shown as rustc shows them.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet, normalize_untrusted_str};

/// The width of a report.
const WIDTH: usize = 80;
/// The width of a help text, after line numbers and `= help: `.
const HELP_WIDTH: usize = 66;

/// One mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in one line.
    pub title: String,
    /// The place, in bytes of the text.
    pub span: Range<usize>,
    /// The label at that place; empty for carets alone.
    pub label: String,
    /// Related places.
    pub also: Vec<(Range<usize>, String)>,
    /// What would be valid.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A mistake at one place.
    pub fn new(span: Range<usize>, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            span,
            label: String::new(),
            also: Vec::new(),
            help: None,
        }
    }

    /// A mistake that TOML's parser found. A message such as "unknown field `a`, expected `b`" is
    /// parted into what is wrong and what is valid.
    pub fn from_toml(error: &toml::de::Error, text: &str) -> Self {
        let message = error.message().trim_end();
        let span = error.span().unwrap_or(text.len()..text.len());
        match message.split_once(", expected ") {
            Some((title, valid)) => Self::new(span, title).help(format!("expected {valid}")),
            None => Self::new(span, message),
        }
    }

    /// Labels the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Points at another place too, if there is one.
    #[must_use]
    pub fn also(mut self, span: Option<Range<usize>>, label: impl Into<String>) -> Self {
        self.also.extend(span.map(|span| (span, label.into())));
        self
    }

    /// Adds what would be valid.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into()).filter(|help: &String| !help.is_empty());
        self
    }
}

/// So many mistakes of a file are shown. One with more is often of another kind.
const SHOWN: usize = 20;

/// All mistakes of one file, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    /// The file name for the reader.
    pub file: String,
    pub text: String,
    /// The mistakes, in reading order.
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// The first mistakes with file, line, caret and help; `coloured` for a terminal.
    pub fn render(&self, coloured: bool) -> String {
        let renderer = if coloured {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let renderer = renderer.term_width(WIDTH);
        let first = self.list.iter().take(SHOWN);
        let mut shown: Vec<String> = first.map(|one| self.render_one(one, &renderer)).collect();
        let rest = self.list.len().saturating_sub(SHOWN);
        if rest > 0 {
            shown.push(format!("and {rest} more in {}", plain(&self.file)));
        }
        shown.join("\n\n")
    }

    fn render_one(&self, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
        let label = normalize_untrusted_str(&diagnostic.label);
        let label = Some(label.as_str()).filter(|label| !label.is_empty());
        let primary = AnnotationKind::Primary
            .span(self.within(&diagnostic.span))
            .label(label);
        let also: Vec<(&Range<usize>, String)> = diagnostic
            .also
            .iter()
            .map(|(span, label)| (span, normalize_untrusted_str(label)))
            .collect();
        let also = also.iter().map(|(span, label)| {
            AnnotationKind::Context
                .span(self.within(span))
                .label(label.as_str())
        });
        let snippet = Snippet::source(self.text.as_str())
            .path(plain(&self.file))
            .annotation(primary)
            .annotations(also);
        let mut group = Level::ERROR
            .primary_title(diagnostic.title.as_str())
            .element(snippet);
        if let Some(help) = &diagnostic.help {
            let help = normalize_untrusted_str(help);
            group = group.element(Level::HELP.message(wrapped(&help)));
        }
        renderer.render(&[group])
    }

    /// A span clamped to the text, whatever its source claims.
    fn within(&self, span: &Range<usize>) -> Range<usize> {
        let boundary = |at: usize| {
            (0..=at.min(self.text.len()))
                .rev()
                .find(|&at| self.text.is_char_boundary(at))
                .unwrap_or_default()
        };
        let start = boundary(span.start);
        start..boundary(span.end).max(start)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// A name that gives a terminal no orders, in a line.
fn plain(name: &str) -> String {
    normalize_untrusted_str(name).replace('\n', "␊")
}

/// The text wrapped to the report's width. Text in backticks stays together.
fn wrapped(text: &str) -> String {
    let mut quoted = false;
    let mut column = 0;
    let mut lines = String::new();
    let blank = |c: char| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    };
    for word in text.split(blank) {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > HELP_WIDTH {
            lines.push('\n');
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines
}
