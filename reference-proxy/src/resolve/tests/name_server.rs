//! A name server for tests.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::resolve::Resolver;

pub(super) const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(super) enum Answer {
    /// These records; the first belongs to the name being queried.
    Records(Vec<(&'static str, RData)>),
    /// An answer without records, with this code.
    Code(ResponseCode),
    /// Over UDP: too long. Over TCP: these records.
    Long(Vec<(&'static str, RData)>),
    Silence,
}

pub(super) type Zone = BTreeMap<(&'static str, RecordType), Answer>;

/// A name server on loopback that answers from a table, NXDOMAIN otherwise.
pub(super) struct NameServer {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for NameServer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A port that is free for both protocols. One that is free for TCP may be another test's for UDP.
async fn one_port() -> (TcpListener, UdpSocket) {
    for _ in 0..32 {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (tcp, udp);
        }
    }
    panic!("no port is free for both");
}

impl NameServer {
    pub(super) async fn start(zone: Zone) -> Self {
        let (tcp, udp) = one_port().await;
        let address = tcp.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (udp_zone, udp_asked) = (zone.clone(), Arc::clone(&asked));
        let over_udp = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (length, peer) = udp.recv_from(&mut buffer).await.unwrap();
                if let Some(answer) = reply(&udp_zone, &buffer[..length], true, &udp_asked) {
                    udp.send_to(&answer, peer).await.unwrap();
                }
            }
        });
        let tcp_asked = Arc::clone(&asked);
        let over_tcp = tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let length = stream.read_u16().await.unwrap();
                let mut query = vec![0; usize::from(length)];
                stream.read_exact(&mut query).await.unwrap();
                if let Some(answer) = reply(&zone, &query, false, &tcp_asked) {
                    let length = u16::try_from(answer.len()).unwrap();
                    stream.write_u16(length).await.unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
            }
        });
        Self {
            address,
            asked,
            tasks: [over_udp, over_tcp],
        }
    }

    pub(super) fn resolver(&self) -> Resolver {
        Resolver::new(&[self.address], PATIENCE, 1, &Clock::default()).unwrap()
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn reply(zone: &Zone, query: &[u8], udp: bool, asked: &Mutex<Vec<String>>) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let question = query.queries.first()?.clone();
    let name = question.name().to_lowercase().to_string();
    let kind = question.query_type();
    asked.lock().unwrap().push(format!("{kind} {name}"));
    let mut message = Message::response(query.metadata.id, OpCode::Query);
    message.add_query(question);
    let answer = zone.get(&(name.as_str(), kind)).cloned();
    match answer.unwrap_or(Answer::Code(ResponseCode::NXDomain)) {
        Answer::Long(_) if udp => message.metadata.truncation = true,
        Answer::Records(records) | Answer::Long(records) => {
            message.add_answers(
                records.into_iter().map(|(owner, data)| {
                    Record::from_rdata(Name::from_str(owner).unwrap(), 60, data)
                }),
            );
        }
        Answer::Code(code) => message.metadata.response_code = code,
        Answer::Silence => return None,
    }
    message.to_vec().ok()
}
