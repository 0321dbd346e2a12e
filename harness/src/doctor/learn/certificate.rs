//! The kind of a target's certificate.

use rustls::pki_types::CertificateDer;
use simulated_partners::persona::{Certificate, Key};
use simulated_partners::tls::{Details, Name, Usage};

use crate::doctor::Subject;
use crate::lab::Lab;

const RSA_BITS: usize = 2048;

/// What a target shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) kind: Certificate,
    pub(super) key: Key,
    /// What else is worth knowing.
    pub(super) about: Vec<String>,
}

/// The certificate in a chain; `None` if there is none that can be read.
pub(super) fn shown(
    chain: &[CertificateDer<'static>],
    subject: &Subject,
    lab: &Lab,
) -> Option<Shown> {
    let details = Details::read(chain, &subject.roots)?;
    let lab_issuer = lab
        .authority
        .issue(&[&subject.domain], Certificate::Good, Key::P256)
        .and_then(|good| Details::read(good.chain(), &subject.roots))
        .map(|good| good.issuer);
    let mut about = Vec::new();
    let kind = kind(&details, subject, lab_issuer.as_deref());
    about.push(format!("its certificate is {}", words(kind, &details)));
    let named = |name: &&Name| matches!(name, Name::Dns(name) if name.starts_with("*."));
    if let Some(wildcard) = details.names.iter().find(named) {
        about.push(format!(
            "its certificate has the wildcard {}, which no word of a persona says",
            wildcard.text()
        ));
    }
    if let Usage::Only { server, client } = details.usage {
        let purposes = [(server, "serverAuth"), (client, "clientAuth")];
        let purposes = purposes.iter().filter(|(has, _)| *has);
        let purposes: Vec<&str> = purposes.map(|(_, name)| *name).collect();
        about.push(format!("its purposes are {}", purposes.join(" and ")));
    }
    let key = match (details.key, details.key_bits) {
        ("RSA", RSA_BITS) => Key::Rsa2048,
        ("Ed25519", _) => Key::Ed25519,
        ("ECDSA", 256) => Key::P256,
        (name, bits) => {
            about.push(format!(
                "its key is {name} with {bits} bits, for which personas have no word"
            ));
            if name == "RSA" {
                Key::Rsa2048
            } else {
                Key::P256
            }
        }
    };
    Some(Shown { kind, key, about })
}

/// The first fault, as a verifier finds it.
fn kind(details: &Details, subject: &Subject, lab_issuer: Option<&str>) -> Certificate {
    let now = Details::now();
    match details.chain_fault.as_deref() {
        Some("self-signed") => return Certificate::SelfSigned,
        // Whoever issued it is known here; it is not said there.
        Some(_) if lab_issuer == Some(details.issuer.as_str()) => {
            return Certificate::MissingIntermediate;
        }
        Some(_) => return Certificate::UnknownCa,
        None => {}
    }
    let for_servers_alone = Usage::Only {
        server: true,
        client: false,
    };
    if now > details.not_after {
        Certificate::Expired
    } else if now < details.not_before {
        Certificate::NotYetValid
    } else if !details.covers(&subject.domain) {
        Certificate::WrongName
    } else if details.usage == for_servers_alone {
        Certificate::NoClientAuth
    } else {
        Certificate::Good
    }
}

fn words(kind: Certificate, details: &Details) -> String {
    let names: Vec<&str> = details.names.iter().map(Name::text).collect();
    let names = match names.first() {
        Some(first) => format!("for {first}"),
        None => "without names".to_owned(),
    };
    let [from, until] = &details.dates;
    format!(
        "{kind}: {names}, from {from} until {until}, issued by {}",
        details.issuer
    )
}
