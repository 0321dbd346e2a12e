//! A name server for the domains of a test.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::SRV;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

type Zone = Arc<Mutex<BTreeMap<String, Vec<SocketAddr>>>>;

/// A name server: each domain has an SRV record for each server, and other names are NXDOMAIN.
pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
    zone: Zone,
    task: JoinHandle<()>,
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Dns {
    pub(crate) async fn start(at: Ipv4Addr) -> Self {
        let socket = UdpSocket::bind((at, 0)).await.expect("a socket");
        let address = socket.local_addr().expect("an address");
        let zone = Zone::default();
        let answers = Arc::clone(&zone);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                if let Some(answer) = reply(&answers, &buffer[..length]) {
                    let _ = socket.send_to(&answer, peer).await;
                }
            }
        });
        Self {
            address,
            zone,
            task,
        }
    }

    /// Adds a server for the domain, after those added before.
    pub(crate) fn add(&self, name: &str, address: SocketAddr) {
        self.zone
            .lock()
            .expect("a zone")
            .entry(name.to_owned())
            .or_default()
            .push(address);
    }

    /// Puts one server in place of those that the domain has.
    pub(crate) fn replace(&self, name: &str, address: SocketAddr) {
        let mut zone = self.zone.lock().expect("a zone");
        zone.insert(name.to_owned(), vec![address]);
    }
}

fn reply(zone: &Zone, query: &[u8]) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let question = query.queries.first()?.clone();
    let name = question.name().to_lowercase().to_string();
    let mut message = Message::response(query.metadata.id, OpCode::Query);
    let zone = zone.lock().expect("a zone");
    let found = zone
        .iter()
        .find_map(|(domain, addresses)| match question.query_type() {
            RecordType::SRV if name == format!("_xmpp-server._tcp.{domain}.") => {
                let target = Name::from_str(&format!("host.{domain}.")).expect("a name");
                let servers = (1..).zip(addresses).map(|(priority, address)| {
                    RData::SRV(SRV::new(priority, 1, address.port(), target.clone()))
                });
                Some(servers.collect())
            }
            RecordType::A if name == format!("host.{domain}.") => {
                // All servers of a domain are at one address.
                let addresses = addresses.iter().take(1).map(SocketAddr::ip);
                Some(addresses.map(RData::from).collect())
            }
            _ if name == format!("host.{domain}.") => Some(Vec::new()),
            _ => None,
        });
    match found {
        Some(all) => {
            for data in all {
                message.add_answer(Record::from_rdata(question.name().clone(), 60, data));
            }
        }
        None => message.metadata.response_code = ResponseCode::NXDomain,
    }
    message.add_query(question);
    message.to_vec().ok()
}
