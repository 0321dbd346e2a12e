//! A target of which only the wire is seen, and which never goes on: nothing tells whether its sender learned
//! that the stanza came to nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use rstest::rstest;
use s2spec::case::Case;
use s2spec::finding::Sign;
use s2spec::lab::Lab;
use s2spec::oracle::Profile;
use s2spec::policy::PolicyNumber;
use s2spec::record::Record;
use s2spec::runner::Deadlines;
use s2spec::subject::{
    Call, Hidden, Inside, Pending, Placement, Running, StartError, Stop, Target, Trigger,
};
use s2spec::verdict::Weight;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::remote::outbound_from_outside;
use crate::support::run_within;
use crate::wrong_targets::double::dns;

const DOMAIN: &str = "contoso.example";
/// It waits for the partner to lose patience.
const SOON: Duration = Duration::from_secs(3);

/// What the target does when it has seen the partner's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Closes,
    Hangs,
}

/// Dials when it is told to, and gets no further than the header.
struct Dialler {
    then: Then,
    patience: Option<Duration>,
}

impl Target for Dialler {
    fn name(&self) -> String {
        format!("a target that {:?}", self.then)
    }

    fn place(&self, _: &Case) -> Placement {
        Placement::Group("all".to_owned())
    }

    fn start<'a>(
        &'a self,
        lab: &'a Lab,
        _: &'a str,
        _: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async move {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let listener = listener.expect("a port");
            let address = listener.local_addr().expect("it listens");
            let served = tokio::spawn(serve(listener, dns::client(lab.dns.address()), self.then));
            let inner = Inside::Hidden(Hidden::new(Trigger::Command(tell(address))));
            let running = Running {
                patience: self.patience,
                ..Running::new(DOMAIN, address, inner)
            };
            let stop: Stop = Box::new(move || {
                Box::pin(async move {
                    served.abort();
                    Ok(())
                })
            });
            Ok((running, stop))
        })
    }
}

/// The command that names the partner to dial.
fn tell(address: SocketAddr) -> Call {
    let script = format!(
        "echo \"$S2SPEC_PARTNER\" > /dev/tcp/127.0.0.1/{}",
        address.port()
    );
    Call {
        purpose: "trigger",
        command: ["bash", "-c", &script].map(str::to_owned).to_vec(),
        folder: std::env::temp_dir(),
        environment: Vec::new(),
        timeout: Duration::from_secs(10),
    }
}

async fn serve(listener: TcpListener, dns: TokioResolver, then: Then) {
    while let Ok((mut told, _)) = listener.accept().await {
        let dns = dns.clone();
        tokio::spawn(async move {
            let mut domain = String::new();
            // Who only looks whether it is there says nothing.
            if told.read_to_string(&mut domain).await.is_ok() && !domain.is_empty() {
                dial(&dns, domain.trim(), then).await;
            }
        });
    }
}

async fn dial(dns: &TokioResolver, domain: &str, then: Then) -> Option<()> {
    let addresses = dns::addresses(dns, domain, (false, None)).await.ok()?;
    let mut stream = TcpStream::connect(addresses.first()?.address).await.ok()?;
    let header = format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
         xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' \
         from='{DOMAIN}' to='{domain}' version='1.0'>"
    );
    stream.write_all(header.as_bytes()).await.ok()?;
    let mut chunk = [0; 4096];
    while stream.read(&mut chunk).await.ok()? > 0 && then == Then::Hangs {}
    Some(())
}

#[rstest]
#[case(Then::Closes, None, &[])]
#[case(Then::Hangs, None, &[Weight::Undecided])]
#[case(Then::Hangs, Some(SOON / 10), &[Weight::Must])]
fn a_target_has_to_give_up_by_itself(
    #[case] then: Then,
    #[case] patience: Option<Duration>,
    #[case] weights: &[Weight],
) {
    let row = PolicyNumber::new(9).expect("a row");
    let mut cases = outbound_from_outside(row);
    cases.retain(|case| case.id.starts_with("tls/TLS-14-features-from-before-tls"));
    let target = Arc::new(Dialler { then, patience });
    let records = run_within(Deadlines::within(SOON), target, Profile::default(), &cases);
    let of_its_end = records.iter().filter(|one| one.result.control.is_some());
    assert!(of_its_end.clone().count() > 0);
    for record in of_its_end {
        // It lets nobody in afterwards, either.
        let findings = record.result.findings().iter();
        let own: Vec<Weight> = findings
            .filter(|finding| finding.sign != Sign::Aftermath)
            .map(|finding| finding.weight)
            .collect();
        assert_eq!(own, weights, "{}: {}", record.result.case.id, record.why);
        assert_ne!(weights.is_empty(), is_doubted(record), "{}", record.why);
    }
}

/// Whether its end says nothing for the target.
fn is_doubted(record: &Record) -> bool {
    let findings = record.result.findings().iter();
    let mut texts = findings.map(|finding| finding.text.as_str());
    texts.any(|text| text.starts_with("no gave-up"))
}
