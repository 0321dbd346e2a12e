//! The configuration: the proxy's two sides, its partners, its limits.
//!
//! A [`Config`] is proof that the settings passed every check, and a [`Draft`] that they passed those which
//! need no certificate.

mod checked;
mod doubts;
mod draft;
mod file;
mod list;
mod report;
mod settings;
mod sides;
mod spelling;
mod table;

pub(crate) use checked::Difference;
pub use checked::{Config, Problem};
pub use draft::{Draft, OwnCertificate, SideDraft};
pub use file::{ConfigError, Reader, from_toml};
pub use list::List;
pub use table::PartnerTable;

pub use crate::certificate::RevocationPolicy;
pub use crate::domain::{Domain, DomainError, ProxyAddress};
pub use crate::limits::Limits;
pub use crate::negotiation::{Method, Support, Terms, Validation};
pub use crate::partner::{Partner, PartnerType};

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
