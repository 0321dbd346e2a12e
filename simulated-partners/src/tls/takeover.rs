//! TLS 1.2 records under the keys of a connection taken over from rustls, so that
//! messages can be sent that rustls never sends.

use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use rustls::{Connection, ConnectionTrafficSecrets, ProtocolVersion};

/// Type, version and length.
pub(crate) const HEADER: usize = 5;
/// The maximum size of an encrypted record without its header (RFC 5246 §6.2.3).
const LONGEST: usize = 16_384 + 2048;
const VERSION: [u8; 2] = [3, 3];
/// The explicit part of a nonce in a record (RFC 5288 §3).
const EXPLICIT: usize = 8;
const TAG: usize = 16;

/// Record protection in both directions.
#[derive(Debug)]
pub(crate) struct Takeover {
    sending: Half,
    receiving: Half,
}

/// Why a connection cannot be taken over.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Other versions have no renegotiation.
    #[error("there is no renegotiation without TLS 1.2: offer `tls-versions = [\"1.2\"]`")]
    Version,
    /// Only AES-GCM is implemented.
    #[error("renegotiation is made by hand with AES-GCM only, and the target chose another suite")]
    Suite,
    /// rustls does not release the keys.
    #[error("the keys are not available: {0}")]
    Keys(rustls::Error),
}

/// A record that does not match the keys or the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl Takeover {
    /// Takes over the keys of a connection whose handshake is complete and that has nothing left to send.
    pub(crate) fn of(connection: Connection) -> Result<Self, Refusal> {
        if connection.protocol_version() != Some(ProtocolVersion::TLSv1_2) {
            return Err(Refusal::Version);
        }
        let secrets = connection
            .dangerous_extract_secrets()
            .map_err(Refusal::Keys)?;
        let (sent, received) = (secrets.tx, secrets.rx);
        Ok(Self {
            sending: Half::new(sent.0, sent.1)?,
            receiving: Half::new(received.0, received.1)?,
        })
    }

    /// Takes the first plaintext record off `clear` and returns it encrypted; `None` until it is
    /// whole.
    pub(crate) fn seal(&mut self, clear: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Unreadable> {
        let Some((kind, content)) = take_record(clear)? else {
            return Ok(None);
        };
        self.sending.seal(kind, content).map(Some)
    }

    /// Takes the first encrypted record off `received` and returns it as plaintext; `None` until it is
    /// whole.
    pub(crate) fn open(&mut self, received: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Unreadable> {
        let Some((kind, content)) = take_record(received)? else {
            return Ok(None);
        };
        self.receiving.open(kind, content).map(Some)
    }
}

fn take_record(bytes: &mut Vec<u8>) -> Result<Option<(u8, Vec<u8>)>, Unreadable> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
    if header[1..3] != VERSION || length > LONGEST {
        return Err(Unreadable);
    }
    let Some(content) = rest.get(..length) else {
        return Ok(None);
    };
    let record = (header[0], content.to_vec());
    bytes.drain(..HEADER + length);
    Ok(Some(record))
}

/// One direction.
struct Half {
    key: LessSafeKey,
    /// Four bytes of salt, and the start of the explicit part of our nonces.
    iv: [u8; 12],
    sequence: u64,
}

impl Half {
    fn new(sequence: u64, secrets: ConnectionTrafficSecrets) -> Result<Self, Refusal> {
        let (algorithm, key, iv): (&'static Algorithm, _, _) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            _ => return Err(Refusal::Suite),
        };
        let key = UnboundKey::new(algorithm, key.as_ref()).map_err(|_| Refusal::Suite)?;
        let iv = iv.as_ref().try_into().map_err(|_| Refusal::Suite)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            iv,
            sequence,
        })
    }

    /// RFC 5288 §3. The explicit part continues the one used by rustls, so none repeats.
    fn seal(&mut self, kind: u8, mut content: Vec<u8>) -> Result<Vec<u8>, Unreadable> {
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= number;
        }
        let bound = self.bound(kind, content.len())?;
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(unique, Aad::from(bound), &mut content)
            .map_err(|_| Unreadable)?;
        self.step()?;
        let mut body = nonce[4..].to_vec();
        body.append(&mut content);
        record(kind, &body)
    }

    fn open(&mut self, kind: u8, mut content: Vec<u8>) -> Result<Vec<u8>, Unreadable> {
        let length = content
            .len()
            .checked_sub(EXPLICIT + TAG)
            .ok_or(Unreadable)?;
        let mut nonce = self.iv;
        nonce[4..].copy_from_slice(&content[..EXPLICIT]);
        let bound = self.bound(kind, length)?;
        let clear = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound),
                &mut content[EXPLICIT..],
            )
            .map_err(|_| Unreadable)?;
        let clear = record(kind, clear)?;
        self.step()?;
        Ok(clear)
    }

    /// The additional authenticated data (RFC 5246 §6.2.3.3).
    fn bound(&self, kind: u8, length: usize) -> Result<[u8; 13], Unreadable> {
        let mut bound = [0; 13];
        bound[..8].copy_from_slice(&self.sequence.to_be_bytes());
        bound[8] = kind;
        bound[9..11].copy_from_slice(&VERSION);
        let length = u16::try_from(length).map_err(|_| Unreadable)?;
        bound[11..].copy_from_slice(&length.to_be_bytes());
        Ok(bound)
    }

    fn step(&mut self) -> Result<(), Unreadable> {
        self.sequence = self.sequence.checked_add(1).ok_or(Unreadable)?;
        Ok(())
    }
}

