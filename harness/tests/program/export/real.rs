//! A real server, set up and started as an export says.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use s2spec::policy::PolicyNumber;
use s2spec::subject::built_in;
use s2spec::subject::port;
use simulated_partners::pki::{Authority, NameForms};
use tempfile::TempDir;

/// No server takes as long to start, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(120);
/// The domains of both sides.
pub(crate) const PARTNER: &str = "partner.example";
pub(crate) const TARGET: &str = "target.example";

/// Whether a server is there; all have to be where peers are required.
#[expect(clippy::print_stderr, reason = "says why nothing was tested")]
pub(crate) fn installed(server: &str) -> bool {
    let folder = built_in::named(server).expect("it is built in");
    match folder.find() {
        Ok(_) => true,
        Err(why) if std::env::var_os("S2SPEC_REQUIRE_PEERS").is_some() => panic!("{why}"),
        Err(why) => {
            eprintln!("nothing tested with {server}: {why}");
            false
        }
    }
}

pub(crate) fn free_address() -> SocketAddr {
    port::free_address().expect("a port")
}

/// Runs the program. Whether it ends with 0, and what it says.
pub(crate) fn s2spec(arguments: &[&str]) -> (bool, String) {
    let output = crate::s2spec()
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    let fine = output.status.success();
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !fine {
        said.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    (fine, said)
}

/// A server that runs until this is dropped.
pub(crate) struct Real {
    child: Child,
    folder: TempDir,
    server: &'static str,
    pub(crate) domain: &'static str,
    pub(crate) address: SocketAddr,
    /// The name server that it asks.
    pub(crate) dns: SocketAddr,
    said: Arc<Mutex<String>>,
}

impl Real {
    /// Exports one side of a case, does what the first lines of the file say, and starts it.
    pub(crate) fn export(
        server: &'static str,
        case: &str,
        side: &'static str,
        dns: SocketAddr,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = free_address();
        let path = folder.path().to_str().expect("a path in text");
        let (address_text, dns_text) = (address.to_string(), dns.to_string());
        let (fine, told) = s2spec(&[
            "export",
            case,
            "--as",
            server,
            "--side",
            side,
            "--lab",
            &address_text,
            "--dns",
            &dns_text,
            "--domain",
            PARTNER,
            "--target-domain",
            TARGET,
            "--out",
            path,
        ]);
        assert!(fine, "{told}");
        let file = match server {
            "prosody" => "prosody.cfg.lua",
            _ => "ejabberd.yml",
        };
        let text = fs::read_to_string(folder.path().join(file)).expect("it is written");
        let line = |wanted: &str| {
            let mut lines = text
                .lines()
                .map(|line| line.trim_start_matches(['-', '#', ' ']));
            let found = lines.find(|line| line.starts_with(wanted));
            found
                .unwrap_or_else(|| panic!("{wanted}: {text}"))
                .to_owned()
        };
        let certificate = line("s2spec cert").replacen("s2spec", env!("CARGO_BIN_EXE_s2spec"), 1);
        let made = shell(&certificate).output().expect("a shell");
        assert!(made.status.success(), "{certificate}: {made:?}");
        let (start, ready) = match server {
            "prosody" => (line("prosody --config"), format!("]:{}", address.port())),
            _ => (
                // It says nothing of its own.
                line("ERL_LIBS=") + " -eval 'io:put_chars(\"it runs\\n\").'",
                "it runs".to_owned(),
            ),
        };
        let mut child = shell(&format!("exec env {start}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let said = Arc::new(Mutex::new(String::new()));
        let (tell, told) = mpsc::channel();
        let output = child.stdout.take().expect("it is piped");
        follow(output, &said, move |line| {
            if line.contains(&ready) {
                let _ = tell.send(());
            }
        });
        follow(child.stderr.take().expect("it is piped"), &said, |_| {});
        let real = Self {
            child,
            folder,
            server,
            domain: if side == "partner" { PARTNER } else { TARGET },
            address,
            dns,
            said,
        };
        told.recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("{case}: {}", real.said()));
        real
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default();
        self.said.lock().expect("no reader panics").clone() + &log
    }

    /// How the hosts of others have to be published for it, and how certificates name them.
    pub(crate) fn wants_digits(&self) -> bool {
        self.server == "ejabberd"
    }

    /// The authority of its certificate.
    pub(crate) fn authority(&self) -> Authority {
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).expect(name);
        let authority = Authority::from_pem(1, &read("ca.crt"), &read("ca.key"));
        let authority = authority.expect("s2spec made it");
        match self.wants_digits() {
            true => authority.naming(NameForms::WithoutXmppAddr),
            false => authority,
        }
    }

    /// A file that describes it as a target that runs already.
    pub(crate) fn target_file(&self, row: PolicyNumber) -> String {
        let further = match self.wants_digits() {
            true => "partner-hosts = \"digits\"\ncertificate-names = \"without-xmpp-addr\"\n",
            false => "",
        };
        let text = format!(
            "format = 1\ndomain = \"{}\"\naddress = \"{}\"\ndns = \"{}\"\n{further}\
             policy = {{ row = {} }}\n\
             ca = {{ certificate = \"ca.crt\", key = \"ca.key\" }}\n\
             [timeouts]\nstream = 4\n",
            self.domain,
            self.address,
            self.dns,
            row.number()
        );
        let path = self.folder.path().join("target.toml");
        fs::write(&path, text).expect("it has room");
        path.to_str().expect("a path in text").to_owned()
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]);
    shell
}

/// Keeps what is said, and shows each line.
pub(crate) fn follow(
    output: impl Read + Send + 'static,
    said: &Arc<Mutex<String>>,
    show: impl Fn(&str) + Send + 'static,
) {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            show(&line);
            let mut said = said.lock().expect("no reader panics");
            said.push_str(&line);
            said.push('\n');
        }
    });
}
