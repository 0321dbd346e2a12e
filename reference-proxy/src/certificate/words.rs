//! Mistakes with certificates, keys and lists, in the words of whoever has to mend them. What libraries say of them
//! is for programmers.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Version;

use super::credentials::{CredentialsError, provider};

/// signedData and data (RFC 2315 §14), which begin a PKCS #7 and are in a PKCS #12 file.
const SIGNED_DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
const DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
/// How far into a file they are.
const BEGINNING: usize = 40;

const VERSION_1: &str = "of X.509 version 1, without the names of servers; have it issued with extensions \
                         (`openssl x509 -req` copies those of the request with `-copy_extensions copy`)";

/// The text of a PEM file.
///
/// # Errors
/// What the file is instead, and the command that makes PEM of it.
pub fn pem_text(bytes: Vec<u8>, file: &str) -> Result<String, String> {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error.into_bytes(),
    };
    let begins_with = |oid: &[u8]| {
        let beginning = &bytes[..bytes.len().min(BEGINNING)];
        beginning.windows(oid.len()).any(|part| part == oid)
    };
    let (kind, command) = if X509Certificate::from_der(&bytes).is_ok() {
        ("DER", "x509 -inform DER")
    } else if begins_with(SIGNED_DATA) {
        ("a PKCS #7 file", "pkcs7 -inform DER -print_certs")
    } else if begins_with(DATA) {
        ("a PKCS #12 file", "pkcs12 -nodes")
    } else if PrivateKeyDer::try_from(bytes).is_ok() {
        ("DER", "pkey -inform DER")
    } else {
        return Err(format!("{file} is neither PEM nor DER"));
    };
    Err(format!(
        "{file} is {kind}, and not PEM: `openssl {command} -in {file} -out {file}.pem` converts it"
    ))
}

/// What a text without a certificate is.
pub(super) fn without_certificate(text: &str) -> CredentialsError {
    let is = |what: &str| text.contains(&format!("-----BEGIN {what}"));
    if is("PKCS7") {
        CredentialsError::Foreign(
            "a PKCS #7 file: `openssl pkcs7 -print_certs -in FILE -out FILE.pem` takes the certificates out of it",
        )
    } else if is("CERTIFICATE REQUEST") || is("NEW CERTIFICATE REQUEST") {
        CredentialsError::Foreign(
            "a request for a certificate, and not the answer of the authority",
        )
    } else {
        CredentialsError::NoCertificate
    }
}

/// Whether a key needs a passphrase, which nobody could be asked for.
pub(super) fn is_encrypted(key: &str) -> bool {
    key.contains("-----BEGIN ENCRYPTED PRIVATE KEY") || key.contains("Proc-Type: 4,ENCRYPTED")
}

/// Why a chain and a key cannot be used together.
pub(super) fn unusable(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    error: &Error,
) -> String {
    let fits = |one: &CertificateDer<'static>| {
        CertifiedKey::from_der(vec![one.clone()], key.clone_key(), &provider()).is_ok()
    };
    let version = chain.first().and_then(|leaf| {
        let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
        Some(leaf.version())
    });
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            match chain.iter().position(fits) {
                Some(place) => format!(
                    "the key is that of certificate {} of the file: the domain's own has to be the first, then those of \
                     the authorities",
                    place + 1
                ),
                None => "the key is that of another certificate".to_owned(),
            }
        }
        _ if version == Some(X509Version::V1) => format!("the certificate is {VERSION_1}"),
        Error::InvalidCertificate(_) => {
            "the first certificate of the file cannot be read".to_owned()
        }
        other => other.to_string(),
    }
}

/// What is wrong with a list of revoked certificates.
pub(super) fn no_list(bytes: &[u8], error: &webpki::Error) -> String {
    let is_certificate = String::from_utf8_lossy(bytes).contains("-----BEGIN CERTIFICATE-----");
    match error {
        _ if is_certificate => "it is a certificate".to_owned(),
        webpki::Error::UnsupportedDeltaCrl => {
            "it has the changes to another list only, and the whole list is needed".to_owned()
        }
        webpki::Error::UnsupportedIndirectCrl => {
            "it is about certificates of other authorities than its own".to_owned()
        }
        webpki::Error::UnsupportedCrlVersion => "it is of version 1, and not 2".to_owned(),
        _ => "it cannot be read".to_owned(),
    }
}

