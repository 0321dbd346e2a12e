use std::io::ErrorKind;
use std::process::Command;
use std::sync::Arc;

use pcap_parser::traits::PcapNGPacketBlock as _;
use pcap_parser::{Block, PcapNGSlice};

use super::*;
use crate::bundle::fixture::bundle;
use crate::subject::reference::Reference;

/// SASL in both directions, under TLS.
const CASE: &str = "policies/row15/row15/inbound";

/// What the connections of a case looked like.
fn traffic() -> Traffic {
    let target = Arc::new(Reference {
        strict_certificates: false,
    });
    let (record, _) = bundle(CASE, target);
    let scene = record.result.scene.expect("it was kept");
    scene.capture.expect("it was captured").traffic()
}

/// The bytes that one side sent on the first connection.
fn sent(traffic: &Traffic, from: Party) -> Vec<u8> {
    let segments = traffic.connections[0].segments.iter();
    let of_side = segments.filter(|segment| segment.from == from);
    of_side
        .filter_map(|segment| match &segment.what {
            Sent::Bytes(bytes) => Some(bytes.as_slice()),
            Sent::Fin | Sent::Reset => None,
        })
        .collect::<Vec<_>>()
        .concat()
}

#[test]
fn another_program_reads_what_was_sent_and_the_secrets() {
    let traffic = traffic();
    let file = pcapng(&traffic);
    let blocks = PcapNGSlice::from_slice(&file).expect("it is pcapng");
    let first = &traffic.connections[0];
    let (mut secrets, mut starts, mut ends, mut partner) = (Vec::new(), 0, 0, Vec::new());
    for block in blocks {
        match block.expect("it is whole") {
            pcap_parser::PcapBlockOwned::NG(Block::DecryptionSecrets(block)) => {
                secrets.extend(block.data.to_vec());
            }
            pcap_parser::PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let packet = etherparse::SlicedPacket::from_ip(packet.packet_data());
                let packet = packet.expect("it has its headers");
                let Some(etherparse::TransportSlice::Tcp(tcp)) = packet.transport else {
                    panic!("it is TCP")
                };
                let of_first = [tcp.source_port(), tcp.destination_port()];
                if of_first == [first.partner.port(), first.target.port()] {
                    starts += u32::from(tcp.syn());
                    ends += u32::from(tcp.fin() || tcp.rst());
                    // Each byte has its place behind the SYN.
                    if !tcp.payload().is_empty() {
                        assert_eq!(tcp.sequence_number() as usize, 1 + partner.len());
                    }
                    partner.extend_from_slice(tcp.payload());
                }
            }
            _ => {}
        }
    }
    assert_eq!((starts, ends), (1, 1));
    assert_eq!(partner, sent(&traffic, Party::Partner));
    let clear = String::from_utf8_lossy(&partner).into_owned();
    assert!(clear.contains("<starttls"), "{clear}");
    let secrets = String::from_utf8_lossy(&secrets);
    assert!(secrets.contains("CLIENT_TRAFFIC_SECRET_0"), "{secrets}");
}

#[test]
fn tshark_shows_the_stanza_under_tls() {
    let traffic = traffic();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("case.pcapng");
    std::fs::write(&path, pcapng(&traffic)).expect("it is writable");
    let mut command = Command::new("tshark");
    command.arg("-r").arg(&path);
    for stream in &traffic.connections {
        let port = match stream.direction {
            Direction::Inbound => stream.target.port(),
            Direction::Outbound => stream.partner.port(),
        };
        command.arg("-d").arg(format!("tcp.port=={port},xmpp"));
    }
    command.args(["-Y", "tls && xmpp.iq", "-T", "fields", "-e", "xmpp.id"]);
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("not tested: tshark is not installed (apt-get install tshark)");
            return;
        }
        output => output.expect("tshark runs"),
    };
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        shown.contains("probe-"),
        "{shown}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
