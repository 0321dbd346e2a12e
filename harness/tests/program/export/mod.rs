//! What `s2spec export` prints for Prosody and ejabberd, started: as the target of a run, and as a partner of the
//! embedded proxy. And what `s2spec learn` writes of a server, as a partner in its place.

mod cells;
mod real;

use std::collections::BTreeSet;

use rstest::rstest;
use s2spec::case::Direction;
use s2spec::expectation::{Allowed, End};
use s2spec::oracle::classes::methods;
use s2spec::oracle::{Profile, Situation, expectation};
use s2spec::policy::PolicyNumber;
use simulated_partners::dns::Dns;
use simulated_partners::document::Source;
use simulated_partners::persona::{Offer, Persona, find};
use tokio::task::{JoinSet, block_in_place};

use cells::{Cells, End as Seen, warm};
use real::{Real, installed, s2spec};

/// Policies of the embedded proxy, one for each set of methods.
const ROWS: [u8; 5] = [2, 7, 9, 13, 17];

fn row(number: u8) -> PolicyNumber {
    PolicyNumber::new(number).expect("1 to 18")
}

/// Cases that differ in what is exported, one for each text.
fn distinct(
    server: &str,
    side: &str,
    case: impl Fn(PolicyNumber) -> String,
) -> Vec<(PolicyNumber, String)> {
    let mut texts = BTreeSet::new();
    let mut cases = Vec::new();
    let others = PolicyNumber::all().filter(|row| !ROWS.contains(&row.number()));
    for row in ROWS.map(row).into_iter().chain(others) {
        let case = case(row);
        let (exported, text) = s2spec(&["export", &case, "--as", server, "--side", side]);
        if !exported {
            continue;
        }
        let comment = if server == "prosody" { "--" } else { "#" };
        let settings = text.lines().filter(|line| !line.starts_with(comment));
        let settings: Vec<&str> = settings.filter(|line| !line.contains(".example")).collect();
        if texts.insert(settings.join("\n")) {
            cases.push((row, case));
        }
    }
    cases
}

/// Each policy that a server has settings for, as the target of cases with partners of all policies.
#[rstest]
#[test]
fn an_exported_target_ends_as_its_cases_say(#[values("prosody", "ejabberd")] server: &'static str) {
    if !installed(server) {
        return;
    }
    for (row, case) in distinct(server, "target", |row| {
        format!("policies/{row}/row09/inbound")
    }) {
        let target = Real::export(server, &case, "target", real::free_address());
        if !row.policy().valid() {
            // It starts, and no partner gets in: there is nothing to run.
            continue;
        }
        let file = target.target_file(row);
        let cases = format!("policies/{row}");
        let baseline = format!("{}/baselines/{server}.toml", env!("CARGO_MANIFEST_DIR"));
        let run = || {
            s2spec(&[
                "run",
                "--target",
                &file,
                "--no-out",
                "--jobs",
                "1",
                "--baseline",
                &baseline,
                &cases,
            ])
        };
        let is_late = |told: &str| told.contains("this machine was too slow");
        let mut ended = run();
        // The tests of other crates may keep all cores busy. What it says of the target is never ignored.
        if !ended.0 && is_late(&ended.1) {
            ended = run();
        }
        let (fine, told) = ended;
        assert!(fine, "{server}, {case}:\n{told}");
    }
}

/// What makes personas differ besides their policy: certificates, versions of TLS, direct TLS.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exported_persona_meets_the_proxy_as_its_cases_say(
    #[values("prosody", "ejabberd")] server: &'static str,
) {
    if !installed(server) {
        return;
    }
    let names = [
        "google-talk",
        "cert-expired",
        "tls12-only",
        "tls13-only",
        "direct-tls-only",
    ];
    // The settings of these are those of `cert-expired`. One server, the one that starts faster, has them all.
    let certificates = [
        "cert-self-signed",
        "cert-wrong-name",
        "cert-missing-intermediate",
        "cert-no-client-auth",
    ];
    let certificates = certificates.into_iter().filter(|_| server == "prosody");
    side_by_side(
        names.into_iter().chain(certificates),
        move |name| async move {
            let offer = find(name).expect("a persona").offer;
            let case = format!("personas/row09/{name}/inbound");
            meets_the_proxy(server, &case, &offer).await;
        },
    )
    .await;
}

/// Does the same for all of these, some of them at once: most of it waits for the other side.
async fn side_by_side<T, F>(all: impl IntoIterator<Item = T>, each: impl Fn(T) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    const AT_ONCE: usize = 3;
    let mut running = JoinSet::new();
    for one in all {
        if running.len() == AT_ONCE {
            running
                .join_next()
                .await
                .expect("some run")
                .expect("no panic");
        }
        running.spawn(each(one));
    }
    running.join_all().await;
}

async fn meets_the_proxy(server: &'static str, case: &str, offer: &Offer) {
    let dns = Dns::start().expect("a free port");
    // Name servers of others are served meanwhile.
    let partner = block_in_place(|| Real::export(server, case, "partner", dns.address()));
    warm(&partner, offer).await;
    let mut wrong = Vec::new();
    for number in ROWS {
        let cells = Cells::of_server(&partner, &dns, row(number), offer).await;
        wrong.extend(unexpected(row(number), offer, &cells));
    }
    let wrong = wrong.join("\n");
    assert_eq!(wrong, "", "{server}, {case}:\n{}", partner.said());
}

