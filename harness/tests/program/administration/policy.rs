//! `policy new`, `set`, `grant`, `get` and `remove`.

use std::fs;

use serde_json::Value;

use super::{Done, Place};

/// A gateway whose certificates are not there yet.
pub(crate) const GATEWAY: &str = r#"# Our people.
domains = ["contoso.com"]
partners = "proxy.toml"

[link]
name = "gateway.contoso.com"
certificate = "gateway.crt"
key = "gateway.key"
ca = "ca.crt"

[[proxy]]
address = "edge.contoso.com:23456"

# For all.
[[policy]]
identity = "global" # everybody
enable-federation-access = true

[[user]]
address = "ana@contoso.com" # the first
site = "Madrid"

[[user.contact]]
address = "bob@fabrikam.com"

[[user]]
address = "ben@contoso.com"
"#;

fn place() -> Place {
    let place = Place::new();
    fs::write(place.path("gateway.toml"), GATEWAY).expect("it has room");
    place
}

/// Refused, with the gateway's file left alone.
fn refused(place: &Place, arguments: &[&str], said: &str) {
    let before = place.text("gateway.toml");
    let Done { code, err, .. } = place.run(arguments);
    assert_eq!(code, Some(2), "{arguments:?}\n{err}");
    assert!(err.contains(said), "{arguments:?}\n{err}");
    assert_eq!(place.text("gateway.toml"), before, "{arguments:?}");
}

