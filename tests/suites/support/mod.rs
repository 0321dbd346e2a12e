//! Shared by the suites: running cases and recording them.

#![expect(dead_code, reason = "each suite uses a part of it")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::iter::once;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use s2spec::baseline::{Baseline, BaselineCheck};
use s2spec::case::{Case, Direction, Set, Tag};
use s2spec::matrix;
use s2spec::oracle::Profile;
use s2spec::outcome::Outcome;
use s2spec::policy::PolicyNumber;
use s2spec::record::Record;
use s2spec::runner::{self, Collected, Deadlines, Plan};
use s2spec::scenario::Library;
use s2spec::settings;
use s2spec::subject::Target;
use s2spec::subject::built_in::{self, BuiltIn};
use s2spec::subject::reference::Reference;
use s2spec::transcript::{Detail, render};
use s2spec::verdict::Verdict;
use simulated_partners::persona;
use tokio::sync::Semaphore;

/// Held by a test that keeps all cores busy. Beside others that only wait it is no slower, beside another
/// of its kind both are late.
pub(crate) fn all_cores() -> MutexGuard<'static, ()> {
    static CORES: Mutex<()> = Mutex::new(());
    CORES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every case of all sets.
pub(crate) fn all_cases() -> &'static [Case] {
    static ALL: LazyLock<Vec<Case>> = LazyLock::new(|| {
        let mut all = matrix::cases(&persona::builtin());
        all.extend(settings::cases_of(Set::Settings));
        all.extend(settings::cases_of(Set::Failover));
        all.extend(Library::builtin().cases());
        all
    });
    &ALL
}

/// Runs cases with their controls, and returns the records of the cases themselves, by id.
pub(crate) fn run(target: Arc<dyn Target>, profile: Profile, selected: &[Case]) -> Vec<Record> {
    let mut records = run_within(Deadlines::default(), target, profile, selected);
    records.retain(|record| !record.result.added_as_control);
    records
}

/// The same for scenarios, proving that each expectation can fail.
pub(crate) fn prove(target: Arc<dyn Target>, selected: &[Case]) -> Vec<Record> {
    run_plan(
        &slots(),
        Deadlines::default(),
        target,
        Profile::default(),
        selected,
        true,
    )
}

/// The same, with the controls among the records and other time limits.
pub(crate) fn run_within(
    deadlines: Deadlines,
    target: Arc<dyn Target>,
    profile: Profile,
    selected: &[Case],
) -> Vec<Record> {
    run_plan(&slots(), deadlines, target, profile, selected, false)
}

/// The same with this many cases at once.
pub(crate) fn run_side_by_side(
    at_once: usize,
    deadlines: Deadlines,
    target: Arc<dyn Target>,
    selected: &[Case],
) -> Vec<Record> {
    run_plan(
        &Arc::new(Semaphore::new(at_once)),
        deadlines,
        target,
        Profile::default(),
        selected,
        false,
    )
}

/// As many cases at once as `s2spec run` runs. Tests that run beside each other mostly wait.
fn slots() -> Arc<Semaphore> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Arc::new(Semaphore::new(cores * runner::SLOTS))
}

fn run_plan(
    slots: &Arc<Semaphore>,
    deadlines: Deadlines,
    target: Arc<dyn Target>,
    profile: Profile,
    selected: &[Case],
    prove: bool,
) -> Vec<Record> {
    sorted(collect(slots, deadlines, target, profile, selected, prove))
}

/// The records by id, if nothing went wrong in the run.
fn sorted(mut collected: Collected) -> Vec<Record> {
    assert_eq!(collected.trouble, Vec::<String>::new());
    let records = &mut collected.records;
    records.sort_by(|a, b| a.result.case.id.cmp(&b.result.case.id));
    collected.records
}

/// The same with all that the run told.
pub(crate) fn collect(
    slots: &Arc<Semaphore>,
    deadlines: Deadlines,
    target: Arc<dyn Target>,
    profile: Profile,
    selected: &[Case],
    prove: bool,
) -> Collected {
    carry_out(plan(slots, deadlines, target, profile, selected, prove))
}

fn plan(
    slots: &Arc<Semaphore>,
    deadlines: Deadlines,
    target: Arc<dyn Target>,
    profile: Profile,
    selected: &[Case],
    prove: bool,
) -> Plan {
    Plan {
        jobs: runner::jobs(all_cases(), selected, target.as_ref(), profile),
        target,
        profile,
        deadlines,
        // Shorter ones are meant to pass.
        doubts: deadlines.patience >= Deadlines::default().patience,
        asks_again: true,
        budget: None,
        slots: Arc::clone(slots),
        seed: 7,
        keep_events: true,
        keeps: None,
        check: Arc::new(BaselineCheck::none()),
        prove,
    }
}

