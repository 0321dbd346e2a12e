//! How fast the matrix runs on the embedded proxy, what it costs in memory, and what the harness adds to
//! the handshakes it consists of.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use s2spec::baseline::BaselineCheck;
use s2spec::case::{Case, Set};
use s2spec::expectation::End;
use s2spec::matrix;
use s2spec::oracle::{Profile, allowed};
use s2spec::outcome::Method;
use s2spec::record::RunEvent;
use s2spec::resources;
use s2spec::runner::{self, Deadlines, Plan, SLOTS};
use s2spec::scenario::Library;
use s2spec::subject::Target;
use s2spec::subject::reference::Reference;
use simulated_partners::persona::{self, Certificate, Key};
use simulated_partners::pki::Authority;
use tokio::sync::{Semaphore, mpsc, watch};

fn main() {
    figures();
    divan::main();
}

/// The cases of a set, or of the three sets of the matrix.
fn cases(set: Option<Set>) -> Vec<Case> {
    let mut all = matrix::cases(&persona::builtin());
    all.extend(Library::builtin().cases());
    let wanted = |case: &Case| match set {
        Some(set) => case.set == set,
        None => case.set != Set::Scenarios,
    };
    all.retain(wanted);
    all
}

fn plan(selected: &[Case]) -> Plan {
    let target: Arc<dyn Target> = Arc::new(Reference {
        strict_certificates: false,
    });
    let profile = Profile::default();
    let mut all = cases(None);
    all.extend(cases(Some(Set::Scenarios)));
    Plan {
        jobs: runner::jobs(&all, selected, target.as_ref(), profile),
        target,
        profile,
        deadlines: Deadlines::default(),
        slots: Arc::new(Semaphore::new(2 * SLOTS)),
        seed: 1,
        keep_events: false,
        keeps: None,
        check: Arc::new(BaselineCheck::none()),
        doubts: false,
        asks_again: false,
        budget: None,
        prove: false,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
}

fn run(selected: &[Case]) -> usize {
    runtime()
        .block_on(runner::collect(plan(selected)))
        .records
        .len()
}

/// 648 cases. Aim: 2 s.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn policies() -> usize {
    run(&cases(Some(Set::Policies)))
}

/// All three sets. Aim: 8 s.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn everything() -> usize {
    run(&cases(None))
}

/// The conformance suite, including controls and health checks. Aim: 10 s.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn scenarios() -> usize {
    run(&cases(Some(Set::Scenarios)))
}

/// From start to the first verdict, including the expansion of all sets. Aim: 150 ms.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn first_verdict() {
    runtime().block_on(async {
        let (sender, mut events) = mpsc::channel(64);
        let (_never, interrupt) = watch::channel(false);
        let task = tokio::spawn(runner::run(plan(&cases(None)), sender, interrupt));
        while let Some(event) = events.recv().await {
            if matches!(event, RunEvent::Finished(_)) {
                break;
            }
        }
        task.abort();
    });
}

/// Figures that are not timings of one function: CPU per case against CPU per handshake, and memory.
#[expect(
    clippy::print_stdout,
    reason = "the figures are what this program is for"
)]
fn figures() {
    let handshake = cpu_of(|| mutual_handshakes(HANDSHAKES)) / HANDSHAKES;
    let selected: Vec<Case> = cases(None)
        .into_iter()
        .filter(|case| {
            allowed(case, Profile::default()).is_some_and(|expectation| {
                expectation.allowed[0].end == End::Established(Method::SaslTls)
            })
        })
        .collect();
    let number = u32::try_from(selected.len()).expect("some hundred cases");
    let plan = plan(&selected);
    let runtime = runtime();
    let case = cpu_of(|| {
        let _ = runtime.block_on(runner::collect(plan));
    }) / number;
    println!("one mutual handshake, both ends:      {handshake:>10.1?} CPU");
    println!("one established sasl-tls case:        {case:>10.1?} CPU ({number} cases)");
    println!(
        "a case over one handshake each way:   {:>10.2}",
        case.as_secs_f64() / (2.0 * handshake.as_secs_f64())
    );
    let began = Instant::now();
    run(&cases(None));
    println!(
        "all three sets:                       {:>10.1?} wall",
        began.elapsed()
    );
    if let Some(peak) = resources::peak_memory() {
        let mebibytes = peak / 1_048_576;
        println!("peak memory:                          {mebibytes:>6} MiB");
    }
}

fn cpu_of(work: impl FnOnce()) -> Duration {
    let before = resources::cpu_time();
    work();
    resources::cpu_time().saturating_sub(before)
}

const HANDSHAKES: u32 = 400;

/// TLS 1.3 with certificates on both sides, verified by rustls; both ends are in this
/// process, without sockets.
fn mutual_handshakes(number: u32) {
    let authority = Authority::new(1);
    let issue = |name| {
        authority
            .issue(&[name], Certificate::Good, Key::P256)
            .expect("a good certificate is made")
    };
    let (one, two) = (issue("one.example"), issue("two.example"));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(authority.roots(), Arc::clone(&provider))
            .build()
            .expect("there are roots");
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider speaks it")
        .with_client_cert_verifier(verifier)
        .with_single_cert(one.chain().to_vec(), one.key().clone_key())
        .expect("the key fits");
    server.send_tls13_tickets = 0;
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider speaks it")
        .with_root_certificates(authority.roots())
        .with_client_auth_cert(two.chain().to_vec(), two.key().clone_key())
        .expect("the key fits");
    let (server, client) = (Arc::new(server), Arc::new(client));
    for _ in 0..number {
        let name = "one.example".try_into().expect("a name");
        let mut client = ClientConnection::new(Arc::clone(&client), name).expect("a client");
        let mut server = ServerConnection::new(Arc::clone(&server)).expect("a server");
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).expect("memory takes bytes");
            server
                .read_tls(&mut wire.as_slice())
                .expect("memory gives bytes");
            server.process_new_packets().expect("a good flight");
            wire.clear();
            server.write_tls(&mut wire).expect("memory takes bytes");
            client
                .read_tls(&mut wire.as_slice())
                .expect("memory gives bytes");
            client.process_new_packets().expect("a good flight");
        }
    }
}
