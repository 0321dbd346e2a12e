//! The opening of a stream, and what may come instead.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Probe, starttls_offer};
use crate::event::{Party, TlsSignal};
use crate::tls;
use crate::wire::{
    Element, Framer, Kind, Limits, NS_DIALBACK, NS_DIALBACK_FEATURE, NS_SERVER, NS_STREAM,
    NS_STREAMS, NS_TLS, Unit,
};

/// The number of unexpected bytes kept.
const EXCERPT: usize = 64;
const CHUNK: usize = 4096;
const FAREWELL: Duration = Duration::from_millis(100);

/// The answer of a server to a stream header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Its own header.
    pub header: Option<Element>,
    pub features: Option<Element>,
    /// What came instead of the next one.
    pub fault: Option<Fault>,
}

/// What came instead of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing within the time limit.
    Silence,
    /// The end of the connection.
    Closed,
    Reset,
    /// The end of the stream.
    End,
    /// A stream error (RFC 6120 §4.9).
    Error {
        condition: String,
        text: Option<String>,
    },
    /// A TLS alert, or an unexpected TLS record.
    Tls(String),
    /// Other bytes.
    NotXmpp(String),
    /// An unexpected element.
    Unexpected(String),
}

impl Opened {
    pub(super) fn offers_starttls(&self) -> bool {
        self.features
            .as_ref()
            .is_some_and(|features| starttls_offer(features).is_some())
    }

    /// Whether the header declares the dialback namespace, as older servers do to show their
    /// support.
    pub fn declares_dialback(&self) -> bool {
        self.header.as_ref().is_some_and(|header| {
            header
                .declarations
                .iter()
                .any(|(_, name)| name == NS_DIALBACK)
        })
    }

    /// Whether the features name dialback.
    pub fn offers_dialback(&self) -> bool {
        self.features
            .as_ref()
            .is_some_and(|features| features.find(NS_DIALBACK_FEATURE, "dialback").is_some())
    }
}

/// Sends a header and reads the answer.
pub(super) async fn open<S>(
    stream: &mut S,
    units: &mut Units,
    what: &Probe,
    deadline: Instant,
) -> Opened
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let header = Element::prefixed("stream", NS_STREAM, "stream").declare(None, NS_SERVER);
    let header = match what.declares_dialback {
        true => header.declare(Some("db"), NS_DIALBACK),
        false => header,
    };
    let header = header
        .attr("from", &what.from)
        .attr("to", &what.domain)
        .attr("version", "1.0");
    let mut opened = Opened::default();
    let text = format!("<?xml version='1.0'?>{}", header.to_open_tag());
    let done = timeout_at(deadline, async {
        // A lost peer is noticed, with its last data, when reading.
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.flush().await;
        read(stream, units, &mut opened).await
    })
    .await;
    opened.fault = match done {
        Ok(Ok(())) => None,
        Ok(Err(fault)) => Some(fault),
        Err(_) => Some(Fault::Silence),
    };
    opened
}

/// Reads header and features.
async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    units: &mut Units,
    opened: &mut Opened,
) -> Result<(), Fault> {
    loop {
        match units.next(stream).await? {
            Kind::Declaration | Kind::Whitespace(_) => {}
            Kind::Header(header) => opened.header = Some(header),
            Kind::Element(element) if Unit::Features.is(&element) => {
                opened.features = Some(element);
                return Ok(());
            }
            other => return Err(fault(&other)),
        }
        let old = opened
            .header
            .as_ref()
            .is_some_and(|header| header.attribute("version").is_none());
        if old {
            // A pre-1.0 server sends no features (RFC 6120 §4.7.5).
            return Ok(());
        }
    }
}