fn carry_out(plan: Plan) -> Collected {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(runner::collect(plan))
}

/// The embedded proxy as tested by default.
pub(crate) fn reference() -> Arc<dyn Target> {
    Arc::new(Reference {
        strict_certificates: false,
    })
}

/// Whether tests against other servers have to run in full.
fn peers_required() -> bool {
    std::env::var_os("S2SPEC_REQUIRE_PEERS").is_some()
}

/// A built-in server; none where it is not installed and need not be.
#[expect(clippy::print_stderr, reason = "says why nothing was tested")]
pub(crate) fn built_in(name: &str) -> Option<BuiltIn> {
    let folder = built_in::named(name).expect("it is built in");
    match folder.find() {
        Ok(server) => Some(server),
        Err(why) if peers_required() => panic!("{why}"),
        Err(why) => {
            eprintln!("nothing tested against {name}: {why}");
            None
        }
    }
}

/// The cases whose verdict is none of these, each with the reason. A test that fails shows what was seen.
#[expect(clippy::print_stderr, reason = "only failing tests show it")]
pub(crate) fn others(records: &[Record], fine: &[Verdict]) -> Vec<String> {
    let others = records.iter().filter(|one| !fine.contains(&one.verdict));
    others
        .map(|one| {
            let Record { result, why, .. } = one;
            let id = &result.case.id;
            let further = result
                .further
                .iter()
                .map(|(name, events)| (name.as_str(), events));
            for (name, events) in once(("partner", &result.events)).chain(further) {
                eprintln!("{id}, {name}:\n{}", render(events, Detail::Columns(160)));
            }
            eprintln!("{id}, DNS: {:#?}", result.queries);
            format!("{id}: {:?}: {why}", one.verdict)
        })
        .collect()
}

/// How a case ended, in a few words.
pub(crate) fn ending(record: &Record) -> String {
    match &record.result.outcome() {
        None => format!("not run: {}", record.why),
        Some(outcome) => outcome.to_string(),
    }
}

/// The review page of a persona: a table with one line per row, then the negotiations.
/// Rows with the same negotiation share it, named by a letter in the table.
pub(crate) fn story(records: &[Record]) -> String {
    let mut negotiations: Vec<&str> = Vec::new();
    let mut table = String::new();
    for record in records {
        let place = negotiations
            .iter()
            .position(|wire| *wire == record.result.wire)
            .unwrap_or_else(|| {
                negotiations.push(&record.result.wire);
                negotiations.len() - 1
            });
        let row = record.result.case.row;
        let warning = match record.verdict {
            Verdict::Pass => String::new(),
            _ => format!("  ({})", record.why),
        };
        line(
            &mut table,
            &format!(
                "{} {}  {}  {:<4}  {:<26}  {}{warning}",
                row.label(),
                row.policy(),
                letter(place),
                record.verdict,
                rule(record),
                ending(record),
            ),
        );
    }
    for (place, wire) in negotiations.into_iter().enumerate() {
        table.push('\n');
        if wire.is_empty() {
            line(&mut table, &format!("{}  nothing on a wire", letter(place)));
            continue;
        }
        for (number, connection) in wire.split(" | ").enumerate() {
            let mark = if number == 0 { letter(place) } else { ' ' };
            line(&mut table, &format!("{mark}  {connection}"));
        }
    }
    table
}

/// A short word for an outcome, so that a table of hundreds stays readable.
fn short(record: &Record) -> String {
    match &record.result.outcome() {
        Some(Outcome::Established(method)) => method.to_string(),
        Some(Outcome::Refused(refusal)) => format!("- {refusal}"),
        Some(Outcome::Stalled(phase)) => format!("stalled {phase:?}"),
        None => format!("{:?}", record.verdict),
    }
}

