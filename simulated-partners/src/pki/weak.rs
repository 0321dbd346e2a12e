//! Cryptography that libraries no longer offer: 1024-bit RSA, signatures over SHA-1 and MD5.
//!
//! For certificates that a target must refuse. Neither fast nor free of side channels, because it
//! protects nothing.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use num_bigint::BigUint;
use rcgen::KeyPair;
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use yasna::models::ObjectIdentifier;

use super::md5::md5;

const RSA_ENCRYPTION: &[u64] = &[1, 2, 840, 113549, 1, 1, 1];
const PUBLIC_EXPONENT: u32 = 65_537;
/// Rounds of the Miller-Rabin test; each accepts a composite number with probability 1/4.
const ROUNDS: usize = 24;

/// The hash of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// Not weak.
    Sha256,
    /// Broken (RFC 9155).
    Sha1,
    /// Long broken (RFC 6151).
    Md5,
}

impl Hash {
    fn of(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => digest(&SHA256, message).as_ref().to_vec(),
            Self::Sha1 => digest(&SHA1_FOR_LEGACY_USE_ONLY, message).as_ref().to_vec(),
            Self::Md5 => md5(message).to_vec(),
        }
    }

    fn id(self) -> &'static [u64] {
        match self {
            Self::Sha256 => &[2, 16, 840, 1, 101, 3, 4, 2, 1],
            Self::Sha1 => &[1, 3, 14, 3, 2, 26],
            Self::Md5 => &[1, 2, 840, 113549, 2, 5],
        }
    }

    /// Its signature algorithm with RSA (RFC 3279 §2.2.1, RFC 4055 §5).
    pub(super) fn with_rsa(self) -> &'static [u64] {
        match self {
            Self::Sha256 => &[1, 2, 840, 113549, 1, 1, 11],
            Self::Sha1 => &[1, 2, 840, 113549, 1, 1, 5],
            Self::Md5 => &[1, 2, 840, 113549, 1, 1, 4],
        }
    }
}

/// A private RSA key of any length.
#[derive(Clone)]
pub(super) struct RsaKey {
    modulus: BigUint,
    private_exponent: BigUint,
    der: Vec<u8>,
}

impl RsaKey {
    /// A new 1024-bit key, which takes some hundredths of a second.
    pub(super) fn generate_1024() -> Self {
        let exponent = BigUint::from(PUBLIC_EXPONENT);
        loop {
            let (p, q) = (prime(), prime());
            if p == q {
                continue;
            }
            let one = BigUint::from(1_u8);
            let (p1, q1) = (&p - &one, &q - &one);
            let Some(private) = exponent.modinv(&(&p1 * &q1)) else {
                continue;
            };
            let Some(coefficient) = q.modinv(&p) else {
                continue;
            };
            let modulus = &p * &q;
            let numbers = [
                &modulus,
                &exponent,
                &private,
                &p,
                &q,
                &(&private % &p1),
                &(&private % &q1),
                &coefficient,
            ];
            let der = pkcs8(&numbers);
            return Self {
                modulus,
                private_exponent: private,
                der,
            };
        }
    }

    /// The key of an rcgen pair, or `None` if it has another algorithm.
    pub(super) fn of(pair: &KeyPair) -> Option<Self> {
        let der = pair.serialize_der();
        let (modulus, private_exponent) = yasna::parse_der(&der, |reader| {
            reader.read_sequence(|fields| {
                fields.next().read_u8()?;
                fields.next().read_sequence(|algorithm| {
                    if algorithm.next().read_oid()? != ObjectIdentifier::from_slice(RSA_ENCRYPTION)
                    {
                        return Err(yasna::ASN1Error::new(yasna::ASN1ErrorKind::Invalid));
                    }
                    algorithm.next().read_null()
                })?;
                let key = fields.next().read_bytes()?;
                yasna::parse_der(&key, |reader| {
                    reader.read_sequence(|numbers| {
                        numbers.next().read_u8()?;
                        let modulus = numbers.next().read_biguint()?;
                        numbers.next().read_biguint()?;
                        let private = numbers.next().read_biguint()?;
                        for _ in 0..5 {
                            numbers.next().read_biguint()?;
                        }
                        Ok((modulus, private))
                    })
                })
            })
        })
        .ok()?;
        Some(Self {
            modulus,
            private_exponent,
            der,
        })
    }

