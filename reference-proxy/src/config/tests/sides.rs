//! The settings of both sides that are more than one text.

use rustls::pki_types::UnixTime;

use super::super::Config;
use super::super::fixture::text;
use crate::certificate::RevocationPolicy;
use crate::certificate::fixture::Authority;

#[test]
fn settings_take_one_value_or_several() {
    let good = text("", "");
    let external = |lines: &str| {
        let text = good.replacen("[external]\n", &format!("[external]\n{lines}\n"), 1);
        Config::from_toml(&text, "proxy.toml")
    };
    let config = external("listen = ['[::]:5269', '192.0.2.1:5269']\nsource = '192.0.2.1'");
    let settings = config.expect("loads").settings;
    assert_eq!(settings.external.listen.len(), 2);
    assert_eq!(settings.source.len(), 1);
    let config = external("source = ['192.0.2.1', '2001:db8::1']").expect("loads");
    assert_eq!(config.settings.source.len(), 2);
    for (lines, part) in [
        ("listen = []", "the list is empty"),
        ("listen = 5269", "a string or a list of strings"),
        (
            "listen = ['[::]:5269', 'x']",
            "`x` is not an address with a port",
        ),
        ("listen = ['[::]:1', '[::]:1']", "`[::]:1` is listed twice"),
        (
            "source = '192.0.2.1:5269'",
            "`192.0.2.1:5269` is not an IP address",
        ),
        ("source = '0.0.0.0'", "nothing can be sent from `0.0.0.0`"),
        ("source = ['::1', '::2']", "`::2` is of the same family"),
    ] {
        let report = external(lines).expect_err("refused").to_string();
        assert!(report.contains(part) && report.contains("^"), "{report}");
    }
}

#[test]
fn gateway_is_for_all_domains_or_for_those_that_are_listed() {
    let load = |gateways: &str| {
        let text = text("", "").replace("[\"gateway.alpha.example\"]", gateways);
        Config::from_toml(&text, "proxy.toml")
    };
    let config = load("['one.example', { name = 'two.example', domains = ['alpha.example'] }]");
    let settings = config.expect("loads").settings;
    assert_eq!(settings.gateways.len(), 2);
    assert_eq!(settings.gateway_domains.len(), 1);
    for (gateways, part) in [
        ("[]", "at least one gateway must be named"),
        (
            "[7]",
            "expected a name, or a table with `name` and `domains`",
        ),
        ("[{ name = 'two.example' }]", "expected a name, or a table"),
        (
            "[{ name = 'two.example', domains = [] }]",
            "a gateway for no domain",
        ),
        (
            "[{ name = 'two.example', domains = ['beta.example'] }]",
            "`beta.example` is not served here",
        ),
        (
            "[{ name = 'a b', domains = ['alpha.example'] }]",
            "`a b`: not a valid domain name",
        ),
    ] {
        let report = load(gateways).expect_err("refused").to_string();
        assert!(report.contains(part) && report.contains("^"), "{report}");
    }
}

#[test]
fn certificates_and_keys_come_in_pairs() {
    let authority = Authority::new("CA");
    let [ecdsa, rsa] = [
        authority.issue(&["alpha.example"]),
        authority.issue_rsa(&["alpha.example"]),
    ];
    let (ecdsa, rsa) = (ecdsa.pem(), rsa.pem());
    let side = |certificates: &[&str], keys: &[&str]| {
        let list = |all: &[&str]| {
            all.iter()
                .map(|one| format!("'''{one}'''"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let (certificates, keys, ca) = (list(certificates), list(keys), authority.pem());
        let text = format!(
            "domains = ['alpha.example']\n[external]\ncertificate = [{certificates}]\nkey = [{keys}]\nca = '''{ca}'''\n\
             [internal]\ncertificate = '''{}'''\nkey = '''{}'''\nca = '''{ca}'''\ngateways = ['g.example']\n",
            ecdsa.0, ecdsa.1
        );
        Config::from_toml(&text, "proxy.toml")
    };
    let config = side(&[&ecdsa.0, &rsa.0], &[&ecdsa.1, &rsa.1]).expect("loads");
    let keys = config.examine(UnixTime::now());
    let keys: Vec<&str> = keys.iter().map(|one| one.key).collect();
    assert_eq!(
        keys,
        ["ECDSA", "RSA", "ECDSA"],
        "and that of the internal side"
    );
    for (certificates, keys, part) in [
        (
            &[&*ecdsa.0, &*rsa.0][..],
            &[&*ecdsa.1][..],
            "certificates: 2, keys: 1",
        ),
        (
            &[&*ecdsa.0, &*rsa.0],
            &[&*rsa.1, &*ecdsa.1],
            "cannot be used together",
        ),
    ] {
        let report = side(certificates, keys).expect_err("refused").to_string();
        assert!(report.contains(part), "{report}");
    }
}

#[test]
fn lists_of_revoked_certificates_are_read_where_they_are_used() {
    let authority = Authority::new("CA");
    let list = authority.list(&[], rcgen::date_time_ymd(2090, 1, 1));
    let external = |top: &str, line: &str| {
        let text = text(top, "").replacen("[external]\n", &format!("[external]\n{line}\n"), 1);
        Config::from_toml(&text, "proxy.toml")
    };
    let crl = format!("crl = '''{list}'''");
    for policy in ["if-there", "required"] {
        let config = external(&format!("revocation = \"{policy}\""), &crl).expect("loads");
        assert_ne!(config.settings.revocation.policy, RevocationPolicy::Off);
    }
    let certificate = format!("crl = '''{}'''", authority.pem());
    for (top, line, part) in [
        ("", &*crl, "not used while `revocation` is off"),
        ("revocation = \"hard\"", "", "unknown variant `hard`"),
        (
            "revocation = \"required\"",
            "crl = \"none.crl\"",
            "could not read none.crl",
        ),
        (
            "revocation = \"required\"",
            &certificate,
            "not a list of revoked certificates",
        ),
    ] {
        let report = external(top, line).expect_err("refused").to_string();
        assert!(report.contains(part) && report.contains("^"), "{report}");
    }
}
