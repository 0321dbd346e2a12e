use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rstest::rstest;

use super::*;
use crate::case::Need;
use crate::policy::{Level, PolicyNumber};

fn site() -> Site {
    Site {
        folder: "/tmp/\"odd\"".into(),
        dns: ([127, 0, 0, 1], 5353).into(),
        s2s: 10_001,
        component: 10_002,
        direct_tls: 10_003,
    }
}

#[test]
fn every_folder_is_read_and_every_place_in_its_templates_filled() {
    let site = site();
    let place = |text: &str| {
        let mut parts = text.split('{').skip(1);
        let name = |part: &str| Some(part.split_once('}')?.0.to_owned());
        parts.find_map(|part| {
            let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            name(part).filter(|name| !name.is_empty() && name.chars().all(is_word))
        })
    };
    assert!(!FOLDERS.is_empty());
    for (name, files) in FOLDERS {
        let folder = match Folder::read(name, files) {
            Ok(folder) => folder,
            Err(error) => panic!("{error}"),
        };
        let rows: Vec<_> = PolicyNumber::all()
            .filter_map(|row| {
                folder
                    .values(&site, &Wanted::target(row.policy(), &[]))
                    .ok()
            })
            .collect();
        assert!(!rows.is_empty(), "{name} has no policy");
        for word in &folder.description.version.command {
            assert_eq!(
                place(&fill(word, &folder.values_anywhere())),
                None,
                "{name}"
            );
        }
        for values in rows {
            for (file, text) in folder.files(&values) {
                assert_eq!(place(&text), None, "{name}/{file}: {text}");
            }
            let Start {
                command,
                environment,
                ready,
                ..
            } = &folder.description.start;
            for text in command.iter().chain(environment.values()).chain(ready) {
                assert_eq!(place(&fill(text, &values)), None, "{name}: {text}");
            }
        }
    }
}

#[test]
fn a_folder_on_disk_is_a_server() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("targets");
    let on_disk: BTreeSet<String> = std::fs::read_dir(targets)
        .expect("the folder of targets")
        .map(|entry| entry.expect("an entry of it"))
        .filter(|entry| entry.path().join("target.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let built_in: BTreeSet<String> = all().iter().map(|folder| folder.name.to_owned()).collect();
    assert_eq!(built_in, on_disk);
}

#[test]
fn policies_that_are_said_alike_share_an_instance() {
    let shared = |name: &str| {
        let folder = named(name).expect("it is built in");
        let mut instances = BTreeMap::<String, Vec<u8>>::new();
        for row in PolicyNumber::all() {
            if let Ok(instance) = folder.instance(row, &[]) {
                instances.entry(instance).or_default().push(row.number());
            }
        }
        instances.into_values().collect::<Vec<_>>()
    };
    let ejabberd: [&[u8]; 5] = [&[1, 2, 8], &[4, 10], &[7], &[9], &[11, 17]];
    assert_eq!(shared("ejabberd"), ejabberd);
    let prosody: [&[u8]; 11] = [
        &[1, 2],
        &[7],
        &[8],
        &[9],
        &[10],
        &[11],
        &[13],
        &[14],
        &[15],
        &[16],
        &[17],
    ];
    assert_eq!(shared("prosody"), prosody);
}

#[rstest]
#[case("ejabberd", 6, "ejabberd has no setting for neither TLS nor dialback")]
#[case(
    "ejabberd",
    13,
    "ejabberd always offers and tries EXTERNAL where TLS is up"
)]
#[case(
    "ejabberd",
    3,
    "ejabberd cannot require certificates while mod_s2s_dialback is loaded"
)]
#[case("prosody", 18, "Prosody has no setting for neither TLS nor dialback")]
#[case(
    "prosody",
    3,
    "Prosody forces TLS where it requires certificates (s2s_secure_auth)"
)]
fn what_cannot_be_set_says_why(#[case] name: &str, #[case] row: u8, #[case] why: &str) {
    let row = PolicyNumber::new(row).expect("a row");
    let folder = named(name).expect("it is built in");
    assert_eq!(folder.instance(row, &[]), Err(why));
}

#[test]
fn direct_tls_is_taken_wherever_tls_is() {
    for folder in all() {
        for row in PolicyNumber::all() {
            let Ok(sheet) = folder.by_hand(row.policy(), &site()) else {
                continue;
            };
            let listens = sheet.files.iter().any(|(_, text)| text.contains("10003"));
            let wanted = row.policy().tls != Level::NotSupported;
            assert_eq!(listens, wanted, "{} {row}", folder.name);
            assert_eq!(sheet.takes_direct_tls, wanted, "{} {row}", folder.name);
        }
    }
}

#[test]
fn what_cannot_be_set_for_a_need_says_why() {
    let text = r#"
        format = 1
        about = "a server"
        comment = "--"
        programs = []
        hint = ""
        version = { command = [], after = "" }
        host = "a.example"
        component = "b.a.example"
        secret = ""
        abilities = ["bidi"]
        start = { command = [], ready = [], seconds = 1, by-hand = "" }
        values = {}

        [[when]]
        tls = ["required"]
        needs = "bidi"
        refused = "not with TLS"
    "#;
    let folder = match Folder::read("one", &[("target.toml", text)]) {
        Ok(folder) => folder,
        Err(error) => panic!("{error}"),
    };
    let row = PolicyNumber::new(7).expect("a row");
    assert!(folder.instance(row, &[]).is_ok());
    assert_eq!(folder.instance(row, &[Need::Bidi]), Err("not with TLS"));
    let other = PolicyNumber::new(9).expect("a row");
    assert!(folder.instance(other, &[Need::Bidi]).is_ok());
}

#[test]
fn a_case_that_needs_more_has_an_instance_of_its_own() {
    let prosody = named("prosody").expect("it is built in");
    let row = PolicyNumber::new(7).expect("a row");
    let apart = prosody.instance(row, &[Need::Bidi, Need::DirectTls]);
    assert_eq!(apart.as_deref(), Ok("row07-Bidi"));
    let site = site();
    let values = prosody
        .values(&site, &Wanted::target(row.policy(), &[Need::Bidi]))
        .expect("it has row 7");
    let (_, text) = prosody.files(&values).remove(0);
    for part in [
        "\"ping\", \"tls\", \"saslauth\", \"dialback\", \"s2s_bidi\" }\n",
        "cafile = \"/tmp/\\\"odd\\\"/ca.crt\"",
        "forward = { \"127.0.0.1@5353\" }",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}
