//! What the embedded proxy carries, beside a plain relay of the same bytes: stanzas a second through one partner, what
//! the proxy adds to their time at a tenth of what is asked of it, and its memory for each connection.

use std::path::Path;
use std::time::Duration;

use s2spec::load::{Direction, Report, Wanted, relay, run};
use s2spec::outcome::Method;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// Stanzas a second that the proxy has to carry on two cores.
const ASKED: f64 = 40_000.0;
/// How long each figure is measured.
const LENGTH: Duration = Duration::from_secs(5);

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() {
    // Under `cargo test` there is nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = Runtime::new().expect("threads can be started");
    let most = |method| Wanted {
        methods: vec![method],
        ..wanted(1, None)
    };
    let relay_rate = rate(&runtime.block_on(relayed(&most(Method::TcpDialback))));
    println!("stanzas a second, one partner, 40 bytes of text each");
    println!("{relay_rate:>12.0}  a relay of bytes");
    for method in [Method::TcpDialback, Method::SaslTls] {
        let carried = rate(&runtime.block_on(loaded(&most(method))));
        let share = 100.0 * carried / relay_rate;
        println!("{carried:>12.0}  the proxy, {method}: {share:.0} % of the relay");
    }
    let tenth = wanted(1, Some(ASKED / 10.0));
    let bare = median(&runtime.block_on(relayed(&tenth)));
    let carried = median(&runtime.block_on(loaded(&tenth)));
    println!("\nmedian time of a stanza at {:.0} a second", ASKED / 10.0);
    println!("{bare:>9.0} µs  a relay of bytes");
    println!(
        "{carried:>9.0} µs  the proxy: {:.0} µs more",
        carried - bare
    );
    println!("\nmemory of the proxy for each connection");
    for (direction, limit) in [(Direction::In, 1000), (Direction::Both, 2000)] {
        let many = Wanted {
            direction,
            limit: Some(limit),
            ..wanted(1000, Some(1000.0))
        };
        let report = runtime.block_on(loaded(&many));
        let each = report.usage.and_then(|usage| usage.memory_each);
        let each = each.map_or(f64::NAN, |bytes| bytes as f64 / 1024.0);
        let connections = report.connections.dialled + report.connections.accepted;
        println!("{each:>8.1} KiB  {connections} connections, {direction:?}");
    }
}

fn wanted(partners: usize, rate: Option<f64>) -> Wanted {
    Wanted {
        partners,
        rate,
        duration: LENGTH,
        methods: vec![Method::SaslTls],
        direction: Direction::In,
        churn: 0.0,
        size: 40,
        window: 128,
        limit: None,
        seed: 1,
        program: Path::new(env!("CARGO_BIN_EXE_s2spec")).to_owned(),
    }
}

async fn loaded(wanted: &Wanted) -> Report {
    let (_nobody, mut ends) = mpsc::channel(1);
    run(None, wanted, &mut ends).await.expect("the proxy runs")
}

async fn relayed(wanted: &Wanted) -> Report {
    let (_nobody, mut ends) = mpsc::channel(1);
    relay(wanted, &mut ends).await.expect("there is a port")
}

fn rate(report: &Report) -> f64 {
    report.ways.iter().map(|way| way.rate).sum()
}

/// The median in microseconds.
fn median(report: &Report) -> f64 {
    let mut ways = report.ways.iter().filter_map(|way| way.delivery);
    ways.next().map_or(f64::NAN, |times| times.p50_us)
}
