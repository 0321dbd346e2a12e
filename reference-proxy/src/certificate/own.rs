//! The verdict on the proxy's own certificates: what partners would hold against them.
//!
//! Nothing here ends the proxy: dialback may still work, and the other domains do. Each [`Remark`] says what is wrong
//! for which domain, and what would be right.

use std::fmt;

use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;

use super::credentials::{Authorities, Credentials, CredentialsError, certificates};
use super::identity::names_one_of;
use super::judge::{Judge, Purpose, may_sign_handshakes};
use super::words::bad_chain;
use crate::domain::Domain;

const DAY: i64 = 24 * 60 * 60;
/// Days before the end at which it is told of, each once.
const NOTICE: [i64; 5] = [30, 14, 7, 3, 1];
/// Bits of the shortest RSA key that is good enough (RFC 9325 §4.5).
const SHORTEST_RSA: usize = 2048;

/// Signatures over MD5 and SHA-1: with RSA (RFC 8017 §A.2.4), and ECDSA (RFC 3279 §2.2.3).
const WEAK_HASHES: [Oid<'static>; 3] = [
    oid!(1.2.840.113549.1.1.4),
    oid!(1.2.840.113549.1.1.5),
    oid!(1.2.840.10045.4.1),
];

/// A rule for the proxy's own certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Each certificate of the chain can be read.
    Readable,
    /// No certificate of the chain may be used before its time (RFC 5280 §4.1.2.5).
    Begun,
    /// Nor after it.
    NotEnded,
    /// It ends in fewer than so many days.
    EndsLater(i64),
    /// It names the domain (RFC 6120 §13.7.1.2).
    Named,
    /// Its purposes have serverAuth (RFC 5280 §4.2.1.12).
    ForServers,
    /// Its purposes have clientAuth.
    ForClients,
    /// Its key may sign handshakes (RFC 5280 §4.2.1.3).
    Signs,
    /// It leads to one of the authorities that this side itself trusts.
    Chained,
    /// It goes on up to one of them: no certificate of an authority between is missing.
    Complete,
    /// Its key is long enough (RFC 9325 §4.5).
    LongKey,
    /// Nobody can forge its signature (RFC 9325 §4.3).
    StrongHash,
}

/// A rule that is broken, or will soon be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The domain that is presented, or the internal side.
    pub presented: String,
    /// The kind of key, where a domain may have several.
    pub key: &'static str,
    /// The rule.
    pub rule: Rule,
    /// Whether partners that check certificates refuse this one.
    pub refused: bool,
    /// What is wrong, and what would be right.
    pub text: String,
}

impl Remark {
    /// Whether somebody has to do something about it.
    #[must_use]
    pub fn matters(&self) -> bool {
        // Public authorities issue no certificates for clients any more, and dialback is left.
        self.refused || self.rule != Rule::ForClients
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            presented,
            key,
            text,
            ..
        } = self;
        write!(to, "the {key} certificate of {presented}: {text}")
    }
}

/// An own certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// The domain that is presented, or the internal side.
    pub presented: String,
    /// The kind of its key.
    pub key: &'static str,
    /// The end of the first one of the chain that ends, in seconds since 1970.
    pub ends: i64,
    /// What is wrong with it.
    pub remarks: Vec<Remark>,
}

/// What a certificate without a domain is presented as.
const INTERNAL: &str = "the internal side";

/// Examines each certificate that is presented as the domain, or to gateways.
pub(crate) fn examine(
    credentials: &Credentials,
    domain: Option<&Domain>,
    judge: &Judge,
    now: UnixTime,
) -> Vec<Examined> {
    let chains = credentials.chains();
    chains
        .map(|(chain, key)| examination(chain, key, domain, judge, now))
        .collect()
}

/// The same for a certificate that is not in use yet: a chain, leaf first, as PEM, and who is to have
/// issued it.
///
/// # Errors
/// [`CredentialsError`] if one of the texts holds no certificate.
pub fn examine_chain(
    chain: &str,
    authorities: &str,
    domain: Option<&Domain>,
    now: UnixTime,
) -> Result<Examined, CredentialsError> {
    let chain = certificates(chain)?;
    let judge = Judge::new(Authorities::from_pem(authorities)?, false);
    Ok(examination(&chain, "its", domain, &judge, now))
}

fn examination(
    chain: &[CertificateDer<'_>],
    key: &'static str,
    domain: Option<&Domain>,
    judge: &Judge,
    now: UnixTime,
) -> Examined {
    let presented = domain.map_or(INTERNAL, Domain::as_str);
    let mut examination = Examination {
        presented,
        key,
        now: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
        remarks: Vec::new(),
    };
    let ends = examination.chain(chain, domain, judge, now);
    Examined {
        presented: presented.to_owned(),
        key,
        ends,
        remarks: examination.remarks,
    }
}

/// Whether chain and key, both as PEM, can be presented.
///
/// # Errors
/// [`CredentialsError`] says why they cannot.
pub fn fit(chain: &str, key: &str) -> Result<(), CredentialsError> {
    Credentials::from_pem(chain, key).map(|_| ())
}

struct Examination<'a> {
    presented: &'a str,
    key: &'static str,
    now: i64,
    remarks: Vec<Remark>,
}

