//! What holds for the program as a whole.

mod arrows;
mod coverage;
mod dependencies;
mod ejabberd;
mod invariants;
mod policies_of_scenarios;
mod prosody;
mod remote;
mod same_seed;
mod scenarios;
mod settings;
mod support;
mod tables;
mod wrong_targets;
