//! The double's other side: a server for one component (XEP-0114), which is the harness.

use std::io;
use std::sync::Arc;

use simulated_partners::wire::{Element, Framer, Kind, Limits, NS_STREAM};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::Server;
use crate::tampered::{CHUNK, NS_COMPONENT, rename};
use simulated_partners::wire::NS_SERVER;

/// Passes stanzas in and out until the link ends.
pub(super) async fn serve(
    listener: TcpListener,
    server: Arc<Server>,
    mut delivered: mpsc::UnboundedReceiver<Element>,
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
                    server.route(element);
                }
                Kind::End => return Ok(()),
                Kind::Declaration | Kind::Whitespace(_) => {}
            }
        }
        tokio::select! {
            read = stream.read(&mut chunk) => match read? {
                0 => return Ok(()),
                length => framer.push(&chunk[..length]),
            },
            Some(mut stanza) = delivered.recv() => {
                rename(&mut stanza, NS_SERVER, NS_COMPONENT);
                stream.write_all(stanza.to_xml().as_bytes()).await?;
            }
        }
    }
}
