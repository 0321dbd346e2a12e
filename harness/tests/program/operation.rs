//! Tests the proxy as a program that runs for long: what the service manager hears, signals, and the
//! commands that reach it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use simulated_partners::persona::{Certificate, Key};
use simulated_partners::pki::Authority;
use tempfile::TempDir;

/// Everything takes less time than this, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: &str = r#"domains = ["contoso.com"]
control = "control.socket"
dns = ["127.0.0.1:1"]

[external]
listen = "127.0.0.1:0"
certificate = "server.crt"
key = "server.key"
ca = "ca.crt"

[internal]
listen = "127.0.0.1:0"
certificate = "server.crt"
key = "server.key"
ca = "ca.crt"
gateways = ["gateway.contoso.com"]

[[partner]]
domain = "fabrikam.com"
sasl = "optional"
"#;

/// A proxy that runs until this is dropped, and its service manager.
struct Running {
    child: Child,
    /// What the service manager is told.
    told: mpsc::Receiver<String>,
    folder: TempDir,
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new(1);
        let server = authority.issue(&["contoso.com"], Certificate::Good, Key::P256);
        let server = server.expect("a good certificate is one");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
        for (name, text) in [
            ("server.crt", &*server.chain_pem()),
            ("server.key", &*server.key_pem()),
            ("ca.crt", &*authority.root_pem()),
            ("proxy.toml", CONFIG),
        ] {
            write(name, text).expect("it has room");
        }
        let socket = folder.path().join("notify");
        let manager = UnixDatagram::bind(&socket).expect("a socket");
        let (pass, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 256];
            while let Ok(length) = manager.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                if pass.send(text.trim_end().to_owned()).is_err() {
                    return;
                }
            }
        });
        let child = program(folder.path(), &["proxy"])
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "20000")
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        Self {
            child,
            told,
            folder,
        }
    }

    /// The next thing that the service manager is told.
    fn told(&self) -> String {
        self.told
            .recv_timeout(PATIENCE)
            .expect("it is told in time")
    }

    /// The same, but not that the proxy works.
    fn told_besides(&self) -> String {
        let mut told = (0..1000).map(|_| self.told());
        told.find(|told| told != "WATCHDOG=1")
            .expect("something else")
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill_process(Pid::from_raw(pid).expect("not zero"), signal).expect("it runs");
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = program(self.folder.path(), arguments).output();
        said(&output.expect("the program runs"))
    }

    fn change(&self, from: &str, to: &str) {
        let path = self.folder.path().join("proxy.toml");
        let text = fs::read_to_string(&path).expect("it is there");
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).expect("it has room");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = crate::s2spec();
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("S2SPEC_CONFIG", "proxy.toml");
    command
}

/// The exit code, and all that was printed.
fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn service_manager_hears_when_the_proxy_is_ready_works_and_stops() {
    let mut running = Running::start();
    assert_eq!(running.told(), "READY=1");
    for _ in 0..3 {
        assert_eq!(running.told(), "WATCHDOG=1");
    }
    running.signal(Signal::TERM);
    assert_eq!(running.told_besides(), "STOPPING=1");
    assert!(running.child.wait().expect("it ends").success());
    assert!(!running.folder.path().join("control.socket").exists());
}

#[test]
fn status_is_for_people_for_programs_and_for_monitoring() {
    let mut running = Running::start();
    assert_eq!(running.told(), "READY=1");
    let (code, text) = running.run(&["proxy", "status"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.starts_with("critical: proxy "), "{text}");
    assert!(text.contains("no gateway is connected"), "{text}");
    let (code, text) = running.run(&["proxy", "status", "--json"]);
    assert_eq!(code, Some(2), "{text}");
    let status: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(status["partners"], 1);
    assert_eq!(status["certificates"][0]["presented"], "contoso.com");
    running.signal(Signal::TERM);
    running.child.wait().expect("it ends");
    let (code, text) = running.run(&["proxy", "status"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("error: the proxy does not run"), "{text}");
}

#[test]
fn file_is_read_again_by_command_and_by_signal() {
    let running = Running::start();
    assert_eq!(running.told(), "READY=1");
    running.change("sasl = \"optional\"", "sasl = \"optionl\"");
    let (code, text) = running.run(&["proxy", "reload"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.starts_with("error: unknown variant `optionl`"),
        "{text}"
    );
    assert!(text.contains("proxy.toml:20:8"), "{text}");
    running.change("sasl = \"optionl\"", "sasl = \"required\"");
    running.change("127.0.0.1:0", "127.0.0.1:1");
    let (code, text) = running.run(&["proxy", "reload"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Partners changed: fabrikam.com\n"), "{text}");
    let restart = "Only after a restart: external.listen, internal.listen\n";
    assert!(text.contains(restart), "{text}");
    running.change("fabrikam.com", "woodgrove.com");
    let log = program(running.folder.path(), &["proxy", "log"])
        .stdout(Stdio::piped())
        .spawn();
    let mut log = log.expect("it starts");
    let lines = BufReader::new(log.stdout.take().expect("it is piped")).lines();
    let (pass, passed) = mpsc::channel();
    std::thread::spawn(move || {
        lines
            .map_while(Result::ok)
            .try_for_each(|line| pass.send(line))
    });
    // Until the log is followed, nothing is seen of a reload.
    let seen = (0..100).any(|_| {
        running.signal(Signal::HUP);
        let line = passed.recv_timeout(PATIENCE / 100);
        line.is_ok_and(|line| line.contains("configuration taken in"))
    });
    assert!(seen, "nothing is taken in");
    let _ = log.kill();
    let _ = log.wait();
    let (code, text) = running.run(&["proxy", "log", "fabrikam.com"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("`fabrikam.com` is no domain of a partner"),
        "{text}"
    );
}
