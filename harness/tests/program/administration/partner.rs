//! `partner new`, `set`, `get` and `remove`.

use serde_json::Value;

use super::{CONFIG, Place};

#[test]
fn a_new_partner_has_the_defaults_of_the_cmdlet() {
    let place = Place::new();
    let done = place.good(&["partner", "new", "gmail.com"]);
    insta::assert_snapshot!(done.out, @r"
    Identity                       : gmail.com
    AdditionalDomains              :
    ConnectionLimit                : 20 (as all partners)
    Description                    :
    EnableKeepAlive                : True
    PartnerType                    : PublicUnverified
    ProxyFqdn                      : by SRV records
    SaslNegotiation                : Required
    TlsNegotiation                 : Required
    SupportDialbackNegotiation     : True
    Multiplexing                   : True
    Bidirectional                  : False
    StreamManagement               : False
    Methods                        : SASL over TLS (row 1)
    ");
    assert!(
        done.err.contains("warning: gmail.com, row 1:"),
        "{}",
        done.err
    );
    assert_eq!(
        place.config(),
        format!("{CONFIG}\n[[partner]]\ndomain = \"gmail.com\"\n")
    );
}

#[test]
fn each_spelling_of_a_setting_is_understood_and_one_is_written() {
    let spellings: [&[&str]; 4] = [
        &[
            "-Identity",
            "gmail.com",
            "-TlsNegotiation",
            "NotSupported",
            "-SaslNegotiation",
            "NotSupported",
            "-SupportDialbackNegotiation",
            "$true",
            "-EnableKeepAlive:$false",
        ],
        &[
            "-domain",
            "GMAIL.com",
            "-tlsnegotiation:notsupported",
            "-Sasl",
            "not-supported",
            "--dialback",
            "true",
            "--keep-alive",
            "false",
        ],
        &[
            "--identity",
            "gmail.com",
            "--tls-negotiation",
            "NotSupported",
            "--sasl-negotiation",
            "not-supported",
            "--support-dialback-negotiation",
            "True",
            "--enable-keep-alive",
            "False",
        ],
        &[
            "gmail.com",
            "--tls",
            "not-supported",
            "--sasl=NotSupported",
            "--dialback=$true",
            "--keep-alive=$false",
        ],
    ];
    for spelling in spellings {
        let place = Place::new();
        let done = place.good(&[&["partner", "new"], spelling].concat());
        assert!(
            done.out.contains("dialback over TCP (row 17)"),
            "{}",
            done.out
        );
        let expected = "\n[[partner]]\ndomain = \"gmail.com\"\ntls = \"not-supported\"\n\
                        sasl = \"not-supported\"\ndialback = true\nkeep-alive = false\n";
        assert_eq!(place.config(), format!("{CONFIG}{expected}"));
    }
}

#[test]
fn what_is_set_changes_and_comments_stay() {
    let place = Place::new();
    place.good(&[
        "partner",
        "set",
        "fabrikam.com",
        "-TlsNegotiation",
        "Optional",
        "-PartnerType",
        "Federated",
        "-AdditionalDomains",
        "a.fabrikam.com,b.fabrikam.com",
        "-ConnectionLimit",
        "7",
        "-Description",
        "Our \"friends\"",
        "-ProxyFqdn",
        "xmpp.fabrikam.com:5270",
    ]);
    let expected = CONFIG.replace("\"required\"   # always", "\"optional\"   # always");
    let added = "additional-domains = [\"a.fabrikam.com\", \"b.fabrikam.com\"]\n\
                 description = 'Our \"friends\"'\ntype = \"federated\"\nconnection-limit = 7\n\
                 proxy-fqdn = \"xmpp.fabrikam.com:5270\"\n";
    assert_eq!(place.config(), format!("{expected}{added}"));
    insta::assert_snapshot!(place.good(&["partner", "get", "fabrikam.com"]).out, @r#"
    Identity                       : fabrikam.com
    AdditionalDomains              : a.fabrikam.com, b.fabrikam.com
    ConnectionLimit                : 7
    Description                    : Our "friends"
    EnableKeepAlive                : True
    PartnerType                    : Federated
    ProxyFqdn                      : xmpp.fabrikam.com:5270
    SaslNegotiation                : Optional
    TlsNegotiation                 : Optional
    SupportDialbackNegotiation     : True
    Multiplexing                   : True
    Bidirectional                  : False
    StreamManagement               : False
    Methods                        : SASL over TLS, dialback over TLS, dialback over
                                     TCP (row 9)
    "#);
    // Lists are changed as PowerShell changes them, and values are taken back.
    let done = place.good(&[
        "partner",
        "set",
        "fabrikam.com",
        "-AdditionalDomains",
        "@{Add=\"c.fabrikam.com\";Remove=\"a.fabrikam.com\"}",
        "-ConnectionLimit",
        "$null",
        "-Description",
        "",
        "-ProxyFqdn",
        "$null",
    ]);
    // Whoever has no federation with us any more is not to see users any longer.
    assert!(
        done.err.contains("may still see users who are withdrawn"),
        "{}",
        done.err
    );
    let config = place.config();
    assert!(
        config.contains("[\"b.fabrikam.com\", \"c.fabrikam.com\"]"),
        "{config}"
    );
    for gone in ["connection-limit", "description", "proxy-fqdn"] {
        assert!(!config.contains(gone), "{gone}: {config}");
    }
    place.good(&[
        "partner",
        "set",
        "fabrikam.com",
        "-AdditionalDomains",
        "$null",
    ]);
    assert!(!place.config().contains("additional-domains"));
    let none = place.good(&[
        "partner",
        "set",
        "fabrikam.com",
        "-AdditionalDomains",
        "@{Remove=\"a.fabrikam.com\"}",
    ]);
    assert!(
        none.err.contains(
            "warning: a.fabrikam.com is no additional domain of fabrikam.com, so there is nothing to remove"
        ),
        "{}",
        none.err
    );
}

#[test]
fn all_rows_are_saved_or_refused_as_the_proxy_has_it() {
    let words = ["Required", "Optional", "NotSupported"];
    let mut row = 0;
    for sasl in words {
        for tls in words {
            for dialback in ["$true", "$false"] {
                row += 1;
                let place = Place::new();
                let new = [
                    "partner",
                    "new",
                    "gmail.com",
                    "-TlsNegotiation",
                    tls,
                    "-SaslNegotiation",
                    sasl,
                    "-SupportDialbackNegotiation",
                    dialback,
                ];
                if [5, 6, 11, 12, 14, 16, 18].contains(&row) {
                    let done = place.refused(&new, 2);
                    let named = done
                        .err
                        .contains(&format!("row {row} of the negotiation table"));
                    assert!(named && done.err.contains("help: "), "{}", done.err);
                } else {
                    let done = place.good(&new);
                    let warned = done
                        .err
                        .contains(&format!("warning: gmail.com, row {row}:"));
                    assert_eq!(warned, [1, 3, 4, 9, 10].contains(&row), "{}", done.err);
                    let loaded = place.good(&["partner", "get", "gmail.com"]);
                    assert!(
                        loaded.out.contains(&format!("(row {row})")),
                        "{}",
                        loaded.out
                    );
                }
            }
        }
    }
    let matrix = format!("validation = \"matrix\"\n{CONFIG}");
    let place = Place::with(&matrix);
    let done = place.good(&[
        "partner",
        "new",
        "gmail.com",
        "-TlsNegotiation",
        "NotSupported",
    ]);
    assert!(
        done.err.contains("warning: gmail.com, row 5:"),
        "{}",
        done.err
    );
}

#[test]
fn partners_are_shown_as_a_table_and_as_json() {
    let place = Place::new();
    let long = "a-very-long-name-of-a-partner.department.example";
    for domain in ["gmail.com", long, "xmpp.org"] {
        place.good(&["partner", "new", domain, "-SaslNegotiation", "Optional"]);
    }
    insta::assert_snapshot!(place.good(&["partner", "get"]).out, @r"
    Identity             Type              Tls           Sasl          Dialback  Row
    fabrikam.com         PublicUnverified  Required      Optional      True        7
    gmail.com            PublicUnverified  Required      Optional      True        7
    a-very-long-name-of-a-partner.department.example
                         PublicUnverified  Required      Optional      True        7
    xmpp.org             PublicUnverified  Required      Optional      True        7
    ");
    let none = place.good(&["partner", "get", "-Filter", "zz*", "--json"]);
    assert_eq!(none.out, "[]\n", "a filter that nothing fits");
    let refused = place.run(&["partner", "remove", "-Filter", "zz*"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.err.contains("no partner's domain fits `zz*`"),
        "{}",
        refused.err
    );
    let filtered = place
        .good(&["partner", "get", "-Filter", "*.org", "--json"])
        .out;
    let filtered: Value = serde_json::from_str(&filtered).expect("it is JSON");
    assert_eq!(filtered.as_array().map(Vec::len), Some(1));
    insta::assert_snapshot!(format!("{filtered:#}"), @r#"
    [
      {
        "AdditionalDomains": [],
        "Bidirectional": false,
        "ConnectionLimit": null,
        "Description": "",
        "EnableKeepAlive": true,
        "Identity": "xmpp.org",
        "Multiplexing": true,
        "PartnerType": "PublicUnverified",
        "ProxyFqdn": null,
        "Row": 7,
        "SaslNegotiation": "Optional",
        "StreamManagement": false,
        "SupportDialbackNegotiation": true,
        "TlsNegotiation": "Required"
      }
    ]
    "#);
    let done = place.refused(&["partner", "get", "gmail.example"], 2);
    assert!(
        done.err.contains("there is no partner `gmail.example`"),
        "{}",
        done.err
    );
    let nobody = Place::with(CONFIG.split("# Good friends").next().expect("a part"));
    assert_eq!(nobody.good(&["partner", "get", "--json"]).out, "[]\n");
}

#[test]
fn how_streams_are_used_is_set_as_the_rest() {
    let place = Place::new();
    let on = ["-Multiplexing", "$false", "-Bidirectional", "$true"];
    let set = ["partner", "set", "fabrikam.com", "-StreamManagement:True"];
    let done = place.good(&[&set[..], &on[..]].concat());
    for line in [
        "Multiplexing                   : False\n",
        "Bidirectional                  : True\n",
        "StreamManagement               : True\n",
    ] {
        assert!(done.out.contains(line), "{}", done.out);
    }
    let written = "multiplexing = false\nbidirectional = true\nstream-management = true\n";
    assert_eq!(place.config(), format!("{CONFIG}{written}"));
    let maybe = ["partner", "set", "fabrikam.com", "-Bidirectional", "maybe"];
    let done = place.refused(&maybe, 2);
    assert!(done.err.contains("'maybe'"), "{}", done.err);
    assert!(done.err.contains("expected true or false"), "{}", done.err);
}

#[test]
fn a_pattern_sets_several_partners_at_once() {
    let place = Place::new();
    place.good(&["partner", "new", "xmpp.org", "-TlsNegotiation", "Optional"]);
    place.good(&[
        "partner",
        "set",
        "-Filter",
        "*",
        "-SaslNegotiation",
        "Required",
    ]);
    assert_eq!(place.config().matches("sasl = \"required\"").count(), 2);
    // One of them would be refused, so none is changed.
    place.good(&[
        "partner",
        "set",
        "xmpp.org",
        "-SaslNegotiation",
        "NotSupported",
    ]);
    let set = [
        "partner",
        "set",
        "-Filter",
        "*",
        "-SupportDialbackNegotiation",
        "$false",
    ];
    let done = place.refused(&set, 2);
    assert!(done.err.contains("row 16"), "{}", done.err);
    let done = place.refused(&["partner", "set", "-SaslNegotiation", "Optional"], 2);
    assert!(done.err.contains("--filter"), "{}", done.err);
    let done = place.refused(&["partner", "set", "xmpp.org"], 2);
    assert!(done.err.contains("nothing to set"), "{}", done.err);
}

#[test]
fn a_removed_partner_takes_its_own_comment_along_and_no_other() {
    let config = format!(
        "{}# About all partners.\n\n# Good friends.\n{}\n# Until May.\n[[partner]]\n\
         domain = \"last.example\"\n",
        CONFIG.split("# Good").next().expect("a part"),
        CONFIG.split("friends.\n").nth(1).expect("a part"),
    );
    let place = Place::with(&config);
    let done = place.good(&["partner", "remove", "fabrikam.com"]);
    assert_eq!(done.out, "fabrikam.com is removed\n");
    let left = place.config();
    assert!(
        left.contains("# About all partners.\n\n# Until May.\n[[partner]]\n"),
        "{left}"
    );
    assert!(
        !left.contains("Good friends") && !left.contains("fabrikam"),
        "{left}"
    );
    place.good(&["partner", "remove", "-Identity", "last.example"]);
    let left = place.config();
    assert!(left.ends_with("# About all partners.\n"), "{left}");
    assert!(
        !left.contains("[[partner]]") && !left.contains("Until May"),
        "{left}"
    );
    let done = place.refused(&["partner", "remove", "last.example"], 2);
    assert!(done.err.contains("none is listed"), "{}", done.err);
    place.refused(&["partner", "remove"], 2);
}

#[test]
fn what_if_saves_nothing() {
    let place = Place::new();
    for arguments in [
        &["partner", "new", "gmail.com", "-WhatIf"][..],
        &["partner", "new", "gmail.com", "-InMemory"],
        &[
            "partner",
            "set",
            "fabrikam.com",
            "-SaslNegotiation",
            "Required",
            "-WhatIf",
        ],
        &["partner", "remove", "fabrikam.com", "-WhatIf"],
    ] {
        let done = place.good(arguments);
        assert!(!done.out.is_empty());
        assert_eq!(place.config(), CONFIG, "{arguments:?}");
    }
}

#[test]
fn values_that_make_no_sense_are_named_with_what_would() {
    let place = Place::new();
    for (arguments, parts) in [
        (
            &["gmail.com", "-TlsNegotiation", "Never"][..],
            ["'Never'", "NotSupported"],
        ),
        (
            &["gmail.com", "-PartnerType", "Public"],
            ["'Public'", "PublicUnverified"],
        ),
        (
            &["gmail.com", "-EnableKeepAlive", "yes"],
            ["'yes'", "true or false"],
        ),
        (
            &["gmail.com", "-ConnectionLimit", "0"],
            ["'0'", "may not be zero"],
        ),
        (
            &["gmail.com", "-ConnectionLimit", "many"],
            ["'many'", "a number"],
        ),
        (
            &["gmail.com", "-ProxyFqdn", "x.example:0"],
            ["'x.example:0'", "FQDN[:port]"],
        ),
        (
            &["gmail.com", "-AdditionalDomains", "a b"],
            ["'a b'", "not a valid domain"],
        ),
        (&["u@gmail.com"], ["'u@gmail.com'", "without `@`"]),
        (&["192.0.2.1"], ["'192.0.2.1'", "IP address"]),
        (&["contoso.com"], ["`contoso.com`", "is served here"]),
        (
            &["fabrikam.com"],
            ["`fabrikam.com`", "already a domain of partner"],
        ),
        (
            &["-Identity", "a.example", "-Domain", "b.example"],
            ["--identity", "cannot be used"],
        ),
        (&["-Identity"], ["--identity", "a value is required"]),
        (&[], ["<DOMAIN|--identity", "required"]),
    ] {
        let done = place.refused(&[&["partner", "new"], arguments].concat(), 2);
        for part in parts {
            assert!(done.err.contains(part), "{part} is missing: {}", done.err);
        }
    }
}

#[test]
fn comments_at_the_end_of_the_file_stay_above_a_first_partner() {
    let head = CONFIG.split("\n# Good friends").next().expect("a part");
    let place = Place::with(&format!("{head}\n# The partners.\n"));
    let new = [
        "partner",
        "new",
        "a.example",
        "-SaslNegotiation",
        "Optional",
    ];
    place.good(&new);
    let table = "[[partner]]\ndomain = \"a.example\"\nsasl = \"optional\"\n";
    assert_eq!(
        place.config(),
        format!("{head}\n# The partners.\n\n{table}")
    );
    place.good(&["partner", "remove", "a.example"]);
    assert_eq!(place.config(), format!("{head}\n# The partners.\n"));
}
