//! Looks at a server from outside: its header and features, its handshake, its certificate.
//!
//! A [`Partner`](crate::driver::Partner) negotiates completely; a probe stops before it authenticates
//! and leaves nothing behind. It reports observations and judges nothing. Start at [`look`].

mod opened;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::event::{Party, TlsSignal};
use crate::persona::TlsVersion;
use crate::pki::Identity;
use crate::tls::{self, OfferRecorder};
use crate::wire::{Element, NS_TLS};

pub use opened::{Fault, Opened};
use opened::{Units, end, open};

/// What to probe, and with which names.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The address.
    pub address: SocketAddr,
    /// The domain in `to`.
    pub domain: String,
    /// The domain in `from`.
    pub from: String,
    /// The identity shown if a client certificate is requested.
    pub identity: Option<Arc<Identity>>,
    /// Whether to use direct TLS (XEP-0368) instead of a plaintext stream.
    pub direct_tls: bool,
    /// The versions of TLS to use.
    pub tls_versions: Vec<TlsVersion>,
    /// Whether headers declare the namespace of dialback (XEP-0220 §2.4.1).
    pub declares_dialback: bool,
    /// The time limit for the whole probe.
    pub patience: Duration,
}

/// The observations, as far as the probe got.
#[derive(Debug)]
pub struct ProbeReport {
    /// How long TCP took, or why it failed.
    pub connected: io::Result<Duration>,
    /// The plaintext stream; `None` with direct TLS.
    pub clear: Option<Opened>,
    /// The handshake; `None` if STARTTLS was not offered.
    pub tls: Option<Result<Secured, Broken>>,
    /// The stream over TLS.
    pub over_tls: Option<Opened>,
}

/// A completed handshake.
#[derive(Clone, Debug)]
pub struct Secured {
    /// The server's chain, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The suite's IANA name.
    pub suite: String,
    /// Whether a client certificate was requested.
    pub asked_for_certificate: bool,
    /// How long the handshake took.
    pub took: Duration,
}

/// STARTTLS or a handshake that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// There was no `<proceed/>`.
    NotGranted(Fault),
    /// The handshake failed.
    Handshake(Party, TlsSignal),
    /// It did not end in time.
    Timeout,
    /// The domain is not a valid server name for TLS.
    Name,
}

impl ProbeReport {
    fn failed(error: io::Error) -> Self {
        Self {
            connected: Err(error),
            clear: None,
            tls: None,
            over_tls: None,
        }
    }

    /// The result of a completed handshake.
    pub fn secured(&self) -> Option<&Secured> {
        self.tls.as_ref()?.as_ref().ok()
    }
}

/// Probes a server: TCP, a plaintext stream, STARTTLS if offered, a stream over TLS.
pub async fn look(what: &Probe) -> ProbeReport {
    let deadline = Instant::now() + what.patience;
    let began = Instant::now();
    let connected = timeout_at(deadline, TcpStream::connect(what.address)).await;
    let mut tcp = match connected {
        Ok(Ok(tcp)) => tcp,
        Ok(Err(error)) => return ProbeReport::failed(error),
        Err(_) => return ProbeReport::failed(io::ErrorKind::TimedOut.into()),
    };
    // A lost connection is noticed when reading.
    let _ = tcp.set_nodelay(true);
    let _ = SockRef::from(&tcp).set_tcp_quickack(true);
    let mut report = ProbeReport {
        connected: Ok(began.elapsed()),
        clear: None,
        tls: None,
        over_tls: None,
    };
    if !what.direct_tls {
        let mut units = Units::new();
        let opened = open(&mut tcp, &mut units, what, deadline).await;
        let starttls = opened.offers_starttls();
        report.clear = Some(opened);
        if !starttls {
            end(&mut tcp).await;
            return report;
        }
        if let Err(fault) = opened::starttls(&mut tcp, &mut units, deadline).await {
            report.tls = Some(Err(Broken::NotGranted(fault)));
            end(&mut tcp).await;
            return report;
        }
    }
    match secure(tcp, what, deadline).await {
        Ok((mut stream, secured)) => {
            report.tls = Some(Ok(secured));
            report.over_tls = Some(open(&mut stream, &mut Units::new(), what, deadline).await);
            end(&mut stream).await;
        }
        Err(broken) => report.tls = Some(Err(broken)),
    }
    report
}

async fn secure(
    tcp: TcpStream,
    what: &Probe,
    deadline: Instant,
) -> Result<(TlsStream<TcpStream>, Secured), Broken> {
    let name = ServerName::try_from(what.domain.clone()).map_err(|_| Broken::Name)?;
    let asked = Arc::new(Asked {
        identity: what.identity.clone(),
        asked: AtomicBool::new(false),
    });
    let config = config(&asked, &what.tls_versions)?;
    let began = Instant::now();
    let connect = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    let stream = timeout_at(deadline, connect.into_fallible())
        .await
        .map_err(|_| Broken::Timeout)?
        .map_err(|(error, _)| {
            let (by, signal) = tls::failure(&error);
            Broken::Handshake(by, signal)
        })?;
    let facts = {
        let connection = stream.get_ref().1;
        // Judged elsewhere in detail: here only the negotiated values matter.
        let roots = Arc::new(rustls::RootCertStore::empty());
        tls::client_facts(
            connection,
            &OfferRecorder::default(),
            None,
            &[what.domain.as_str()],
            &roots,
        )
    };
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let secured = Secured {
        chain: chain.to_vec(),
        version: facts.version,
        suite: facts.suite,
        asked_for_certificate: asked.asked.load(Ordering::Relaxed),
        took: began.elapsed(),
    };
    Ok((stream, secured))
}

fn config(asked: &Arc<Asked>, versions: &[TlsVersion]) -> Result<ClientConfig, Broken> {
    let config = tls::client_config(asked.identity.as_ref(), versions).map_err(|error| {
        Broken::Handshake(Party::Partner, TlsSignal::Garbage(error.to_string()))
    })?;
    let mut config = Arc::unwrap_or_clone(config);
    config.client_auth_cert_resolver = Arc::clone(asked) as Arc<dyn ResolvesClientCert>;
    Ok(config)
}

/// Shows a certificate and remembers that it was requested.
#[derive(Debug)]
struct Asked {
    identity: Option<Arc<Identity>>,
    asked: AtomicBool,
}

impl ResolvesClientCert for Asked {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        let identity = self.identity.as_ref()?;
        Some(Arc::clone(identity.certified()))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// STARTTLS in stream features: `Some(true)` if it is required.
pub fn starttls_offer(features: &Element) -> Option<bool> {
    let starttls = features.find(NS_TLS, "starttls")?;
    // The only feature also counts as required (RFC 6120 §5.3.1).
    let alone = features.elements().count() == 1;
    Some(alone || starttls.find(NS_TLS, "required").is_some())
}
