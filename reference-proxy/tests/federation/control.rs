//! The control socket.

use std::error::Error as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Once;

use reference_proxy::Clock;
use reference_proxy::control::{
    Answer, Client, ClientError, Direction, Followed, Health, Lines, Request, Side, tap,
};
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::support::{Net, Peer, Settings, message};

const A: &str = "alpha.example";
const B: &str = "beta.example";

/// A folder for the socket, the settings that name it, and its client.
fn controlled(net: &Net) -> (TempDir, Settings, Client) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control");
    let mut settings = net.settings(A, B, 9);
    settings.top += &format!("control = '{}'\n", path.display());
    (folder, settings, Client::new(path))
}

/// What a blocking question gets.
async fn asked<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(ask).await.expect("no panic")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path)
        .expect("it is there")
        .permissions()
        .mode()
        & 0o777
}

#[tokio::test]
async fn socket_is_of_its_user_and_goes_with_the_proxy() {
    let net = Net::new().await;
    let (folder, settings, client) = controlled(&net);
    let path = folder.path().join("control");
    let proxy = net.start(&settings);
    assert_eq!(mode(&path), 0o600);
    let external = proxy.external_address();
    let status = asked(move || client.status()).await.expect("a status");
    let listening = status.listeners.iter().find(|l| l.side == Side::External);
    assert_eq!(listening.expect("listens").address, external);
    proxy.stop().await;
    assert!(
        fs::read_dir(folder.path())
            .expect("a folder")
            .next()
            .is_none()
    );
}

#[tokio::test]
async fn stale_socket_is_replaced_and_one_in_use_is_not() {
    let net = Net::new().await;
    let (folder, settings, client) = controlled(&net);
    let path = folder.path().join("control");
    drop(UnixListener::bind(&path).expect("a socket"));
    let proxy = net.start(&settings);
    let error = net
        .try_start(&settings, Clock::default())
        .expect_err("in use");
    assert!(error.to_string().contains("control"), "{error}");
    let reason = error.source().expect("a reason").to_string();
    assert_eq!(reason, "another process answers there");
    asked(move || client.status()).await.expect("still answers");
    proxy.stop().await;
    fs::write(&path, "notes").expect("a file");
    let error = net
        .try_start(&settings, Clock::default())
        .expect_err("no socket");
    let reason = error.source().expect("a reason").to_string();
    assert_eq!(reason, "there is a file that is no socket");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "notes");
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let net = Net::new().await;
    let (folder, settings, _) = controlled(&net);
    let path = folder.path().join("control");
    let proxy = net.start(&settings);
    let long = "x".repeat(100_000);
    for text in ["", "hello", "{\"request\":\"dance\"}", long.as_str()] {
        let (path, sent) = (path.clone(), format!("{text}\n"));
        let answer = asked(move || {
            let mut stream = UnixStream::connect(path).expect("a connection");
            // It may be refused before all is sent.
            let _ = stream.write_all(sent.as_bytes());
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        });
        let answer: Answer = serde_json::from_str(&answer.await).expect("an answer");
        assert!(
            matches!(&answer, Answer::Refused(why) if why.starts_with("not a request: ")),
            "{answer:?}"
        );
    }
    proxy.stop().await;
}

#[tokio::test]
async fn client_finds_the_socket_in_a_configuration_with_mistakes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("proxy.toml");
    fs::write(&file, "control = 'here'\ndomains = 7\nnonsense = true\n").expect("a file");
    let client = Client::of_configuration(&file).expect("a client");
    let error = client.status().expect_err("nobody listens");
    let here = folder.path().join("here").display().to_string();
    assert!(matches!(&error, ClientError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&here), "{error}");
    fs::write(&file, "domains = ['a.example']\n").expect("a file");
    let error = Client::of_configuration(&file).expect_err("no socket");
    assert!(error.to_string().contains("sets no `control`"), "{error}");
    fs::write(&file, "domains = [").expect("a file");
    let error = Client::of_configuration(&file).expect_err("no TOML");
    assert!(
        matches!(error, ClientError::Configuration { .. }),
        "{error}"
    );
}

/// The log is one for the process.
fn log() {
    static LOG: Once = Once::new();
    LOG.call_once(|| tracing_subscriber::registry().with(tap()).init());
}

/// A line that has the text, and the lines before it.
async fn until(mut lines: Lines, text: &'static str) -> (Lines, Vec<String>) {
    asked(move || {
        let mut seen = Vec::new();
        for part in lines.by_ref() {
            if let Followed::Line(line) = part.expect("a line") {
                let last = line.contains(text);
                seen.push(line);
                if last {
                    break;
                }
            }
        }
        (lines, seen)
    })
    .await
}

#[tokio::test]
async fn log_of_a_partner_has_its_lines_and_no_others() {
    log();
    let net = Net::new().await;
    let (_folder, mut settings, client) = controlled(&net);
    let other = "gamma-of-log.example";
    settings.partner += &format!("[[partner]]\ndomain = '{other}'\n");
    let (proxy, mut gateway) = net.station(&settings).await;
    let asking = client.clone();
    let lines = asked(move || asking.log(Some(other))).await.expect("lines");
    for partner in [B, other] {
        gateway.send(&message(A, partner, "m")).await;
        gateway.expect("</message>").await;
    }
    let (_, seen) = until(lines, "cannot be delivered").await;
    assert!(seen.iter().all(|line| line.contains(other)), "{seen:?}");
    let error = asked(move || client.log(Some("nobody.example"))).await;
    let error = error.expect_err("no partner").to_string();
    assert_eq!(error, "`nobody.example` is no domain of a partner");
    proxy.stop().await;
}

