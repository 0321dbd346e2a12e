//! The commands of the page on administration, run as they are written.

use std::fs;
use std::path::Path;
use std::process::Command;

use simulated_partners::dns::Dns;
use simulated_partners::persona::Certificate;
use simulated_partners::pki::Authority;

use super::Place;
use super::certificate::put;

/// The file that an administrator has written by hand when the page begins.
const BEGUN: &str = r#"domains = ["contoso.com"]
control = "control"

[external]
certificate = "external.crt"
key = "external.key"
ca = "ca.crt"

[internal]
certificate = "internal.crt"
key = "internal.key"
ca = "ca.crt"
gateways = ["gateway.contoso.com"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn each_command_of_the_page_does_what_the_page_says() {
    let dns = Dns::start().expect("a port");
    let address = dns.address().to_string();
    let run = tokio::task::spawn_blocking(move || run_all(&address));
    run.await.expect("it ends");
}

/// Runs the commands, with this name server instead of the page's.
fn run_all(dns: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/administration.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let by_hand = Place::with(BEGUN);
    let walk = Place::new();
    fs::remove_file(walk.path("proxy.toml")).expect("it was there");
    let program = Path::new(env!("CARGO_BIN_EXE_s2spec"));
    let folder = program.parent().expect("it is in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut count = 0;
    let authority = Authority::new(1);
    let names = ["contoso.com", "xmpp.contoso.com"];
    for line in page.lines().filter_map(|line| line.strip_prefix("$ ")) {
        // It runs until it is stopped.
        if line == "s2spec proxy" {
            continue;
        }
        // The answer of the authority.
        if line.ends_with("check answer.crt") {
            for name in ["answer", "internal", "external"] {
                put(&by_hand, &authority, &names, Certificate::Good, name);
            }
        }
        let (place, codes) = match line {
            _ if line.contains("proxy setup") => (&walk, [0, 1]),
            _ if line.contains("--check") => (&by_hand, [0, 1]),
            // No proxy runs.
            _ if line.ends_with("proxy status") => (&by_hand, [2, 2]),
            _ if line.contains("test-im") => (&by_hand, [3, 3]),
            _ => (&by_hand, [0, 0]),
        };
        let output = Command::new("sh")
            .args(["-c", &line.replace("127.0.0.1:53", dns)])
            .current_dir(place.path(""))
            .env("PATH", format!("{}:{path}", folder.display()))
            .env("S2SPEC_CONFIG", "proxy.toml")
            .env("NO_COLOR", "1")
            .env_remove("RUST_LOG")
            .output()
            .expect("it runs");
        let code = output.status.code().unwrap_or(-1);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(codes.contains(&code), "{line}\n{code}: {err}");
        count += 1;
    }
    assert!(count > 15, "the commands are found: {count}");
    let gmail = by_hand.good(&["partner", "get", "gmail.com"]).out;
    assert!(gmail.contains("dialback over TCP (row 17)"), "{gmail}");
}
