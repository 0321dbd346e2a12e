//! A server known only from a target file gives the same results as when its inner side is visible.

mod dns_cache;
mod hanging;
mod lone_proxy;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use s2spec::case::{Case, Direction, Set};
use s2spec::oracle::Profile;
use s2spec::policy::PolicyNumber;
use s2spec::record::Record;
use s2spec::subject::Target;
use s2spec::subject::built_in::{self, Site};
use s2spec::subject::port::free_address;
use s2spec::subject::remote::{Remote, TargetFile};
use s2spec::verdict::Verdict;
use simulated_partners::pki::Authority;

use crate::support::{all_cases, built_in, ending, others, run};
use lone_proxy::LoneProxy;

/// The trigger gets in by EXTERNAL, dialback over TLS or plaintext dialback.
const ROWS: [u8; 2] = [7, 17];

const PARTNERS: [&str; 8] = [
    "authority-unreachable",
    "cert-unknown-ca",
    "dialback-only",
    "external-refused-kept",
    "google-talk",
    "modern",
    "no-methods",
    "starttls-failure",
];

/// Longer than all cases of a policy take.
const KEPT: Duration = Duration::from_secs(30);

#[test]
fn a_server_is_judged_alike_with_and_without_an_inner_side() {
    is_judged_as_with_an_inner_side(|lab| lab);
}

#[test]
fn a_server_that_keeps_dns_answers_is_judged_alike() {
    is_judged_as_with_an_inner_side(|lab| dns_cache::keep_answers(lab, KEPT));
}

/// The domains that a server with an allow list lets in.
const LISTED: [&str; 4] = ["a.example", "b.example", "c.example", "d.example"];

#[test]
fn a_server_with_an_allow_list_is_judged_by_all_personas() {
    let judge = |row: u8| {
        let row = PolicyNumber::new(row).expect("a row");
        let proxy = LoneProxy::start(row, &LISTED, None, |lab| lab);
        // By default the proxy waits for a silent partner for longer than a case waits for it.
        let personas = |case: &Case| case.set == Set::Personas && case.row == row && !case.waits();
        let selected = selected(personas);
        let records = run(
            Arc::new(Remote::new(proxy.file.clone())),
            Profile::default(),
            &selected,
        );
        assert_eq!(records.len(), selected.len());
        let passed = none_is_false(&records);
        assert!(passed * 10 > records.len() * 8, "{row}: only {passed} pass");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| judge(7));
        judge(13);
    });
}

#[test]
fn a_server_with_an_allow_list_is_judged_by_scenarios() {
    let row = PolicyNumber::new(9).expect("a row");
    let proxy = LoneProxy::start(row, &LISTED, None, |lab| lab);
    let areas = [
        "dialback/",
        "multiplexing/",
        "certificates/CRT-0",
        "streams/",
    ];
    // Outbound, many wait for a target that tries again, and few run at a time.
    let selected = selected(|case| {
        case.row == row
            && case.direction == Direction::Inbound
            && areas.iter().any(|area| case.id.starts_with(area))
    });
    let records = run(
        Arc::new(Remote::new(proxy.file.clone())),
        Profile::default(),
        &selected,
    );
    let passed = none_is_false(&records);
    assert!(passed > 50, "only {passed} pass");
    let larger = records
        .iter()
        .find(|one| one.why.contains("partner domains"));
    assert_eq!(larger.map(|one| one.verdict), Some(Verdict::Unsupported));
}

/// Each partner is let in by a domain that others had before, and what the target still knows of them is no
/// matter of the case.
#[test]
fn a_server_with_an_allow_list_is_judged_by_outbound_scenarios() {
    let row = PolicyNumber::new(9).expect("a row");
    let proxy = LoneProxy::start(row, &LISTED, None, |lab| lab);
    let mut sample = outbound_from_outside(row);
    // Some that get through, some that are refused, and one with more partners.
    let some = ["certificates/CRT-0", "sasl/SAS-", "tls/TLS-14"];
    sample.retain(|case| some.iter().any(|area| case.id.starts_with(area)));
    let target = Arc::new(Remote::new(proxy.file.clone()));
    let records = run(target, Profile::default(), &sample);
    let passed = none_is_false(&records);
    let undecided = others(&records, &[Verdict::Pass, Verdict::Unsupported]);
    assert_eq!(undecided, Vec::<String>::new());
    assert!(passed >= 5, "only {passed} of {} pass", records.len());
}

#[test]
fn with_an_allow_list_kept_dns_answers_change_no_verdict() {
    let row = PolicyNumber::new(13).expect("a row");
    let selected = selected(|case| {
        case.set == Set::Personas
            && case.row == row
            && PARTNERS.contains(&case.partner.name.as_str())
    });
    let kept = Duration::from_secs(5);
    let plain = LoneProxy::start(row, &LISTED, None, |lab| lab);
    let keeping = LoneProxy::start(row, &LISTED, Some(kept), |lab| {
        dns_cache::keep_answers(lab, kept)
    });
    let [plain, keeping] = [plain, keeping].map(|proxy| {
        let target = Arc::new(Remote::new(proxy.file.clone()));
        let records = run(target, Profile::default(), &selected);
        let ends = records.into_iter().map(|one| {
            let end = format!("{}: {}", one.verdict, ending(&one));
            (one.result.case.id, end)
        });
        ends.collect::<BTreeMap<String, String>>()
    });
    assert_eq!(keeping, plain);
}

