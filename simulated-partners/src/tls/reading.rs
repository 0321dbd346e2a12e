//! Reads a plaintext handshake: whole messages from records, and the contents of hellos.

use std::collections::BTreeMap;

use super::alert::alert_name;
use crate::reaction::suite_name;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const FATAL: u8 = 2;
const NO_RENEGOTIATION: u8 = 100;

/// A hello, or another message of a handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Its name and contents, in words, as in scenarios and transcripts.
    pub facts: BTreeMap<&'static str, String>,
    /// The session id of a hello.
    pub session: Vec<u8>,
    /// The random of a hello.
    pub random: Vec<u8>,
    /// The signature schemes that a ClientHello offers.
    pub signatures: Vec<u16>,
}

impl Heard {
    /// Whether a fact is `true`.
    pub fn is(&self, fact: &str) -> bool {
        self.facts.get(fact).is_some_and(|value| value == "true")
    }

    /// Whether it is that message.
    pub fn is_message(&self, name: &str) -> bool {
        self.facts.get("message").is_some_and(|value| value == name)
    }
}

/// An item found in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A message of the handshake.
    Message(Heard),
    /// A fatal alert, by its name.
    Alert(String),
    /// Data that is encrypted from here on.
    Encrypted,
    /// Not TLS.
    NotTls,
}

/// All whole items in the bytes so far, in order. Warnings are omitted.
pub fn read(raw: &[u8]) -> Vec<Found> {
    read_records(raw, false)
}

/// The same for records that were encrypted: data is omitted, and the refusal to renegotiate
/// is included although it is a warning (RFC 5246 §7.2.2).
pub(crate) fn read_opened(raw: &[u8]) -> Vec<Found> {
    read_records(raw, true)
}

fn read_records(mut raw: &[u8], opened: bool) -> Vec<Found> {
    let mut found = Vec::new();
    let mut messages = Vec::new();
    while let Some(kind) = raw.first() {
        let is_tls = (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(kind)
            && raw.get(1).is_none_or(|major| *major == 3);
        if !is_tls {
            found.push(Found::NotTls);
            return found;
        }
        let Some((header, rest)) = raw.split_first_chunk::<5>() else {
            break;
        };
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        let Some(content) = rest.get(..length) else {
            break;
        };
        raw = &rest[length..];
        match (*kind, content) {
            (HANDSHAKE, content) => {
                messages.extend_from_slice(content);
                found.extend(whole_messages(&mut messages));
            }
            (ALERT, [FATAL, alert]) => found.push(Found::Alert(alert_name(*alert))),
            (ALERT, [_, NO_RENEGOTIATION]) if opened => {
                found.push(Found::Alert(alert_name(NO_RENEGOTIATION)));
            }
            (ALERT, [_, _]) => {}
            (APPLICATION_DATA, _) if opened => {}
            _ => {
                found.push(Found::Encrypted);
                return found;
            }
        }
    }
    found
}

fn whole_messages(bytes: &mut Vec<u8>) -> Vec<Found> {
    let mut found = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes([0, header[1], header[2], header[3]]))
            .unwrap_or(usize::MAX);
        let Some(body) = rest.get(..length) else {
            break;
        };
        found.push(Found::Message(heard(header[0], body)));
        bytes.drain(..4 + length);
    }
    found
}

fn heard(kind: u8, body: &[u8]) -> Heard {
    let name = match kind {
        0 => "hello-request",
        1 => "client-hello",
        2 => "server-hello",
        4 => "new-session-ticket",
        11 => "certificate",
        12 => "server-key-exchange",
        13 => "certificate-request",
        14 => "server-hello-done",
        15 => "certificate-verify",
        16 => "client-key-exchange",
        20 => "finished",
        22 => "certificate-status",
        _ => "other",
    };
    let mut heard = Heard::default();
    let whole = match kind {
        1 => client_hello(body, &mut heard),
        2 => server_hello(body, &mut heard),
        _ => Some(()),
    };
    heard.facts.insert("message", name.to_owned());
    if whole.is_none() {
        heard.facts.insert("malformed", "true".to_owned());
    }
    heard
}