/// Where the tables have a cell of this policy and this offer end otherwise.
fn unexpected(row: PolicyNumber, offer: &Offer, cells: &Cells) -> Vec<String> {
    let ends = [
        (Direction::Outbound, &cells.outbound),
        (Direction::Inbound, &cells.inbound),
    ];
    let fits = |direction, seen: &Seen, allowed: &[Allowed]| {
        let comes = direction == Direction::Outbound || !methods(offer).is_empty();
        !comes
            || allowed.iter().any(|allowed| match allowed.end {
                End::Established(method) => *seen == Seen::Established(method.to_string()),
                End::Refused(_) => *seen == Seen::Refused,
            })
    };
    let judged = ends.map(|(direction, seen)| {
        let expected = expectation(&Situation {
            policy: row.policy(),
            profile: Profile::default(),
            direction,
            partner: offer,
            facts: &Default::default(),
        });
        let told = || {
            format!(
                "{row}, {direction}: {seen:?}, not {:?}\n{}",
                expected.allowed, cells.log
            )
        };
        (!fits(direction, seen, &expected.allowed)).then(told)
    });
    judged.into_iter().flatten().collect()
}

/// Each policy that a server has settings for, as a partner of the embedded proxy in several policies. A persona that
/// is learned of some of them gets from the proxy what the server gets.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exported_partner_and_what_is_learned_of_it_meet_the_proxy(
    #[values("prosody", "ejabberd")] server: &'static str,
) {
    if !installed(server) {
        return;
    }
    let cases = distinct(server, "partner", |row| {
        format!("policies/row09/{row}/inbound")
    });
    side_by_side(cases, move |(of, case)| {
        meet_the_proxy_in_turn(server, of, case)
    })
    .await;
}

async fn meet_the_proxy_in_turn(server: &'static str, of: PolicyNumber, case: String) {
    // The lab has this address while it learns.
    let partner = block_in_place(|| Real::export(server, &case, "partner", real::free_address()));
    let offer = of.policy().as_offer();
    warm(&partner, &offer).await;
    let learned = ROWS.contains(&of.number());
    let learned = learned.then(|| block_in_place(|| learned_of(&partner, of)));
    let dns = Dns::start_at(partner.dns).expect("the lab has left it");
    let mut get_in = 0;
    let all = PolicyNumber::all().filter(|row| row.policy().valid());
    // All of them for the one that leaves everything open.
    for own in all.filter(|row| of.number() == 9 || ROWS.contains(&row.number())) {
        let real = Cells::of_server(&partner, &dns, own, &offer).await;
        let told = format!("{server}, {case}, {own}:\n{}\n{}", real.log, partner.said());
        assert_eq!(
            unexpected(own, &offer, &real),
            Vec::<String>::new(),
            "{told}"
        );
        let Some(learned) = &learned else {
            continue;
        };
        let learned = Cells::of_persona(learned, &partner, &dns, own).await;
        let ends = |cells: &Cells| [cells.outbound.clone(), cells.inbound.clone()];
        assert_eq!(ends(&real), ends(&learned), "{told}\n{}", learned.log);
        get_in += usize::from(real.are_established());
    }
    assert!(
        learned.is_none() || get_in >= 2,
        "{server}, {case}: {get_in} get in"
    );
}

/// Learns of a server that runs. The name server that it asks is the lab's meanwhile.
fn learned_of(partner: &Real, row: PolicyNumber) -> Persona {
    let (fine, text) = s2spec(&["learn", "--target", &partner.target_file(row)]);
    assert!(fine, "{text}");
    let persona = Persona::parse("learned", &Source::new("learned.toml", &text));
    persona.unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// The administration of the embedded proxy takes the parameters of the cmdlets.
#[test]
fn an_exported_partner_of_lync_is_one_of_the_proxy() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("proxy.toml");
    let config = config.to_str().expect("a path in text");
    for row in PolicyNumber::all().filter(|row| row.policy().valid()) {
        let case = format!("policies/{row}/row09/inbound");
        let (_, text) = s2spec(&["export", &case, "--as", "lync", "--domain", real::PARTNER]);
        let mut lines = text.lines();
        let cmdlet = lines.find_map(|line| line.strip_prefix("New-CsXmppAllowedPartner "));
        let parameters = cmdlet.unwrap_or_else(|| panic!("{text}")).split(' ');
        std::fs::write(config, cells::empty()).expect("it has room");
        let words = ["proxy", "--config", config, "partner", "new"].into_iter();
        let words: Vec<&str> = words.chain(parameters).collect();
        let (fine, told) = s2spec(&words);
        assert!(fine, "{words:?}: {told}");
        let written = std::fs::read_to_string(config).expect("it is there");
        let policy = row.policy();
        for setting in [
            format!("domain = \"{}\"", real::PARTNER),
            format!("tls = \"{}\"", policy.tls),
            format!("sasl = \"{}\"", policy.sasl),
            format!("dialback = {}", policy.dialback),
            "keep-alive = false".to_owned(),
        ] {
            assert!(written.contains(&setting), "{row}, {setting}: {written}");
        }
    }
}
