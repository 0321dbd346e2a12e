//! s2spec: conformance tests and partner simulator for XMPP server-to-server federation.

pub mod cli;
pub mod matrix;
pub mod oracle;
pub mod outcome;
pub mod policy;
pub mod report;
pub mod runner;
pub mod transcript;
