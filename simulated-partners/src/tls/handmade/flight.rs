//! The rest of a TLS 1.2 server's flight (RFC 5246 §7.3).

use rustls::SignatureScheme;
use rustls::sign::CertifiedKey;

use super::encode::{message, vector16, vector24};
use crate::reaction::Flight;
use crate::tls::reading::Heard;

/// A 512-bit safe prime.
const PRIME_512: &str = "F35AD1F268A25A179D52D6DE3703475F462C6EBF8B41DA7D96897015CEDC281F\
    F1A41AD8CD9943A44D1C83590F042D8C85DA89CB235B962CD72A4093A006560B";

/// The second Oakley group (RFC 2409 §6.2).
const PRIME_1024: &str = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
    020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
    4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF";

/// Group 14 of RFC 3526 §3.
const PRIME_2048: &str = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
    020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
    4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
    98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
    9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
    E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718\
    3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF";

/// Certificate, key exchange if there is one, and the end (RFC 5246 §7.3).
pub(super) fn server_flight(
    flight: Flight,
    heard: &Heard,
    random: &[u8],
    shown: &CertifiedKey,
) -> Vec<u8> {
    let mut chain = Vec::new();
    for certificate in &shown.cert {
        vector24(&mut chain, certificate);
    }
    let mut body = Vec::new();
    vector24(&mut body, &chain);
    let mut out = message(11, &body);
    let prime = match flight {
        Flight::Plain => None,
        Flight::Dh512 => Some(PRIME_512),
        Flight::Dh1024 => Some(PRIME_1024),
        Flight::Dh2048 => Some(PRIME_2048),
    };
    if let Some(prime) = prime.and_then(crate::reaction::hex) {
        out.extend(key_exchange(&prime, heard, random, shown).unwrap_or_default());
    }
    out.extend(message(14, &[]));
    out
}

/// A group and a signed share in it (RFC 5246 §7.4.3). `None` if the key cannot sign in a way
/// that the client accepts.
fn key_exchange(
    prime: &[u8],
    heard: &Heard,
    random: &[u8],
    shown: &CertifiedKey,
) -> Option<Vec<u8>> {
    let mut parameters = Vec::new();
    vector16(&mut parameters, prime);
    vector16(&mut parameters, &[2]);
    // A share that is neither small nor in a small subgroup: a power of the generator.
    let mut share = vec![0; prime.len() - 1];
    share[0] = 0x40;
    vector16(&mut parameters, &share);
    let offered: Vec<SignatureScheme> = heard
        .signatures
        .iter()
        .copied()
        .map(SignatureScheme::from)
        .collect();
    let signer = shown.key.choose_scheme(&offered)?;
    let signed = [heard.random.as_slice(), random, &parameters].concat();
    let signature = signer.sign(&signed).ok()?;
    parameters.extend(u16::from(signer.scheme()).to_be_bytes());
    vector16(&mut parameters, &signature);
    Some(message(12, &parameters))
}
