//! Captures as pcapng files, which Wireshark opens: each connection as TCP that is made up around its bytes,
//! and the secrets of TLS to decrypt it.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use etherparse::PacketBuilder;
use simulated_partners::driver::{Sent, Stream, Traffic};
use simulated_partners::event::{Direction, Party};

/// Types of blocks.
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const SECRETS: u32 = 10;
/// Types of options.
const COMMENT: u16 = 1;
const APPLICATION: u16 = 4;
const RESOLUTION: u16 = 9;
/// Packets begin with their IP header.
const RAW: u16 = 101;
/// Lines of the format of `SSLKEYLOGFILE`.
const TLS_KEY_LOG: u32 = 0x544c_534b;
/// The most bytes of a packet; a real loopback takes more.
const SEGMENT: usize = 16 * 1024;
const HOPS: u8 = 64;
const WINDOW: u16 = u16::MAX;

/// The file.
pub fn pcapng(traffic: &Traffic) -> Vec<u8> {
    let mut file = Vec::new();
    block(&mut file, SECTION, &section(traffic.is_cut));
    block(&mut file, INTERFACE, &interface());
    if !traffic.secrets.is_empty() {
        let mut body = Vec::new();
        body.extend(TLS_KEY_LOG.to_le_bytes());
        body.extend(length(traffic.secrets.len()));
        body.extend(traffic.secrets.as_bytes());
        block(&mut file, SECRETS, &body);
    }
    let mut packets: Vec<Packet> = traffic.connections.iter().flat_map(packets).collect();
    packets.sort_by_key(|packet| packet.at);
    let began = traffic.began.duration_since(SystemTime::UNIX_EPOCH);
    let began = began.unwrap_or_default();
    for packet in packets {
        block(&mut file, PACKET, &packet.body(began));
    }
    file
}

fn section(is_cut: bool) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(0x1a2b_3c4d_u32.to_le_bytes());
    body.extend(1_u16.to_le_bytes());
    body.extend(0_u16.to_le_bytes());
    // Its length is not told.
    body.extend(u64::MAX.to_le_bytes());
    let application = format!("s2spec {}", crate::VERSION);
    option(&mut body, APPLICATION, application.as_bytes());
    if is_cut {
        option(&mut body, COMMENT, b"more was sent than is kept");
    }
    option(&mut body, 0, b"");
    body
}

fn interface() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(RAW.to_le_bytes());
    body.extend(0_u16.to_le_bytes());
    body.extend(0_u32.to_le_bytes());
    // Times are in nanoseconds.
    option(&mut body, RESOLUTION, &[9]);
    option(&mut body, 0, b"");
    body
}

/// Adds a block: type and length, a body in whole words, and the length again.
fn block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let whole = length(12 + body.len().next_multiple_of(4));
    file.extend(kind.to_le_bytes());
    file.extend(whole);
    file.extend(body);
    fill(file);
    file.extend(whole);
}

fn option(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).expect("options are short");
    body.extend(kind.to_le_bytes());
    body.extend(length.to_le_bytes());
    body.extend(value);
    fill(body);
}

/// Up to the next word.
fn fill(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn length(bytes: usize) -> [u8; 4] {
    let length = u32::try_from(bytes).expect("a capture is bounded");
    length.to_le_bytes()
}

/// A packet.
struct Packet {
    at: Duration,
    bytes: Vec<u8>,
}

impl Packet {
    fn body(&self, began: Duration) -> Vec<u8> {
        let time = (began + self.at).as_nanos();
        let time = u64::try_from(time).unwrap_or(u64::MAX);
        let (high, low) = ((time >> 32) as u32, time as u32);
        let mut body = Vec::new();
        // The only interface.
        body.extend(0_u32.to_le_bytes());
        body.extend(high.to_le_bytes());
        body.extend(low.to_le_bytes());
        body.extend(length(self.bytes.len()));
        body.extend(length(self.bytes.len()));
        body.extend(&self.bytes);
        body
    }
}

/// The packets of a connection: the handshake, what was sent, and how it ended.
fn packets(stream: &Stream) -> Vec<Packet> {
    let mut tcp = Tcp {
        partner: stream.partner,
        target: stream.target,
        next: [0, 0],
        packets: Vec::new(),
    };
    let (dials, takes) = match stream.direction {
        Direction::Inbound => (Party::Partner, Party::Target),
        Direction::Outbound => (Party::Target, Party::Partner),
    };
    tcp.send(stream.opened, dials, Flag::Syn, b"");
    tcp.send(stream.opened, takes, Flag::SynAck, b"");
    tcp.send(stream.opened, dials, Flag::Ack, b"");
    for segment in &stream.segments {
        match &segment.what {
            Sent::Bytes(bytes) => {
                for bytes in bytes.chunks(SEGMENT) {
                    tcp.send(segment.at, segment.from, Flag::Push, bytes);
                }
            }
            Sent::Fin => tcp.send(segment.at, segment.from, Flag::Fin, b""),
            Sent::Reset => tcp.send(segment.at, segment.from, Flag::Reset, b""),
        }
    }
    tcp.packets
}

/// What a packet is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    Syn,
    SynAck,
    Ack,
    Push,
    Fin,
    Reset,
}

/// A connection that is made up.
struct Tcp {
    partner: SocketAddr,
    target: SocketAddr,
    /// The next number of the partner, and of the target.
    next: [u32; 2],
    packets: Vec<Packet>,
}

impl Tcp {
    fn send(&mut self, at: Duration, from: Party, flag: Flag, bytes: &[u8]) {
        let (source, destination, own, other) = match from {
            Party::Partner => (self.partner, self.target, 0, 1),
            Party::Target => (self.target, self.partner, 1, 0),
        };
        let ports = (source.port(), destination.port());
        let (number, acknowledged) = (self.next[own], self.next[other]);
        let ip = match (source.ip(), destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                PacketBuilder::ipv4(source.octets(), destination.octets(), HOPS)
            }
            (source, destination) => PacketBuilder::ipv6(six(source), six(destination), HOPS),
        };
        let tcp = ip.tcp(ports.0, ports.1, number, WINDOW);
        let tcp = match flag {
            Flag::Syn => tcp.syn(),
            Flag::SynAck => tcp.syn().ack(acknowledged),
            Flag::Ack => tcp.ack(acknowledged),
            Flag::Push => tcp.psh().ack(acknowledged),
            Flag::Fin => tcp.fin().ack(acknowledged),
            Flag::Reset => tcp.rst().ack(acknowledged),
        };
        let mut packet = Vec::with_capacity(tcp.size(bytes.len()));
        tcp.write(&mut packet, bytes)
            .expect("a Vec takes all bytes, and a segment fits into a packet");
        let counts = matches!(flag, Flag::Syn | Flag::SynAck | Flag::Fin);
        let sent = u32::try_from(bytes.len()).expect("a segment fits into a packet");
        self.next[own] = number.wrapping_add(sent + u32::from(counts));
        self.packets.push(Packet { at, bytes: packet });
    }
}

fn six(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests;