/// What is wrong with a chain, other than that it is not complete.
pub(super) fn bad_chain(error: &webpki::Error) -> String {
    use webpki::Error as Bad;
    match error {
        Bad::UnsupportedCertVersion => format!("a certificate of its chain is {VERSION_1}"),
        Bad::CaUsedAsEndEntity => "it is the certificate of an authority, and not a domain's".to_owned(),
        Bad::EndEntityUsedAsCa => {
            "the certificate above it is not that of an authority (basic constraints)".to_owned()
        }
        Bad::InvalidSignatureForPublicKey => {
            "the authority above it has another key than the one that signed it: is it an earlier one of the same name?"
                .to_owned()
        }
        Bad::NameConstraintViolation => {
            "an authority of its chain may not issue for this name (name constraints)".to_owned()
        }
        Bad::PathLenConstraintViolated => {
            "an authority of its chain may not have so many below it (path length)".to_owned()
        }
        Bad::UnsupportedCriticalExtension => {
            "a certificate of its chain has a critical extension that is not known here".to_owned()
        }
        Bad::UnsupportedSignatureAlgorithmContext(_)
        | Bad::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "a certificate of its chain is signed in a way that is not supported here".to_owned()
        }
        other => format!("its chain is not good: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::credentials::Credentials;
    use super::super::fixture::Authority;
    use super::super::revocation::Lists;
    use super::*;

    /// What is said of a chain and a key.
    fn said(chain: &str, key: &str) -> String {
        let refused = Credentials::from_pem(chain, key).expect_err("refused");
        refused.to_string()
    }

    #[test]
    fn der_is_answered_by_the_command_that_converts_it() {
        let authority = Authority::new("CA");
        let leaf = authority.issue(&["a.example"]);
        let key = leaf.key().secret_der().to_vec();
        let p7 = b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80".to_vec();
        let p12 =
            b"\x30\x80\x02\x01\x03\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01".to_vec();
        for (bytes, part) in [
            (
                leaf.der().to_vec(),
                "is DER, and not PEM: `openssl x509 -inform DER -in a.crt -out a.crt.pem`",
            ),
            (key, "`openssl pkey -inform DER "),
            (p7, "`openssl pkcs7 -inform DER "),
            (p12, "`openssl pkcs12 -nodes "),
            (vec![0xff; 9], "a.crt is neither PEM nor DER"),
        ] {
            let said = pem_text(bytes, "a.crt").expect_err("refused");
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(pem_text(b"text".to_vec(), "a.crt").as_deref(), Ok("text"));
    }

    #[test]
    fn usual_mistakes_are_named() {
        let authority = Authority::new("CA");
        let (chain, key) = authority.issue(&["a.example"]).pem();
        let (_, other) = authority.issue(&["a.example"]).pem();
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for (chain, key, part) in [
            (
                chain.clone(),
                other.as_str(),
                "the key is that of another certificate",
            ),
            (
                authority.pem() + &chain,
                key.as_str(),
                "that of certificate 2 of the file",
            ),
            (chain, encrypted, "is encrypted: `openssl pkey "),
            (
                "-----BEGIN PKCS7-----\n-----END PKCS7-----\n".to_owned(),
                key.as_str(),
                "openssl pkcs7",
            ),
            (
                "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n"
                    .to_owned(),
                key.as_str(),
                "a request",
            ),
        ] {
            let said = said(&chain, key);
            assert!(said.contains(part), "{said}");
        }
        let list = Lists::read(authority.pem().as_bytes()).expect_err("refused");
        assert_eq!(
            list.to_string(),
            "not a list of revoked certificates: it is a certificate"
        );
    }
}
