//! `certificate check` and `certificate import`.

use std::fs;

use serde_json::Value;
use simulated_partners::persona::{Certificate, Key};
use simulated_partners::pki::Authority;

use super::{CONFIG, Place};

/// Puts a certificate for these names, its key and its authority into a folder.
pub(crate) fn put(
    place: &Place,
    authority: &Authority,
    names: &[&str],
    kind: Certificate,
    file: &str,
) {
    let identity = authority.issue(names, kind, Key::Rsa2048);
    let identity = identity.expect("it can be made");
    let write = |name: String, text: String| {
        fs::write(place.path(&name), text).expect("it has room");
    };
    write(format!("{file}.crt"), identity.chain_pem());
    write(format!("{file}.key"), identity.key_pem());
    write("ca.crt".to_owned(), authority.root_pem());
}

/// Without dates, and the names of authorities.
fn undated(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once(": ") {
        Some((name, _)) if name.starts_with("Valid") || name.starts_with("Issuer") => {
            format!("{name}: …")
        }
        _ => line.to_owned(),
    });
    lines.map(|line| line + "\n").collect()
}

const BOTH: [&str; 2] = ["contoso.com", "chat.contoso.com"];

fn place() -> Place {
    let place = Place::new();
    let new = [
        "partner",
        "new",
        "gmail.com",
        "--tls",
        "NotSupported",
        "--sasl",
        "NotSupported",
    ];
    place.good(&new);
    place
}

