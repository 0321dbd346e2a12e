//! Tests the program as a user runs it.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn s2spec(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the program runs")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = crate::s2spec();
    command
        .args(arguments)
        .env("COLUMNS", "100")
        .env("S2SPEC_NO_OUT", "1");
    command
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("what is printed is text")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("what is printed is text")
}

fn json(arguments: &[&str]) -> Value {
    let output = s2spec(&[&["run", "--json", "-"], arguments].concat());
    assert_eq!(code(&output), Some(0), "{}", err(&output));
    serde_json::from_slice(&output.stdout).expect("the report is JSON")
}

#[test]
fn a_run_as_expected_ends_with_0_and_prints_the_matrix() {
    let output = s2spec(&["run", "personas/row07/modern"]);
    assert_eq!(code(&output), Some(0), "{}", err(&output));
    let text = out(&output);
    assert!(text.contains("7 R/O/T"), "{text}");
    assert!(text.contains("2 cases against reference-proxy"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours: {text}");
    assert_eq!(err(&output), "", "no progress where there is no terminal");
}

#[test]
fn an_unknown_id_names_the_nearest_and_ends_with_4() {
    let output = s2spec(&["run", "personas/row07/modrn/inbound"]);
    assert_eq!(code(&output), Some(4));
    assert!(
        err(&output).contains("personas/row07/modern/inbound"),
        "{}",
        err(&output)
    );
    assert_eq!(err(&output).lines().count(), 1, "one line");
}

#[test]
fn mistakes_in_files_are_shown_whole_and_end_with_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let shown = |arguments: &[&str], exit: i32| {
        let output = s2spec(arguments);
        assert_eq!(code(&output), Some(exit), "{}", err(&output));
        err(&output).replace(&folder.path().display().to_string(), "")
    };
    std::fs::create_dir(at("xml")).expect("it is empty");
    for (name, bytes) in [
        ("persona.toml", &b"format = 1\ntitel = \"x\"\n"[..]),
        (
            "xml/XML-01-latin.toml",
            b"format = 1\ntitle = \"caf\xe9\"\n",
        ),
        ("xml/XML-02-xml.toml", b"<xml/>\n"),
        ("xml/XML-03-large.toml", &[b'#'; (4 << 20) + 1]),
        ("xml/XML-04-short.toml", b"format = 1\n"),
    ] {
        std::fs::write(at(name), bytes).expect("it has room");
    }
    let told = [
        shown(&["serve", &at("persona.toml")], 2),
        shown(&["run", "--baseline", &at("persona.toml")], 2),
        shown(&["doctor", "--target", &at("xml/XML-02-xml.toml")], 2),
        // A file that cannot be read is not a mistake in it.
        shown(&["run", "--target", &at("xml/XML-03-large.toml")], 3),
        shown(&["check", &at("")], 3),
    ];
    insta::assert_snapshot!(told.join("\n----\n\n"));
    // The system's message about a folder varies.
    let folder = shown(&["serve", &at("none.toml")], 3);
    assert!(
        folder.starts_with("error: cannot read /none.toml: "),
        "{folder}"
    );
}

#[test]
fn an_unknown_persona_names_the_nearest_and_ends_with_2() {
    let output = s2spec(&["serve", "gogle-talk"]);
    assert_eq!(code(&output), Some(2));
    assert!(err(&output).contains("google-talk"), "{}", err(&output));
}

#[test]
fn a_wrong_option_ends_with_2() {
    assert_eq!(code(&s2spec(&["run", "--no-such-option"])), Some(2));
    assert_eq!(code(&s2spec(&["run", "--jobs", "0"])), Some(2));
    assert_eq!(
        code(&s2spec(&["run", "--jobs", "1", "personas/row07/modern"])),
        Some(0)
    );
}

#[test]
fn a_broken_proxy_configuration_is_shown_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("proxy.toml");
    std::fs::write(
        &file,
        "domains = [\"contoso.example\"]\nvalidation = \"matrx\"\n",
    )
    .expect("the file is written");
    let output = s2spec(&["proxy", "--config", file.to_str().expect("a path in text")]);
    assert_eq!(code(&output), Some(2));
    let text = err(&output);
    for part in ["proxy.toml:2:14", "^^^^^^^", "control-panel"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
}

#[test]
fn a_proxy_configuration_that_cannot_be_read_is_shown_with_the_cause() {
    let output = s2spec(&["proxy", "--config", "no/such/proxy.toml"]);
    assert_eq!(code(&output), Some(3));
    let text = err(&output);
    for part in ["no/such/proxy.toml", "No such file or directory"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
}

#[test]
fn a_broken_persona_is_shown_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml");
    std::fs::write(
        &file,
        "format = 1\ntitle = \"x\"\n[offer]\ntls = \"maybe\"\n",
    )
    .expect("the file is written");
    let output = s2spec(&["serve", file.to_str().expect("a path in text")]);
    assert_eq!(code(&output), Some(2), "{}", err(&output));
    let text = err(&output);
    for part in ["mine.toml:4:7", "^^^^^^^", "offered"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
}

#[test]
fn a_port_in_use_is_reported_in_a_line_and_exits_with_3() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let output = s2spec(&["serve", "modern", "--listen", &address]);
    assert_eq!(code(&output), Some(3));
    let text = err(&output);
    assert!(text.contains(&address) && text.contains("in use"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn two_runs_write_the_same_report_but_for_times() {
    let strip = |mut report: Value| {
        let report_of = report.as_object_mut().expect("an object");
        assert!(report_of.remove("times").is_some());
        report
    };
    let first = strip(json(&["policies/row07"]));
    let cases = first["cases"].as_array().map(Vec::len);
    assert_eq!(cases, Some(38), "36 and two controls");
    let second = strip(json(&["policies/row07"]));
    assert!(first == second, "the reports differ");
}

#[test]
fn explain_gives_the_command_that_runs_the_case() {
    let output = s2spec(&["explain", "personas/row07/cert-expired/inbound"]);
    assert_eq!(code(&output), Some(0));
    let text = out(&output);
    for part in [
        "XEP-0178",
        "tls-dialback",
        "s2spec run personas/row07/cert-expired/inbound",
    ] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
}

#[test]
fn list_gives_an_id_a_line() {
    let output = s2spec(&["list", "policies"]);
    assert_eq!(code(&output), Some(0));
    assert_eq!(out(&output).lines().count(), 648);
}

#[test]
fn list_prints_what_an_allow_list_has_to_have() {
    let folder = tempfile::tempdir().expect("a folder");
    let listed = |partners: &str| {
        let path = folder.path().join("target.toml");
        let text = format!(
            "format = 1\ndomain = \"im.example.org\"\naddress = \"127.0.0.1:5269\"\n\
             dns = \"127.0.0.1:15353\"\n{partners}\n[policy]\nrow = 7\n\
             [ca]\ncertificate = \"ca.crt\"\nkey = \"ca.key\"\n"
        );
        std::fs::write(&path, text).expect("the folder is ours");
        let path = path.to_str().expect("a path in text").to_owned();
        let case = "personas/row07/modern/inbound";
        let output = s2spec(&["list", "--domains", "--target", &path, case]);
        assert_eq!(code(&output), Some(0), "{}", err(&output));
        let json = s2spec(&["list", "--domains", "--json", "--target", &path, case]);
        let json: Value = serde_json::from_slice(&json.stdout).expect("it is JSON");
        let lines: Vec<String> = out(&output).lines().map(str::to_owned).collect();
        assert_eq!(json["domains"], Value::from(lines.clone()));
        lines
    };
    let below = |parent: &str| {
        [
            "control.inbound.modern.row07.personas",
            "inbound.cert-unknown-ca.row07.doctor",
            "inbound.google-talk.row07.doctor",
            "inbound.modern.row07.doctor",
            "inbound.modern.row07.personas",
        ]
        .map(|name| format!("{name}.{parent}"))
    };
    assert_eq!(listed(""), below("example"));
    let parent = "partner-domains = [\"*.lab.example\"]";
    assert_eq!(listed(parent), below("lab.example"));
    let some = "partner-domains = [\"b.example\", \"a.example\"]";
    assert_eq!(listed(some), ["a.example", "b.example"]);
}

/// Interrupts the program once its first progress is certain: a case that waits for a deadline of
/// the target cannot have ended before.
#[test]
fn an_interrupt_prints_partial_results_and_says_so() {
    let mut child = command(&["run", "--timeout", "60", "personas"]);
    let child = child
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let pid = child.id().to_string();
    let started = std::time::Instant::now();
    while started.elapsed().as_secs() < 20 && !handles_interrupts(&pid) {
        std::thread::yield_now();
    }
    kill("-INT", &pid);
    let output = child.wait_with_output().expect("it ends");
    let text = out(&output);
    if code(&output) == Some(0) {
        // All cases had ended before the signal.
        let cases = simulated_partners::persona::builtin().len() * 36;
        assert!(text.contains(&format!("{cases} cases")), "{text}");
        return;
    }
    assert_eq!(code(&output), Some(3), "{text}{}", err(&output));
    assert!(text.contains("INTERRUPTED"), "{text}");
}

/// The server that the doctor examines never listens, so that the doctor waits for it.
#[test]
fn a_doctor_that_is_terminated_ends_the_server_that_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let free = || s2spec::subject::port::free_address().expect("a port");
    let text = format!(
        r#"format = 1
domain = "im.example.org"
address = "{}"
dns = "{}"
policy = {{ row = 7 }}
ca = {{ certificate = "ca.crt", key = "ca.key" }}

[start]
command = ["sh", "-c", "echo $$ > new; mv new pid; exec tail -f /dev/null"]
"#,
        free(),
        free()
    );
    let file = folder.path().join("target.toml");
    std::fs::write(&file, text).expect("the file is written");
    let mut doctor = command(&["doctor", "--target", file.to_str().expect("a path in text")]);
    let mut doctor = doctor
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let noted = folder.path().join("pid");
    while !noted.exists() && doctor.try_wait().expect("it is ours").is_none() {
        std::thread::yield_now();
    }
    kill("-TERM", &doctor.id().to_string());
    let output = doctor.wait_with_output().expect("it ends");
    assert_eq!(code(&output), Some(3), "{}", err(&output));
    let server = std::fs::read_to_string(noted).expect("the server was started");
    let stat = format!("/proc/{}/stat", server.trim());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    // A killed process without a parent may stay until somebody looks.
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(std::time::Instant::now() < deadline, "the server lives on");
        std::thread::yield_now();
    }
}

fn kill(signal: &str, pid: &str) {
    let killed = Command::new("kill").args([signal, pid]).status();
    assert!(killed.expect("kill runs").success());
}

/// Whether a process has a handler for SIGINT, the second signal.
fn handles_interrupts(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & 2 != 0)
}

#[test]
fn a_run_leaves_a_folder_from_which_the_report_can_be_written_again() {
    let place = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| {
        let output = command(arguments)
            .env_remove("S2SPEC_NO_OUT")
            .current_dir(place.path())
            .output();
        output.expect("the program runs")
    };
    let output = run(&["run", "personas/row07/google-talk"]);
    assert_eq!(code(&output), Some(0), "{}", err(&output));
    let first = place.path().join("s2spec-out/latest");
    assert!(
        err(&output).contains("report.html"),
        "it says where: {}",
        err(&output)
    );
    let again = run(&["report", "s2spec-out/latest/report.json", "--out", "again"]);
    assert_eq!(code(&again), Some(0), "{}", err(&again));
    for name in ["report.html", "report.json", "junit.xml", "summary.md"] {
        let read =
            |folder: &std::path::Path| std::fs::read_to_string(folder.join(name)).expect(name);
        let text = read(&first);
        assert!(
            !text.is_empty() && text == read(&place.path().join("again")),
            "{name}"
        );
    }
    for (text, why) in [
        ("{\"schema\": 3}", "schema is 3"),
        ("[]", "JSON of another kind"),
        ("{\"schema\": 4, \"tool\"", "it breaks off in line 1"),
        ("{\"schema\": 4}", "does not keep to it"),
    ] {
        std::fs::write(place.path().join("wrong.json"), text).expect("it is written");
        let output = run(&["report", "wrong.json"]);
        assert_eq!(code(&output), Some(2), "{text}");
        assert!(err(&output).contains(why), "{text}: {}", err(&output));
    }
    // An id of somebody else's making goes into no page.
    let text = std::fs::read_to_string(first.join("report.json")).expect("it is there");
    let wrong = text.replacen("\"id\": \"", "\"id\": \"\\u001b\u{202e}", 1);
    assert_ne!(wrong, text);
    std::fs::write(place.path().join("wrong.json"), wrong).expect("it is written");
    let output = run(&["report", "wrong.json"]);
    assert_eq!(code(&output), Some(2));
    assert!(
        err(&output).contains("the id `\\u{1b}\\u{202e}"),
        "{}",
        err(&output)
    );
}

#[test]
fn names_on_the_command_line_give_a_terminal_no_orders() {
    for arguments in [
        ["dump", "a\u{1b}[31m\u{202e}b"],
        ["run", "--jobs=a\u{1b}[31m\u{202e}b"],
    ] {
        let output = command(&arguments).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("\\u{202e}b"), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
    }
}

#[test]
fn what_is_not_toml_is_not_shown_whole() {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("wrong.toml");
    std::fs::write(&path, "{]\n".repeat(500)).expect("it is written");
    let output = command(&["check", path.to_str().expect("plain letters")]).output();
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("more in ") && said.lines().count() < 250,
        "{said}"
    );
}

#[test]
fn a_report_and_its_events_need_two_places() {
    let output = command(&["run", "ping", "--json", "-", "--events", "-"])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("both write to -"), "{said}");
}

#[test]
fn an_authority_needs_two_files() {
    let place = tempfile::tempdir().expect("a folder");
    let output = command(&["cert", "a.example", "--ca", "ca.pem", "--ca-key", "ca.pem"])
        .current_dir(place.path())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("each needs a file of its own"), "{said}");
    assert!(!place.path().join("ca.pem").exists());
}
