//! Builds hellos by hand, as described by [`Hello`], and the rest of a TLS 1.2 server's flight.
//!
//! They protect nothing: randoms and shares are constants.

mod encode;
mod flight;

use rustls::sign::CertifiedKey;

use self::encode::{
    legacy_version, message, numbers, protocols, push_extension, records, vector8, vector16,
    vectored,
};
use self::flight::server_flight;
use super::reading::Heard;
use crate::reaction::{Hello, HelloVersion, Renegotiate, suite};

const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const RANDOM: [u8; 32] = [0x53; 32];
/// The end of the random of a server that supports TLS 1.3 but negotiated 1.2 (RFC 8446 §4.1.3).
const DOWNGRADED: [u8; 8] = *b"DOWNGRD\x01";
/// TLS_FALLBACK_SCSV (RFC 7507 §2).
const FALLBACK: u16 = 0x5600;
/// TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746 §3.3).
const RENEGOTIATION: u16 = 0x00ff;
/// GREASE values (RFC 8701 §2).
const GREASE: [u16; 4] = [0x0a0a, 0x3a3a, 0x7a7a, 0xdada];

mod extension {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const GROUPS: u16 = 10;
    pub(super) const POINT_FORMATS: u16 = 11;
    pub(super) const SIGNATURES: u16 = 13;
    pub(super) const ALPN: u16 = 16;
    pub(super) const PADDING: u16 = 21;
    pub(super) const PRE_SHARED_KEY: u16 = 41;
    pub(super) const EARLY_DATA: u16 = 42;
    pub(super) const VERSIONS: u16 = 43;
    pub(super) const KEY_EXCHANGE_MODES: u16 = 45;
    pub(super) const KEY_SHARE: u16 = 51;
    pub(super) const RENEGOTIATION: u16 = 0xff01;
}

/// The first flight of a client.
pub(crate) fn client_hello(hello: &Hello, name: &str) -> Vec<u8> {
    client_hello_with(hello, name, None)
}

/// The plaintext hello by which a client requests renegotiation in TLS 1.2.
pub(crate) fn second_hello(how: Renegotiate, name: &str) -> Vec<u8> {
    let hello = Hello {
        version: HelloVersion::V12,
        // The signalling value belongs only to first hellos (RFC 5746 §3.5).
        without_renegotiation: true,
        ..Hello::default()
    };
    let proof = match how {
        Renegotiate::WithoutInfo => None,
        Renegotiate::WrongInfo => Some([0x53; 12].as_slice()),
    };
    client_hello_with(&hello, name, proof)
}

/// A server's plaintext request for renegotiation in TLS 1.2 (RFC 5246 §7.4.1.1).
pub(crate) fn hello_request() -> Vec<u8> {
    let hello = Hello {
        version: HelloVersion::V12,
        ..Hello::default()
    };
    records(&hello, &message(0, &[]))
}

/// A plaintext TLS 1.2 data record.
pub(crate) fn data(content: &[u8]) -> Vec<u8> {
    let mut record = vec![APPLICATION_DATA, 3, 3];
    vector16(&mut record, content);
    record
}

/// With the result of the client's previous handshake (RFC 5746 §3.5), if it is to be sent.
fn client_hello_with(hello: &Hello, name: &str, proof: Option<&[u8]>) -> Vec<u8> {
    if hello.version == HelloVersion::Ssl2 {
        return ssl2_hello();
    }
    let mut body = legacy_version(hello.version).to_vec();
    body.extend(RANDOM);
    let session = [0x53; 32];
    vector8(
        &mut body,
        if hello.version == HelloVersion::V13 {
            &session
        } else {
            &[]
        },
    );
    vector16(&mut body, &offered_suites(hello));
    vector8(&mut body, if hello.deflate { &[1, 0] } else { &[0] });
    if hello.version != HelloVersion::Ssl3 {
        let mut extensions = client_extensions(hello, name);
        if let Some(proof) = proof {
            let mut content = Vec::new();
            vector8(&mut content, proof);
            push_extension(&mut extensions, extension::RENEGOTIATION, &content);
        }
        vector16(&mut body, &extensions);
    }
    records(hello, &message(1, &body))
}