#[test]
fn a_good_certificate_meets_every_rule() {
    let (place, authority) = (place(), Authority::new(1));
    put(&place, &authority, &BOTH, Certificate::Good, "new");
    let done = place.good(&["certificate", "check", "new.crt", "--key", "new.key"]);
    insta::assert_snapshot!(undated(&done.out), @r"
    Subject                        : O=s2spec lab, CN=contoso.com
    Issuer                         : …
    SubjectAlternativeNames        : contoso.com, chat.contoso.com
    Valid                          : …
    Key                            : RSA, 2048 bits
    Purposes                       : server, client
    CertificatesAbove              : 1

    yes  names contoso.com
    yes  names chat.contoso.com
    yes  can be read
    yes  has begun
    yes  has not ended
    yes  does not end soon
    yes  is for servers
    yes  is for clients
    yes  may sign handshakes
    yes  leads to an authority
    yes  is strong

    Will it do?
    fabrikam.com
         SASL over TLS: yes
         dialback over TLS: yes
    gmail.com
         dialback over TCP: yes
    partners that insist on the purpose client, as AOL did
         SASL over TLS: yes
    ");
    let json = place
        .good(&["certificate", "check", "new.crt", "--json"])
        .out;
    let json: Value = serde_json::from_str(&json).expect("it is JSON");
    let rules = json["Rules"].as_array().expect("a list");
    assert!(rules.iter().all(|rule| rule["Met"] == true), "{json:#}");
    assert_eq!(json["Partners"].as_array().map(Vec::len), Some(3));
    let internal = ["certificate", "check", "new.crt", "--internal"];
    assert!(!place.good(&internal).out.contains("names"));
}

#[test]
fn each_rule_that_is_not_met_is_named_with_those_whom_it_keeps_out() {
    let (place, authority) = (place(), Authority::new(1));
    let check = |names: &[&str], kind: Certificate| {
        put(&place, &authority, names, kind, "new");
        let done = place.run(&["certificate", "check", "new.crt"]);
        (done.code, done.out)
    };
    let (code, out) = check(&BOTH[..1], Certificate::Good);
    assert_eq!(code, Some(1), "{out}");
    insta::assert_snapshot!(undated(&out), @r"
    Subject                        : O=s2spec lab, CN=contoso.com
    Issuer                         : …
    SubjectAlternativeNames        : contoso.com
    Valid                          : …
    Key                            : RSA, 2048 bits
    Purposes                       : server, client
    CertificatesAbove              : 1

    yes  names contoso.com
    NO   names chat.contoso.com
         it names contoso.com, and not chat.contoso.com; it needs chat.contoso.com
         as a subject alternative name (a wildcard does not stand for the domain
         above it)
    yes  can be read
    yes  has begun
    yes  has not ended
    yes  does not end soon
    yes  is for servers
    yes  is for clients
    yes  may sign handshakes
    yes  leads to an authority
    yes  is strong

    Will it do?
    fabrikam.com
         SASL over TLS: no; not met: names chat.contoso.com
         dialback over TLS: yes
    gmail.com
         dialback over TCP: yes
    partners that insist on the purpose client, as AOL did
         SASL over TLS: no; not met: names chat.contoso.com
    ");
    for (kind, code, parts) in [
        (
            Certificate::Expired,
            1,
            ["NO   has not ended", "SASL over TLS: no"],
        ),
        (
            Certificate::SelfSigned,
            1,
            ["no   leads to an authority", "SASL over TLS: no"],
        ),
        (
            Certificate::NoClientAuth,
            0,
            ["no   is for clients", "SASL over TLS: yes"],
        ),
    ] {
        let (ended, out) = check(&BOTH, kind);
        assert_eq!(ended, Some(code), "{out}");
        for part in parts {
            assert!(out.contains(part), "{part} is missing: {out}");
        }
        assert!(out.contains("dialback over TLS: yes"), "{out}");
        assert!(out.contains("dialback over TCP: yes"), "{out}");
    }
}

#[test]
fn what_is_wrong_with_the_files_themselves_names_them() {
    let (place, authority) = (place(), Authority::new(1));
    put(&place, &authority, &BOTH, Certificate::Good, "new");
    let end = "-----END CERTIFICATE-----\n";
    let chain = place.text("new.crt");
    let mut reversed: Vec<&str> = chain.split_inclusive(end).collect();
    reversed.reverse();
    fs::write(place.path("reversed.crt"), reversed.concat()).expect("it has room");
    let done = place.run(&["certificate", "check", "reversed.crt"]);
    assert_eq!(done.code, Some(1), "{}", done.err);
    let words: Vec<&str> = done.out.split_whitespace().collect();
    let hint =
        "not the first certificate names contoso.com, but number 2: put the domain's own first";
    assert!(words.join(" ").contains(hint), "{}", done.out);

    fs::write(place.path("empty.crt"), "").expect("it has room");
    let check = ["certificate", "check", "new.crt"];
    let done = place.run(&[&check[..], &["--ca", "empty.crt"]].concat());
    assert_eq!(done.code, Some(2));
    assert!(
        done.err.contains("empty.crt: there is no certificate"),
        "{}",
        done.err
    );
    let done = place.run(&[&check[..], &["--key", "empty.crt"]].concat());
    assert_eq!(done.code, Some(2));
    assert!(
        done.err.contains("new.crt with empty.crt: "),
        "{}",
        done.err
    );
}

#[test]
fn an_import_assigns_certificate_and_key() {
    let (place, authority) = (Place::new(), Authority::new(1));
    put(&place, &authority, &BOTH, Certificate::Good, "new");
    let done = place.good(&["certificate", "import", "new.crt", "--key", "new.key"]);
    assert!(
        done.out.contains("new.crt is in the configuration"),
        "{}",
        done.out
    );
    let expected = CONFIG
        .replace("\"external.crt\"", "\"new.crt\"")
        .replace("\"external.key\"", "\"new.key\"");
    assert_eq!(place.config(), expected);
    // The key that the configuration has will do for the next one, and a domain may have its own.
    place.good(&["certificate", "import", "new.crt"]);
    put(&place, &authority, &BOTH[1..], Certificate::Good, "chat");
    let own = ["certificate", "import", "chat.crt", "--domain", BOTH[1]];
    let done = place.refused(&own, 2);
    assert!(done.err.contains("--key"), "{}", done.err);
    place.good(&[&own[..], &["--key", "chat.key"]].concat());
    let table = "\n[[external.own-certificate]]\ndomain = \"chat.contoso.com\"\n\
                 certificate = \"chat.crt\"\nkey = \"chat.key\"\n";
    assert!(place.config().contains(table), "{}", place.config());
    // Now the other one need not name it.
    put(&place, &authority, &BOTH[..1], Certificate::Good, "new");
    place.good(&["certificate", "import", "new.crt"]);
    place.good(&[
        "certificate",
        "import",
        "new.crt",
        "--internal",
        "--key",
        "new.key",
    ]);
    assert_eq!(
        place.config().matches("certificate = \"new.crt\"").count(),
        2
    );
    // It is judged where no domain is left for it, too.
    let first = ["certificate", "import", "new.crt", "--domain", BOTH[0]];
    place.good(&[&first[..], &["--key", "new.key"]].concat());
    put(&place, &authority, &BOTH[..1], Certificate::Expired, "late");
    let late = ["certificate", "import", "late.crt", "--key", "late.key"];
    let done = place.refused(&late, 2);
    assert!(done.err.contains("expired"), "{}", done.err);
}

#[test]
fn what_partners_would_refuse_is_not_taken_into_use() {
    let (place, authority) = (Place::new(), Authority::new(1));
    let import = ["certificate", "import", "new.crt", "--key", "new.key"];
    put(&place, &authority, &BOTH, Certificate::Expired, "new");
    let done = place.refused(&import, 2);
    assert!(done.err.contains("expired"), "{}", done.err);
    put(
        &place,
        &authority,
        &["*.contoso.com"],
        Certificate::Good,
        "new",
    );
    let done = place.refused(&import, 2);
    assert!(done.err.contains("not contoso.com"), "{}", done.err);
    place.good(&[&import[..], &["--force"]].concat());
    let place = Place::new();
    put(&place, &authority, &BOTH, Certificate::Good, "new");
    let chain = place.text("new.crt");
    let end = "-----END CERTIFICATE-----\n";
    let (own, _) = chain.split_once(end).expect("several");
    fs::write(place.path("new.crt"), format!("{own}{end}")).expect("it has room");
    let done = place.refused(&import, 2);
    assert!(done.err.contains("intermediate authority"), "{}", done.err);
    place.refused(&[&import[..], &["--ca", "ca.crt"]].concat(), 2);
    let checked = place.run(&["certificate", "check", "new.crt"]);
    assert!(
        checked.out.contains("NO   leads to an authority"),
        "{}",
        checked.out
    );
    place.good(&[&import[..], &["--force"]].concat());
    put(&place, &authority, &BOTH, Certificate::SelfSigned, "new");
    place.good(&import);
    let place = Place::new();
    let other = authority.issue(&BOTH, Certificate::Good, Key::P256);
    let other = other.expect("it can be made").key_pem();
    fs::write(place.path("other.key"), other).expect("it has room");
    put(&place, &authority, &BOTH, Certificate::Good, "new");
    let mixed = ["certificate", "import", "new.crt", "--key", "other.key"];
    let done = place.refused(&mixed, 2);
    assert!(done.err.contains("cannot be used together"), "{}", done.err);
    let done = place.refused(&["certificate", "import", "new.key", "--key", "new.key"], 2);
    assert!(done.err.contains("no certificate found"), "{}", done.err);
    let done = place.refused(
        &["certificate", "import", "none.crt", "--key", "new.key"],
        3,
    );
    assert!(done.err.contains("none.crt"), "{}", done.err);
}

#[test]
fn a_domain_that_is_not_served_gets_no_certificate() {
    let place = Place::new();
    let authority = Authority::new(1);
    put(
        &place,
        &authority,
        &["contoso.com"],
        Certificate::Good,
        "new",
    );
    let import = ["certificate", "import", "new.crt", "--domain", "other.com"];
    let done = place.refused(&import, 2);
    assert!(
        done.err.contains("`other.com` is not served here"),
        "{}",
        done.err
    );
}
