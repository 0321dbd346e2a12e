//! A server for one component (XEP-0114), which is the harness. It accepts any secret.

use std::io;

use simulated_partners::wire::{Element, Framer, Kind, Limits, NS_SERVER, NS_STREAM, Node};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const NS_COMPONENT: &str = "jabber:component:accept";
const CHUNK: usize = 8192;

/// Serves until the link ends, or nothing more can arrive. The component gets what arrives; what it sends
/// leaves, with its bytes changed by `scrub` before they are read.
pub(crate) async fn serve(
    listener: TcpListener,
    mut arriving: mpsc::UnboundedReceiver<Element>,
    leaving: mpsc::UnboundedSender<Element>,
    scrub: fn(Vec<u8>) -> Vec<u8>,
) -> io::Result<()> {
    let (mut stream, _) = listener.accept().await?;
    let mut framer = Framer::new(Limits::default());
    let mut chunk = [0; CHUNK];
    loop {
        while let Some(frame) = framer.next().map_err(io::Error::other)? {
            match frame.kind {
                Kind::Header(_) => {
                    let header = Element::prefixed("stream", NS_STREAM, "stream")
                        .declare(None, NS_COMPONENT)
                        .attr("id", "1");
                    stream.write_all(header.to_open_tag().as_bytes()).await?;
                }
                Kind::Element(element) if element.is(NS_COMPONENT, "handshake") => {
                    stream.write_all(b"<handshake/>").await?;
                }
                Kind::Element(mut element) => {
                    rename(&mut element, NS_COMPONENT, NS_SERVER);
                    if leaving.send(element).is_err() {
                        return Ok(());
                    }
                }
                Kind::End => return Ok(()),
                Kind::Declaration | Kind::Whitespace(_) => {}
            }
        }
        tokio::select! {
            read = stream.read(&mut chunk) => match read? {
                0 => return Ok(()),
                length => framer.push(&scrub(chunk[..length].to_vec())),
            },
            stanza = arriving.recv() => {
                let Some(mut stanza) = stanza else {
                    return Ok(());
                };
                rename(&mut stanza, NS_SERVER, NS_COMPONENT);
                stream.write_all(stanza.to_xml().as_bytes()).await?;
            }
        }
    }
}

fn rename(element: &mut Element, from: &str, to: &str) {
    if element.namespace == from {
        element.namespace = to.to_owned();
    }
    for node in &mut element.children {
        if let Node::Element(child) = node {
            rename(child, from, to);
        }
    }
}
