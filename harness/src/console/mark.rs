//! One mark and one colour for each kind of result. The marks alone are enough to distinguish them.

use owo_colors::Style;

use crate::outcome::Outcome;
use crate::record::Record;
use crate::verdict::Verdict;

/// The characters that a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// Any character.
    Unicode,
    /// Only ASCII.
    Ascii,
}

impl Charset {
    /// The text in these characters, with the nearest substitutes for others.
    pub fn fit(self, text: String) -> String {
        if self == Self::Unicode || text.is_ascii() {
            return text;
        }
        let mut result = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                c if c.is_ascii() => result.push(c),
                '→' => result.push('>'),
                '←' => result.push('<'),
                '…' => result.push('~'),
                '–' => result.push('-'),
                '×' => result.push('x'),
                '§' => result.push_str("section "),
                _ => result.push('?'),
            }
        }
        result
    }
}

/// The result shown in a table cell, from harmless to severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    Unsupported,
    Refused,
    Established,
    Mixed,
    Warn,
    Xfail,
    Disputed,
    NotRun,
    Undecided,
    Unstable,
    Error,
    Xpass,
    Fail,
}

impl Mark {
    pub const ALL: [Self; 13] = [
        Self::Established,
        Self::Refused,
        Self::Mixed,
        Self::Warn,
        Self::Fail,
        Self::Xfail,
        Self::Xpass,
        Self::Disputed,
        Self::Undecided,
        Self::Unstable,
        Self::Unsupported,
        Self::Error,
        Self::NotRun,
    ];

    pub fn of(record: &Record) -> Self {
        match record.verdict {
            Verdict::Pass => match record.result.outcome() {
                Some(Outcome::Established(_)) => Self::Established,
                Some(Outcome::Refused(_) | Outcome::Stalled(_)) | None => Self::Refused,
            },
            Verdict::Warn => Self::Warn,
            Verdict::Fail => Self::Fail,
            Verdict::Unsupported => Self::Unsupported,
            Verdict::Disputed => Self::Disputed,
            Verdict::Unstable => Self::Unstable,
            Verdict::Undecided => Self::Undecided,
            Verdict::Error => Self::Error,
            Verdict::NotRun => Self::NotRun,
            Verdict::Xfail => Self::Xfail,
            Verdict::Xpass => Self::Xpass,
        }
    }

    /// The mark for several results in one cell: the most severe, unless all are good.
    pub fn with(self, other: Self) -> Self {
        match (self.min(other), self.max(other)) {
            (Self::Refused, Self::Established) => Self::Mixed,
            (_, graver) => graver,
        }
    }

    pub const fn symbol(self, charset: Charset) -> char {
        match (charset, self) {
            (Charset::Unicode, Self::Established) => '✓',
            (Charset::Unicode, Self::Refused) => '–',
            (Charset::Unicode, Self::Mixed) => '±',
            (Charset::Unicode, Self::Fail) => '✕',
            (Charset::Unicode, Self::Disputed) => '≠',
            (Charset::Unicode, Self::Unsupported) => '·',
            (Charset::Ascii, Self::Established) => '+',
            (Charset::Ascii, Self::Refused) => '-',
            (Charset::Ascii, Self::Mixed) => '*',
            (Charset::Ascii, Self::Fail) => 'X',
            (Charset::Ascii, Self::Disputed) => '#',
            (Charset::Ascii, Self::Unsupported) => '.',
            (_, Self::Warn) => '!',
            (_, Self::Undecided) => '%',
            (_, Self::NotRun) => 'o',
            (_, Self::Unstable) => '~',
            (_, Self::Error) => '?',
            (_, Self::Xfail) => 'x',
            (_, Self::Xpass) => '^',
        }
    }

    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Established => "pass, established",
            Self::Refused => "pass, rightly refused",
            Self::Mixed => "pass, some of each",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Disputed => "disputed",
            Self::Unstable => "unstable",
            Self::Unsupported => "unsupported",
            Self::Undecided => "undecided",
            Self::Error => "error",
            Self::NotRun => "not run",
            Self::Xfail => "xfail",
            Self::Xpass => "xpass",
        }
    }

    pub const fn colour(self) -> Style {
        match self {
            Self::Established => Style::new().green().bold(),
            Self::Refused => Style::new().cyan(),
            Self::Mixed => Style::new().green(),
            Self::Warn => Style::new().yellow().bold(),
            Self::Fail | Self::Xpass => Style::new().red().bold(),
            Self::Xfail => Style::new().yellow(),
            Self::Disputed | Self::Undecided | Self::Unstable => Style::new().magenta().bold(),
            Self::Unsupported | Self::NotRun => Style::new().dimmed(),
            Self::Error => Style::new().red().reversed(),
        }
    }
}