/// What the wire does not show of the embedded proxy, and why.
const NOT_SHOWN: [&str; 4] = [
    // The proxy keeps a stream on which its key was refused, and so does the partner, for which it is
    // valid. Only the sender learns of the end.
    "dialback/DB-15-second-thoughts/error",
    // It keeps the stream for other keys after an answer that speaks of this one only, and stays silent.
    "dialback/DB-16-unknown-answers/",
    "dialback/DB-18-error-without-an-error/",
    "dialback/DB-19-conditions/",
];

/// Outbound scenarios that a target of which only the wire is seen can run.
pub(crate) fn outbound_from_outside(row: PolicyNumber) -> Vec<Case> {
    let is_not_shown = |case: &Case| NOT_SHOWN.iter().any(|one| case.id.starts_with(one));
    selected(|case| {
        case.set == Set::Scenarios
            && case.direction == Direction::Outbound
            && case.row == row
            && !case.waits()
            && case.script.from_outside().is_some()
            && !is_not_shown(case)
    })
}

/// A lone proxy that takes every partner of the suite, which may be set otherwise than is said of it.
fn for_scenarios(row: PolicyNumber, said: PolicyNumber) -> LoneProxy {
    let all = selected(|case| case.set == Set::Scenarios && case.row == said);
    LoneProxy::for_cases(row, &all, said)
}

/// With its inner side, the proxy passes all that it can run.
#[test]
fn outbound_scenarios_are_judged_as_with_an_inner_side() {
    let judge = |row: u8| {
        let row = PolicyNumber::new(row).expect("a row");
        let mut files = BTreeSet::new();
        let mut sample = outbound_from_outside(row);
        sample.retain(|case| {
            let scenario = case.scenario().expect("it is of a scenario");
            !scenario.is_control && files.insert(scenario.file.clone())
        });
        let proxy = for_scenarios(row, row);
        let target = Arc::new(Remote::new(proxy.file.clone()));
        let records = run(target, Profile::default(), &sample);
        let wrong = others(&records, &[Verdict::Pass, Verdict::Unsupported]);
        assert_eq!(wrong, Vec::<String>::new());
        records
            .iter()
            .filter(|record| record.verdict == Verdict::Pass)
            .count()
    };
    let passed: usize = std::thread::scope(|scope| {
        let rows = [2, 7, 9, 17].map(|row| scope.spawn(move || judge(row)));
        rows.map(|row| row.join().expect("it passes")).iter().sum()
    });
    assert!(passed > 150, "only {passed} were run");
}

#[test]
fn outbound_scenarios_of_a_real_server_are_judged_alike() {
    let Some(prosody) = built_in("prosody") else {
        return;
    };
    let row = PolicyNumber::new(9).expect("a row");
    let mut sample = outbound_from_outside(row);
    let areas = ["dns/DNS-17", "tls/TLS-1", "tls/TLS-2"];
    sample.retain(|case| areas.iter().any(|area| case.id.starts_with(area)));
    let folder = tempfile::tempdir().expect("a folder");
    let remote = Remote::new(set_up(folder.path(), &[row], |lab| lab));
    let [seen, linked] = [Arc::new(remote) as Arc<dyn Target>, Arc::new(prosody)].map(|target| {
        let records = run(target, Profile::default(), &sample);
        let verdicts = records.into_iter();
        let verdicts = verdicts.map(|one| (one.result.case.id, one.verdict));
        verdicts.collect::<BTreeMap<String, Verdict>>()
    });
    let mut compared = 0;
    for (id, verdict) in seen {
        // A component of Prosody shows a second domain.
        if verdict != Verdict::Unsupported {
            compared += 1;
            assert_eq!(Some(&verdict), linked.get(&id), "{id}");
        }
    }
    assert!(compared > 10, "only {compared} were compared");
}

#[test]
fn a_target_that_is_set_otherwise_fails_outbound_scenarios_from_outside() {
    let [optional, required] = [9, 7].map(|row| PolicyNumber::new(row).expect("a row"));
    let proxy = for_scenarios(optional, required);
    let target = Arc::new(Remote::new(proxy.file.clone()));
    let mut sample = outbound_from_outside(required);
    sample.retain(|case| case.id.starts_with("negotiation/NG-15-stripped-starttls/"));
    let records = run(target, Profile::default(), &sample);
    let failed: Vec<&str> = records
        .iter()
        .filter(|record| record.verdict == Verdict::Fail)
        .map(|record| record.result.case.id.as_str())
        .collect();
    let variants = ["dialback", "external", "nothing", "other-namespace"];
    let fails = variants.map(|one| format!("negotiation/NG-15-stripped-starttls/{one}/row07"));
    assert_eq!(failed, fails);
}

