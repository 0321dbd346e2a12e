//! Who signs a certificate, and what is sent with it.

use std::sync::Arc;

use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use time::Duration;

use super::data::{CertificateSpec, Intermediate, IssuedBy, Sent, Signature};
use super::error::SpecError;
use super::issue::validity;
use crate::pki::Authority;
use crate::pki::certificate::{Validity, key_id, serial};
use crate::pki::key::{KeyKind, Owner, Pair};
use crate::pki::line::{Line, Signatory, Terms, usual_validity};
use crate::pki::names;

/// The domain of the certificate that signs as if it belonged to an authority.
const ANOTHER: &str = "another.example";

/// The authorities above a certificate.
pub(super) struct Above {
    pub(super) signatory: Arc<Signatory>,
    /// The lowest first, without the root.
    path: Vec<CertificateDer<'static>>,
    /// The signer of the lowest.
    parent: Arc<Signatory>,
    root: CertificateDer<'static>,
    root_signatory: Arc<Signatory>,
}

impl Authority {
    /// A self-signed certificate has none.
    pub(super) fn above(
        &self,
        spec: &CertificateSpec,
        fill: &dyn Fn(&str) -> String,
    ) -> Result<Option<Above>, SpecError> {
        let line = match spec.issuer {
            IssuedBy::Itself => return Ok(None),
            IssuedBy::LeafOfAnother => return self.below_a_leaf(spec).map(Some),
            IssuedBy::Impostor => self.impostor(),
            IssuedBy::Lab => self.trusted(),
            IssuedBy::Untrusted => self.untrusted(),
        };
        let weak = is_weak(spec.signature);
        if spec.intermediate == Intermediate::default() && !weak {
            return Ok(Some(Above {
                signatory: Arc::clone(&line.signatory),
                path: vec![line.intermediate.clone()],
                parent: Arc::clone(&line.root_signatory),
                root: line.root.clone(),
                root_signatory: Arc::clone(&line.root_signatory),
            }));
        }
        self.special_line(line, spec, weak, fill).map(Some)
    }

    /// Intermediates as specified. Each set has its own names and keys, so
    /// a target's cache cannot confuse them.
    fn special_line(
        &self,
        line: &Line,
        spec: &CertificateSpec,
        weak: bool,
        fill: &dyn Fn(&str) -> String,
    ) -> Result<Above, SpecError> {
        let wanted = &spec.intermediate;
        let filled = |texts: &[String]| texts.iter().map(|text| fill(text)).collect::<Vec<_>>();
        let (permitted, excluded) = (filled(&wanted.permitted), filled(&wanted.excluded));
        let count = wanted.authorities.unwrap_or(1);
        let room = u8::try_from(count - 1).unwrap_or(u8::MAX);
        let request = format!(
            "{:?} {weak} {wanted:?} {permitted:?} {excluded:?}",
            spec.issuer
        );
        let number = serial(self.seed(), &[request.as_bytes()]);
        let number: String = number[..4]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();

        let purposes = wanted.extended_key_usage.iter().map(|one| one.id());
        let purposes: Vec<&[u64]> = purposes.collect();
        let usual = usual_validity(self.now());
        let validity = validity(self.now(), wanted.not_before, wanted.not_after, usual);
        let mut parent = Arc::clone(&line.root_signatory);
        let mut signatory = Arc::clone(&parent);
        let mut path = Vec::new();
        for level in 1..=count {
            let kind = match wanted.key {
                _ if level < count => KeyKind::P256,
                Some(kind) => kind,
                None if weak => KeyKind::Rsa2048,
                None => KeyKind::P256,
            };
            let name = format!("s2spec intermediate {number} {level}");
            let next = Arc::new(Signatory::with(&name, self.intermediate_pair(kind)));
            let request = format!("{request} {level}");
            let mut terms = Terms {
                validity,
                purposes: &purposes,
                ..Terms::new(self.seed(), self.now(), &request)
            };
            if level == 1 {
                terms.path_length = Some(wanted.path_length.unwrap_or(room));
                terms.permitted = &permitted;
                terms.excluded = &excluded;
            }
            path.insert(0, next.certificate(&signatory, &terms)?);
            parent = signatory;
            signatory = next;
        }
        Ok(Above {
            signatory,
            path,
            parent,
            root: line.root.clone(),
            root_signatory: Arc::clone(&line.root_signatory),
        })
    }

    fn intermediate_pair(&self, kind: KeyKind) -> Arc<Pair> {
        match kind {
            KeyKind::P256 => {
                let pair = KeyPair::generate().expect("a key comes from nothing but randomness");
                Arc::new(Pair::Sound(pair))
            }
            kind => Arc::clone(&self.keys().key(kind, Owner::Intermediate).pair),
        }
    }

