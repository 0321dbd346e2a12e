//! Sockets of the DNS server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use hickory_proto::op::{Metadata, OpCode, ResponseCode};
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo, Server};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Handle;

use super::zone::{Found, Records, authority_of};

/// How long a TCP connection may be idle.
const TCP_IDLE: Duration = Duration::from_secs(10);
/// The maximum number of answers waiting for a slow reader on one TCP connection.
const TCP_ANSWERS: usize = 64;
/// The maximum number of ports to try until one is free for both UDP and TCP.
const TRIES: usize = 16;

/// An authoritative DNS server over UDP and TCP, which stops when dropped.
pub struct Dns {
    address: SocketAddr,
    records: Records,
    /// Its tasks are aborted on drop.
    server: Server<Responder>,
}

impl Dns {
    /// Starts on 127.0.0.1 and a free port, within the current tokio runtime.
    ///
    /// # Errors
    /// When no socket is available, or outside of a runtime.
    pub fn start() -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Starts at an address; port 0 selects a free one.
    ///
    /// # Errors
    /// When the address is not available for both UDP and TCP, or outside of a runtime.
    pub fn start_at(address: SocketAddr) -> io::Result<Self> {
        Handle::try_current().map_err(io::Error::other)?;
        let (udp, tcp) = bind(address)?;
        let address = tcp.local_addr()?;
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        let records = Records::default();
        let mut server = Server::new(Responder {
            records: records.clone(),
        });
        server.register_socket(UdpSocket::from_std(udp)?);
        server.register_listener(TcpListener::from_std(tcp)?, TCP_IDLE, TCP_ANSWERS);
        Ok(Self {
            address,
            records,
            server,
        })
    }

    /// Stops it. When this returns, its port is free; after a drop, that takes a moment.
    pub async fn close(mut self) {
        if let Err(error) = self.server.shutdown_gracefully().await {
            tracing::warn!(%error, "the DNS server did not end in order");
        }
    }

    /// Its address, for UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The records that it serves.
    pub fn records(&self) -> &Records {
        &self.records
    }
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Binds the same port twice. A port free for TCP may be in use for UDP, so several are tried.
fn bind(address: SocketAddr) -> io::Result<(std::net::UdpSocket, std::net::TcpListener)> {
    let mut tries = if address.port() == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        let tcp = std::net::TcpListener::bind(address)?;
        match std::net::UdpSocket::bind(tcp.local_addr()?) {
            Ok(udp) => return Ok((udp, tcp)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            Err(error) => return Err(error),
        }
    }
}

struct Responder {
    records: Records,
}

impl Responder {
    async fn respond(&self, request: &Request, mut out: impl ResponseHandler) -> ResponseInfo {
        let builder = MessageResponseBuilder::from_message_request(request);
        let mut metadata = Metadata::response_from_request(&request.metadata);
        let info = match request.request_info() {
            Ok(info) if request.metadata.op_code == OpCode::Query => info,
            Ok(_) => return refuse(builder, request, out, ResponseCode::NotImp).await,
            Err(_) => return refuse(builder, request, out, ResponseCode::FormErr).await,
        };
        let tcp = info.protocol == Protocol::Tcp;
        let found = self
            .records
            .ask(info.query.name(), info.query.query_type(), tcp);
        metadata.authoritative = true;
        let answers = match found {
            Found::Records(records) => records,
            Found::NxDomain(records) => {
                metadata.response_code = ResponseCode::NXDomain;
                records
            }
            Found::Truncated => {
                metadata.truncation = true;
                Vec::new()
            }
            Found::ServFail => return refuse(builder, request, out, ResponseCode::ServFail).await,
            Found::Refused => return refuse(builder, request, out, ResponseCode::Refused).await,
            Found::Silence => return unsent(metadata),
        };
        let negative = answers.is_empty() || metadata.response_code == ResponseCode::NXDomain;
        let soa =
            (negative && !metadata.truncation).then(|| authority_of(info.query.original().name()));
        let response = builder.build(metadata, &answers, &[], &soa, &[]);
        out.send_response(response)
            .await
            .unwrap_or_else(|_| unsent(metadata))
    }
}

async fn refuse(
    builder: MessageResponseBuilder<'_>,
    request: &Request,
    mut out: impl ResponseHandler,
    code: ResponseCode,
) -> ResponseInfo {
    let response = builder.error_msg(&request.metadata, code);
    out.send_response(response)
        .await
        .unwrap_or_else(|_| unsent(Metadata::response_from_request(&request.metadata)))
}

/// The handler's result if nothing was sent; the server ignores it.
fn unsent(metadata: Metadata) -> ResponseInfo {
    hickory_proto::op::Header {
        metadata,
        counts: hickory_proto::op::HeaderCounts::default(),
    }
    .into()
}

/// Written without the `async_trait` macro, which is not worth a
/// dependency for one method.
impl RequestHandler for Responder {
    fn handle_request<'s, 'r, 'f, R, T>(
        &'s self,
        request: &'r Request,
        response_handle: R,
    ) -> Pin<Box<dyn Future<Output = ResponseInfo> + Send + 'f>>
    where
        's: 'f,
        'r: 'f,
        R: ResponseHandler + 'f,
        T: Time + 'f,
        Self: 'f,
    {
        Box::pin(self.respond(request, response_handle))
    }
}