#[test]
fn the_steps_of_the_set_up_give_users_access() {
    let place = place();
    let made = place.good(&[
        "policy",
        "new",
        "-Identity",
        "FedPic",
        "-EnableFederationAccess",
        "$true",
        "-EnablePublicCloudAccess",
        "$true",
    ]);
    insta::assert_snapshot!(made.out, @r"
    Identity                       : Tag:FedPic
    Description                    :
    EnableFederationAccess         : True
    EnableXmppAccess               : False
    EnablePublicCloudAccess        : True
    GrantedTo                      :
    ");
    let granted = place.good(&["policy", "grant", "-PolicyName", "FedPic", "--all"]);
    insta::assert_snapshot!(granted.out, @r"
    ana@contoso.com has the policy FedPic
    ben@contoso.com has the policy FedPic
    ");
    assert!(
        granted.err.contains("the setting `control`"),
        "{}",
        granted.err
    );
    place.good(&["policy", "set", "FedPic", "-EnableXmppAccess", "$true"]);
    let policy = "\n[[policy]]\nidentity = \"FedPic\"\nenable-federation-access = true\n\
                  enable-public-cloud-access = true\nenable-xmpp-access = true\n\n[[user]]";
    let expected = GATEWAY
        .replacen("\n[[user]]", policy, 1)
        .replace("\"Madrid\"\n", "\"Madrid\"\npolicy = \"FedPic\"\n")
        .replace(
            "ben@contoso.com\"\n",
            "ben@contoso.com\"\npolicy = \"FedPic\"\n",
        );
    assert_eq!(place.text("gateway.toml"), expected);
    insta::assert_snapshot!(place.good(&["policy", "get"]).out, @r"
    Identity    Federation  Xmpp   PublicCloud  Users
    Global      True        False  False            -
    Tag:FedPic  True        True   True             2
    ");
    let json = place.good(&["policy", "get", "fedpic", "--json"]).out;
    let json: Value = serde_json::from_str(&json).expect("it is JSON");
    insta::assert_snapshot!(format!("{json:#}"), @r#"
    [
      {
        "Description": "",
        "EnableFederationAccess": true,
        "EnablePublicCloudAccess": true,
        "EnableXmppAccess": true,
        "GrantedTo": [
          "ana@contoso.com",
          "ben@contoso.com"
        ],
        "Identity": "Tag:FedPic"
      }
    ]
    "#);
}

#[test]
fn the_policy_that_counts_for_a_user_is_shown() {
    let place = place();
    let counts = |place: &Place, user: &str| {
        let out = place.good(&["policy", "get", "--user", user]).out;
        out.lines().next().unwrap_or_default().to_owned()
    };
    assert!(counts(&place, "ana@contoso.com").ends_with(": Global"));
    place.good(&["policy", "new", "site:madrid", "--description", "Ours"]);
    assert!(counts(&place, "ana@contoso.com").ends_with(": Site:madrid"));
    place.good(&["policy", "new", "Own"]);
    place.good(&["policy", "grant", "ana@contoso.com", "--policy-name", "own"]);
    assert!(counts(&place, "Ana@Contoso.com").ends_with(": Tag:Own"));
    assert!(counts(&place, "ben@contoso.com").ends_with(": Global"));
    place.good(&[
        "policy",
        "grant",
        "ana@contoso.com",
        "--policy-name",
        "$null",
    ]);
    assert!(counts(&place, "ana@contoso.com").ends_with(": Site:madrid"));
}

#[test]
fn what_was_there_stays_as_it_was_written() {
    let place = place();
    place.good(&["policy", "set", "-EnableXmppAccess", "true"]);
    place.good(&["policy", "new", "Own"]);
    place.good(&["policy", "grant", "ana@contoso.com", "-PolicyName", "Own"]);
    place.good(&["policy", "remove", "Own", "--force"]);
    let expected = GATEWAY.replace(
        "enable-federation-access = true\n",
        "enable-federation-access = true\nenable-xmpp-access = true\n",
    );
    assert_eq!(place.text("gateway.toml"), expected);
    let reset = place.good(&["policy", "remove", "global"]);
    assert_eq!(reset.out, "Global is reset and allows nothing\n");
    assert!(!place.text("gateway.toml").contains("policy"));
    let again = place.good(&["policy", "remove", "global"]);
    assert_eq!(again.out, "Global allows nothing already\n");
    place.good(&["policy", "set", "-EnableFederationAccess", "true"]);
    let text = place.text("gateway.toml");
    assert!(
        text.contains("[[policy]]\nidentity = \"global\"\nenable-federation-access = true\n"),
        "{text}"
    );
}

#[test]
fn without_effect_is_warned_of_and_what_if_saves_nothing() {
    let place = place();
    let done = place.good(&[
        "policy",
        "new",
        "Own",
        "-EnableXmppAccess",
        "true",
        "-WhatIf",
    ]);
    assert!(
        done.err
            .contains("warning: Own: EnableXmppAccess has no effect"),
        "{}",
        done.err
    );
    assert!(
        done.err.contains("gateway.toml is unchanged"),
        "{}",
        done.err
    );
    assert_eq!(place.text("gateway.toml"), GATEWAY);
    place.good(&["policy", "new", "Own"]);
    let before = place.text("gateway.toml");
    let done = place.good(&["policy", "grant", "--all", "-PolicyName", "Own", "-WhatIf"]);
    assert!(
        done.out
            .contains("ana@contoso.com would have the policy Own"),
        "{}",
        done.out
    );
    let done = place.good(&["policy", "remove", "Own", "-WhatIf"]);
    assert_eq!(done.out, "Own would be removed\n");
    assert_eq!(place.text("gateway.toml"), before);
}

#[test]
fn mistakes_are_told_and_change_nothing() {
    let place = place();
    place.good(&["policy", "new", "Own"]);
    place.good(&["policy", "grant", "ben@contoso.com", "-PolicyName", "Own"]);
    for (arguments, said) in [
        (
            &["policy", "new", "own"][..],
            "there is a policy `own` already",
        ),
        (&["policy", "new", "Global"], "change it with `policy set`"),
        (
            &["policy", "new", "service:x"],
            "expected `global`, `site:NAME`, or the name",
        ),
        (
            &["policy", "new", "X", "-EnableXmppAccess", "maybe"],
            "expected true or false",
        ),
        (&["policy", "set", "Own"], "nothing to set"),
        (
            &["policy", "set", "Oen", "-EnableXmppAccess", "true"],
            "there is no policy `Oen`; there are global, Own",
        ),
        (&["policy", "get", "Oen"], "there is no policy `Oen`"),
        (
            &["policy", "get", "--user", "eve@contoso.com"],
            "there is no user `eve@contoso.com`",
        ),
        (
            &["policy", "grant", "eve@contoso.com", "-PolicyName", "Own"],
            "there is no user `eve@contoso.com` in gateway.toml",
        ),
        (
            &["policy", "grant", "ana@contoso.com", "-PolicyName", "Oen"],
            "there is no policy `Oen`",
        ),
        (
            &[
                "policy",
                "grant",
                "ana@contoso.com",
                "-PolicyName",
                "global",
            ],
            "cannot be granted",
        ),
        (
            &["policy", "grant", "-PolicyName", "Own"],
            "required arguments were not provided",
        ),
        (
            &["policy", "remove", "Own"],
            "the policy `Own` is granted to ben@contoso.com",
        ),
        (&["policy", "remove", "Oen"], "there is no policy `Oen`"),
        (
            &["policy", "get", "--gateway", "proxy.toml"],
            "unknown field",
        ),
    ] {
        refused(&place, arguments, said);
    }
    let mut command = place.command(&["policy", "get"]);
    let output = command.env_remove("S2SPEC_GATEWAY_CONFIG").output();
    let output = output.expect("it runs");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--gateway FILE"));
}
