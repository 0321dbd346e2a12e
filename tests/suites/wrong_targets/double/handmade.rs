//! Handshakes of TLS by hand: of a library that takes any version and any suite.
//!
//! They get no further than the hellos, which show what would be used.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CLIENT_KEY_EXCHANGE: u8 = 16;
/// Without a suite that is worth something.
const SUITES: [u16; 3] = [0x0005, 0x000a, 0x0003];
const TLS_1_2: [u8; 2] = [3, 3];
/// Where a ClientHello has its version, in a record.
const VERSION: usize = 9;
/// Where its session id begins, after the version and what is random.
const SESSION: usize = VERSION + 2 + 32;

/// Answers a ClientHello with its own version and the first of its suites.
pub(super) async fn answer(mut tcp: TcpStream) -> io::Result<()> {
    let mut hello = vec![0; 2048];
    let length = tcp.read(&mut hello).await?;
    hello.truncate(length);
    let version = match hello.get(VERSION..VERSION + 2) {
        Some(&[3, minor]) => [3, minor],
        _ => [3, 0],
    };
    let session = hello.get(SESSION).map_or(0, |length| usize::from(*length));
    let first = SESSION + 1 + session + 2;
    let suite = hello.get(first..first + 2).unwrap_or(&[0, 5]);
    let mut body = version.to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(suite);
    body.push(0);
    tcp.write_all(&record(SERVER_HELLO, &body)).await?;
    rest(tcp).await
}

/// Offers what is worth nothing, and takes what it gets.
pub(super) async fn ask(mut tcp: TcpStream) -> io::Result<()> {
    let mut body = TLS_1_2.to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend([0, 2 * SUITES.len() as u8]);
    body.extend(SUITES.iter().flat_map(|suite| suite.to_be_bytes()));
    body.extend([1, 0]);
    tcp.write_all(&record(CLIENT_HELLO, &body)).await?;
    let mut answer = vec![0; 2048];
    if tcp.read(&mut answer).await? == 0 {
        return Ok(());
    }
    tcp.write_all(&record(CLIENT_KEY_EXCHANGE, &[0; 8])).await?;
    rest(tcp).await
}

/// Waits for the other side to give up.
async fn rest(mut tcp: TcpStream) -> io::Result<()> {
    let mut rest = vec![0; 2048];
    while tcp.read(&mut rest).await? > 0 {}
    Ok(())
}

/// A message of a handshake.
fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a hello is short");
    let mut record = vec![22];
    record.extend(TLS_1_2);
    record.extend((length + 4).to_be_bytes());
    record.extend([kind, 0]);
    record.extend(length.to_be_bytes());
    record.extend(body);
    record
}