/// A server's answer to a client's hello. `shown` is for the rest of its flight.
pub(crate) fn server_hello(hello: &Hello, heard: &Heard, shown: Option<&CertifiedKey>) -> Vec<u8> {
    let is_new = hello.version == HelloVersion::V13;
    let mut body = legacy_version(hello.version).to_vec();
    let mut random = RANDOM;
    if hello.downgrade {
        random[24..].copy_from_slice(&DOWNGRADED);
    }
    body.extend(random);
    vector8(&mut body, if is_new { &heard.session } else { &[] });
    let usual = if is_new { 0x1301 } else { 0xc02b };
    let named = hello.suites.first().and_then(|name| suite(name));
    let chosen = named.unwrap_or(usual);
    body.extend(chosen.to_be_bytes());
    body.push(u8::from(hello.deflate));
    let mut extensions = Vec::new();
    if is_new {
        push_extension(&mut extensions, extension::VERSIONS, &[3, 4]);
        let mut share = 29_u16.to_be_bytes().to_vec();
        vector16(&mut share, &[9; 32]);
        push_extension(&mut extensions, extension::KEY_SHARE, &share);
    } else if !hello.without_renegotiation && heard.is("renegotiation") {
        push_extension(&mut extensions, extension::RENEGOTIATION, &[0]);
    }
    if !hello.alpn.is_empty() {
        push_extension(
            &mut extensions,
            extension::ALPN,
            &protocols(&hello.alpn[..1]),
        );
    }
    if !extensions.is_empty() {
        vector16(&mut body, &extensions);
    }
    let mut flight = message(2, &body);
    if let (Some(rest), Some(shown)) = (hello.flight, shown) {
        flight.extend(server_flight(rest, heard, &random, shown));
    }
    records(hello, &flight)
}

fn client_extensions(hello: &Hello, name: &str) -> Vec<u8> {
    let is_new = hello.version == HelloVersion::V13;
    let mut out = Vec::new();
    if hello.grease {
        push_extension(&mut out, GREASE[0], &[]);
    }
    if !name.is_empty() && name.len() <= 255 {
        let mut entry = vec![0]; // host_name (RFC 6066 §3)
        vector16(&mut entry, name.as_bytes());
        push_extension(&mut out, extension::SERVER_NAME, &vectored(&entry));
    }
    let mut groups = Vec::new();
    groups.extend(hello.grease.then_some(GREASE[1]));
    groups.extend([29, 23, 24]); // X25519, P-256, P-384
    push_extension(&mut out, extension::GROUPS, &vectored(&numbers(&groups)));
    push_extension(&mut out, extension::POINT_FORMATS, &[1, 0]);
    let mut signatures = Vec::new();
    signatures.extend(hello.grease.then_some(GREASE[2]));
    signatures.extend([0x0403, 0x0503, 0x0804, 0x0805, 0x0401, 0x0501, 0x0807]);
    if hello.version < HelloVersion::V12 {
        signatures.extend([0x0203, 0x0201]);
    }
    push_extension(
        &mut out,
        extension::SIGNATURES,
        &vectored(&numbers(&signatures)),
    );
    if !hello.alpn.is_empty() {
        push_extension(&mut out, extension::ALPN, &protocols(&hello.alpn));
    }
    if is_new {
        let mut versions = Vec::new();
        versions.extend(hello.grease.then_some(GREASE[3]));
        versions.extend([0x0304, 0x0303]);
        let mut list = Vec::new();
        vector8(&mut list, &numbers(&versions));
        push_extension(&mut out, extension::VERSIONS, &list);
        push_extension(&mut out, extension::KEY_EXCHANGE_MODES, &[1, 1]);
        let mut shares = Vec::new();
        if hello.grease {
            shares.extend(GREASE[1].to_be_bytes());
            vector16(&mut shares, &[0]);
        }
        shares.extend(29_u16.to_be_bytes());
        vector16(&mut shares, &[9; 32]);
        push_extension(&mut out, extension::KEY_SHARE, &vectored(&shares));
    }
    if hello.padding > 0 {
        push_extension(&mut out, extension::PADDING, &vec![0; hello.padding.into()]);
    }
    if hello.grease {
        push_extension(&mut out, GREASE[1], &[0]);
    }
    if is_new && hello.early_data {
        push_extension(&mut out, extension::EARLY_DATA, &[]);
        // It must be the last extension (RFC 8446 §4.2.11).
        let mut identity = Vec::new();
        vector16(&mut identity, &[0x53; 64]);
        identity.extend([0; 4]);
        let mut keys = Vec::new();
        vector16(&mut keys, &identity);
        let mut binder = Vec::new();
        vector8(&mut binder, &[0x53; 32]);
        vector16(&mut keys, &binder);
        push_extension(&mut out, extension::PRE_SHARED_KEY, &keys);
    }
    out
}

