//! TLS 1.0 records made by hand, and bytes that are not TLS.
//!
//! Enough to see a refusal, which comes before any key exchange. The handshake cannot continue from there.

use super::alert::alert_name;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const TLS10: [u8; 2] = [3, 1];
const FATAL: u8 = 2;

/// The suites offered in [`client_hello_tls10`]: AES and 3DES in CBC mode, all of TLS 1.0, and the
/// signalling value of RFC 5746 §3.3.
const SUITES: &[u16] = &[
    0xc014, 0xc013, 0xc00a, 0xc009, 0x0035, 0x002f, 0x000a, 0x00ff,
];

/// The first flight of a client that supports at most TLS 1.0 (RFC 2246 §7.4.1.2).
///
/// Its random is a constant, because there is no secret. A name too long for the
/// extension is left out.
pub fn client_hello_tls10(sni: Option<&str>) -> Vec<u8> {
    let mut body = Vec::with_capacity(160);
    body.extend(TLS10);
    body.extend([0x53; 32]);
    body.push(0); // No session to resume.
    push_vector(
        &mut body,
        &SUITES
            .iter()
            .flat_map(|suite| suite.to_be_bytes())
            .collect::<Vec<_>>(),
    );
    body.extend([1, 0]); // No compression.

    let mut extensions = Vec::new();
    if let Some(name) = sni.filter(|name| !name.is_empty() && name.len() <= 255) {
        let mut entry = vec![0]; // host_name (RFC 6066 §3)
        push_vector(&mut entry, name.as_bytes());
        let mut list = Vec::new();
        push_vector(&mut list, &entry);
        push_extension(&mut extensions, 0, &list);
    }
    push_extension(&mut extensions, 10, &[0, 4, 0, 23, 0, 24]); // P-256, P-384.
    push_extension(&mut extensions, 11, &[1, 0]); // Uncompressed points.
    push_vector(&mut body, &extensions);
    handshake_record(CLIENT_HELLO, &body)
}

/// The answer of a server that supports at most TLS 1.0: AES in CBC mode with RSA key
/// exchange (RFC 2246 §7.4.1.3).
pub fn server_hello_tls10(random: [u8; 32]) -> Vec<u8> {
    let mut body = Vec::with_capacity(38);
    body.extend(TLS10);
    body.extend(random);
    body.push(0); // No session id.
    body.extend(0x002f_u16.to_be_bytes());
    body.push(0); // No compression.
    handshake_record(SERVER_HELLO, &body)
}

/// Bytes instead of a handshake that are not a TLS record.
pub fn garbage() -> &'static [u8] {
    b"this is no TLS\r\n"
}

/// The other side's answer to our bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A fatal alert, by its name.
    Alert(String),
    /// A ServerHello: the offer was accepted.
    ServerHello,
    /// A ClientHello: the other side begins.
    ClientHello,
    /// No decisive whole record yet.
    Incomplete,
    /// Not TLS.
    NotTls,
}

/// Reads the received plaintext records up to the first decisive one.
///
/// Warnings such as `unrecognized_name` are not decisive.
pub fn read_answer(mut raw: &[u8]) -> Answer {
    loop {
        let Some(content_type) = raw.first() else {
            return Answer::Incomplete;
        };
        if !(CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(content_type)
            || raw.get(1).is_some_and(|major| *major != 3)
        {
            return Answer::NotTls;
        }
        let Some((header, rest)) = raw.split_first_chunk::<5>() else {
            return Answer::Incomplete;
        };
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        let Some(content) = rest.get(..length) else {
            return Answer::Incomplete;
        };
        match (*content_type, content) {
            (ALERT, [FATAL, alert]) => return Answer::Alert(alert_name(*alert)),
            (HANDSHAKE, [SERVER_HELLO, ..]) => return Answer::ServerHello,
            (HANDSHAKE, [CLIENT_HELLO, ..]) => return Answer::ClientHello,
            _ => raw = &rest[length..],
        }
    }
}

/// The name of the first fatal alert, ignoring a hello before it.
pub fn read_alert(mut raw: &[u8]) -> Option<String> {
    while let Some((header, rest)) = raw.split_first_chunk::<5>() {
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        let content = rest.get(..length)?;
        if let (ALERT, [FATAL, alert]) = (header[0], content) {
            return Some(alert_name(*alert));
        }
        raw = &rest[length..];
    }
    None
}

fn handshake_record(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 4).expect("hellos made here are short");
    let mut record = vec![HANDSHAKE];
    record.extend(TLS10);
    record.extend(length.to_be_bytes());
    record.extend([kind, 0]);
    record.extend((length - 4).to_be_bytes());
    record.extend(body);
    record
}

fn push_extension(extensions: &mut Vec<u8>, kind: u16, content: &[u8]) {
    extensions.extend(kind.to_be_bytes());
    push_vector(extensions, content);
}

/// A vector with a length of two bytes (RFC 2246 §4.3).
fn push_vector(out: &mut Vec<u8>, content: &[u8]) {
    let length = u16::try_from(content.len()).expect("vectors made here are short");
    out.extend(length.to_be_bytes());
    out.extend(content);
}
