//! A specification appears in the certificate, and nothing else changes.

mod chain;
mod field;
mod file;
mod handshake;
mod name;

use std::sync::{Arc, OnceLock};

use rustls::Side;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::*;
use crate::event::CertificateSeen;
use crate::pki::{Authority, Identity};
use crate::tls::judge;

const DOMAIN: &str = "fp.example";

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new(1))
}

fn fill(text: &str) -> String {
    text.replace("{domain}", DOMAIN)
}

fn spec(toml: &str) -> CertificateSpec {
    toml::from_str(toml).unwrap()
}

fn issue_from(toml: &str) -> Arc<Identity> {
    authority().issue_from(&spec(toml), &fill).unwrap()
}

fn why_not(toml: &str) -> SpecError {
    authority().issue_from(&spec(toml), &fill).unwrap_err()
}

fn leaf(identity: &Identity) -> X509Certificate<'_> {
    parsed(&identity.chain()[0])
}

fn parsed(certificate: &[u8]) -> X509Certificate<'_> {
    X509Certificate::from_der(certificate).unwrap().1
}

/// A strict peer's verdict.
fn judged(toml: &str, side: Side) -> String {
    let identity = issue_from(toml);
    match judge(identity.chain(), side, DOMAIN, &authority().roots()) {
        CertificateSeen::Good => "good".to_owned(),
        CertificateSeen::Bad(why) => why,
        other => panic!("{other:?}"),
    }
}
