use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use super::*;
use crate::subject::UNSUPPORTED;

const GOOD: &str = r#"format = 1
domain = "im.example.org"
address = "127.0.0.1:5269"
dns = "127.0.0.1:15353"

[[policy]]
row = 7

[ca]
certificate = "ca.crt"
key = "ca.key"
"#;

fn parse(text: &str) -> Result<TargetFile, String> {
    TargetFile::parse(Path::new("/targets/mine.toml"), text, false)
        .map_err(|error| error.to_string())
}

/// The message for a good file in which something is replaced.
fn mistake(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    parse(&GOOD.replacen(from, to, 1)).expect_err("a mistake was made on purpose")
}

/// Asserts that a message has the title, the place and the help.
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in\n{message}");
    }
}

#[test]
fn a_small_file_is_enough() {
    let file = parse(GOOD).expect("nothing is wrong");
    assert_eq!(file.name, "mine");
    assert_eq!(file.domain, "im.example.org");
    assert_eq!(file.trigger, TriggerKind::Reply);
    assert_eq!(file.ca.certificate, Path::new("/targets/ca.crt"));
    assert_eq!(file.timeouts, Timeouts::default());
    assert_eq!(
        file.partner_address,
        SocketAddr::from(([127, 0, 0, 1], 0)).ip()
    );
}

#[test]
fn a_pool_has_a_second_member_nearby() {
    let with = |address: &str| {
        let line = "dns =";
        parse(&GOOD.replace(line, &format!("other-member = \"{address}\"\n{line}")))
    };
    let file = with("127.0.0.1:5270").expect("nothing is wrong");
    assert_eq!(file.other_member, Some(([127, 0, 0, 1], 5270).into()));
    assert_eq!(parse(GOOD).expect("good").other_member, None);
    let far = with("192.0.2.1:5269").expect_err("it is not on this machine");
    says(&far, &["other-member"]);
}

#[test]
fn a_policy_can_be_said_by_its_parts_and_in_one_table() {
    let parts = "tls = \"required\"\nsasl = \"optional\"\ndialback = true";
    let same = parse(&GOOD.replace("row = 7", parts)).expect("these are its parts");
    assert_eq!(same, parse(GOOD).expect("good"));
    let one = parse(&GOOD.replace("[[policy]]", "[policy]")).expect("one is no list");
    assert_eq!(one, same);
}

#[test]
fn an_unknown_key_is_shown_with_those_that_are_known() {
    let message = mistake("dns =", "nds =");
    says(
        &message,
        &[
            "unknown key `nds`",
            "/targets/mine.toml:4:1",
            "`dns`",
            "^^^",
        ],
    );
    let message = mistake("row = 7", "row = 7\nswtch = []");
    says(
        &message,
        &["unknown key `swtch`", "mine.toml:8", "`switch`"],
    );
}

#[test]
fn every_mistake_of_a_file_is_shown_at_once() {
    let misspelt = r#"format = 1
domain = "im_example"
adress = "127.0.0.1"
dns = 5353

[policy]
tls = "requried"

[trigger]
kind = "componnt"

[timeouts]
start = "long"
"#;
    let missing = "format = 1\nname = \"x\"\n\n[start]\ncmd = [\"x\"]\n";
    let senseless = GOOD.replace("127.0.0.1:5269", "192.0.2.1:0")
        + "\n[[policy]]\nrow = 19\n\n[timeouts]\nstop = 0.0\n";
    let shown = [misspelt, missing, &senseless].map(|text| parse(text).expect_err("it is wrong"));
    insta::assert_snapshot!(shown.join("\n\n----\n\n"));
}

#[test]
fn a_policy_that_does_not_exist_is_shown() {
    says(
        &mistake("row = 7", "row = 19"),
        &["there is no row 19", "1 to 18", "mine.toml:7"],
    );
    says(
        &mistake(
            "row = 7",
            "tls = \"sometimes\"\nsasl = \"optional\"\ndialback = true",
        ),
        &["unknown word `sometimes`", "`required`", "`not-supported`"],
    );
    says(
        &mistake(
            "row = 7",
            "row = 8\ntls = \"required\"\nsasl = \"optional\"\ndialback = true",
        ),
        &["this is row07, not row08", "`row = 7`"],
    );
    says(
        &mistake("row = 7", "tls = \"required\""),
        &["a policy without `sasl` and `dialback`"],
    );
}

#[test]
fn partner_domains_are_a_list_or_all_below_one() {
    let with =
        |domains: &str| GOOD.replacen("dns =", &format!("partner-domains = {domains}\ndns ="), 1);
    let domains = |text: &str| parse(&with(text)).map(|file| file.partner_domains);
    assert_eq!(
        domains("[\"a.example\", \"B.example\"]"),
        Ok(AllowList::Only(vec![
            "a.example".to_owned(),
            "b.example".to_owned()
        ]))
    );
    assert_eq!(
        domains("[\"*.lab.example\"]"),
        Ok(AllowList::Below("lab.example".to_owned()))
    );
    for (wrong, why) in [
        ("[]", "no partner has a domain"),
        ("[\"*.lab.example\", \"a.example\"]", "it stands alone"),
        ("[\"a.example\", \"a.example\"]", "for the second time"),
        ("[\"im.example.org\"]", "the server's own domain"),
        ("[\"a b\"]", "`a b` is no domain name"),
    ] {
        let message = domains(wrong).expect_err("a mistake was made on purpose");
        says(&message, &[why, "mine.toml:4"]);
    }
}

