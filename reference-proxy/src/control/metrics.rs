//! The status as OpenMetrics, over HTTP on a loopback address.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::gather::status;
use super::server::Office;
use super::status::{Direction, Status};
use crate::listener::Listener;

/// Collectors at the same time.
const COLLECTORS: usize = 8;
/// Bytes of the longest head of a request.
const LONGEST: usize = 8192;
/// The time limit for a request and its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers collectors until the proxy stops.
pub(crate) async fn serve_metrics(office: Arc<Office>, listener: Listener) {
    let mut stop = office.context.tasks.stop();
    let places = Arc::new(Semaphore::new(COLLECTORS));
    while let Some((stream, _)) = listener.accept(&mut stop).await {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let office = Arc::clone(&office);
        let (clock, mut stop) = (office.context.clock.clone(), office.context.tasks.stop());
        office.context.tasks.clone().spawn(async move {
            tokio::select! {
                _ = clock.timeout(PATIENCE, answer(&office, stream)) => {}
                () = stop.asked() => {}
            }
            drop(place);
        });
    }
}

/// Reads one request and answers it. The connection ends with the answer, as HTTP/1.1 allows (RFC 9112 §9.6).
async fn answer(office: &Office, mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") && head.len() < LONGEST {
        match stream.read(&mut buffer).await? {
            0 => break,
            count => head.extend_from_slice(&buffer[..count]),
        }
    }
    let text = String::from_utf8_lossy(&head);
    let mut words = text.lines().next().unwrap_or_default().split(' ');
    let response = match (words.next(), words.next()) {
        (Some("GET"), Some("/metrics")) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            http("200 OK", kind, &metrics(&status(office)))
        }
        (Some("GET"), Some(_)) => http("404 Not Found", PLAIN, "only /metrics is here\n"),
        (Some(_), Some(_)) => http("405 Method Not Allowed", PLAIN, "only GET\n"),
        _ => http("400 Bad Request", PLAIN, "not HTTP\n"),
    };
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

const PLAIN: &str = "text/plain; charset=utf-8";

fn http(status: &str, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nAllow: GET\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

type Labels = Vec<(&'static str, String)>;

/// The gauges of a status.
struct Gauges(Registry);

impl Gauges {
    fn one(&mut self, name: &str, help: &str, value: impl TryInto<i64>) {
        self.each(name, help, [(Labels::new(), value)]);
    }

    fn each<V: TryInto<i64>>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, V)>,
    ) {
        let family = Family::<Labels, Gauge>::default();
        for (labels, value) in values {
            let value = value.try_into().unwrap_or(i64::MAX);
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }
}

/// A status as OpenMetrics. Where there are several of a kind, they are added up.
fn metrics(status: &Status) -> String {
    let mut gauges = Gauges(Registry::with_prefix("s2spec_proxy"));
    gauges.one(
        "health",
        "0 well, 1 warning, 2 critical",
        status.health as i64,
    );
    gauges.one("uptime_seconds", "Seconds since the start", status.uptime);
    gauges.one(
        "gateways",
        "Gateways that are connected",
        status.gateways.len(),
    );
    let queues = status.gateways.iter().map(|one| {
        let domains = match one.domains.is_empty() {
            true => "*".to_owned(),
            false => one.domains.join(" "),
        };
        (vec![("domains", domains)], one.queue)
    });
    let help = "Stanzas that wait for a gateway to read";
    gauges.each("gateway_queue_stanzas", help, queues);
    let streams = status.active.iter().flat_map(|partner| {
        partner.streams.iter().map(|stream| {
            let direction = match stream.direction {
                Direction::Inbound => "inbound",
                Direction::Outbound => "outbound",
            };
            let method = stream.pairs.first().map(|pair| pair.method.clone());
            let labels = vec![
                ("partner", partner.domain.clone()),
                ("direction", direction.to_owned()),
                ("method", method.unwrap_or_default()),
                (
                    "tls",
                    stream.tls.clone().unwrap_or_else(|| "none".to_owned()),
                ),
            ];
            (labels, 1)
        })
    });
    gauges.each("streams", "Streams with partners", streams);
    let queues = status.active.iter().flat_map(|partner| {
        let labels = vec![("partner", partner.domain.clone())];
        partner
            .queues
            .iter()
            .map(move |queue| (labels.clone(), queue.stanzas))
    });
    let help = "Stanzas that wait for a stream to a partner";
    gauges.each("queue_stanzas", help, queues);
    let limits = |value: fn(&super::status::Use) -> usize| {
        let limits = status.limits.iter();
        limits.map(move |limit| (vec![("of", limit.of.clone())], value(limit)))
    };
    gauges.each(
        "connections",
        "Connections with partners",
        limits(|limit| limit.used),
    );
    let help = "The limit of connections with partners";
    gauges.each("connections_limit", help, limits(|limit| limit.limit));
    let refused = Family::<Labels, Counter>::default();
    for one in &status.refused {
        let labels = vec![
            ("direction", one.kind.direction.clone()),
            ("phase", one.kind.phase.clone()),
            ("by", one.kind.by.clone()),
            ("condition", one.kind.condition.clone()),
        ];
        refused.get_or_create(&labels).inc_by(one.times);
    }
    gauges
        .0
        .register("refusals", "What was refused since the start", refused);
    let days = status.certificates.iter().map(|one| {
        let labels = vec![
            ("presented", one.presented.clone()),
            ("key", one.key.clone()),
        ];
        (labels, one.days)
    });
    let help = "Days until a certificate of the proxy ends";
    gauges.each("certificate_days", help, days);
    let mut text = String::new();
    encode(&mut text, &gauges.0).expect("a String takes all text");
    text
}
