//! Whether a certificate was taken back: by lists (RFC 5280 §5), and by stapled answers.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, SubjectPublicKeyInfoDer, UnixTime,
};
use serde::Deserialize;
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, OwnedCertRevocationList,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::time::ASN1Time;

use super::credentials::{Authorities, CredentialsError, provider};
use super::judge::{Fault, Purpose};
use super::ocsp::{self, Issuer, Status};
use super::own::date;
use super::words::no_list;

/// What revocation means for a partner's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationPolicy {
    /// Nobody looks.
    #[default]
    Off,
    /// A certificate that is known to be revoked is bad.
    IfThere,
    /// One is good only if a list or an answer of this time says so.
    Required,
}

/// Certificate revocation lists.
#[derive(Clone, Default)]
pub(crate) struct Lists(Vec<List>);

/// One of them.
#[derive(Clone)]
struct List {
    read: Arc<CertRevocationList<'static>>,
    issuer: String,
    /// When the next one should be there.
    ends: Option<ASN1Time>,
}

impl List {
    fn read(der: &[u8]) -> Result<Self, CredentialsError> {
        let read = OwnedCertRevocationList::from_der(der)
            .map_err(|error| CredentialsError::List(no_list(der, &error)))?;
        let shown = CertificateRevocationList::from_der(der).ok();
        let shown = shown.map(|(_, list)| (list.issuer().to_string(), list.next_update()));
        let (issuer, ends) = shown.unwrap_or_default();
        Ok(Self {
            read: Arc::new(read.into()),
            issuer,
            ends,
        })
    }

    fn has_ended(&self, now: UnixTime) -> bool {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        self.ends.is_some_and(|ends| ends.timestamp() < now)
    }
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lists({})", self.0.len())
    }
}

impl Lists {
    /// Reads lists from PEM, or one from DER.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, CredentialsError> {
        let blocks = CertificateRevocationListDer::pem_slice_iter(bytes);
        let ders: Vec<_> = blocks
            .collect::<Result<_, _>>()
            .map_err(CredentialsError::Pem)?;
        let lists: Result<Vec<_>, _> = match ders.is_empty() {
            true => std::iter::once(bytes).map(List::read).collect(),
            false => ders.iter().map(|der| List::read(der)).collect(),
        };
        Ok(Self(lists?))
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These lists and others.
    pub(crate) fn and(&self, others: &Self) -> Self {
        Self(self.0.iter().chain(&others.0).cloned().collect())
    }
}

/// Judges by the policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Revocation {
    pub(crate) policy: RevocationPolicy,
    pub(crate) lists: Lists,
}

impl Revocation {
    pub(super) fn is_off(&self) -> bool {
        self.policy == RevocationPolicy::Off
    }

    /// Lists that have ended: what they mean, each in a sentence.
    pub(crate) fn ended(&self, now: UnixTime) -> Vec<String> {
        let without = match self.policy {
            RevocationPolicy::Off => return Vec::new(),
            RevocationPolicy::IfThere => "what was revoked since then is not known",
            RevocationPolicy::Required => "partners whose certificates it is about cannot use SASL",
        };
        let lists = &self.lists.0;
        // A later list of the same authority takes its place.
        let is_replaced = |old: &List| {
            let mut others = lists.iter().filter(|list| list.issuer == old.issuer);
            others.any(|list| !list.has_ended(now))
        };
        let ended = lists
            .iter()
            .filter(|list| list.has_ended(now) && !is_replaced(list));
        let told = ended.map(|List { issuer, ends, .. }| {
            let end = ends.map(date).unwrap_or_default();
            format!(
                "the list of revoked certificates of {issuer} in `crl` ended on {end}: {without}; get the next one \
                 and reload"
            )
        });
        told.collect()
    }

