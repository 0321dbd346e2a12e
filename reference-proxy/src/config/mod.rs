//! The configuration: the proxy's two sides, its partners, its limits.
//!
//! A [`Config`] is proof that the settings passed every check.

mod checked;
mod file;
mod report;
mod settings;

pub use checked::Config;
pub use file::ConfigError;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