#[test]
fn several_policies_need_a_way_to_change_and_each_is_there_once() {
    let two = "row = 7\n[[policy]]\nrow = 9";
    says(
        &mistake("row = 7", two),
        &["one of several policies, without `switch`"],
    );
    let with = "row = 7\nswitch = [\"set\", \"7\"]\n[[policy]]\nrow = 9\nswitch = [\"set\", \"9\"]";
    let file = parse(&GOOD.replace("row = 7", with)).expect("each has its switch");
    assert_eq!(
        file.rows().map(PolicyNumber::number).collect::<Vec<_>>(),
        [7, 9]
    );
    says(
        &mistake("row = 7", &with.replace("row = 9", "row = 7")),
        &["row07 for the second time", "here for the first time"],
    );
    let started = format!(
        "{}\n[start]\ncommand = [\"server\"]\n",
        GOOD.replace("row = 7", two)
    );
    assert!(parse(&started).is_ok());
}

#[test]
fn what_is_missing_is_named_with_an_example() {
    says(
        &mistake("domain = \"im.example.org\"\n", ""),
        &["`domain` is missing", "example.org"],
    );
    says(
        &mistake("format = 1\n", ""),
        &["`format` is missing", "format = 1"],
    );
    says(
        &mistake("format = 1", "format = 2"),
        &["unknown format", "format = 1"],
    );
    says(
        &mistake("[[policy]]\nrow = 7", ""),
        &["`policy` is missing", "row = 7"],
    );
}

#[test]
fn an_address_that_is_none_is_shown() {
    says(
        &mistake("127.0.0.1:5269", "localhost:5269"),
        &["invalid socket address", "127.0.0.1:5269"],
    );
    says(
        &mistake("127.0.0.1:15353", "127.0.0.1:0"),
        &["`dns` needs a port"],
    );
}

#[test]
fn other_machines_are_tested_only_when_that_is_allowed() {
    let text = GOOD
        .replace("127.0.0.1:5269", "192.0.2.7:5269")
        .replace("127.0.0.1:15353", "192.0.2.1:15353")
        .replace(
            "\n[[policy]]",
            "partner-address = \"192.0.2.1\"\n\n[[policy]]",
        );
    let message = parse(&text).expect_err("not allowed");
    says(
        &message,
        &[
            "192.0.2.7 is not on this machine",
            "--allow-remote",
            "hostile",
        ],
    );
    let path = Path::new("/targets/mine.toml");
    assert!(TargetFile::parse(path, &text, true).is_ok());
    let near = text.replace("partner-address = \"192.0.2.1\"", "");
    let message = TargetFile::parse(path, &near, true).map_err(|error| error.to_string());
    says(
        &message.expect_err("no way back"),
        &["needs `partner-address`"],
    );
}

#[test]
fn a_trigger_has_what_its_kind_needs_and_nothing_else() {
    let with = |table: &str| parse(&format!("{GOOD}\n[trigger]\n{table}\n"));
    let component = "kind = \"component\"\naddress = \"127.0.0.1:5347\"\ndomain = \"c.example\"";
    says(
        &with(component).expect_err("no secret"),
        &["a component without `address`, `domain` or `secret`"],
    );
    assert!(with(&format!("{component}\nsecret = \"s\"")).is_ok());
    says(
        &with("kind = \"reply\"\nsecret = \"s\"").expect_err("no meaning"),
        &["`secret` has no meaning for this kind of trigger"],
    );
    says(
        &with("kind = \"replay\"").expect_err("no kind"),
        &["unknown word `replay`", "`reply`"],
    );
    let command = |words: &str| with(&format!("kind = \"command\"\ncommand = [{words}]"));
    assert!(command("\"send\", \"{receiver}\", \"{body}\"").is_ok());
    says(
        &command("\"send\", \"{receiver}\", \"{text}\", \"{id}\"").expect_err("no such"),
        &["unknown placeholder {text}", "{body}"],
    );
    says(
        &command("\"send\", \"{body}\"").expect_err("to whom"),
        &["the stanza could not be told from others"],
    );
    says(
        &command("").expect_err("nothing to run"),
        &["a command without a program"],
    );
}