/// One line per outcome of each policy, with the partners that end so.
pub(crate) fn table(records: &[Record]) -> String {
    let mut text = String::new();
    for direction in [Direction::Outbound, Direction::Inbound] {
        writeln!(text, "{direction:?}").expect("a String takes all text");
        for row in PolicyNumber::all() {
            let mut endings: BTreeMap<String, Vec<&str>> = BTreeMap::new();
            for record in records {
                if record.result.case.row == row && record.result.case.direction == direction {
                    let partner = record.result.case.partner.name.as_str();
                    endings.entry(short(record)).or_default().push(partner);
                }
            }
            writeln!(text, "  {} {}", row.label(), row.policy()).expect("a String takes all text");
            if endings.len() == 1 && endings.contains_key("Unsupported") {
                writeln!(text, "    unsupported").expect("a String takes all text");
                continue;
            }
            for (ending, partners) in endings {
                writeln!(text, "    {ending}: {}", partners.join(" "))
                    .expect("a String takes all text");
            }
        }
    }
    text
}

/// The allowed ends, the expected one first.
pub(crate) fn allowed(record: &Record) -> String {
    let allowed = record.result.allowed.iter();
    let ends: Vec<String> = allowed
        .flat_map(|expectation| &expectation.allowed)
        .map(ToString::to_string)
        .collect();
    ends.join(" | ")
}

/// The rule that decided.
pub(crate) fn rule(record: &Record) -> &'static str {
    record
        .result
        .allowed
        .as_ref()
        .map_or("scenario", |allowed| allowed.rule)
}

pub(crate) fn line(text: &mut String, line: &str) {
    writeln!(text, "{}", line.trim_end()).expect("a String takes all text");
}

pub(crate) fn letter(place: usize) -> char {
    u8::try_from(place).map_or('?', |place| char::from(b'a' + place))
}

/// Asserts a snapshot below `snapshots/`.
pub(crate) fn assert_snapshot(folder: &str, name: &str, description: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("snapshots").join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_description(description);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs the set `personas`, and areas of the conformance suite without their hostile scenarios, on a
/// third-party server. Compares each result with its reviewed baseline (including warnings) and the
/// outcomes of the personas with the snapshot of that version.
///
/// All in one run: it takes longer to start a server than to run cases on it. How `races` end is left open.
#[expect(clippy::print_stderr, reason = "says what was not compared")]
pub(crate) fn hold_to_record(
    name: &str,
    version: &str,
    target: Arc<dyn Target>,
    areas: &[&str],
    races: &[&str],
) {
    let found = target.name();
    for area in areas {
        let prefix = format!("{area}/");
        let has_cases = all_cases().iter().any(|case| case.id.starts_with(&prefix));
        assert!(has_cases, "there is no area `{area}`");
    }
    let is_wanted = |case: &&Case| {
        let area = case.id.split('/').next();
        let in_areas = area.is_some_and(|area| areas.contains(&area));
        case.set == Set::Personas || in_areas && !case.has_tag(Tag::Hostile)
    };
    let selected: Vec<Case> = all_cases().iter().filter(is_wanted).cloned().collect();
    let plan = Plan {
        check: Arc::new(recorded(name)),
        ..plan(
            &slots(),
            Deadlines::default(),
            target,
            Profile::default(),
            &selected,
            false,
        )
    };
    let mut records = sorted(carry_out(plan));
    records.retain(|record| !record.result.added_as_control);
    let (mut personas, scenarios): (Vec<_>, Vec<_>) = assert_as_recorded(records)
        .into_iter()
        .partition(|record| record.result.case.set == Set::Personas);
    for (records, wanted) in [(&personas, 400), (&scenarios, 100)] {
        let ran = |record: &&Record| record.verdict != Verdict::Unsupported;
        let ran = records.iter().filter(ran).count();
        assert!(ran > wanted, "only {ran} cases could be run");
    }
    if found == version {
        personas.retain(|record| !races.contains(&record.result.case.id.as_str()));
        assert_snapshot(name, "personas", version, &table(&personas));
        return;
    }
    let why = format!("{found} is not compared with the record of {version}");
    assert!(!peers_required(), "{why}");
    eprintln!("{why}");
}

fn recorded(name: &str) -> BaselineCheck {
    let file = root().join(format!("harness/baselines/{name}.toml"));
    let baseline = Baseline::load(&file, all_cases()).expect("the baseline can be read");
    BaselineCheck {
        baseline: Some(baseline),
        strict: true,
        ..BaselineCheck::none()
    }
}

fn assert_as_recorded(records: Vec<Record>) -> Vec<Record> {
    let expected = [Verdict::Pass, Verdict::Xfail, Verdict::Unsupported];
    let wrong: Vec<String> = records
        .iter()
        .filter(|record| !expected.contains(&record.verdict))
        .map(|r| {
            format!(
                "{}: {:?}: {}\n{}",
                r.result.case.id, r.verdict, r.why, r.result.wire
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    records
}