    /// PKCS#8 (RFC 5958, RFC 8017 Appendix A.1.2).
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// SubjectPublicKeyInfo (RFC 3279 §2.3.1).
    pub(super) fn public_key_info(&self) -> Vec<u8> {
        rsa_public_key_info(&self.modulus, &BigUint::from(PUBLIC_EXPONENT))
    }

    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.1).
    pub(super) fn sign_pkcs1(&self, message: &[u8], hash: Hash) -> Vec<u8> {
        let info = yasna::construct_der(|writer| {
            writer.write_sequence(|fields| {
                write_algorithm(fields.next(), hash.id(), true);
                fields.next().write_bytes(&hash.of(message));
            });
        });
        let length = self.length();
        let mut encoded = vec![0xff; length];
        encoded[..2].copy_from_slice(&[0, 1]);
        encoded[length - info.len() - 1] = 0;
        encoded[length - info.len()..].copy_from_slice(&info);
        self.exponentiate(&encoded)
    }

    /// RSASSA-PSS with SHA-256 and a salt of its length (RFC 8017 §8.1.1, RFC 8446 §4.2.3).
    fn sign_pss(&self, message: &[u8]) -> Vec<u8> {
        const HASH: usize = 32;
        let salt: [u8; HASH] = random();
        let mut hashed = vec![0; 8];
        hashed.extend(Hash::Sha256.of(message));
        hashed.extend(salt);
        let hash = Hash::Sha256.of(&hashed);

        // All moduli here are whole bytes, so the encoded message has the same length.
        let length = self.length();
        let mut encoded = vec![0; length - HASH - 1];
        let at = encoded.len() - HASH - 1;
        encoded[at] = 1;
        encoded[at + 1..].copy_from_slice(&salt);
        let mask = (0_u32..).flat_map(|counter| {
            let mut seed = hash.clone();
            seed.extend(counter.to_be_bytes());
            Hash::Sha256.of(&seed)
        });
        for (byte, mask) in encoded.iter_mut().zip(mask) {
            *byte ^= mask;
        }
        encoded[0] &= 0x7f;
        encoded.extend(&hash);
        encoded.push(0xbc);
        self.exponentiate(&encoded)
    }

    fn exponentiate(&self, encoded: &[u8]) -> Vec<u8> {
        let signature = BigUint::from_bytes_be(encoded)
            .modpow(&self.private_exponent, &self.modulus)
            .to_bytes_be();
        let mut padded = vec![0; self.length() - signature.len()];
        padded.extend(signature);
        padded
    }

    fn length(&self) -> usize {
        usize::try_from(self.modulus.bits().div_ceil(8)).unwrap_or(usize::MAX)
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaKey")
            .field("bits", &self.modulus.bits())
            .finish_non_exhaustive()
    }
}

/// SubjectPublicKeyInfo of these numbers, valid or not.
pub(super) fn rsa_public_key_info(modulus: &BigUint, exponent: &BigUint) -> Vec<u8> {
    let key = yasna::construct_der(|writer| {
        writer.write_sequence(|numbers| {
            numbers.next().write_biguint(modulus);
            numbers.next().write_biguint(exponent);
        });
    });
    yasna::construct_der(|writer| {
        writer.write_sequence(|fields| {
            write_algorithm(fields.next(), RSA_ENCRYPTION, true);
            fields.next().write_bitvec_bytes(&key, key.len() * 8);
        });
    })
}

/// AlgorithmIdentifier (RFC 5280 §4.1.1.2), with NULL or without parameters.
pub(super) fn write_algorithm(writer: yasna::DERWriter<'_>, id: &[u64], null: bool) {
    writer.write_sequence(|fields| {
        fields.next().write_oid(&ObjectIdentifier::from_slice(id));
        if null {
            fields.next().write_null();
        }
    });
}