fn offered_suites(hello: &Hello) -> Vec<u8> {
    let mut suites: Vec<u16> = Vec::new();
    suites.extend(hello.grease.then_some(GREASE[0]));
    let named = hello.suites.iter().filter_map(|name| suite(name));
    suites.extend(named);
    if hello.suites.is_empty() {
        if hello.version == HelloVersion::V13 {
            suites.extend([0x1301, 0x1302, 0x1303]);
        }
        suites.extend(if hello.version >= HelloVersion::V12 {
            [0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8]
        } else {
            [0xc009, 0xc013, 0xc00a, 0xc014, 0x002f, 0x000a]
        });
    }
    suites.extend((!hello.without_renegotiation).then_some(RENEGOTIATION));
    suites.extend(hello.fallback.then_some(FALLBACK));
    numbers(&suites)
}

/// An SSL 2.0 hello: RC4, RC2 and DES with their historic key lengths.
fn ssl2_hello() -> Vec<u8> {
    let suites = [
        0x01_00_80_u32,
        0x02_00_80,
        0x03_00_80,
        0x06_00_40,
        0x07_00_c0,
    ];
    let mut body = vec![1, 0, 2, 0, 15, 0, 0, 0, 16];
    for suite in suites {
        body.extend(&suite.to_be_bytes()[1..]);
    }
    body.extend([0x53; 16]);
    let length = u16::try_from(body.len()).unwrap_or_default() | 0x8000;
    let mut record = length.to_be_bytes().to_vec();
    record.extend(body);
    record
}

#[cfg(test)]
mod tests {
    use rustls::ServerConnection;

    use super::*;
    use crate::persona::{Certificate, Key, TlsVersion};
    use crate::pki::Authority;
    use crate::reaction::Flight;
    use crate::tls::{Found, read, server_config};

    fn heard(bytes: &[u8]) -> Heard {
        match read(bytes).into_iter().next() {
            Some(Found::Message(heard)) => heard,
            other => panic!("{other:?}"),
        }
    }