    /// Judges a certificate with a good chain, and the answer that came with it.
    pub(super) fn check(
        &self,
        leaf: (&CertificateDer<'_>, &X509Certificate<'_>),
        intermediates: &[CertificateDer<'_>],
        authorities: &Authorities,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<(), Fault> {
        if self.is_off() {
            return Ok(());
        }
        let chain = Chain {
            lists: &self.lists.0,
            leaf: leaf.0,
            intermediates,
            authorities,
            now,
        };
        // Whatever is revoked in the chain, be the list an old one.
        let issuer = match chain.verify(Depth::Whole, issuer) {
            Ok(issuer) => issuer,
            Err(Fault::Revoked) => return Err(Fault::Revoked),
            Err(_) => {
                tracing::warn!(
                    "a list of revoked certificates is not of the authority that it names"
                );
                chain.verify(Depth::Nothing, issuer)?
            }
        };
        let mut known = false;
        if !stapled.is_empty() {
            let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            match ocsp::status(stapled, leaf.1, &issuer, seconds) {
                Ok(Status::Good) => known = true,
                Ok(Status::Revoked) => return Err(Fault::Revoked),
                Ok(Status::Unknown) => tracing::debug!("the responder does not know a certificate"),
                Err(useless) => tracing::debug!(reason = %useless, "a stapled answer is of no use"),
            }
        }
        match self.policy {
            RevocationPolicy::Required if !known => chain.verify(Depth::Known, |_| ()),
            _ => Ok(()),
        }
    }
}

/// Who issued the certificate at the end of a path.
fn issuer(path: &VerifiedPath<'_>) -> Issuer {
    let key = match path.intermediate_certificates().next() {
        Some(issuer) => issuer.subject_public_key_info(),
        None => {
            let content = &path.anchor().subject_public_key_info;
            SubjectPublicKeyInfoDer::from(sequence(content))
        }
    };
    Issuer { key }
}

/// Trust anchors are kept without the header of the sequence.
fn sequence(content: &[u8]) -> Vec<u8> {
    let mut der = vec![0x30];
    match u8::try_from(content.len()) {
        Ok(short @ 0..0x80) => der.push(short),
        Ok(_) | Err(_) => {
            let length = content.len().to_be_bytes();
            let zeros = length.iter().take_while(|byte| **byte == 0).count();
            let length = &length[zeros..];
            der.push(0x80 | u8::try_from(length.len()).expect("at most eight"));
            der.extend_from_slice(length);
        }
    }
    der.extend_from_slice(content);
    der
}

/// How far lists are asked.
#[derive(Clone, Copy)]
enum Depth {
    /// No list is asked.
    Nothing,
    /// Nothing in the chain may be revoked.
    Whole,
    /// A list of this time has to be about the leaf.
    Known,
}

/// A chain and what is known of revocation.
struct Chain<'a> {
    lists: &'a [List],
    leaf: &'a CertificateDer<'a>,
    intermediates: &'a [CertificateDer<'a>],
    authorities: &'a Authorities,
    now: UnixTime,
}

impl Chain<'_> {
    fn verify<T>(
        &self,
        depth: Depth,
        take: impl FnOnce(&VerifiedPath<'_>) -> T,
    ) -> Result<T, Fault> {
        let lists = self.lists.iter().map(|list| list.read.as_ref());
        let lists: Vec<&CertRevocationList<'_>> = lists.collect();
        let options = RevocationOptionsBuilder::new(&lists).ok();
        let options = options.and_then(|options| match depth {
            Depth::Nothing => None,
            Depth::Whole => Some(
                options
                    .with_depth(RevocationCheckDepth::Chain)
                    .with_status_policy(UnknownStatusPolicy::Allow)
                    .with_expiration_policy(ExpirationPolicy::Ignore)
                    .build(),
            ),
            Depth::Known => Some(
                options
                    .with_depth(RevocationCheckDepth::EndEntity)
                    .with_status_policy(UnknownStatusPolicy::Deny)
                    .with_expiration_policy(ExpirationPolicy::Enforce)
                    .build(),
            ),
        });
        if let (Depth::Known, None) = (depth, &options) {
            return Err(Fault::RevocationUnknown);
        }
        let leaf = EndEntityCert::try_from(self.leaf).map_err(|_| Fault::Malformed)?;
        let algorithms = provider().signature_verification_algorithms.all;
        let roots = &self.authorities.roots.roots;
        let path = leaf.verify_for_usage(
            algorithms,
            roots,
            self.intermediates,
            self.now,
            Purpose::Any,
            options,
            None,
        );
        match path {
            Ok(path) => Ok(take(&path)),
            Err(webpki::Error::CertRevoked) => Err(Fault::Revoked),
            // The chain is good: what is wrong is a list.
            Err(_) => Err(Fault::RevocationUnknown),
        }
    }
}
