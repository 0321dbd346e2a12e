use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::net::TcpListener;

use super::*;
use crate::case::Case;

const SHY: &str = "format = 1\ntitle = \"Offers dialback alone\"\n[offer]\ntls = \"none\"\n\
    external = false\ndialback = true\n";
const ONE: &str = "policies/row07/row03/inbound";

/// A server with configurable faults.
#[derive(Clone)]
struct Wrong {
    how: How,
    started: Arc<AtomicUsize>,
    stopped: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    /// Accepts connections and closes them at once.
    HangsUp,
    Panics,
    ProgramIsMissing,
    RefusesConfiguration,
    HasNoSettingForRow07,
    HasNoComponents,
}

impl Wrong {
    fn new(how: How) -> Self {
        Self {
            how,
            started: Arc::default(),
            stopped: Arc::default(),
        }
    }
}

impl InProcess for Wrong {
    fn name(&self) -> String {
        "wrong".to_owned()
    }

    fn place(&self, case: &Case) -> Placement {
        if self.how == How::HasNoSettingForRow07 && case.row.number() == 7 {
            return Placement::Unsupported("no setting for that".to_owned());
        }
        Placement::Group(case.row.label())
    }

    async fn start(&self, setup: Setup<'_>) -> Result<Instance, StartError> {
        self.started.fetch_add(1, Ordering::SeqCst);
        assert!(setup.partners().count() > 0);
        assert_eq!(setup.name(), setup.policy().row().label());
        match self.how {
            How::Panics => panic!("out of luck"),
            How::ProgramIsMissing => Err(StartError::Environment("no such program".to_owned())),
            How::RefusesConfiguration => Err(StartError::ConfigRefused("neither".to_owned())),
            How::HangsUp | How::HasNoSettingForRow07 | How::HasNoComponents => {
                let (address, task) = hanging_up().await;
                let stopped = Arc::clone(&self.stopped);
                let instance = Instance::at("wrong.example", address)
                    .stopped_by(async move {
                        stopped.fetch_add(1, Ordering::SeqCst);
                    })
                    .keeping(task);
                Ok(match self.how {
                    How::HasNoComponents => instance.component(address, "im.wrong.example", "x"),
                    _ => instance,
                })
            }
        }
    }
}

async fn hanging_up() -> (SocketAddr, tokio::task::JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { while listener.accept().await.is_ok() {} });
    (address, tasks)
}

/// The exit code and output of tests with these arguments.
fn run(tests: Federation, arguments: &[&str]) -> (String, String) {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    let mut all = vec!["tests", "--logfile", log.to_str().unwrap()];
    all.extend(arguments);
    let code = tests.run_from(all);
    let output = std::fs::read_to_string(Path::new(&log)).unwrap_or_default();
    (format!("{code:?}"), output)
}

fn code(code: u8) -> String {
    format!("{:?}", ExitCode::from(code))
}

#[test]
fn a_failure_is_reported_as_on_the_command_line() {
    let server = Wrong::new(How::HangsUp);
    let (exit, output) = run(federation(server.clone()).cases(ONE), &[]);
    assert_eq!(exit, code(101));
    for line in [
        "✕ fail policies/row07/row03/inbound",
        "  allowed     sasl-tls",
        "  transcript",
        "  rerun       cargo test ",
        " -- --exact policies/row07/row03/inbound",
    ] {
        assert!(output.contains(line), "{line} is not in\n{output}");
    }
    assert_eq!(server.stopped.load(Ordering::SeqCst), 1);
}

#[test]
fn a_policy_without_a_setting_is_ignored_with_the_reason() {
    let tests = || federation(Wrong::new(How::HasNoSettingForRow07)).cases(ONE);
    let (exit, output) = run(tests(), &[]);
    assert_eq!(exit, code(0));
    assert!(output.contains("ignored (no setting for that)"), "{output}");
    let (_, ignored) = run(tests(), &["--list", "--ignored"]);
    assert_eq!(ignored, format!("{ONE}: test\n"));
}

#[test]
fn a_policy_with_a_setting_is_not_listed_as_ignored() {
    let tests = || federation(Wrong::new(How::HangsUp)).cases(ONE);
    let (_, ignored) = run(tests(), &["--list", "--ignored"]);
    assert_eq!(ignored, "");
    let (_, all) = run(tests(), &["--list"]);
    assert_eq!(all, format!("{ONE}: test\n"));
}

#[test]
fn nothing_is_started_for_a_listing_or_for_tests_that_are_filtered_out() {
    let server = Wrong::new(How::Panics);
    for arguments in [["--list", "row07"], ["--exact", "row07"]] {
        let (exit, _) = run(federation(server.clone()).cases("policies"), &arguments);
        assert_eq!(exit, code(0));
    }
    assert_eq!(server.started.load(Ordering::SeqCst), 0);
}

