//! Counts requirements by state.

use serde::Serialize;

use super::State;

/// The number of requirements in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Count {
    /// With a scenario.
    pub covered: usize,
    /// Without one so far.
    pub open: usize,
    /// Without one, and not judgeable.
    pub unjudgeable: usize,
}

impl Count {
    /// Adds a requirement.
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

    /// Requirements that a scenario can test.
    pub const fn judgeable(&self) -> usize {
        self.covered + self.open
    }

    /// `3/20`: covered out of judgeable requirements; `-` if there are none.
    pub fn share(&self) -> String {
        if self.judgeable() == 0 {
            "-".to_owned()
        } else {
            format!("{}/{}", self.covered, self.judgeable())
        }
    }
}