pub(crate) fn selected(wanted: impl Fn(&Case) -> bool) -> Vec<Case> {
    let all = all_cases().iter();
    all.filter(|case| wanted(case)).cloned().collect()
}

/// Checks that a correct server is not accused of anything. Returns how many cases pass.
fn none_is_false(records: &[Record]) -> usize {
    let of = |verdict: Verdict| records.iter().filter(move |one| one.verdict == verdict);
    let accused: Vec<String> = [Verdict::Fail, Verdict::Error, Verdict::NotRun]
        .into_iter()
        .flat_map(of)
        .map(|one| format!("{} {}: {}", one.verdict, one.result.case.id, one.why))
        .collect();
    assert!(accused.is_empty(), "{}", accused.join("\n"));
    of(Verdict::Pass).count()
}

/// Runs cases against a Prosody of which only the wire is seen, and against one with an inner side. The
/// former asks a name server that is given by the address of the lab's.
fn is_judged_as_with_an_inner_side(resolver: impl Fn(SocketAddr) -> SocketAddr) {
    let Some(prosody) = built_in("prosody") else {
        return;
    };
    let rows: Vec<PolicyNumber> = ROWS.into_iter().filter_map(PolicyNumber::new).collect();
    let selected: Vec<Case> = all_cases()
        .iter()
        .filter(|case| case.set == Set::Personas && rows.contains(&case.row))
        .filter(|case| PARTNERS.contains(&case.partner.name.as_str()))
        .cloned()
        .collect();
    assert_eq!(selected.len(), ROWS.len() * PARTNERS.len() * 2);
    let folder = tempfile::tempdir().expect("a folder");
    let remote = Remote::new(set_up(folder.path(), &rows, resolver));
    let seen = run(Arc::new(remote), Profile::default(), &selected);
    let linked = run(Arc::new(prosody), Profile::default(), &selected);
    let linked: BTreeMap<&str, &Record> = linked
        .iter()
        .map(|record| (record.result.case.id.as_str(), record))
        .collect();
    let different: Vec<String> = seen
        .iter()
        .filter_map(|record| {
            let other = linked.get(record.result.case.id.as_str())?;
            (record.result.outcome() != other.result.outcome() || record.result.outcome().is_none())
                .then(|| {
                    format!(
                        "{}: {:?} ({}; {}; asked DNS for {}), with an inner side {:?}",
                        record.result.case.id,
                        record.result.outcome(),
                        record.why,
                        record.result.wire,
                        record.result.queries.join(", "),
                        other.result.outcome()
                    )
                })
        })
        .collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert_eq!(seen.len(), linked.len());
    let bad = seen
        .iter()
        .find(|record| !matches!(record.verdict, Verdict::Pass | Verdict::Warn));
    assert!(bad.is_none(), "{bad:?}");
}

/// A Prosody for each policy, started by a script as a user would write it.
fn set_up(
    folder: &Path,
    rows: &[PolicyNumber],
    resolver: impl Fn(SocketAddr) -> SocketAddr,
) -> TargetFile {
    let lab = free();
    let site = Site {
        folder: folder.to_owned(),
        dns: resolver(lab),
        s2s: free().port(),
        component: free().port(),
        direct_tls: free().port(),
    };
    let prosody = built_in::named("prosody").expect("it is built in");
    let authority = Authority::new(1);
    let mut policies = String::new();
    for row in rows {
        let sheet = prosody.by_hand(row.policy(), &site);
        let sheet = sheet.expect("Prosody has this policy");
        let name = format!("row{}.cfg.lua", row.number());
        for (_, text) in sheet.files {
            write(folder, &name, &text);
        }
        policies.push_str(&format!("[[policy]]\nrow = {}\n", row.number()));
    }
    let certificates = prosody.certificates(&authority);
    for (name, text) in certificates.expect("a good certificate is one") {
        write(folder, name, &text);
    }
    let key = authority.root_key_pem().expect("made here");
    write(folder, "ca.key", &key);
    let text = format!(
        "format = 1\ndomain = {:?}\naddress = \"127.0.0.1:{}\"\ndns = \"{}\"\n\
         ca = {{ certificate = \"ca.crt\", key = \"ca.key\" }}\n{policies}\n[start]\n\
         command = [\"sh\", \"-c\", \"exec prosody --config row$S2SPEC_ROW.cfg.lua -F\"]\n\
         ready = \"Activated service 's2s'\"\n[timeouts]\nstream = 4\n",
        prosody.description.host, site.s2s, lab,
    );
    TargetFile::parse(&folder.join("target.toml"), &text, false).expect("no mistake in it")
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("the folder is ours");
}

/// An address that is free for UDP and TCP.
pub(crate) fn free() -> SocketAddr {
    free_address().expect("a port")
}