#[test]
fn a_server_that_does_not_start_fails_all_its_tests_and_is_started_once() {
    for (how, why) in [
        (How::ProgramIsMissing, "no such program"),
        (How::Panics, "its start panicked: out of luck"),
        (How::HasNoComponents, "its port for components at 127.0.0.1"),
    ] {
        let server = Wrong::new(how);
        let tests = federation(server.clone()).cases("policies/row07/row0[1-3]/inbound");
        let (exit, output) = run(tests, &[]);
        assert_eq!(exit, code(101));
        assert_eq!(output.matches("? error policies/").count(), 3, "{output}");
        assert!(output.contains(why), "{output}");
        assert_eq!(server.started.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_refused_configuration_is_an_outcome() {
    let tests = |id: &str| federation(Wrong::new(How::RefusesConfiguration)).cases(id);
    let (exit, output) = run(tests("policies/row18/row01/inbound"), &[]);
    assert_eq!(exit, code(0), "{output}");
    let (exit, output) = run(tests(ONE), &[]);
    assert_eq!(exit, code(101), "{output}");
}

#[test]
fn wrong_selections_and_missing_target_files_end_as_in_the_program() {
    let server = || federation(Wrong::new(How::Panics));
    let (exit, _) = run(server().cases("polices"), &[]);
    assert_eq!(exit, code(4));
    let (exit, _) = run(server().cases("policies/[row"), &[]);
    assert_eq!(exit, code(2));
    let (exit, _) = run(server().cases("policies").without("**"), &[]);
    assert_eq!(exit, code(4));
    let (exit, _) = run(federation(target_file("nowhere/server.toml")), &[]);
    assert_eq!(exit, code(3));
}

#[test]
fn scenarios_run_in_the_policies_of_the_target_or_in_those_named() {
    const SCENARIO: &str = "sasl/SAS-16-abort";
    let listed = |tests: Federation| {
        let (_, all) = run(tests.cases(SCENARIO), &["--list"]);
        let rows = all.lines().filter(|line| line.starts_with(SCENARIO));
        let rows = rows.filter_map(|line| line.split_once("/row"));
        let rows: BTreeSet<String> = rows.map(|(_, row)| row[..2].to_owned()).collect();
        rows.into_iter().collect::<Vec<_>>()
    };
    let in_process = || federation(Wrong::new(How::Panics));
    assert_eq!(listed(in_process()), Vec::<String>::new());
    assert_eq!(listed(in_process().policies("7,13")), ["07", "13"]);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.toml");
    let text = "format = 1\nname = \"x\"\ndomain = \"x.example\"\naddress = \"127.0.0.1:5269\"\n\
        dns = \"127.0.0.1:15353\"\nca = { certificate = \"ca.crt\", key = \"ca.key\" }\n\
        [trigger]\nkind = \"reply\"\n[[policy]]\nrow = 7\n";
    std::fs::write(&file, text).unwrap();
    assert_eq!(listed(federation(target_file(&file))), ["07"]);
    assert_eq!(listed(federation(target_file(&file)).policies("9")), ["09"]);

    let (exit, _) = run(in_process().policies("nineteen"), &["--list"]);
    assert_eq!(exit, code(2));
}

#[test]
fn own_files_take_part() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let persona = write("shy.toml", SHY);
    let requirement = write(
        "own.toml",
        "format = 1\n[[requirement]]\nid = \"OWN-01\"\ntitle = \"A rule of ours\"\nsource = \"Our handbook\"\n",
    );
    let scenario = write(
        "OWN-01-greeting.toml",
        "format = 1\ntitle = \"The shy one is greeted\"\nrequirements = [\"OWN-01\"]\n\
         direction = \"inbound\"\npolicies = [9]\n[partner]\npersona = \"shy\"\n\
         [[expect]]\nsees = \"header\"\n",
    );
    let server = || federation(Wrong::new(How::Panics));
    let listed = |tests: Federation| run(tests, &["--list"]);

    let matrix = server().personas(&persona).cases("personas/row07/shy");
    let ids = "personas/row07/shy/outbound: test\npersonas/row07/shy/inbound: test\n";
    assert_eq!(listed(matrix), (code(0), ids.to_owned()));
    let own = || server().personas(&persona).requirements(&requirement);
    let by_requirement = own().scenarios(&scenario).cases("OWN-01");
    let (exit, ids) = listed(by_requirement);
    assert_eq!(exit, code(0), "{ids}");
    assert!(ids.contains("OWN-01-greeting"), "{ids}");
    // Its requirement is not known.
    let (exit, _) = listed(server().personas(&persona).scenarios(&scenario));
    assert_eq!(exit, code(2));
    let (exit, _) = listed(server().personas(folder.path().join("nobody.toml")));
    assert_eq!(exit, code(3));
}
