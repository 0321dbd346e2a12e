//! `gateway-config get` and `set`.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use super::{CONFIG, Place};

#[test]
fn defaults_are_those_of_the_cmdlet() {
    let place = Place::new();
    insta::assert_snapshot!(place.good(&["gateway-config", "get"]).out, @r"
    Identity                       : Global
    ConnectionLimit                : 1000
    PartnerConnectionLimit         : 20
    KeepAliveInterval              : 300
    StreamEstablishmentTimeout     : 60
    StreamInactivityTimeout        : 600
    SubscriptionRefreshInterval    : of the gateway (--gateway FILE)
    EnableLoggingAllMessageBodies  : False
    DialbackPassphrase             : not set: a random one at each start
    ");
    let json = place.good(&["gateway-config", "get", "--json"]).out;
    let json: Value = serde_json::from_str(&json).expect("it is JSON");
    insta::assert_snapshot!(format!("{json:#}"), @r#"
    {
      "ConnectionLimit": 1000,
      "DialbackPassphraseSet": false,
      "EnableLoggingAllMessageBodies": false,
      "Identity": "Global",
      "KeepAliveInterval": 300,
      "PartnerConnectionLimit": 20,
      "StreamEstablishmentTimeout": 60,
      "StreamInactivityTimeout": 600,
      "SubscriptionRefreshInterval": null
    }
    "#);
}

#[test]
fn limits_and_times_are_set_by_the_parameters_of_the_cmdlet() {
    let place = Place::with(&format!(
        "{CONFIG}\n[limits]\nconnections = 9 # few\ndepth = 10\n"
    ));
    let done = place.good(&[
        "gateway-config",
        "set",
        "-ConnectionLimit",
        "500",
        "-PartnerConnectionLimit",
        "10",
        "-KeepAliveInterval",
        "120",
        "-StreamEstablishmentTimeout",
        "30s",
        "-StreamInactivityTimeout",
        "20m",
    ]);
    let expected = "\n[limits]\nconnections = 500 # few\ndepth = 10\npartner-connections = 10\n\
                    keep-alive-interval = 120\nstream-establishment-timeout = \"30s\"\n\
                    stream-inactivity-timeout = \"20m\"\n";
    assert_eq!(place.config(), format!("{CONFIG}{expected}"));
    assert!(
        done.out.contains("StreamInactivityTimeout        : 1200"),
        "{}",
        done.out
    );
    // Where there is no such table yet.
    let place = Place::new();
    place.good(&["gateway-config", "set", "-ConnectionLimit", "500"]);
    assert!(place.config().contains("[limits]\nconnections = 500\n"));
}

#[test]
fn the_passphrase_is_set_and_never_shown() {
    let place = Place::new();
    let mut command = place.command(&["gateway-config", "set", "-DialbackPassphrase", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(b"s3cret words\n").expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    assert!(
        place.config().contains("\nsecret = \"s3cret words\"\n"),
        "{}",
        place.config()
    );
    for arguments in [
        &["get"][..],
        &["get", "--json"],
        &["set", "-ConnectionLimit", "5"],
    ] {
        let done = place.good(&[&["gateway-config"], arguments].concat());
        assert!(!done.out.contains("s3cret") && !done.err.contains("s3cret"));
        assert!(done.out.contains("Passphrase"), "{}", done.out);
    }
    place.good(&["gateway-config", "set", "-DialbackPassphrase", "$null"]);
    assert!(!place.config().contains("secret"));
}

#[test]
fn message_bodies_are_logged_on_demand() {
    let place = Place::new();
    let set = ["gateway-config", "set", "-EnableLoggingAllMessageBodies"];
    let done = place.good(&[&set[..], &["$true"]].concat());
    let on = "EnableLoggingAllMessageBodies  : True\n";
    assert!(done.out.contains(on), "{}", done.out);
    let config = place.config();
    assert!(config.contains("\nlog-message-bodies = true\n"), "{config}");
    let done = place.refused(&[&set[..], &["always"]].concat(), 2);
    assert!(done.err.contains("expected true or false"), "{}", done.err);
    place.good(&[&set[..], &["$false"]].concat());
    assert!(place.config().contains("\nlog-message-bodies = false\n"));
}

#[test]
fn values_that_make_no_sense_are_refused_by_the_reader_of_the_proxy() {
    let place = Place::new();
    for (arguments, part) in [
        (&["-ConnectionLimit", "0"][..], "expected a number from 1"),
        (&["-ConnectionLimit", "many"], "'many'"),
        (
            &["-PartnerConnectionLimit", "-3"],
            "'-3' for '--partner-connection-limit",
        ),
        (&["-KeepAliveInterval", "-5"], "-5"),
        (&["-KeepAliveInterval", "0"], "a duration may not be zero"),
        (&["-KeepAliveInterval", "5 days"], "a duration needs a unit"),
        (
            &["-StreamInactivityTimeout", "soon"],
            "a duration needs a unit",
        ),
        (&[], "nothing to set"),
    ] {
        let done = place.refused(&[&["gateway-config", "set"], arguments].concat(), 2);
        assert!(done.err.contains(part), "{part} is missing: {}", done.err);
    }
}

#[test]
fn what_the_gateway_does_is_set_in_its_own_file() {
    let place = Place::new();
    let theirs = "# The gateway.\n[limits]\ncontacts = 5 # few\n";
    std::fs::write(place.path("gateway.toml"), theirs).expect("it has room");
    let get = ["gateway-config", "get", "--gateway", "gateway.toml"];
    let refreshed = |seconds: &str| {
        let line = format!("SubscriptionRefreshInterval    : {seconds}\n");
        let out = place.good(&get).out;
        assert!(out.contains(&line), "{out}");
    };
    refreshed("28800");
    let set = [
        "gateway-config",
        "set",
        "-SubscriptionRefreshInterval",
        "3600",
    ];
    place.refused(&set, 2);
    let there = [&set[..], &["--gateway", "gateway.toml"]].concat();
    let wish = place.good(&[&there[..], &["-WhatIf"]].concat());
    assert_eq!(place.text("gateway.toml"), theirs);
    let shown = "SubscriptionRefreshInterval    : 3600\n";
    assert!(wish.out.contains(shown), "{}", wish.out);
    assert!(
        wish.err.contains("gateway.toml is unchanged"),
        "{}",
        wish.err
    );
    place.good(&there);
    let expected = format!("{theirs}subscription-refresh-interval = 3600\n");
    assert_eq!(place.text("gateway.toml"), expected);
    assert_eq!(place.config(), CONFIG);
    refreshed("3600");
    let units = [
        "gateway-config",
        "set",
        "-SubscriptionRefreshInterval",
        "8h",
    ];
    place.good(&[&units[..], &["--gateway", "gateway.toml"]].concat());
    refreshed("8h");
    place.good(&there);
    // Two files are not changed at once.
    let both = [&there[..], &["-ConnectionLimit", "7"]].concat();
    let done = place.refused(&both, 2);
    assert!(done.err.contains("a command of its own"), "{}", done.err);
    refreshed("3600");
    let zero = ["gateway-config", "set", "-SubscriptionRefreshInterval", "0"];
    place.refused(&[&zero[..], &["--gateway", "gateway.toml"]].concat(), 2);
}

#[test]
fn a_change_warns_of_what_may_not_be_meant_since_then() {
    let place = Place::new();
    let set = |arguments: &[&str]| {
        place
            .good(&[&["gateway-config", "set"], arguments].concat())
            .err
    };
    let said = "warning: `keep-alive-interval` is longer";
    let late = ["-KeepAliveInterval", "900"];
    assert!(set(&[&late[..], &["-WhatIf"]].concat()).contains(said));
    assert!(set(&late).contains(said));
    assert!(
        !set(&["-StreamEstablishmentTimeout", "50"]).contains(said),
        "it is known"
    );
    assert!(set(&["-DialbackPassphrase", "x"]).contains("warning: `secret` is short"));
    let partner = ["partner", "set", "fabrikam.com", "-ConnectionLimit", "5000"];
    let said = "warning: fabrikam.com: `connection-limit` is 5000, more than `connections` (1000)";
    let done = place.good(&partner);
    assert!(done.err.contains(said), "{}", done.err);
    let last = place.good(&["partner", "remove", "fabrikam.com", "--force"]);
    assert!(
        last.err.contains("warning: no partner is listed"),
        "{}",
        last.err
    );
}

#[test]
fn parameters_of_the_cmdlets_are_understood_or_refused_with_the_reason() {
    let place = Place::new();
    place.good(&["gateway-config", "get", "-Identity", "global"]);
    place.good(&["gateway-config", "get", "-Filter", "Glo*"]);
    let set = [
        "gateway-config",
        "set",
        "-Identity",
        "Global",
        "-ConnectionLimit",
        "900",
    ];
    let done = place.good(&[&set[..], &["-WhatIf:$true"]].concat());
    assert!(done.err.contains("is unchanged"), "{}", done.err);
    place.good(&[&set[..], &["-WhatIf:$false"]].concat());
    assert!(
        place.config().contains("connections = 900"),
        "{}",
        place.config()
    );
    for (arguments, parts) in [
        (
            &["gateway-config", "get", "-Identity", "site:x"][..],
            ["site:x", "is Global"],
        ),
        (
            &["gateway-config", "get", "-Filter", "site*"],
            ["`site*`", "Global"],
        ),
        (
            &["partner", "get", "-LocalStore"],
            ["--local-store", "because"],
        ),
        (
            &["partner", "set", "-Instance", "$x"],
            ["--instance", "because"],
        ),
        (
            &["policy", "set", "-EnableOutsideAccess", "true"],
            ["--enable-outside-access", "because"],
        ),
        (
            &["test-im", "-TargetFqdn", "x.example"],
            ["--target-fqdn", "because"],
        ),
        (
            &["partner", "get", "-Elsewhere"],
            ["'--Elsewhere'", "unexpected argument"],
        ),
        (
            &["partner", "new", "x.com", "-ProxyFqdn", "p.x.com:99999"],
            ["p.x.com:99999", "from 1 to 65535"],
        ),
        (
            &["partner", "new", "x.com", "-ProxyFqdn", "p.x.com:0"],
            ["p.x.com:0", "from 1 to 65535"],
        ),
        (
            &["partner", "new", "x.com", "-ConnectionLimit", "99999999999"],
            ["99999999999", "to 4294967295"],
        ),
        (
            &["csr", "--san", "*.contoso.com"],
            ["*.contoso.com", "a wildcard stands for no domain itself"],
        ),
        (
            &[
                "gateway-config",
                "set",
                "-SubscriptionRefreshInterval",
                "8 hours",
                "--gateway",
                "g",
            ],
            ["8 hours", "a duration needs a unit"],
        ),
    ] {
        let done = place.refused(arguments, 2);
        for part in parts {
            assert!(done.err.contains(part), "{part} is missing: {}", done.err);
        }
    }
    let long = "x".repeat(65);
    let done = place.refused(&["csr", "--common-name", &long], 2);
    assert!(done.err.contains("at most 64 characters"), "{}", done.err);
}