#[test]
fn times_are_seconds_within_reason() {
    let with = |times: &str| parse(&format!("{GOOD}\n[timeouts]\n{times}\n"));
    let file = with("start = 0.5\nstop = 2").expect("both are times");
    assert_eq!(file.timeouts.start, Duration::from_millis(500));
    for wrong in ["start = 0", "start = -1", "start = 1e9", "start = nan"] {
        says(
            &with(wrong).expect_err("no time"),
            &["no time for anything"],
        );
    }
}

fn remote(extra: &str) -> Remote {
    Remote::new(parse(&format!("{GOOD}{extra}")).expect("good"))
}

#[test]
fn cases_of_other_policies_are_unsupported_with_the_reason() {
    let all = crate::matrix::cases(&simulated_partners::persona::builtin());
    let place = |target: &Remote, id: &str| {
        let case = all.iter().find(|case| case.id == id).expect("a case");
        target.place(case)
    };
    let target = remote("");
    assert_eq!(
        place(&target, "personas/row07/modern/outbound"),
        Placement::Group("row07".to_owned())
    );
    assert_eq!(
        place(&target, "personas/row09/modern/outbound"),
        Placement::Unsupported(
            "the target file does not have this policy; it has row07".to_owned()
        )
    );
    let closed = Remote::new(parse(&GOOD.replace("row = 7", "row = 18")).expect("good"));
    assert!(matches!(
        place(&closed, "personas/row18/modern/outbound"),
        Placement::Unsupported(_)
    ));
    assert_eq!(
        place(&closed, "personas/row18/modern/inbound"),
        Placement::Group("row18".to_owned())
    );
}

#[test]
fn the_examples_are_target_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("targets/examples");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect("there are examples")
        .map(|entry| {
            let path = entry.expect("can be listed").path();
            let file = TargetFile::load(&path, false).map_err(|error| error.to_string());
            file.expect("an example has no mistakes").name
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "our server, all policies",
            "our server, staging",
            "prosody, as a component"
        ]
    );
}

#[tokio::test]
async fn a_switch_that_says_unsupported_is_no_trouble_and_one_that_fails_is() {
    let launched = async |status: i32| {
        let switch = format!("row = 7\nswitch = [\"sh\", \"-c\", \"exit {status}\"]");
        let text = GOOD.replace("row = 7", &switch);
        let path = std::env::temp_dir().join("mine.toml");
        let file = TargetFile::parse(&path, &text, false).expect("good");
        let row = PolicyNumber::new(7).expect("1 to 18");
        Remote::new(file).launch(row, false).await.err()
    };
    assert!(matches!(
        launched(UNSUPPORTED).await,
        Some(StartError::Unsupported(_))
    ));
    assert!(matches!(
        launched(3).await,
        Some(StartError::Environment(_))
    ));
}

#[tokio::test]
async fn what_listens_already_is_not_tested_in_place_of_what_is_started() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let text = GOOD.replace("127.0.0.1:5269", &address.to_string());
    let text = format!("{text}\n[start]\ncommand = [\"sleep\", \"60\"]\n");
    let path = std::env::temp_dir().join("mine.toml");
    let file = TargetFile::parse(&path, &text, false).expect("good");
    let row = PolicyNumber::new(7).expect("1 to 18");
    let error = Remote::new(file).launch(row, false).await.err();
    let text = error.expect("the port is taken").to_string();
    assert!(text.starts_with("something listens at"), "{text}");
}

/// The keys that a table knows: what is expected in place of one that it does not.
fn keys<T: serde::de::DeserializeOwned>(table: &str) -> Vec<String> {
    let error = toml::from_str::<T>("no-such-key = 1")
        .err()
        .expect("no such key");
    let expected = error.message().split_once("expected ").expect("what is").1;
    let names = expected.split('`').skip(1).step_by(2);
    names.map(|name| format!("{table}{name}")).collect()
}

#[test]
fn the_page_lists_every_key() {
    let tables = [
        "policy", "ca", "trigger", "start", "stop", "restart", "timeouts",
    ];
    let mut known: BTreeSet<String> = keys::<file::File>("").into_iter().collect();
    known.retain(|key| !tables.contains(&key.as_str()));
    known.extend(["format".to_owned()]);
    known.extend(keys::<file::PolicyTable>("policy."));
    known.extend(keys::<file::CaTable>("ca."));
    known.extend(keys::<file::TriggerTable>("trigger."));
    known.extend(keys::<file::StartTable>("start."));
    known.extend(keys::<file::CommandTable>("stop."));
    known.extend(keys::<file::CommandTable>("restart."));
    known.extend(keys::<file::TimeoutsTable>("timeouts."));
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/targets.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let (_, section) = page.split_once("## All keys").expect("it has them");
    let section = section.split("\n## ").next().expect("it has an end");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let told: Vec<&str> = rows
        .take_while(|row| !row.is_empty())
        .filter_map(|row| row.split('|').next())
        .flat_map(|names| names.split('`').step_by(2))
        .filter(|name| !name.trim().is_empty())
        .collect();
    assert_eq!(
        told.iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>(),
        known
    );
    assert_eq!(told.len(), known.len(), "one is listed twice");
}
