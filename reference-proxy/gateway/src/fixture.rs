//! Certificates for tests.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};

/// The settings of `[link]` with a certificate of an authority of its own.
pub(crate) fn link(name: &str) -> String {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::DnsName(name.try_into().expect("ASCII"))];
    let key = KeyPair::generate().expect("a key");
    let leaf = params.signed_by(&key, &issuer).expect("a leaf");
    format!(
        "name = '{name}'\ncertificate = '''{}'''\nkey = '''{}'''\nca = '''{}'''\n",
        leaf.pem(),
        key.serialize_pem(),
        issuer.pem()
    )
}
