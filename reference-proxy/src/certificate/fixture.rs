//! Authorities and certificates for tests.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, PKCS_RSA_SHA256,
    RevokedCertParams, RsaKeySize, SanType, SerialNumber, SigningKey as _, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::{Authorities, Credentials};

/// A certificate authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(crate) struct Leaf {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        Self {
            issuer: CertifiedIssuer::self_signed(Self::params(name), key).expect("an authority"),
        }
    }

    /// Parameters of an authority.
    pub(crate) fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    /// An authority below this one.
    pub(crate) fn below(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::signed_by(params, key, &self.issuer);
        Self {
            issuer: issuer.expect("an authority"),
        }
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// A list of revoked certificates, that ends at this time.
    pub(crate) fn list(&self, revoked: &[&Leaf], until: OffsetDateTime) -> String {
        let revoked: Vec<_> = revoked.iter().map(|leaf| serial(&leaf.der())).collect();
        self.list_of(&revoked, until)
    }

    /// The same with serial numbers.
    pub(crate) fn list_of(&self, revoked: &[Vec<u8>], until: OffsetDateTime) -> String {
        let began = date_time_ymd(2020, 1, 1);
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: began,
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: began,
            next_update: until,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("a list");
        list.pem().expect("PEM")
    }

    /// Signs with the authority's key.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.issuer.key().sign(message).expect("a signature")
    }

    pub(crate) fn authorities(&self) -> Authorities {
        Authorities::from_pem(&self.pem()).expect("an authority")
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A leaf with DNS-IDs, good for servers and clients.
    pub(crate) fn issue(&self, names: &[&str]) -> Leaf {
        self.issue_with(&leaf(names))
    }

    /// The same with an RSA key.
    pub(crate) fn issue_rsa(&self, names: &[&str]) -> Leaf {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
        self.certify(&leaf(names), key.expect("a key"))
    }

    pub(crate) fn issue_with(&self, params: &CertificateParams) -> Leaf {
        self.certify(params, KeyPair::generate().expect("a key"))
    }

    fn certify(&self, params: &CertificateParams, key: KeyPair) -> Leaf {
        let certificate = params.signed_by(&key, &self.issuer).expect("a leaf");
        Leaf { certificate, key }
    }
}

/// Parameters of a leaf with DNS-IDs, good for servers and clients.
pub(crate) fn leaf(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.subject_alt_names = names
        .iter()
        .map(|name| SanType::DnsName((*name).try_into().expect("ASCII")))
        .collect();
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

impl Leaf {
    pub(crate) fn self_signed(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a leaf");
        Self { certificate, key }
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message).expect("a signature")
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.serialize_der().into())
    }

    pub(crate) fn pem(&self) -> (String, String) {
        (self.certificate.pem(), self.key.serialize_pem())
    }

    pub(crate) fn credentials(&self) -> Credentials {
        let (chain, key) = self.pem();
        Credentials::from_pem(&chain, &key).expect("credentials")
    }
}

/// A certificate's serial number.
pub(crate) fn serial(der: &CertificateDer<'_>) -> Vec<u8> {
    let (_, read) = X509Certificate::from_der(der).expect("a certificate");
    read.raw_serial().to_vec()
}

/// A subject alternative name as DER.
pub(crate) fn dns_name(name: &str) -> Vec<u8> {
    tlv(0x82, name.as_bytes())
}

/// An otherName id-on-dnsSRV with the given string type.
pub(crate) fn srv_name(string_tag: u8, text: &str) -> Vec<u8> {
    other_name(7, string_tag, text)
}

/// An otherName id-on-xmppAddr with the given string type.
pub(crate) fn xmpp_addr(string_tag: u8, text: &str) -> Vec<u8> {
    other_name(5, string_tag, text)
}

/// Universal tag of an IA5String.
pub(crate) const IA5: u8 = 0x16;
/// Universal tag of a UTF8String.
pub(crate) const UTF8: u8 = 0x0c;

fn other_name(kind: u8, string_tag: u8, text: &str) -> Vec<u8> {
    // 1.3.6.1.5.5.7.8.kind
    let mut content = tlv(0x06, &[0x2b, 6, 1, 5, 5, 7, 8, kind]);
    content.extend(tlv(0xa0, &tlv(string_tag, text.as_bytes())));
    tlv(0xa0, &content)
}

pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut der = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => der.push(short),
        _ => {
            der.push(0x82);
            der.extend(
                u16::try_from(length)
                    .expect("a small element")
                    .to_be_bytes(),
            );
        }
    }
    der.extend_from_slice(content);
    der
}

/// Parameters of a leaf with exactly these subject alternative names, given as DER.
pub(crate) fn leaf_with_names(names: &[Vec<u8>]) -> CertificateParams {
    let mut params = leaf(&[]);
    let content = tlv(0x30, &names.concat());
    params
        .custom_extensions
        .push(CustomExtension::from_oid_content(&[2, 5, 29, 17], content));
    params
}
