//! s2spec: conformance tests and partner simulator for XMPP server-to-server federation.

pub mod baseline;
pub mod cli;
pub mod coverage;
pub mod doctor;
pub mod embed;
pub mod embedded;
pub mod judge;
pub mod lab;
pub mod matrix;
pub mod oracle;
pub mod outcome;
pub mod policy;
pub mod report;
pub mod requirement;
pub mod resources;
pub mod runner;
pub mod scenario;
pub mod target;
pub mod transcript;
