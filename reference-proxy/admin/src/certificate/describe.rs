//! What is in a certificate.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

use crate::output::Lines;

/// The leaf of a chain.
pub(super) struct Described {
    subject: String,
    issuer: String,
    names: Vec<String>,
    begins: String,
    ends: String,
    key: String,
    purposes: Vec<&'static str>,
    /// The certificates above it.
    above: usize,
}

impl Described {
    /// Reads the first certificate of a PEM text, if it can be read.
    pub(super) fn of(chain: &str) -> Option<Self> {
        let certificates: Vec<CertificateDer<'_>> =
            CertificateDer::pem_slice_iter(chain.as_bytes())
                .filter_map(Result::ok)
                .collect();
        let (_, leaf) = X509Certificate::from_der(certificates.first()?).ok()?;
        let names = leaf.subject_alternative_name().ok().flatten();
        let names = names.map_or(&[][..], |names| &names.value.general_names);
        let names = names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        let day = |time: x509_parser::time::ASN1Time| time.to_datetime().date().to_string();
        let usage = leaf.extended_key_usage().ok().flatten();
        let purposes = match usage {
            None => vec!["any"],
            Some(usage) => [
                (usage.value.any, "any"),
                (usage.value.server_auth, "server"),
                (usage.value.client_auth, "client"),
            ]
            .into_iter()
            .filter_map(|(has, name)| has.then_some(name))
            .collect(),
        };
        let key = match leaf.public_key().parsed() {
            Ok(PublicKey::RSA(key)) => format!("RSA, {} bits", key.key_size()),
            Ok(PublicKey::EC(key)) => format!("ECDSA, {} bits", key.key_size()),
            _ => "of another kind".to_owned(),
        };
        Some(Self {
            subject: leaf.subject().to_string(),
            issuer: leaf.issuer().to_string(),
            names: names.collect(),
            begins: day(leaf.validity().not_before),
            ends: day(leaf.validity().not_after),
            key,
            purposes,
            above: certificates.len() - 1,
        })
    }

    pub(super) fn list(&self) -> String {
        let mut lines = Lines::default();
        lines.add("Subject", &self.subject);
        lines.add("Issuer", &self.issuer);
        lines.add("SubjectAlternativeNames", &self.names.join(", "));
        lines.add("Valid", &format!("{} to {}", self.begins, self.ends));
        lines.add("Key", &self.key);
        lines.add("Purposes", &self.purposes.join(", "));
        lines.add("CertificatesAbove", &self.above.to_string());
        lines.text()
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "Subject": self.subject,
            "Issuer": self.issuer,
            "SubjectAlternativeNames": self.names,
            "NotBefore": self.begins,
            "NotAfter": self.ends,
            "Key": self.key,
            "Purposes": self.purposes,
            "CertificatesAbove": self.above,
        })
    }
}