fn client_hello(body: &[u8], heard: &mut Heard) -> Option<()> {
    let mut rest = Cursor(body);
    let legacy = rest.number()?;
    heard.random = rest.take(32)?.to_vec();
    heard.session = rest.vector8()?.to_vec();
    let suites = numbers(rest.vector16()?);
    let deflate = rest.vector8()?.contains(&1);
    let names: Vec<String> = suites.iter().copied().map(suite_name).collect();
    let mut versions = vec![version_name(legacy)];
    let mut renegotiation = suites.contains(&0x00ff);
    let fallback = suites.contains(&0x5600);
    let (mut early_data, mut tickets) = (false, false);
    for (kind, content) in extensions(&mut rest)? {
        let mut inner = Cursor(content);
        match kind {
            0 => {
                let mut list = Cursor(inner.vector16()?);
                list.take(1)?;
                let name = String::from_utf8_lossy(list.vector16()?).into_owned();
                heard.facts.insert("sni", name);
            }
            13 => heard.signatures = numbers(inner.vector16()?),
            16 => {
                heard.facts.insert("alpn", protocols(inner.vector16()?)?);
            }
            35 => tickets |= !content.is_empty(),
            41 => tickets = true,
            42 => early_data = true,
            43 => {
                let offered = numbers(inner.vector8()?);
                versions = offered
                    .into_iter()
                    .filter(|version| version & 0x0f0f != 0x0a0a)
                    .map(version_name)
                    .collect();
            }
            0xff01 => renegotiation = true,
            _ => {}
        }
    }
    versions.sort_unstable();
    let highest = versions.last().cloned().unwrap_or_default();
    heard.facts.extend([
        ("version", highest),
        ("versions", versions.join(",")),
        ("suites", names.join(",")),
        ("deflate", deflate.to_string()),
        ("renegotiation", renegotiation.to_string()),
        ("fallback", fallback.to_string()),
        ("resumes", tickets.to_string()),
        ("early-data", early_data.to_string()),
    ]);
    Some(())
}

fn server_hello(body: &[u8], heard: &mut Heard) -> Option<()> {
    let mut rest = Cursor(body);
    let mut version = rest.number()?;
    heard.random = rest.take(32)?.to_vec();
    heard.session = rest.vector8()?.to_vec();
    let suite = rest.number()?;
    let deflate = rest.take(1)? == [1];
    let mut renegotiation = false;
    for (kind, content) in extensions(&mut rest)? {
        let mut inner = Cursor(content);
        match kind {
            16 => {
                heard.facts.insert("alpn", protocols(inner.vector16()?)?);
            }
            43 => version = inner.number()?,
            0xff01 => renegotiation = true,
            _ => {}
        }
    }
    let downgrade =
        heard.random.ends_with(b"DOWNGRD\x01") || heard.random.ends_with(b"DOWNGRD\x00");
    heard.facts.extend([
        ("version", version_name(version)),
        ("suite", suite_name(suite)),
        ("deflate", deflate.to_string()),
        ("renegotiation", renegotiation.to_string()),
        ("downgrade", downgrade.to_string()),
    ]);
    Some(())
}

fn version_name(version: u16) -> String {
    match version {
        0x0002 => "ssl2".to_owned(),
        0x0300 => "ssl3".to_owned(),
        0x0301 => "1.0".to_owned(),
        0x0302 => "1.1".to_owned(),
        0x0303 => "1.2".to_owned(),
        0x0304 => "1.3".to_owned(),
        other => format!("{other:#06x}"),
    }
}

/// The extensions, or `None` if the hello ends before them.
fn extensions<'a>(rest: &mut Cursor<'a>) -> Option<Vec<(u16, &'a [u8])>> {
    let mut all = Vec::new();
    if rest.0.is_empty() {
        return Some(all);
    }
    let mut list = Cursor(rest.vector16()?);
    while !list.0.is_empty() {
        all.push((list.number()?, list.vector16()?));
    }
    Some(all)
}

fn protocols(list: &[u8]) -> Option<String> {
    let mut list = Cursor(list);
    let mut names = Vec::new();
    while !list.0.is_empty() {
        names.push(String::from_utf8_lossy(list.vector8()?).into_owned());
    }
    Some(names.join(","))
}

fn numbers(bytes: &[u8]) -> Vec<u16> {
    let pairs = bytes.chunks_exact(2);
    pairs
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect()
}

/// The remaining bytes.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.take(1)?[0];
        self.take(length.into())
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length.into())
    }
}
