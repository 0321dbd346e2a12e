//! s2spec: conformance tests and partner simulator for XMPP server-to-server federation.

pub use s2spec_rules::{
    case, embedded, expectation, finding, glob, judge, matrix, observe, oracle, outcome, policy,
    record, requirement, scenario, verdict,
};

pub mod baseline;
mod cause;
pub mod cli;
pub mod coverage;
pub mod doctor;
pub mod embed;
pub mod lab;
pub mod report;
pub mod resources;
pub mod runner;
pub mod subject;
pub mod transcript;