fn pkcs8(numbers: &[&BigUint]) -> Vec<u8> {
    let key = yasna::construct_der(|writer| {
        writer.write_sequence(|fields| {
            fields.next().write_u8(0);
            for number in numbers {
                fields.next().write_biguint(number);
            }
        });
    });
    yasna::construct_der(|writer| {
        writer.write_sequence(|fields| {
            fields.next().write_u8(0);
            write_algorithm(fields.next(), RSA_ENCRYPTION, true);
            fields.next().write_bytes(&key);
        });
    })
}

/// A 512-bit prime whose two highest bits are set, so that a product has 1024 bits.
fn prime() -> BigUint {
    loop {
        let mut bytes: [u8; 64] = random();
        bytes[0] |= 0xc0;
        bytes[63] |= 1;
        let candidate = BigUint::from_bytes_be(&bytes);
        if is_prime(&candidate) {
            return candidate;
        }
    }
}

/// Trial division, then the Miller-Rabin test (FIPS 186-5 Appendix B.3.1).
fn is_prime(candidate: &BigUint) -> bool {
    let zero = BigUint::ZERO;
    if (3_u32..2000)
        .step_by(2)
        .any(|small| candidate % small == zero)
    {
        return false;
    }
    let one = BigUint::from(1_u8);
    let less = candidate - &one;
    let shift = less.trailing_zeros().unwrap_or_default();
    let odd = &less >> shift;
    (0..ROUNDS).all(|_| {
        let base = BigUint::from_bytes_be(&random::<32>()) + 2_u8;
        let mut power = base.modpow(&odd, candidate);
        if power == one || power == less {
            return true;
        }
        (1..shift).any(|_| {
            power = &power * &power % candidate;
            power == less
        })
    })
}

fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness once it made other keys");
    bytes
}

/// The key for handshakes, for which rustls refuses fewer than 2048 bits.
#[derive(Debug)]
pub(super) struct WeakSigningKey(pub(super) Arc<RsaKey>);

impl SigningKey for WeakSigningKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        [
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PKCS1_SHA256,
        ]
        .into_iter()
        .find(|scheme| offered.contains(scheme))
        .map(|scheme| -> Box<dyn Signer> {
            Box::new(WeakSigner {
                key: Arc::clone(&self.0),
                scheme,
            })
        })
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

#[derive(Debug)]
struct WeakSigner {
    key: Arc<RsaKey>,
    scheme: SignatureScheme,
}

impl Signer for WeakSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(match self.scheme {
            SignatureScheme::RSA_PSS_SHA256 => self.key.sign_pss(message),
            _ => self.key.sign_pkcs1(message, Hash::Sha256),
        })
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PSS_2048_8192_SHA256, RsaParameters,
        UnparsedPublicKey,
    };

    use super::*;

    fn verify(key: &RsaKey, how: &'static RsaParameters, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(how, key.public_key_info())
            .verify(b"message", signature)
            .is_ok()
    }

    #[test]
    fn a_key_of_1024_bits_signs_what_others_verify() {
        let key = RsaKey::generate_1024();
        assert_eq!(key.modulus.bits(), 1024);
        let signature = key.sign_pkcs1(b"message", Hash::Sha256);
        let how = &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
        assert!(verify(&key, how, &signature));
        assert!(!verify(&RsaKey::generate_1024(), how, &signature));
        let signature = key.sign_pkcs1(b"message", Hash::Sha1);
        let how = &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY;
        assert!(verify(&key, how, &signature));
    }

    #[test]
    fn pss_is_what_others_verify() {
        let pair = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let key = RsaKey::of(&pair).unwrap();
        let signature = key.sign_pss(b"message");
        assert!(verify(&key, &RSA_PSS_2048_8192_SHA256, &signature));
        let mut other = signature;
        other[100] ^= 1;
        assert!(!verify(&key, &RSA_PSS_2048_8192_SHA256, &other));
    }

    #[test]
    fn only_an_rsa_key_is_taken_from_a_pair() {
        assert!(RsaKey::of(&KeyPair::generate().unwrap()).is_none());
    }
}