impl Examination<'_> {
    fn remark(&mut self, rule: Rule, refused: bool, text: impl Into<String>) {
        self.remarks.push(Remark {
            presented: self.presented.to_owned(),
            key: self.key,
            rule,
            refused,
            text: text.into(),
        });
    }

    /// Returns when the chain ends.
    fn chain(
        &mut self,
        chain: &[CertificateDer<'_>],
        domain: Option<&Domain>,
        judge: &Judge,
        now: UnixTime,
    ) -> i64 {
        let read = chain.iter().map(|der| X509Certificate::from_der(der));
        let read: Result<Vec<_>, _> = read.map(|read| read.map(|(_, one)| one)).collect();
        let Some((leaf, above)) = read.as_deref().ok().and_then(<[_]>::split_first) else {
            let text = "a certificate of the chain cannot be read; have it issued anew";
            self.remark(Rule::Readable, true, text);
            return 0;
        };
        self.dates(leaf, "it");
        for issuer in above {
            let name = format!("the certificate above it, {}", issuer.subject());
            self.dates(issuer, &name);
        }
        if let Some(domain) = domain {
            self.names(leaf, above, domain);
        }
        self.purposes(leaf);
        self.strength(leaf);
        // A chain is good only while its certificates are.
        if !self
            .remarks
            .iter()
            .any(|r| matches!(r.rule, Rule::Begun | Rule::NotEnded))
        {
            self.authority(chain, leaf, above, judge, now);
        }
        let ends = |one: &X509Certificate<'_>| one.validity().not_after.timestamp();
        above.iter().map(ends).fold(ends(leaf), i64::min)
    }

    fn dates(&mut self, certificate: &X509Certificate<'_>, what: &str) {
        let validity = certificate.validity();
        let (begin, end) = (validity.not_before, validity.not_after);
        if begin.timestamp() > self.now {
            let text = format!(
                "{what} is not valid before {}; correct the clock, or wait",
                date(begin)
            );
            self.remark(Rule::Begun, true, text);
        }
        let left = end.timestamp() - self.now;
        if left < 0 {
            let text = format!("{what} expired on {}; replace it and reload", date(end));
            self.remark(Rule::NotEnded, true, text);
            return;
        }
        let due = NOTICE.into_iter().rev().find(|days| left <= days * DAY);
        if let Some(days) = due {
            let text = format!("{what} expires on {}; renew it and reload", date(end));
            self.remark(Rule::EndsLater(days), false, text);
        }
    }

    fn names(
        &mut self,
        leaf: &X509Certificate<'_>,
        above: &[X509Certificate<'_>],
        domain: &Domain,
    ) {
        let names = |one: &X509Certificate<'_>| names_one_of(one, std::slice::from_ref(domain));
        if names(leaf) {
            return;
        }
        let text = match above.iter().position(names) {
            // The first of them is the second of the file.
            Some(place) => format!(
                "not the first certificate names {domain}, but number {}: put the domain's own first, then the one \
                 that issued it, and so on",
                place + 2
            ),
            None => format!(
                "it names {}, and not {domain}; it needs {domain} as a subject alternative name (a wildcard does not \
                 stand for the domain above it)",
                dns_names(leaf)
            ),
        };
        self.remark(Rule::Named, true, text);
    }

    fn purposes(&mut self, leaf: &X509Certificate<'_>) {
        if let Ok(Some(usage)) = leaf.extended_key_usage() {
            let usage = usage.value;
            if !usage.server_auth && !usage.any {
                let text = "its purposes (extended key usage) lack serverAuth, which partners that dial ask for";
                self.remark(Rule::ForServers, true, text);
            }
            if !usage.client_auth && !usage.any {
                let text = "its purposes (extended key usage) lack clientAuth: partners that insist on it when they \
                            are dialled refuse SASL, and dialback has to do there";
                self.remark(Rule::ForClients, false, text);
            }
        }
        if !may_sign_handshakes(leaf) {
            let text = "its key usage lacks digitalSignature, without which no handshake succeeds";
            self.remark(Rule::Signs, true, text);
        }
    }

    fn strength(&mut self, leaf: &X509Certificate<'_>) {
        if let Ok(PublicKey::RSA(key)) = leaf.public_key().parsed() {
            let bits = key.key_size();
            if bits < SHORTEST_RSA {
                let text = format!("its RSA key has {bits} bits; use {SHORTEST_RSA} or more");
                self.remark(Rule::LongKey, true, text);
            }
        }
        if WEAK_HASHES.contains(&leaf.signature_algorithm.algorithm) {
            let text = "it is signed over SHA-1 or MD5; have it issued anew with SHA-256";
            self.remark(Rule::StrongHash, true, text);
        }
    }

    fn authority(
        &mut self,
        chain: &[CertificateDer<'_>],
        leaf: &X509Certificate<'_>,
        above: &[X509Certificate<'_>],
        judge: &Judge,
        now: UnixTime,
    ) {
        let Some((first, rest)) = chain.split_first() else {
            return;
        };
        let Err(error) = judge.verify(first, rest, Purpose::Any, now) else {
            return;
        };
        let last = above.last().unwrap_or(leaf);
        let mut rule = Rule::Chained;
        let text = if leaf.subject() == leaf.issuer() {
            "it is self-signed: only partners that use dialback will do; have it issued by an authority that they trust"
                .to_owned()
        } else if let webpki::Error::UnknownIssuer = error {
            rule = Rule::Complete;
            format!(
                "its chain ends below {}, which `ca` does not have; if that is an intermediate authority, add its \
                 certificate to the file, after the domain's own",
                last.issuer()
            )
        } else {
            bad_chain(&error)
        };
        self.remark(rule, false, text);
    }
}

pub(super) fn date(time: ASN1Time) -> String {
    time.to_datetime().date().to_string()
}

fn dns_names(certificate: &X509Certificate<'_>) -> String {
    const SHOWN: usize = 8;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    let names: Vec<&str> = names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        })
        .collect();
    match names.len() {
        0 => "no domain".to_owned(),
        more @ SHOWN.. => format!(
            "{} and {} more",
            names[..SHOWN - 1].join(", "),
            more + 1 - SHOWN
        ),
        _ => names.join(", "),
    }
}
