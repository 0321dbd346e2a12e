//! Checks the ports.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use simulated_partners::event::{Party, TlsSignal};
use simulated_partners::probe::{Broken, Fault, ProbeReport};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::finding::{Blame, CheckResult, Finding, Severity};
use super::{Subject, stream};

/// How long a port of this machine may take to accept a connection.
const NEAR: Duration = Duration::from_millis(500);
const START_IT: &str =
    "start the server, or correct its address; `ss -ltn` lists what listens here";

/// Why the port for other servers could not be reached.
pub(super) async fn no_connection(address: SocketAddr, error: &io::Error) -> Finding {
    let finding = unconnected(error, address, "the S2S port", START_IT);
    match other_family(address).await {
        Some(other) if error.kind() == io::ErrorKind::ConnectionRefused => Finding {
            what: format!("{}, but {other} accepts connections", finding.what),
            advice: format!("write `address = \"{other}\"`, or let the server listen at both"),
            ..finding
        },
        Some(_) | None => finding,
    }
}

/// The same port of this machine in the other family of addresses, if somebody listens there.
async fn other_family(address: SocketAddr) -> Option<SocketAddr> {
    let other = match address.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V4(_) | IpAddr::V6(_) => return None,
    };
    let other = SocketAddr::new(other, address.port());
    let connected = timeout(NEAR, TcpStream::connect(other)).await;
    matches!(connected, Ok(Ok(_))).then_some(other)
}

/// The port for other servers.
pub(super) fn external(subject: &Subject, report: &ProbeReport) -> CheckResult {
    connected(report, subject.address, "the S2S port", START_IT)
}

/// The direct TLS port.
pub(super) fn direct_tls(
    subject: &Subject,
    address: SocketAddr,
    report: &ProbeReport,
) -> CheckResult {
    if report.connected.is_err() {
        let advice = "enable direct TLS in the server, or leave out its port";
        return weaker(connected(report, address, "the direct TLS port", advice));
    }
    match &report.tls {
        Some(Ok(secured)) => {
            let opened = report.over_tls.as_ref();
            match opened.and_then(|opened| opened.fault.as_ref()) {
                None => {
                    CheckResult::fine(format!("TLS {} and a stream at {address}", secured.version))
                }
                Some(fault) => Finding::new(
                    Severity::Warning,
                    Blame::Target,
                    format!(
                        "the direct TLS port {address} answers TLS, but no stream for {}: {}",
                        subject.domain,
                        stream::words(fault)
                    ),
                    "is it the port for servers, not the one for clients?",
                )
                .into(),
            }
        }
        Some(Err(broken)) => Finding::new(
            Severity::Warning,
            Blame::Configuration,
            format!(
                "no TLS at the direct TLS port {address}: {}",
                broken_words(broken)
            ),
            "give the direct TLS port (XEP-0368), not the one for STARTTLS",
        )
        .into(),
        None => CheckResult::not_seen("no handshake was tried"),
    }
}

/// A proxy's port for its gateway.
pub(super) fn inner(address: SocketAddr, report: &ProbeReport) -> CheckResult {
    if report.connected.is_err() {
        let advice = "start the proxy's inner listener, or correct its address";
        return connected(report, address, "the proxy's inner port", advice);
    }
    match &report.tls {
        Some(Ok(secured)) if !secured.asked_for_certificate => Finding::new(
            Severity::Warning,
            Blame::Target,
            format!("the inner port {address} asks for no client certificate"),
            "configure the proxy to authenticate its gateway: anyone could impersonate it",
        )
        .into(),
        Some(Ok(secured)) => {
            CheckResult::fine(format!("mutual TLS {} at {address}", secured.version))
        }
        Some(Err(broken)) => Finding::new(
            Severity::Blocking,
            Blame::Configuration,
            format!(
                "no TLS at the inner port {address}: {}",
                broken_words(broken)
            ),
            "give the inner listener a certificate, and make it trust the lab's authority",
        )
        .into(),
        None => CheckResult::not_seen("no handshake was tried"),
    }
}

fn connected(report: &ProbeReport, address: SocketAddr, port: &str, advice: &str) -> CheckResult {
    match &report.connected {
        Ok(took) => CheckResult::fine(format!(
            "{address} accepts connections ({:.1} ms)",
            took.as_secs_f64() * 1000.0
        )),
        Err(error) => unconnected(error, address, port, advice).into(),
    }
}

fn unconnected(error: &io::Error, address: SocketAddr, port: &str, advice: &str) -> Finding {
    let (blame, what) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            Blame::Configuration,
            format!("nothing listens on {address}, {port}"),
        ),
        io::ErrorKind::TimedOut => (
            Blame::Configuration,
            format!("{address}, {port}, does not answer: a firewall, or a wrong address"),
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::AddrNotAvailable => (
            Blame::Harness,
            format!("this machine may not connect to {address}, {port}: {error}"),
        ),
        _ => (
            Blame::Configuration,
            format!("no connection to {address}, {port}: {error}"),
        ),
    };
    Finding::new(Severity::Blocking, blame, what, advice)
}

/// A port that no current case needs.
fn weaker(result: CheckResult) -> CheckResult {
    match result {
        CheckResult::Found { findings } => CheckResult::Found {
            findings: findings
                .into_iter()
                .map(|finding| Finding {
                    severity: Severity::Warning,
                    ..finding
                })
                .collect(),
        },
        other @ (CheckResult::Fine { .. } | CheckResult::NotSeen { .. }) => other,
    }
}

/// Why there is no TLS, in a clause.
pub(super) fn broken_words(broken: &Broken) -> String {
    match broken {
        Broken::NotGranted(Fault::Unexpected(what)) => {
            format!("the answer to <starttls/> was {what}")
        }
        Broken::NotGranted(fault) => format!("no <proceed/>: {}", stream::words(fault)),
        Broken::Handshake(by, signal) => match (by, signal) {
            (Party::Target, TlsSignal::Alert(name)) => format!("it sent the TLS alert {name}"),
            (Party::Partner, TlsSignal::Alert(name)) => {
                format!("its handshake was refused here with the TLS alert {name}")
            }
            (_, TlsSignal::Closed) => "the connection was closed in the handshake".to_owned(),
            (_, TlsSignal::Garbage(text)) => format!("it did not send TLS ({text})"),
        },
        Broken::Timeout => "the handshake did not end in time".to_owned(),
        Broken::Name => "the domain cannot be sent as an SNI".to_owned(),
    }
}
