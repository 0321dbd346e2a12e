//! `s2spec gateway`, its signals, and its `check`, `listen` and `send`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use simulated_partners::persona::{Certificate, Key};
use simulated_partners::pki::Authority;
use tempfile::TempDir;

/// A gateway whose proxy is not there.
fn file() -> String {
    let authority = Authority::new(1);
    let names = ["gateway.contoso.com"];
    let identity = authority.issue(&names, Certificate::Good, Key::P256);
    let identity = identity.expect("a certificate");
    format!(
        "domains = [\"contoso.com\"]\nlocal = \"gateway.sock\"\nstate = \"gateway.state\"\n\
         [link]\nname = \"gateway.contoso.com\"\n\
         certificate = '''{}'''\nkey = '''{}'''\nca = '''{}'''\n\
         [[proxy]]\naddress = \"localhost:1\"\n\
         [[partner]]\ndomain = \"fabrikam.com\"\ntype = \"federated\"\n\
         [[policy]]\nidentity = \"global\"\nenable-federation-access = true\n\
         enable-xmpp-access = true\n[[user]]\naddress = \"ana@contoso.com\"\n",
        identity.chain_pem(),
        identity.key_pem(),
        authority.root_pem(),
    )
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = crate::s2spec();
    command
        .arg("gateway")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("S2SPEC_GATEWAY_CONFIG", "gateway.toml");
    command
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(folder, arguments).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// How long a gateway may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway that runs, ended with the test.
struct Running {
    child: Child,
    log: mpsc::Receiver<String>,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let mut command = command(folder, &[]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let (line, log) = mpsc::channel();
        thread::spawn(move || {
            for read in lines.map_while(Result::ok) {
                let _ = line.send(read);
            }
        });
        Self { child, log }
    }

    /// Reads the log up to a line with this text.
    fn logs(&self, wanted: &str) {
        let mut all = Vec::new();
        while !all
            .last()
            .is_some_and(|line: &String| line.contains(wanted))
        {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) => all.push(line),
                Err(error) => panic!("no {wanted:?}: {error}: {all:#?}"),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it lives");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("gateway.toml"), file()).expect("written");
    folder
}

#[test]
fn a_gateway_runs_reloads_and_stops_by_signals() {
    let folder = folder();
    let path = folder.path();
    let name = path.join("gateway.toml");
    let good = fs::read_to_string(&name).expect("a file");
    let mut gateway = Running::start(path);
    gateway.logs("gateway started");
    let (code, out, _) = run(
        path,
        &[
            "send",
            "--from",
            "ana@contoso.com",
            "--to",
            "bob@fabrikam.com",
            "--body",
            "¡<hola>!",
            "--wait",
            "1s",
        ],
    );
    assert_eq!(code, Some(1), "it came back");
    assert!(out.contains("no proxy is connected"), "{out}");
    gateway.logs("signed out");
    fs::write(&name, good.replace("federated", "fedrated")).expect("written");
    gateway.signal(Signal::HUP);
    gateway.logs(
        "the old configuration stays: unknown variant `fedrated`, expected one of `federated`",
    );
    fs::write(&name, good.replace("enable-xmpp-access = true", "")).expect("written");
    gateway.signal(Signal::HUP);
    gateway.logs("configuration reloaded");
    let (_, out, _) = run(
        path,
        &[
            "send",
            "--from",
            "ana@contoso.com",
            "--to",
            "bob@fabrikam.com",
            "--presence",
            "subscribe",
            "--wait",
            "1",
        ],
    );
    assert!(out.contains("lacks EnableXmppAccess"), "{out}");
    let mut listener = command(path, &["listen", "--as", "ana@contoso.com"]);
    let mut listener = listener
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    gateway.logs("signed in");
    gateway.signal(Signal::TERM);
    gateway.logs("gateway stopped");
    assert_eq!(gateway.child.wait().expect("it ends").code(), Some(0));
    assert_eq!(listener.wait().expect("it ends").code(), Some(3));
    assert!(!path.join("gateway.sock").exists());
}

fn policy(folder: &Path, arguments: &[&str]) -> String {
    proxy(folder, &[&["policy"], arguments].concat())
}

/// A subcommand of `s2spec proxy`, and what it says besides its result.
fn proxy(folder: &Path, arguments: &[&str]) -> String {
    let mut command = crate::s2spec();
    let output = command
        .arg("proxy")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("S2SPEC_GATEWAY_CONFIG", "gateway.toml")
        .output();
    let output = output.expect("it runs");
    let err = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {err}");
    err
}

#[test]
fn a_running_gateway_takes_changes_of_policies_in_at_once() {
    let folder = folder();
    let path = folder.path();
    let name = path.join("gateway.toml");
    fs::write(&name, format!("control = \"control\"\n{}", file())).expect("written");
    let send = [
        "send",
        "--from",
        "ana@contoso.com",
        "--to",
        "bob@fabrikam.com",
        "--body",
        "hola",
        "--wait",
        "1",
    ];
    let set = ["set", "-EnableXmppAccess", "false"];
    assert!(policy(path, &set).contains("no gateway is running"));
    let mut gateway = Running::start(path);
    gateway.logs("gateway started");
    let (_, out, _) = run(path, &send);
    assert!(out.contains("lacks EnableXmppAccess"), "{out}");
    policy(
        path,
        &[
            "new",
            "Own",
            "-EnableFederationAccess",
            "true",
            "-EnableXmppAccess",
            "true",
        ],
    );
    let grant = ["grant", "ana@contoso.com", "-PolicyName", "Own"];
    assert!(policy(path, &grant).contains("The gateway has read its configuration again."));
    let (_, out, _) = run(path, &send);
    assert!(out.contains("no proxy is connected"), "it passes: {out}");
    // What else is changed by hand.
    let text = fs::read_to_string(&name).expect("a file");
    let more = "[[partner]]\ndomain = \"gmail.com\"\n[limits]\nsessions = 3\n";
    fs::write(&name, format!("{text}{more}")).expect("written");
    let (code, out, err) = run(path, &["reload"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("Only after a restart: limits"), "{out}");
    fs::write(&name, text.replace("federated", "fedrated")).expect("written");
    let (code, _, err) = run(path, &["reload"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("unknown variant `fedrated`"), "{err}");
    gateway.signal(Signal::TERM);
    gateway.logs("gateway stopped");
    assert_eq!(gateway.child.wait().expect("it ends").code(), Some(0));
    assert!(!path.join("control").exists());
    let (code, _, err) = run(path, &["reload"]);
    assert_eq!(code, Some(3));
    assert!(err.contains("nobody answers at"), "{err}");
}

#[test]
fn a_running_gateway_takes_changes_of_partners_in_at_once() {
    let folder = folder();
    let path = folder.path();
    let own = "[[partner]]\ndomain = \"fabrikam.com\"\ntype = \"federated\"\n";
    let text = file().replace(own, "");
    let text = format!("control = \"control\"\npartners = \"proxy.toml\"\n{text}");
    let contact = "[[user.contact]]\naddress = \"eve@litware.com\"\nsubscription = \"both\"\n";
    fs::write(path.join("gateway.toml"), text + contact).expect("written");
    fs::write(path.join("proxy.toml"), super::CONFIG).expect("written");
    let mut gateway = Running::start(path);
    gateway.logs("gateway started");
    let partner = ["partner", "--config", "proxy.toml"];
    for (change, said) in [
        (
            &["new", "litware.com", "--sasl", "optional"][..],
            "New partners: litware.com",
        ),
        (
            &["set", "litware.com", "--type", "public-verified"],
            "Partners changed: litware.com",
        ),
        (
            &["remove", "litware.com", "--force"],
            "Partners removed: litware.com",
        ),
    ] {
        let told = proxy(path, &[&partner[..], change].concat());
        assert!(told.contains(said), "{told}");
        let warned = told.contains("partners may still see users");
        let why = "no proxy is connected";
        assert_eq!(
            (warned, told.contains(why)),
            (change[0] == "remove", warned),
            "{told}"
        );
    }
    gateway.signal(Signal::TERM);
    gateway.logs("gateway stopped");
    assert_eq!(gateway.child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_test_message_asks_for_the_policies_of_its_sender() {
    let folder = folder();
    let path = folder.path();
    let write = |text: &str| fs::write(path.join("gateway.toml"), text).expect("written");
    let proxy = format!("control = \"proxy.control\"\n{}", super::CONFIG);
    fs::write(path.join("proxy.toml"), proxy).expect("written");
    let test = |from: &str| {
        let mut command = crate::s2spec();
        let arguments = ["--config", "proxy.toml", "--gateway", "gateway.toml"];
        let output = command
            .args(["proxy", "test-im", "-Receiver", "sip:bob@fabrikam.com"])
            .args(["-UserSipAddress", from])
            .args(arguments)
            .current_dir(path)
            .output();
        let output = output.expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let said = text(output.stdout) + &text(output.stderr);
        let words: Vec<&str> = said.split_whitespace().collect();
        (output.status.code(), words.join(" "))
    };
    write(&file().replace("enable-xmpp-access = true", ""));
    let (code, said) = test("sip:ana@contoso.com");
    assert_eq!(code, Some(1), "{said}");
    let step = "Diagnosis : local-policy: ";
    let by = "may not talk to bob@fabrikam.com, by gateway.toml: ";
    for part in [by, "lacks EnableXmppAccess", step] {
        assert!(said.contains(part), "{said}");
    }
    let (code, said) = test("eve@contoso.com");
    assert!(
        code == Some(1) && said.contains("no such local user"),
        "{said}"
    );
    // What is left to the proxy, which does not run.
    write(&file());
    let (code, said) = test("ana@contoso.com");
    assert_eq!(code, Some(3), "{said}");
    let (code, said) = test("ana");
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("'ana'") && said.contains("expected `user@domain`"),
        "{said}"
    );
    let unverified = file().replace("type = \"federated\"", "type = \"public-unverified\"");
    write(&format!("control = \"control\"\n{unverified}"));
    let gateway = Running::start(path);
    gateway.logs("gateway started");
    let (code, said) = test("ana@contoso.com");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("by the running gateway: the local user has not added"),
        "{said}"
    );
}

#[test]
fn mistakes_are_told() {
    let folder = folder();
    let path = folder.path();
    let (code, out, _) = run(path, &["check"]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "gateway.toml can be used\n")
    );
    for (arguments, code, said) in [
        (&["check", "--config", "none.toml"][..], 3, "No such file"),
        (
            &[
                "send",
                "--from",
                "ana",
                "--to",
                "b@c.example",
                "--body",
                "x",
            ],
            2,
            "--from ana: expected `user@domain`",
        ),
        (
            &["send", "--from", "ana@contoso.com", "--to", "b@c.example"],
            2,
            "--body <TEXT>",
        ),
        (
            &["listen", "--as", "ana@contoso.com"],
            3,
            "no gateway listens at gateway.sock",
        ),
    ] {
        let (ended, _, err) = run(path, arguments);
        assert_eq!(ended, Some(code), "{arguments:?}: {err}");
        assert!(err.contains(said), "{arguments:?}: {err}");
    }
    let without = file().replace("local = \"gateway.sock\"\n", "");
    fs::write(path.join("gateway.toml"), without).expect("written");
    let (code, _, err) = run(path, &["listen", "--as", "ana@contoso.com"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("the gateway has no local socket"), "{err}");
}
