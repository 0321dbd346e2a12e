//! Tests the administration of the proxy as an administrator uses it: by its command line.

mod certificate;
mod csr;
mod dns;
mod gateway;
mod gateway_config;
mod page;
mod partner;
mod policy;
mod running;
mod saving;
mod setup;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use simulated_partners::persona::Certificate::Good;
use simulated_partners::pki::Authority;
use tempfile::TempDir;

use certificate::put;

/// The settings of most tests. The certificates are not there yet.
const CONFIG: &str = r#"# How we federate.
domains = ["contoso.com", "chat.contoso.com"]
dns = ["127.0.0.1:1"]

[external]
listen = "127.0.0.1:0"
certificate = "external.crt"
key = "external.key"
ca = "ca.crt"

[internal]
listen = "127.0.0.1:0"
certificate = "internal.crt"
key = "internal.key"
ca = "ca.crt"
gateways = ["gateway.contoso.com"]

# Good friends.
[[partner]]
domain = "fabrikam.com" # since March
tls = "required"   # always
sasl = "optional"
"#;

/// A folder with a configuration.
struct Place {
    folder: TempDir,
}

/// What a command has done.
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        Self::with(CONFIG)
    }

    fn with(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Self { folder };
        fs::write(place.path("proxy.toml"), config).expect("it has room");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("it is a text")
    }

    fn config(&self) -> String {
        self.text("proxy.toml")
    }

    /// Runs a subcommand of `s2spec proxy` in the folder.
    fn run(&self, arguments: &[&str]) -> Done {
        let output = self.command(arguments).output();
        done(&output.expect("the program runs"), self.folder.path())
    }

    /// The same, where it has to succeed.
    fn good(&self, arguments: &[&str]) -> Done {
        let done = self.run(arguments);
        assert_eq!(
            done.code,
            Some(0),
            "{arguments:?}\n{}{}",
            done.out,
            done.err
        );
        done
    }

    /// The same, where it has to be refused with this exit code, and to leave the configuration alone.
    fn refused(&self, arguments: &[&str], code: i32) -> Done {
        let before = self.config();
        let done = self.run(arguments);
        assert_eq!(
            done.code,
            Some(code),
            "{arguments:?}\n{}{}",
            done.out,
            done.err
        );
        assert_eq!(self.config(), before, "{arguments:?}");
        let left = fs::read_dir(self.folder.path()).expect("a folder");
        let hidden = left.filter(|entry| {
            let name = entry.as_ref().expect("an entry").file_name();
            name.to_string_lossy().starts_with('.')
        });
        assert_eq!(hidden.count(), 0, "nothing half-written is left");
        done
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = crate::s2spec();
        command
            .arg("proxy")
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env("S2SPEC_CONFIG", "proxy.toml")
            .env("S2SPEC_GATEWAY_CONFIG", "gateway.toml")
            .env("COLUMNS", "80");
        command
    }
}

fn done(output: &Output, folder: &Path) -> Done {
    let text = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).expect("what is printed is text");
        text.replace(&folder.display().to_string(), "")
    };
    let done = Done {
        code: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    };
    let json = done.out.starts_with(['{', '[']);
    for line in done.out.lines().filter(|_| !json) {
        assert!(line.chars().count() <= 80, "too long: {line}");
    }
    done
}

#[test]
fn a_configuration_is_checked_without_a_start() {
    let place = Place::with(&CONFIG.replace("\"required\"", "\"requird\""));
    let done = place.refused(&["check"], 2);
    assert!(done.err.contains("proxy.toml:21:7"), "{}", done.err);
    let done = Place::new().run(&["check"]);
    assert!(
        done.err.contains("could not read external.crt"),
        "{}",
        done.err
    );
}

#[test]
fn without_a_configuration_a_command_says_how_to_name_one() {
    let place = Place::new();
    let mut command = place.command(&["partner", "get"]);
    let output = command.env_remove("S2SPEC_CONFIG").output();
    let done = done(&output.expect("it runs"), place.folder.path());
    assert_eq!(done.code, Some(2));
    assert!(done.err.contains("--config FILE"), "{}", done.err);
    let done = place.run(&["partner", "get", "--config", "none.toml"]);
    assert_eq!(done.code, Some(3));
    assert!(done.err.contains("No such file"), "{}", done.err);
}

#[test]
fn what_may_not_be_meant_is_warned_of_by_the_check() {
    let place = Place::with(&format!(
        "secret = \"x\"\n{CONFIG}[limits]\npartner-connections = 2000\n"
    ));
    let authority = Authority::new(1);
    let names = ["contoso.com", "chat.contoso.com"];
    for file in ["external", "internal"] {
        put(&place, &authority, &names, Good, file);
    }
    let done = place.good(&["check"]);
    assert_eq!(done.out, "proxy.toml can be used\n");
    for said in [
        "warning: `secret` is short",
        "warning: `partner-connections` is more",
    ] {
        assert!(done.err.contains(said), "{}", done.err);
    }
    assert!(!done.err.contains("certificate of"), "{}", done.err);
    put(&place, &authority, &names[..1], Good, "external");
    let done = place.good(&["check"]);
    assert_eq!(done.out, "proxy.toml can be used\n");
    let said = "certificate of chat.contoso.com: ";
    assert!(done.err.contains(said), "{}", done.err);
}
