//! What is in the certificate that a target shows, in the words of scenarios.

use std::collections::BTreeMap;

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::details::{Details, key};
use super::identity::{self, Name};

const DAY: i64 = 86_400;

/// The facts of the first certificate of a chain; none if it is missing or cannot be read.
pub(super) fn facts(chain: &[CertificateDer<'_>]) -> BTreeMap<&'static str, String> {
    let leaf = chain.first().map(|der| X509Certificate::from_der(der));
    let Some(Ok((_, leaf))) = leaf else {
        return BTreeMap::new();
    };
    let validity = leaf.validity();
    let (from, until) = (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    );
    let (kind, bits) = key(&leaf);
    let names = identity::names(&leaf);
    let names = names.iter().map(|name| match name {
        Name::Dns(name) => format!("dns:{name}"),
        Name::Srv(name) => format!("srv:{name}"),
        Name::Xmpp(name) => format!("xmpp:{name}"),
    });
    BTreeMap::from([
        ("bits", bits.to_string()),
        ("ca", leaf.is_ca().to_string()),
        ("certificates", chain.len().to_string()),
        ("days", ((until - from) / DAY).to_string()),
        (
            "days-left",
            (until - Details::now()).div_euclid(DAY).to_string(),
        ),
        ("key", kind.to_ascii_lowercase()),
        ("names", names.collect::<Vec<_>>().join(",")),
        ("purposes", purposes(&leaf)),
        ("subject", leaf.subject().to_string()),
    ])
}

/// The extended key usages by the names that recipes give them; `any` without the extension.
fn purposes(certificate: &X509Certificate<'_>) -> String {
    let Ok(Some(extension)) = certificate.extended_key_usage() else {
        return "any".to_owned();
    };
    let usage = extension.value;
    let known = [
        (usage.any, "any"),
        (usage.server_auth, "server-auth"),
        (usage.client_auth, "client-auth"),
        (usage.code_signing, "code-signing"),
        (usage.email_protection, "email-protection"),
    ];
    let known = known.iter().filter(|(is_there, _)| *is_there);
    let mut all: Vec<&str> = known.map(|(_, name)| *name).collect();
    if all.is_empty() {
        all.push("other");
    }
    all.join(",")
}

#[cfg(test)]
mod tests {
    use crate::persona::{Certificate, Key};
    use crate::pki::{Authority, CertificateSpec};

    use super::*;

    fn shown(recipe: &str) -> BTreeMap<&'static str, String> {
        let spec: CertificateSpec = toml::from_str(recipe).unwrap();
        let fill = |text: &str| text.replace("{domain}", "a.example");
        let identity = Authority::new(3).issue_from(&spec, &fill).unwrap();
        facts(identity.chain())
    }

    #[test]
    fn all_that_a_certificate_says_can_be_told() {
        let facts = shown("key = 'rsa2048'\nnot-before = '-228h'\nnot-after = '+1932h'");
        let told: Vec<String> = facts
            .iter()
            .map(|(name, is)| format!("{name}={is}"))
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        bits=2048
        ca=false
        certificates=2
        days=90
        days-left=80
        key=rsa
        names=dns:a.example,xmpp:a.example,srv:_xmpp-server.a.example
        purposes=server-auth,client-auth
        subject=O=s2spec lab, CN=a.example
        ");
    }

    #[test]
    fn a_day_that_is_not_over_does_not_count() {
        let left = |until: &str| shown(&format!("not-after = '{until}'"))["days-left"].clone();
        assert_eq!(left("+36h"), "1");
        assert_eq!(left("+1h"), "0");
        assert_eq!(left("-1h"), "-1");
    }

    #[test]
    fn purposes_are_those_of_the_extension() {
        let purposes = |recipe: &str| shown(recipe)["purposes"].clone();
        assert_eq!(
            purposes("extended-key-usage = ['server-auth']"),
            "server-auth"
        );
        assert_eq!(purposes("extended-key-usage = ['any']"), "any");
        assert_eq!(purposes("extended-key-usage = []"), "any");
    }

    #[test]
    fn there_is_nothing_to_tell_of_no_certificate() {
        assert!(facts(&[]).is_empty());
        assert!(facts(&[b"no".to_vec().into()]).is_empty());
        let one = Authority::new(3).issue(&["a.example"], Certificate::Good, Key::Ed25519);
        assert_eq!(facts(one.unwrap().chain())["key"], "ed25519");
    }
}
