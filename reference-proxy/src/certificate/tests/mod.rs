//! Verdicts on certificates, and what they mean for handshakes.

mod handshake;
mod own;
mod revocation;
mod verdict;

use rcgen::{CertificateParams, CustomExtension};

use super::fixture::leaf;
use crate::domain::Domain;

fn domain(text: &str) -> Domain {
    Domain::parse(text).expect("a domain")
}

fn with_extension(critical: bool) -> CertificateParams {
    let mut params = leaf(&["fp.example"]);
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999], vec![5, 0]);
    extension.set_criticality(critical);
    params.custom_extensions.push(extension);
    params
}
