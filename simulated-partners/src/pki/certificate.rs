//! Encodes certificates with any field, extension or signature (RFC 5280 §4.1).

use aws_lc_rs::digest::{Context, SHA256, digest};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use yasna::models::ObjectIdentifier;
use yasna::tags::{TAG_GENERALIZEDTIME, TAG_UTCTIME};
use yasna::{DERWriter, Tag};

use super::key::{CannotSign, Pair};
use super::weak::Hash;

/// An extension of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extension {
    id: Vec<u64>,
    critical: bool,
    content: Vec<u8>,
}

impl Extension {
    pub(super) fn new(id: &[u64], content: Vec<u8>) -> Self {
        Self {
            id: id.to_vec(),
            critical: false,
            content,
        }
    }

    pub(super) fn critical(self) -> Self {
        Self {
            critical: true,
            ..self
        }
    }

    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    /// Basic constraints of an authority (RFC 5280 §4.2.1.9).
    pub(super) fn authority(path_length: Option<u8>) -> Self {
        let content = yasna::construct_der(|writer| {
            writer.write_sequence(|fields| {
                fields.next().write_bool(true);
                if let Some(length) = path_length {
                    fields.next().write_u8(length);
                }
            });
        });
        Self::new(&[2, 5, 29, 19], content).critical()
    }

    /// Key usage with the bits of these numbers (RFC 5280 §4.2.1.3).
    pub(super) fn key_usage(bits: &[u8]) -> Self {
        let mut flags = [0_u8; 2];
        for bit in bits {
            flags[usize::from(bit / 8)] |= 0x80 >> (bit % 8);
        }
        // In a named bit list, trailing zeros are omitted (X.690 §11.2.2).
        let length = bits.iter().max().map_or(0, |bit| usize::from(*bit) + 1);
        let content = yasna::construct_der(|writer| {
            writer.write_bitvec_bytes(&flags[..length.div_ceil(8)], length);
        });
        Self::new(&[2, 5, 29, 15], content).critical()
    }

    /// Extended key usage (RFC 5280 §4.2.1.12).
    pub(super) fn extended_key_usage(purposes: &[&[u64]]) -> Self {
        let content = yasna::construct_der(|writer| {
            writer.write_sequence(|ids| {
                for id in purposes {
                    ids.next().write_oid(&ObjectIdentifier::from_slice(id));
                }
            });
        });
        Self::new(&[2, 5, 29, 37], content)
    }

    pub(super) fn subject_key_id(id: &[u8]) -> Self {
        let content = yasna::construct_der(|writer| writer.write_bytes(id));
        Self::new(&[2, 5, 29, 14], content)
    }

    pub(super) fn authority_key_id(id: &[u8]) -> Self {
        let content = yasna::construct_der(|writer| {
            writer.write_sequence(|fields| {
                fields
                    .next()
                    .write_tagged_implicit(Tag::context(0), |writer| writer.write_bytes(id));
            });
        });
        Self::new(&[2, 5, 29, 35], content)
    }

    fn write(&self, writer: DERWriter<'_>) {
        writer.write_sequence(|fields| {
            fields
                .next()
                .write_oid(&ObjectIdentifier::from_slice(&self.id));
            if self.critical {
                fields.next().write_bool(true);
            }
            fields.next().write_bytes(&self.content);
        });
    }
}

/// The validity period of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: OffsetDateTime,
    pub(super) not_after: OffsetDateTime,
}

/// An unsigned certificate.
pub(super) struct Draft<'a> {
    pub(super) serial: [u8; 16],
    /// Both names are already encoded.
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) validity: Validity,
    pub(super) public_key_info: &'a [u8],
    pub(super) extensions: &'a [Extension],
}

impl Draft<'_> {
    pub(super) fn sign(
        &self,
        pair: &Pair,
        hash: Hash,
    ) -> Result<CertificateDer<'static>, CannotSign> {
        let algorithm = pair.algorithm(hash)?;
        let signed = self.to_be_signed(&algorithm);
        let signature = pair.sign(&signed, hash)?;
        let certificate = yasna::construct_der(|writer| {
            writer.write_sequence(|fields| {
                fields.next().write_der(&signed);
                fields.next().write_der(&algorithm);
                fields
                    .next()
                    .write_bitvec_bytes(&signature, signature.len() * 8);
            });
        });
        Ok(certificate.into())
    }

    fn to_be_signed(&self, algorithm: &[u8]) -> Vec<u8> {
        const VERSION_3: u8 = 2;
        yasna::construct_der(|writer| {
            writer.write_sequence(|fields| {
                fields.next().write_tagged(Tag::context(0), |writer| {
                    writer.write_u8(VERSION_3);
                });
                fields.next().write_bigint_bytes(&self.serial, true);
                fields.next().write_der(algorithm);
                fields.next().write_der(self.issuer);
                fields.next().write_sequence(|dates| {
                    write_date(dates.next(), self.validity.not_before);
                    write_date(dates.next(), self.validity.not_after);
                });
                fields.next().write_der(self.subject);
                fields.next().write_der(self.public_key_info);
                if !self.extensions.is_empty() {
                    fields.next().write_tagged(Tag::context(3), |writer| {
                        writer.write_sequence(|extensions| {
                            for extension in self.extensions {
                                extension.write(extensions.next());
                            }
                        });
                    });
                }
            });
        })
    }
}

/// UTCTime through 2049, GeneralizedTime afterwards (RFC 5280 §4.1.2.5).
fn write_date(writer: DERWriter<'_>, date: OffsetDateTime) {
    let date = date.to_offset(time::UtcOffset::UTC);
    let rest = format!(
        "{:02}{:02}{:02}{:02}{:02}Z",
        u8::from(date.month()),
        date.day(),
        date.hour(),
        date.minute(),
        date.second()
    );
    let (tag, text) = match date.year() {
        year @ 1950..2050 => (TAG_UTCTIME, format!("{:02}{rest}", year % 100)),
        year => (TAG_GENERALIZEDTIME, format!("{year:04}{rest}")),
    };
    writer.write_tagged_implicit(tag, |writer| writer.write_bytes(text.as_bytes()));
}

/// A positive serial number of 16 bytes (RFC 5280 §4.1.2.2).
pub(super) fn serial(seed: u64, request: &[&[u8]]) -> [u8; 16] {
    let mut hashed = Context::new(&SHA256);
    hashed.update(&seed.to_be_bytes());
    for part in request {
        hashed.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hashed.finish().as_ref()[..16]);
    bytes[0] = bytes[0] & 0x3f | 0x40;
    bytes
}

/// A key identifier (RFC 7093 §2).
pub(super) fn key_id(public_key_info: &[u8]) -> Vec<u8> {
    digest(&SHA256, public_key_info).as_ref()[..20].to_vec()
}
