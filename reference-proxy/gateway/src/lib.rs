//! The gateway behind the proxy: it knows the local users, their contact lists and policies, and decides
//! what passes between them and the partners.
//!
//! [`state`] is the pure core, which has every rule. [`Gateway`] runs it: links to the proxies of the pool
//! over mutual TLS, sessions of local users, and a file for what has to survive a restart. [`command`] is
//! `s2spec gateway`.

pub mod address;
pub mod command;
pub mod config;
pub mod directory;
pub mod policy;
pub mod refusal;
pub mod roster;
pub mod session;
pub mod state;
pub mod store;

mod control;
mod door;
mod event;
mod gateway;
mod hub;
mod link;
mod local;
mod serve;
mod talk;
mod withdrawal;

#[cfg(test)]
mod fixture;

pub use event::SignInError;
pub use gateway::{Gateway, StartError};