/// Requests TLS on an opened stream.
pub(super) async fn starttls<S>(
    stream: &mut S,
    units: &mut Units,
    deadline: Instant,
) -> Result<(), Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = Unit::Starttls.element().declare(None, NS_TLS).to_xml();
    let answer = timeout_at(deadline, async {
        let _ = stream.write_all(request.as_bytes()).await;
        loop {
            match units.next(stream).await? {
                Kind::Whitespace(_) => {}
                Kind::Element(element) if Unit::Proceed.is(&element) => return Ok(()),
                other => return Err(fault(&other)),
            }
        }
    });
    answer.await.unwrap_or(Err(Fault::Silence))
}

/// Ends the stream without waiting for an answer.
pub(super) async fn end<S: AsyncWrite + Unpin>(stream: &mut S) {
    // Errors no longer matter.
    let _ = timeout(FAREWELL, async {
        stream.write_all(b"</stream:stream>").await?;
        stream.shutdown().await
    })
    .await;
}

/// Reads one unit after the other.
pub(super) struct Units {
    framer: Framer,
    seen: Vec<u8>,
}

impl Units {
    pub(super) fn new() -> Self {
        Self {
            framer: Framer::new(Limits::default()),
            seen: Vec::new(),
        }
    }

    async fn next<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<Kind, Fault> {
        let mut chunk = [0; CHUNK];
        loop {
            match self.framer.next() {
                Ok(Some(frame)) => return Ok(frame.kind),
                Ok(None) => {}
                Err(error) => return Err(strange(&self.seen, &error.to_string())),
            }
            let length = match stream.read(&mut chunk).await {
                Ok(0) => return Err(Fault::Closed),
                Ok(length) => length,
                Err(error) => return Err(broken(&error)),
            };
            let room = EXCERPT.saturating_sub(self.seen.len()).min(length);
            self.seen.extend_from_slice(&chunk[..room]);
            self.framer.push(&chunk[..length]);
        }
    }
}

fn fault(kind: &Kind) -> Fault {
    match kind {
        Kind::End => Fault::End,
        Kind::Element(element) if Unit::StreamError.is(element) => {
            let text = element.find(NS_STREAMS, "text").map(Element::content);
            let condition = Unit::StreamError.condition(element);
            Fault::Error {
                condition: condition.unwrap_or("undefined-condition").to_owned(),
                text,
            }
        }
        Kind::Element(element) | Kind::Header(element) => {
            Fault::Unexpected(format!("<{} xmlns='{}'>", element.name, element.namespace))
        }
        Kind::Declaration => Fault::Unexpected("an XML declaration".to_owned()),
        Kind::Whitespace(_) => Fault::Unexpected("white space".to_owned()),
    }
}

/// Bytes that are not a stream: TLS, text of another protocol, or broken XML.
fn strange(seen: &[u8], rule: &str) -> Fault {
    // A record starts with its type and the first byte of the version (RFC 8446 §5.1).
    if matches!(seen, [20..=23, 3, ..]) {
        let alert = tls::legacy::read_alert(seen);
        return Fault::Tls(alert.unwrap_or_else(|| "a TLS record".to_owned()));
    }
    if seen.first() == Some(&b'<') {
        return Fault::Unexpected(format!("XML that breaks a rule ({rule})"));
    }
    let line = String::from_utf8_lossy(seen);
    let line = line.lines().next().unwrap_or_default();
    Fault::NotXmpp(
        line.chars()
            .map(|c| if c.is_control() { '.' } else { c })
            .collect(),
    )
}

/// Under TLS it may be the server's verdict on our certificate (RFC 8446 §4.4.2.4).
fn broken(error: &io::Error) -> Fault {
    let is_tls = error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>());
    match error.kind() {
        _ if is_tls => match tls::failure(error) {
            (Party::Target, TlsSignal::Alert(name)) => Fault::Tls(name),
            (_, TlsSignal::Alert(name)) => Fault::Tls(format!("something wrong ({name})")),
            (_, TlsSignal::Garbage(text)) => Fault::Tls(text),
            (_, TlsSignal::Closed) => Fault::Closed,
        },
        io::ErrorKind::UnexpectedEof => Fault::Closed,
        _ => Fault::Reset,
    }
}