    /// The answer of our server.
    fn answer(hello: &Hello) -> Vec<Found> {
        let identity = Authority::new(3).issue(&["a.example"], Certificate::Good, Key::P256);
        let versions = [TlsVersion::V12, TlsVersion::V13];
        let config = server_config(identity.as_ref(), &versions).unwrap();
        let mut server = ServerConnection::new(config).unwrap();
        let bytes = client_hello(hello, "a.example");
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            if server.process_new_packets().is_err() {
                break;
            }
        }
        let mut out = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut out).unwrap();
        }
        read(&out)
    }

    #[test]
    fn a_hello_says_what_was_wanted() {
        let hello = Hello {
            version: HelloVersion::V12,
            suites: vec!["TLS_RSA_WITH_RC4_128_SHA".to_owned()],
            deflate: true,
            fallback: true,
            alpn: vec!["h2".to_owned(), "xmpp-server".to_owned()],
            ..Hello::default()
        };
        let asked = heard(&client_hello(&hello, "a.example"));
        let fact = |name| asked.facts.get(name).map(String::as_str);
        assert_eq!(fact("message"), Some("client-hello"));
        assert_eq!(fact("version"), Some("1.2"));
        assert_eq!(
            fact("suites"),
            Some("TLS_RSA_WITH_RC4_128_SHA,0x00ff,0x5600")
        );
        assert_eq!(fact("sni"), Some("a.example"));
        assert_eq!(fact("alpn"), Some("h2,xmpp-server"));
        assert!(asked.is("deflate") && asked.is("fallback") && asked.is("renegotiation"));
        let plain = Hello {
            without_renegotiation: true,
            ..Hello::default()
        };
        let plain = heard(&client_hello(&plain, ""));
        assert!(!plain.is("deflate") && !plain.is("fallback") && !plain.is("renegotiation"));
        assert_eq!(plain.facts.get("sni"), None);
    }

    #[test]
    fn hellos_of_all_sizes_are_answered() {
        for (version, name) in [(HelloVersion::V13, "1.3"), (HelloVersion::V12, "1.2")] {
            for (grease, padding, record) in [(false, 0, 0), (true, 1600, 100), (true, 20_000, 0)] {
                let hello = Hello {
                    version,
                    grease,
                    padding,
                    record,
                    ..Hello::default()
                };
                match answer(&hello).first() {
                    Some(Found::Message(heard)) => {
                        assert!(heard.is_message("server-hello"), "{heard:?}");
                        assert_eq!(heard.facts.get("version").map(String::as_str), Some(name));
                    }
                    other => panic!("{hello:?}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn old_hellos_are_refused_by_an_alert() {
        for version in [HelloVersion::Ssl3, HelloVersion::V10, HelloVersion::V11] {
            let hello = Hello {
                version,
                ..Hello::default()
            };
            let answer = answer(&hello);
            assert!(
                matches!(answer.first(), Some(Found::Alert(_))),
                "{answer:?}"
            );
        }
    }

    #[test]
    fn an_answer_chooses_what_was_wanted() {
        let identity = Authority::new(3)
            .issue(&["a.example"], Certificate::Good, Key::Rsa2048)
            .unwrap();
        let asked = heard(&client_hello(&Hello::default(), "a.example"));
        let hello = Hello {
            suites: vec!["TLS_DHE_RSA_WITH_AES_128_GCM_SHA256".to_owned()],
            downgrade: true,
            flight: Some(Flight::Dh1024),
            ..Hello::default()
        };
        let found = read(&server_hello(&hello, &asked, Some(identity.certified())));
        let names: Vec<&str> = found
            .iter()
            .map(|found| match found {
                Found::Message(heard) => heard.facts["message"].as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        let whole = [
            "server-hello",
            "certificate",
            "server-key-exchange",
            "server-hello-done",
        ];
        assert_eq!(names, whole);
        let Some(Found::Message(first)) = found.first() else {
            panic!("{found:?}");
        };
        assert!(first.is("downgrade") && first.is("renegotiation") && !first.is("deflate"));
        assert_eq!(first.facts["suite"], "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256");
    }

    #[test]
    fn truncated_and_foreign_bytes_are_distinguished() {
        let whole = client_hello(&Hello::default(), "a.example");
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), Vec::new());
        }
        assert_eq!(read(b"<stream:error/>"), vec![Found::NotTls]);
        let mut broken = whole;
        broken.truncate(60);
        broken[4] = 55;
        broken[8] = 51;
        let broken = heard(&broken);
        assert!(broken.is("malformed"), "{broken:?}");
    }
}
