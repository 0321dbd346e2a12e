use std::str::FromStr as _;
use std::time::Duration;

use super::*;
use crate::subject::remote::TriggerKind;

fn args(line: &str) -> Result<Args, clap::Error> {
    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        args: Args,
    }
    let words = std::iter::once("init").chain(line.split_whitespace());
    <Only as clap::Parser>::try_parse_from(words).map(|only| only.args)
}

fn read(path: &Path) -> TargetFile {
    TargetFile::load(path, false).expect("what init writes is a target file")
}

#[test]
fn a_policy_is_a_row_or_its_parts() {
    let row = |text: &str| PolicyName::from_str(text).map(|PolicyName(row)| row.number());
    for text in ["7", "row07", "row7", "required/optional/on", "R/O/T"] {
        assert_eq!(row(text), Ok(7), "{text}");
    }
    assert_eq!(row("not-supported/not-supported/off"), Ok(18));
    for text in [
        "0",
        "19",
        "",
        "row",
        "required/optional",
        "required/maybe/on",
        "a/b/c/d",
    ] {
        assert!(row(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_written_is_what_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    for (kind, line) in [
        ("reply", ""),
        ("component", "--trigger component"),
        ("command", "--trigger command"),
    ] {
        let _ = std::fs::remove_file(&path);
        let line = format!(
            "--domain im.example.org --address 127.0.0.1:5299 --policy 9 {line} --out {}",
            path.display()
        );
        describe(&args(&line).unwrap(), &mut Asking::of(None)).unwrap();
        let file = read(&path);
        assert_eq!(file.domain, "im.example.org");
        assert_eq!(file.address, SocketAddr::from(([127, 0, 0, 1], 5299)));
        assert_eq!(file.dns, SocketAddr::from(([127, 0, 0, 1], 15353)));
        assert_eq!(
            file.rows().map(PolicyNumber::number).collect::<Vec<_>>(),
            [9]
        );
        assert_eq!(file.name, "mine");
        assert!(
            format!("{:?}", file.trigger)
                .to_lowercase()
                .starts_with(kind)
        );
    }
}

#[test]
fn a_file_that_is_there_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("target.toml");
    std::fs::write(&path, "mine").unwrap();
    let line = format!("--domain a.example --out {}", path.display());
    let error = describe(&args(&line).unwrap(), &mut Asking::of(None)).unwrap_err();
    assert!(error.to_string().contains("is there already"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn who_sits_at_a_terminal_is_asked_until_the_answer_makes_sense() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("target.toml");
    let answers = "\nim.example.org\nsomewhere\n127.0.0.1:5270\n\ncomponent\n";
    let line = format!("--out {}", path.display());
    describe(&args(&line).unwrap(), &mut Asking::of(Some(answers))).unwrap();
    let file = read(&path);
    assert_eq!(file.domain, "im.example.org");
    assert_eq!(file.address.port(), 5270);
    assert_eq!(
        file.rows().map(PolicyNumber::number).collect::<Vec<_>>(),
        [9]
    );
}

#[test]
fn of_a_component_all_is_asked_that_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("target.toml");
    let answers = "no_such..domain\nIM.Example.\n\n\ncomponent\n\n127.0.0.1:5999\nhush\n";
    let line = format!("--out {}", path.display());
    describe(&args(&line).unwrap(), &mut Asking::of(Some(answers))).unwrap();
    let file = read(&path);
    assert_eq!(file.domain, "im.example");
    let component = TriggerKind::Component {
        address: ([127, 0, 0, 1], 5999).into(),
        domain: "component.im.example".to_owned(),
        secret: "hush".to_owned(),
    };
    assert_eq!(file.trigger, component);
}

#[test]
fn what_is_to_do_next_is_said_with_its_names() {
    let line = "--domain im.example --address 127.0.0.1:5299 --trigger component";
    let args = args(line).unwrap();
    let facts = ServerFacts {
        component: Component {
            domain: "c.im.example".to_owned(),
            address: ([127, 0, 0, 1], 5347).into(),
            secret: PLACEHOLDER.to_owned(),
        },
        domain: "im.example".to_owned(),
        address: args.address.unwrap(),
        direct_tls: None,
        dns: args.dns(),
        partner_address: args.partner_address,
        row: default_row(),
        trigger: args.trigger.unwrap(),
        partner_hosts: PartnerHosts::default(),
        certificate_names: CertificateNames::default(),
        stream: None,
        head: String::new(),
    };
    let text = next_steps(&facts, Path::new("my server/target.toml"));
    for wanted in [
        "s2spec cert im.example --target 'my server/target.toml'",
        "asks 127.0.0.1:15353 for DNS",
        "row 9: TLS optional, SASL optional, dialback on",
        "Put the component's secret into",
        "s2spec doctor --target",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn files_are_written_all_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    std::fs::write(place("c"), "mine").unwrap();
    let files = [(place("a"), "1", 0o644), (place("c"), "2", 0o644)];
    assert!(write_all(&files).is_err());
    assert!(!place("a").exists());
    // The second cannot be written: its folder is a file.
    let files = [(place("a"), "1", 0o600), (place("c/d"), "2", 0o644)];
    assert!(write_all(&files).is_err());
    assert!(!place("a").exists());
    write_all(&files[..1]).unwrap();
    assert_eq!(std::fs::read_to_string(place("a")).unwrap(), "1");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn without_a_terminal_the_domain_is_needed() {
    let error = describe(&args("").unwrap(), &mut Asking::of(None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "--domain is required when there is no terminal to ask at"
    );
}

#[test]
fn a_domain_that_is_none_is_shown_in_the_file_that_it_would_make() {
    let line = "--domain no_such..domain --out -";
    let error = describe(&args(line).unwrap(), &mut Asking::of(None)).unwrap_err();
    assert!(error.to_string().contains("is no domain name"), "{error}");
}

#[test]
fn a_server_elsewhere_needs_a_way_back() {
    let far = "--domain a.example --address 192.0.2.7:5269 --out -";
    let error = describe(&args(far).unwrap(), &mut Asking::of(None)).unwrap_err();
    assert!(error.to_string().contains("--partner-address"), "{error}");
    let near = format!("{far} --partner-address 192.0.2.1");
    describe(&args(&near).unwrap(), &mut Asking::of(None)).unwrap();
}

#[test]
fn a_built_in_target_comes_with_all_that_it_needs() {
    for (like, files) in [
        ("prosody", &["prosody.cfg.lua"][..]),
        ("ejabberd", &["ejabberd.yml", "inetrc"][..]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("server");
        let line = format!("--out {}", place.display());
        let args = args(&line).unwrap();
        let like = built_in::named(like).unwrap();
        set_up(&args, like).unwrap();
        let certificates = [
            "ca.crt",
            "ca.key",
            "component.crt",
            "component.key",
            "host.crt",
            "host.key",
            "server.crt",
            "server.key",
        ];
        for name in files.iter().chain(&certificates) {
            let text = std::fs::read_to_string(place.join(name)).unwrap();
            assert!(!text.contains("{folder}"), "{name}");
        }
        let file = read(&place.join("target.toml"));
        assert_eq!(file.direct_tls, Some(([127, 0, 0, 1], 5270).into()));
        assert_eq!(file.timeouts.stream, Some(Duration::from_secs(4)));
        let network = crate::subject::remote::Remote::new(TargetFile {
            dns: SocketAddr::from(([127, 0, 0, 1], 0)),
            ..file
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let lab = runtime.block_on(async { crate::subject::Target::lab(&network, 1) });
        assert!(lab.is_ok(), "the authority can be read back");
        assert!(set_up(&args, like).is_err(), "nothing is overwritten");
    }
}

#[test]
fn a_built_in_target_listens_at_each_port_once() {
    let prosody = built_in::named("prosody").unwrap();
    for (port, component, direct_tls) in
        [(5269, 5347, 5270), (5270, 5347, 5271), (5347, 5348, 5270)]
    {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("server");
        let line = format!(
            "--address 127.0.0.1:{port} --trigger component --out {}",
            place.display()
        );
        set_up(&args(&line).unwrap(), prosody).unwrap();
        let file = read(&place.join("target.toml"));
        assert_eq!(file.direct_tls, Some(([127, 0, 0, 1], direct_tls).into()));
        let TriggerKind::Component { address, .. } = file.trigger else {
            panic!("the trigger is a component");
        };
        assert_eq!(address.port(), component);
        let text = std::fs::read_to_string(place.join("prosody.cfg.lua")).unwrap();
        for wanted in [port, component, direct_tls] {
            let places = text.matches(&wanted.to_string()).count();
            assert_eq!(places, 1, "{wanted} in {text}");
        }
    }
}

#[test]
fn a_policy_that_a_built_in_target_has_not_is_refused_with_the_reason() {
    let prosody = built_in::named("prosody").unwrap();
    let error = set_up(&args("--policy 18").unwrap(), prosody).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Prosody has no setting for neither TLS nor dialback: row18 (N/N/F) cannot be had from \
         it; another --policy can"
    );
}
