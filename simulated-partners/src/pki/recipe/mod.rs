//! Certificate recipes: what a scenario file says of a certificate, good or bad.
//!
//! A [`Recipe`] is data and knows nothing of keys. [`Authority::cook`](super::Authority::cook) makes
//! an identity of it. Start at [`Recipe`]; one that says nothing is a good certificate.

mod alt_name;
mod chain;
mod check;
mod cook;
mod data;
mod error;
mod odd_key;
mod offset;

pub use alt_name::{AltName, OtherName, RawName, StringType};
pub use data::{
    ExtendedKeyUsage, Intermediate, IssuedBy, KeyUsage, Malformed, Possession, PublicKey, Recipe,
    Sent, Signature,
};
pub use error::RecipeError;
pub use offset::Offset;

#[cfg(test)]
mod tests;
