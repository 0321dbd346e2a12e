//! What a load is to be.

use std::path::PathBuf;
use std::time::Duration;

use crate::console::words::counted;
use crate::outcome::Method;

/// In which directions stanzas go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Direction {
    /// Both.
    #[default]
    Both,
    /// From partners to the inner side.
    In,
    /// From the inner side to partners.
    Out,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Partners, each with a domain and a connection of its own.
    pub partners: usize,
    /// Stanzas a second in all, or as many as arrive.
    pub rate: Option<f64>,
    /// How long they are sent.
    pub duration: Duration,
    /// How partners authenticate, in turns.
    pub methods: Vec<Method>,
    /// In which directions stanzas go.
    pub direction: Direction,
    /// Connections that are closed and opened anew each second.
    pub churn: f64,
    /// Bytes of text in each message.
    pub size: usize,
    /// Stanzas under way to or from each partner, at most.
    pub window: usize,
    /// The embedded proxy's limit of connections, where it is not what it is delivered with.
    pub limit: Option<usize>,
    /// The seed of the lab.
    pub seed: u64,
    /// s2spec itself, which also is the embedded proxy.
    pub program: PathBuf,
}

impl Wanted {
    /// In words.
    pub(super) fn text(&self) -> String {
        let many = |number: f64| if number == 1.0 { "" } else { "s" };
        let rate = match self.rate {
            Some(rate) => format!("{rate} stanza{} a second", many(rate)),
            None => "as many stanzas as arrive".to_owned(),
        };
        let methods: Vec<String> = self.methods.iter().map(ToString::to_string).collect();
        let mut text = format!(
            "{} ({}), {rate} for {} s",
            counted(self.partners, "partner"),
            methods.join(", "),
            self.duration.as_secs_f64(),
        );
        match self.direction {
            Direction::Both => {}
            Direction::In => text.push_str(", only inward"),
            Direction::Out => text.push_str(", only outward"),
        }
        if self.churn > 0.0 {
            text.push_str(&format!(
                ", {} connection{} a second opened anew",
                self.churn,
                many(self.churn)
            ));
        }
        text
    }
}