    /// A valid certificate of another domain signs. The authority above it allows one more level, so
    /// the only fault is that the signing certificate is not an authority.
    fn below_a_leaf(&self, spec: &CertificateSpec) -> Result<Above, SpecError> {
        let kind = match is_weak(spec.signature) {
            true => KeyKind::Rsa2048,
            false => KeyKind::P256,
        };
        let another = CertificateSpec {
            domains: Some(vec![ANOTHER.to_owned()]),
            key: kind,
            intermediate: Intermediate {
                path_length: Some(1),
                ..Intermediate::default()
            },
            ..CertificateSpec::default()
        };
        let as_is = &str::to_owned;
        let above = self.special_line(self.trusted(), &another, false, as_is)?;
        let owner = Owner::Intermediate;
        let certificate = self.leaf(&another, Some(&above.signatory), owner, as_is)?;
        let pair = Arc::clone(&self.keys().key(kind, owner).pair);
        let mut path = vec![certificate];
        path.extend(above.path);
        Ok(Above {
            signatory: Arc::new(Signatory {
                name: names::subject(Some(ANOTHER)),
                key_id: Some(key_id(&pair.public_key_info())),
                pair,
            }),
            path,
            parent: above.signatory,
            root: above.root,
            root_signatory: above.root_signatory,
        })
    }

    /// The chain in the order in which it is sent.
    pub(super) fn sent(
        &self,
        spec: &CertificateSpec,
        leaf: &CertificateDer<'static>,
        above: Option<&Above>,
    ) -> Result<Vec<CertificateDer<'static>>, SpecError> {
        const USUAL: &[Sent] = &[Sent::Leaf, Sent::Intermediates];
        const ALONE: &[Sent] = &[Sent::Leaf];

        let usual = if above.is_some() { USUAL } else { ALONE };
        let mut chain = Vec::new();
        for (place, what) in spec.sent.as_deref().unwrap_or(usual).iter().enumerate() {
            match (what, above) {
                (Sent::Leaf, _) => chain.push(leaf.clone()),
                (Sent::Unrelated, _) => chain.push(self.unrelated(place)?),
                (Sent::Intermediates, Some(above)) => chain.extend(above.path.iter().cloned()),
                (Sent::Root, Some(above)) => chain.push(above.root.clone()),
                (Sent::ExpiredIntermediate, Some(above)) => {
                    chain.push(self.twin(&above.signatory, &above.parent, Some(self.past()))?);
                }
                (Sent::CrossSigned, Some(above)) => {
                    chain.push(self.twin(&above.signatory, self.other_root(spec), None)?);
                }
                (Sent::CrossSignedRoot, Some(above)) => {
                    chain.push(self.twin(&above.root_signatory, self.other_root(spec), None)?);
                }
                (Sent::ExpiredCrossSignedRoot, Some(above)) => {
                    let (root, other) = (&above.root_signatory, self.other_root(spec));
                    chain.push(self.twin(root, other, Some(self.past()))?);
                }
                (what, None) => return Err(SpecError::NothingToSend(*what)),
            }
        }
        Ok(chain)
    }

    fn unrelated(&self, place: usize) -> Result<CertificateDer<'static>, SpecError> {
        let name = format!("s2spec unrelated {place}");
        let signatory = Signatory::new(&name);
        let terms = Terms::new(self.seed(), self.now(), &name);
        Ok(signatory.certificate(&signatory, &terms)?)
    }

    /// The root of another line: the untrusted one, unless that is where the certificate comes from.
    fn other_root(&self, spec: &CertificateSpec) -> &Signatory {
        match spec.issuer {
            IssuedBy::Untrusted => &self.trusted().root_signatory,
            _ => &self.untrusted().root_signatory,
        }
    }

    fn past(&self) -> Validity {
        Validity {
            not_before: self.now() - Duration::days(60),
            not_after: self.now() - Duration::days(30),
        }
    }

    /// Another certificate of an authority, with its name and key.
    fn twin(
        &self,
        of: &Signatory,
        issuer: &Signatory,
        validity: Option<Validity>,
    ) -> Result<CertificateDer<'static>, SpecError> {
        let request = match validity {
            Some(_) => "expired twin",
            None => "cross-signed twin",
        };
        let usual = Terms::new(self.seed(), self.now(), request);
        let terms = Terms {
            validity: validity.unwrap_or(usual.validity),
            ..usual
        };
        Ok(of.certificate(issuer, &terms)?)
    }
}

pub(super) fn is_weak(signature: Signature) -> bool {
    matches!(signature, Signature::Md5 | Signature::Sha1)
}
