//! A name server that keeps answers for a time of its own, as many resolvers do: Unbound with
//! `cache-min-ttl`, nscd, systemd-resolved, the caches of language runtimes.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The longest message over UDP.
const DATAGRAM: usize = 4096;
/// How long an answer of the name server behind it may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers by question, without the id of the message.
type Kept = Mutex<BTreeMap<Vec<u8>, (Instant, Vec<u8>)>>;

/// Starts a name server that asks another and keeps its answers, whatever their TTL says. It lasts as
/// long as the process.
pub(crate) fn keep_answers(behind: SocketAddr, time: Duration) -> SocketAddr {
    let (tcp, udp) = bind();
    let address = udp.local_addr().expect("bound");
    let kept: Arc<Kept> = Arc::default();
    let cache = Arc::clone(&kept);
    thread::spawn(move || {
        let mut buffer = [0; DATAGRAM];
        while let Ok((length, from)) = udp.recv_from(&mut buffer) {
            let question = buffer[..length].to_vec();
            let (cache, udp) = (Arc::clone(&cache), udp.try_clone().expect("a socket"));
            thread::spawn(move || {
                let answer = answer(&cache, &question, time, |question| {
                    over_udp(behind, question)
                });
                if let Some(answer) = answer {
                    let _ = udp.send_to(&answer, from);
                }
            });
        }
    });
    thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            thread::spawn(move || serve(stream, behind));
        }
    });
    address
}

fn bind() -> (TcpListener, UdpSocket) {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("bound")) {
            return (tcp, udp);
        }
    }
}

/// The answer to a message, from what is kept or from `ask`.
fn answer(
    kept: &Kept,
    question: &[u8],
    time: Duration,
    ask: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let (id, rest) = question.split_at_checked(2)?;
    let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    let known = lock().get(rest).cloned();
    let mut answer = match known {
        Some((since, answer)) if since.elapsed() < time => answer,
        _ => {
            let answer = ask(question)?;
            lock().insert(rest.to_vec(), (Instant::now(), answer.clone()));
            answer
        }
    };
    answer.get_mut(..2)?.copy_from_slice(id);
    Some(answer)
}

fn over_udp(behind: SocketAddr, question: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.send_to(question, behind).ok()?;
    let mut buffer = [0; DATAGRAM];
    let length = socket.recv(&mut buffer).ok()?;
    Some(buffer[..length].to_vec())
}

/// Passes messages over TCP on. They are few, and nothing of them is kept.
fn serve(mut stream: TcpStream, behind: SocketAddr) {
    while let Some(question) = message(&mut stream) {
        let Ok(mut asked) = TcpStream::connect(behind) else {
            return;
        };
        let answered = asked
            .write_all(&question)
            .ok()
            .and_then(|()| message(&mut asked));
        let Some(answer) = answered else { return };
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

/// A message with its length before it (RFC 1035 §4.2.2).
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some([&length[..], &message[..]].concat())
}
