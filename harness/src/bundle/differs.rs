//! Compares a bundle with another run of its case.

use std::collections::BTreeMap;

use super::make::courses;
use super::{Bundle, End};
use crate::case::MAIN;
use crate::record::CaseResult;
use crate::transcript::{Course, Parting};

/// What is different in another run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// How it ended in the bundle and in the other run, if that is different.
    pub ends: Option<[End; 2]>,
    /// The partner whose transcript differs, and where, if one does.
    pub parting: Option<(String, Parting)>,
}

impl Bundle {
    /// What is different in another run of the case, if anything is.
    pub fn differs(&self, other: &CaseResult) -> Option<Difference> {
        let end = End::of(other);
        let ends = (self.end != end).then(|| [self.end.clone(), end]);
        let others = courses(other);
        let mut names: Vec<&String> = self.canonical.keys().chain(others.keys()).collect();
        // What the case is about comes first.
        names.sort_by_key(|name| (*name != MAIN, *name));
        let parting = names.into_iter().find_map(|name| {
            let of = |all: &BTreeMap<String, Course>| all.get(name).cloned().unwrap_or_default();
            let parting = of(&self.canonical).parting(&of(&others))?;
            Some((name.clone(), parting))
        });
        (ends.is_some() || parting.is_some()).then_some(Difference { ends, parting })
    }

    /// The number of events in its canonical transcripts.
    pub fn events(&self) -> usize {
        self.canonical.values().map(Course::len).sum()
    }
}