#[tokio::test]
async fn slow_reader_of_the_log_loses_lines_and_is_told() {
    log();
    let net = Net::new().await;
    let (_folder, settings, client) = controlled(&net);
    let proxy = net.start(&settings);
    let mut lines = asked(move || client.log(None)).await.expect("lines");
    let text = "x".repeat(1000);
    for number in 0..5000 {
        tracing::info!(number, text, "fast");
        // The proxy has its turn.
        tokio::task::yield_now().await;
    }
    let lost = asked(move || {
        lines.find_map(|part| match part.expect("a part") {
            Followed::Lost(lines) => Some(lines),
            Followed::Line(_) => None,
        })
    });
    assert!(lost.await.expect("lines are lost") > 1000);
    proxy.stop().await;
}

#[tokio::test]
async fn requests_are_lines_of_json() {
    let net = Net::new().await;
    let (folder, settings, client) = controlled(&net);
    let proxy = net.start(&settings);
    let path = folder.path().join("control");
    let answer = asked(move || {
        let mut stream = UnixStream::connect(path).expect("a connection");
        stream
            .write_all(b"{\"request\":\"status\"}\n")
            .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    });
    let answer = answer.await;
    assert!(
        answer.starts_with("{\"status\":{") && answer.ends_with("}\n"),
        "{answer}"
    );
    let same = asked(move || client.ask(&Request::Status))
        .await
        .expect("an answer");
    assert_eq!(serde_json::from_str::<Answer>(&answer).expect("JSON"), same);
    proxy.stop().await;
}

/// What a collector gets.
async fn collected(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = Peer::new(
        tokio::net::TcpStream::connect(address)
            .await
            .expect("a connection"),
    );
    stream.send(request).await;
    stream.rest().await
}

#[tokio::test]
async fn status_and_metrics_show_what_is_open() {
    let net = Net::new().await;
    let (_folder, mut settings, client) = controlled(&net);
    settings.top += "metrics = '127.0.0.1:0'\n";
    let proxy = net.start(&settings);
    let metrics = proxy.metrics_address().expect("metrics");
    let asking = client.clone();
    let status = asked(move || asking.status()).await.expect("a status");
    assert_eq!(status.health, Health::Critical, "no gateway");

    let mut gateway = net.gateway(&proxy, A).await;
    let (beta, mut beta_gateway) = net.station(&net.settings(B, A, 9)).await;
    gateway.send(&message(A, B, "there")).await;
    beta_gateway.expect("</message>").await;
    beta_gateway.send(&message(B, A, "back")).await;
    gateway.expect("</message>").await;
    let asking = client.clone();
    let status = asked(move || asking.status()).await.expect("a status");
    assert_eq!((status.health, &status.concerns), (Health::Well, &vec![]));
    assert_eq!(status.gateways[0].domains, [A]);
    let [partner] = &status.active[..] else {
        panic!("{status:?}");
    };
    let streams: Vec<_> = partner
        .streams
        .iter()
        .map(|stream| {
            (
                stream.direction,
                stream.tls.as_deref(),
                &*stream.pairs[0].method,
            )
        })
        .collect();
    let tls = Some("TLS 1.3");
    assert!(
        streams.contains(&(Direction::Inbound, tls, "sasl-tls")),
        "{streams:?}"
    );
    assert!(
        streams.contains(&(Direction::Outbound, tls, "sasl-tls")),
        "{streams:?}"
    );
    assert_eq!((status.limits[0].used, status.limits[0].limit), (2, 1000));
    assert_eq!(status.certificates[0].presented, A);
    assert!(status.certificates[0].days > 1000);

    let text = collected(metrics, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(
        text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("# EOF\n"),
        "{text}"
    );
    for line in [
        "s2spec_proxy_health 0",
        "s2spec_proxy_streams{partner=\"beta.example\",direction=\"inbound\",method=\"sasl-tls\",tls=\"TLS 1.3\"} 1",
        "s2spec_proxy_connections{of=\"connections\"} 2",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    for (request, answer) in [
        ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "),
        ("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 "),
        ("\r\n\r\n", "HTTP/1.1 400 "),
    ] {
        let text = collected(metrics, request).await;
        assert!(text.starts_with(answer), "{text}");
    }

    // What has ended is shown no more, and a failure is.
    beta.stop().await;
    gateway.send(&message(A, B, "gone")).await;
    gateway.expect("</message>").await;
    let status = asked(move || client.status()).await.expect("a status");
    let [partner] = &status.active[..] else {
        panic!("{status:?}");
    };
    assert!(
        partner.failures[0]
            .reason
            .contains("none of 1 addresses answers"),
        "{partner:?}"
    );
    proxy.stop().await;
}