impl fmt::Debug for Half {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Half")
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

fn record(kind: u8, content: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let length = u16::try_from(content.len()).map_err(|_| Unreadable)?;
    let mut record = vec![kind, VERSION[0], VERSION[1]];
    record.extend(length.to_be_bytes());
    record.extend(content);
    Ok(record)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::ServerName;
    use rustls::{ClientConnection, ServerConnection};

    use super::*;
    use crate::persona::{Certificate, Key, TlsVersion};
    use crate::pki::Authority;
    use crate::reaction::Renegotiate;
    use crate::tls::{Found, client_config, handmade, read_opened, server_config};

    fn connected(version: TlsVersion) -> (ClientConnection, ServerConnection) {
        let identity = Authority::new(3).issue(&["a.example"], Certificate::Good, Key::P256);
        let config = server_config(identity.as_ref(), &[version]).unwrap();
        let mut server = ServerConnection::new(config).unwrap();
        let config = client_config(None, &[version]).unwrap();
        let name = ServerName::try_from("a.example").unwrap();
        let mut client = ClientConnection::new(Arc::clone(&config), name).unwrap();
        while client.is_handshaking() || server.is_handshaking() || client.wants_write() {
            let mut sent = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut sent).unwrap();
            }
            server.read_tls(&mut sent.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            let mut sent = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut sent).unwrap();
            }
            client.read_tls(&mut sent.as_slice()).unwrap();
            client.process_new_packets().unwrap();
        }
        (client, server)
    }

    fn no_renegotiation() -> Vec<Found> {
        vec![Found::Alert("no_renegotiation".to_owned())]
    }

    #[test]
    fn a_server_refuses_a_second_hello_under_the_same_keys() {
        for how in [Renegotiate::WithoutInfo, Renegotiate::WrongInfo] {
            let (client, mut server) = connected(TlsVersion::V12);
            let mut taken = Takeover::of(client.into()).unwrap();
            let mut clear = handmade::second_hello(how, "a.example");
            let sealed = taken.seal(&mut clear).unwrap().unwrap();
            assert_eq!((sealed[0], clear.len()), (22, 0));
            server.read_tls(&mut sealed.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            let mut answer = Vec::new();
            server.write_tls(&mut answer).unwrap();
            let answer = taken.open(&mut answer).unwrap().unwrap();
            assert_eq!(read_opened(&answer), no_renegotiation());
        }
    }

    #[test]
    fn a_client_refuses_to_begin_again() {
        let (mut client, server) = connected(TlsVersion::V12);
        let mut taken = Takeover::of(server.into()).unwrap();
        let mut clear = handmade::hello_request();
        let sealed = taken.seal(&mut clear).unwrap().unwrap();
        client.read_tls(&mut sealed.as_slice()).unwrap();
        client.process_new_packets().unwrap();
        let mut answer = Vec::new();
        client.write_tls(&mut answer).unwrap();
        let answer = taken.open(&mut answer).unwrap().unwrap();
        assert_eq!(read_opened(&answer), no_renegotiation());
    }

    #[test]
    fn a_changed_record_is_not_taken() {
        let (client, server) = connected(TlsVersion::V12);
        let mut near = Takeover::of(client.into()).unwrap();
        let mut far = Takeover::of(server.into()).unwrap();
        let clear = handmade::hello_request();
        let mut good = near.seal(&mut clear.clone()).unwrap().unwrap();
        assert_eq!(far.open(&mut good[..9].to_vec()), Ok(None));
        assert_eq!(far.open(&mut good), Ok(Some(clear.clone())));
        let mut again = clear;
        let mut bad = near.seal(&mut again).unwrap().unwrap();
        bad[20] ^= 1;
        assert_eq!(far.open(&mut bad), Err(Unreadable));
        assert_eq!(far.open(&mut vec![22, 3, 3, 255, 255]), Err(Unreadable));
        assert_eq!(far.open(&mut vec![22, 3, 3, 0, 1, 0]), Err(Unreadable));
    }

    #[test]
    fn nothing_is_taken_over_in_other_versions() {
        let (client, _server) = connected(TlsVersion::V13);
        assert_eq!(
            Takeover::of(client.into()).map(|_| ()),
            Err(Refusal::Version)
        );
    }
}
