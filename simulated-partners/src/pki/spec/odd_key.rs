//! Public keys without private ones.

use num_bigint::BigUint;
use yasna::DERWriter;
use yasna::models::ObjectIdentifier;

use super::data::PublicKey;
use crate::pki::weak::rsa_public_key_info;

const ID_EC_PUBLIC_KEY: &[u64] = &[1, 2, 840, 10045, 2, 1];
const PRIME_FIELD: &[u64] = &[1, 2, 840, 10045, 1, 1];
const SECP256R1: &[u64] = &[1, 2, 840, 10045, 3, 1, 7];
/// Below a UUID, where no one else can register (X.667).
const UNKNOWN_CURVE: &[u64] = &[2, 25, 4_886_718_345];
const HUGE_MODULUS: usize = 16 * 1024;

/// P-256 (SEC 2 §2.4.2): field, coefficients, base point, order.
const P256: Curve = Curve {
    prime: b"ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
    a: b"ffffffff00000001000000000000000000000000fffffffffffffffffffffffc",
    b: b"5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
    base: b"046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
            4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    order: b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
};

/// Over 17 · 41, with a compressed base point: expanding it needs a square root, which may not
/// exist.
const COMPOSITE: Curve = Curve {
    prime: b"02b9",
    a: b"02b8",
    b: b"0017",
    base: b"020008",
    order: b"02ba",
};

/// A curve's domain parameters in hexadecimal digits.
struct Curve {
    prime: &'static [u8],
    a: &'static [u8],
    b: &'static [u8],
    base: &'static [u8],
    order: &'static [u8],
}

impl Curve {
    /// ECParameters (SEC 1 Appendix C.2).
    fn write(&self, writer: DERWriter<'_>) {
        writer.write_sequence(|fields| {
            fields.next().write_u8(1);
            fields.next().write_sequence(|field| {
                field
                    .next()
                    .write_oid(&ObjectIdentifier::from_slice(PRIME_FIELD));
                field.next().write_biguint(&number(self.prime));
            });
            fields.next().write_sequence(|curve| {
                curve.next().write_bytes(&bytes(self.a));
                curve.next().write_bytes(&bytes(self.b));
            });
            fields.next().write_bytes(&bytes(self.base));
            fields.next().write_biguint(&number(self.order));
            fields.next().write_u8(1);
        });
    }
}

/// SubjectPublicKeyInfo.
pub(super) fn public_key_info(key: PublicKey) -> Vec<u8> {
    let named = |writer: DERWriter<'_>, id: &[u64]| {
        writer.write_oid(&ObjectIdentifier::from_slice(id));
    };
    match key {
        PublicKey::CompositeField => {
            elliptic(|writer| COMPOSITE.write(writer), &bytes(COMPOSITE.base))
        }
        PublicKey::ExplicitCurve => elliptic(|writer| P256.write(writer), &bytes(P256.base)),
        PublicKey::HugeRsa => rsa_public_key_info(
            &BigUint::from_bytes_be(&[0xc5; HUGE_MODULUS]),
            &BigUint::from(65_537_u32),
        ),
        PublicKey::OffCurve => elliptic(|writer| named(writer, SECP256R1), &nowhere()),
        PublicKey::UnknownCurve => elliptic(|writer| named(writer, UNKNOWN_CURVE), &nowhere()),
        PublicKey::ZeroRsa => rsa_public_key_info(&BigUint::ZERO, &BigUint::ZERO),
    }
}

/// A public key of elliptic curves (RFC 5480 §2).
fn elliptic(parameters: impl FnOnce(DERWriter<'_>), point: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|fields| {
            fields.next().write_sequence(|algorithm| {
                algorithm
                    .next()
                    .write_oid(&ObjectIdentifier::from_slice(ID_EC_PUBLIC_KEY));
                parameters(algorithm.next());
            });
            fields.next().write_bitvec_bytes(point, point.len() * 8);
        });
    })
}

/// An uncompressed 256-bit point on an unknown curve.
fn nowhere() -> Vec<u8> {
    let mut point = vec![1; 65];
    point[0] = 4;
    point
}

fn number(digits: &[u8]) -> BigUint {
    BigUint::from_bytes_be(&bytes(digits))
}

fn bytes(digits: &[u8]) -> Vec<u8> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit - b'a' + 10,
    };
    digits
        .chunks_exact(2)
        .map(|pair| value(pair[0]) << 4 | value(pair[1]))
        .collect()
}
