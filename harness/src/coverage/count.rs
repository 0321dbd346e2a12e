//! Rows by how it stands with them.

use serde::Serialize;

use super::State;

/// How many requirements there are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Count {
    /// With a scenario.
    pub covered: usize,
    /// Without one so far.
    pub open: usize,
    /// Without one for good.
    pub unjudgeable: usize,
}

impl Count {
    /// One requirement more.
    pub const fn add(&mut self, state: State) {
        match state {
            State::Covered => self.covered += 1,
            State::Open => self.open += 1,
            State::Unjudgeable => self.unjudgeable += 1,
        }
    }

    /// All requirements.
    pub const fn total(&self) -> usize {
        self.covered + self.open + self.unjudgeable
    }

    /// Those that a scenario can test.
    pub const fn judgeable(&self) -> usize {
        self.covered + self.open
    }

    /// `3/20`: covered of those that can be; `-` where there are none.
    pub fn share(&self) -> String {
        if self.judgeable() == 0 {
            "-".to_owned()
        } else {
            format!("{}/{}", self.covered, self.judgeable())
        }
    }
}
