//! How a changed configuration gets into its file.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::{CONFIG, Place};

#[test]
fn mode_and_symbolic_link_are_kept() {
    let place = Place::new();
    fs::create_dir(place.path("real")).expect("a folder");
    fs::rename(place.path("proxy.toml"), place.path("real/proxy.toml")).expect("it moves");
    symlink("real/proxy.toml", place.path("proxy.toml")).expect("a link");
    let mode =
        |mode| fs::set_permissions(place.path("real/proxy.toml"), Permissions::from_mode(mode));
    mode(0o640).expect("it is ours");
    place.good(&["partner", "new", "gmail.com"]);
    assert!(place.path("proxy.toml").is_symlink());
    let metadata = fs::metadata(place.path("real/proxy.toml")).expect("it is there");
    assert_eq!(metadata.mode() & 0o7777, 0o640);
    assert!(place.config().contains("gmail.com"));
    // Read-only is meant.
    mode(0o440).expect("it is ours");
    let done = place.refused(&["partner", "remove", "gmail.com"], 3);
    assert!(done.err.contains("proxy.toml is unchanged"), "{}", done.err);
    assert!(done.err.contains("read-only"), "{}", done.err);
}

#[test]
fn administrators_at_the_same_time_lose_no_change() {
    let place = Place::new();
    let children: Vec<_> = (0..12)
        .map(|number| {
            let domain = format!("p{number}.example");
            let mut command = place.command(&["partner", "new", &domain]);
            command.stdout(std::process::Stdio::null());
            command.stderr(std::process::Stdio::null());
            command.spawn().expect("it starts")
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    let config = place.config();
    for number in 0..12 {
        assert!(
            config.contains(&format!("\"p{number}.example\"")),
            "{config}"
        );
    }
    assert!(config.starts_with(CONFIG), "the rest stays");
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let place = Place::new();
    // Files of this process may not grow beyond nothing, which is what a full disk looks like.
    let program = env!("CARGO_BIN_EXE_s2spec");
    let line = format!("trap '' XFSZ; ulimit -f 0; exec {program} proxy partner new gmail.com");
    let output = std::process::Command::new("sh")
        .args(["-c", &line])
        .current_dir(place.path(""))
        .env("S2SPEC_CONFIG", "proxy.toml")
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        err.contains("proxy.toml is unchanged: it cannot be written"),
        "{err}"
    );
    assert_eq!(place.config(), CONFIG);
    let files = fs::read_dir(place.path("")).expect("a folder").count();
    assert_eq!(files, 1, "the new file is gone");
}

#[test]
fn a_file_with_mistakes_is_not_touched() {
    let wrong = CONFIG.replace("domains =", "domain =");
    let place = Place::with(&wrong);
    let done = place.refused(&["partner", "new", "gmail.com"], 2);
    assert!(done.err.contains("proxy.toml:2:1"), "{}", done.err);
}

#[test]
fn ends_of_lines_are_kept() {
    let place = Place::with(&CONFIG.replace('\n', "\r\n"));
    place.good(&["partner", "new", "gmail.com"]);
    let config = place.config();
    assert!(config.contains("domain = \"gmail.com\"\r\n"), "{config:?}");
    assert_eq!(config.matches('\n').count(), config.matches("\r\n").count());
    assert!(config.starts_with(&CONFIG.replace('\n', "\r\n")));
}

#[test]
fn control_characters_of_a_description_are_shown() {
    let place = Place::new();
    let text = "a\u{1b}[31mred\u{202e}txt";
    place.good(&["partner", "set", "fabrikam.com", "-Description", text]);
    let out = place.good(&["partner", "get", "fabrikam.com"]).out;
    assert!(out.contains(r"a\u{1b}[31mred\u{202e}txt"), "{out:?}");
    assert!(!out.contains(['\u{1b}', '\u{202e}']), "{out:?}");
}

#[test]
fn partners_in_a_list_of_inline_tables_are_changed_there() {
    let head = CONFIG.split("# Good friends").next().expect("a part");
    let listed =
        "partner = [\n    { domain = \"fabrikam.com\", tls = \"required\" }, # friends\n]\n";
    let place = Place::with(&head.replacen("domains", &format!("{listed}domains"), 1));
    place.good(&["partner", "new", "xmpp.org", "-SaslNegotiation", "Optional"]);
    place.good(&[
        "partner",
        "set",
        "fabrikam.com",
        "-TlsNegotiation",
        "Optional",
    ]);
    let config = place.config();
    assert!(
        config.contains("    { domain = \"fabrikam.com\", tls = \"optional\" },"),
        "{config}"
    );
    assert!(
        config.contains("\n    { domain = \"xmpp.org\", sasl = \"optional\" }"),
        "{config}"
    );
    assert!(
        config.contains(" }, # friends\n    { domain = \"xmpp.org\""),
        "{config}"
    );
    place.good(&["partner", "remove", "xmpp.org"]);
    assert!(
        place.config().contains(" }, # friends\n]"),
        "{}",
        place.config()
    );
    place.good(&["partner", "new", "xmpp.org"]);
    place.good(&["partner", "remove", "fabrikam.com"]);
    assert!(!place.config().contains("# friends"), "{}", place.config());
    assert_eq!(place.good(&["partner", "get"]).out.lines().count(), 2);
}
