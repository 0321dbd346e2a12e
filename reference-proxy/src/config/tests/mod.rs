mod secret;
mod sides;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::fixture::text;
use super::{Config, ConfigError, Draft};
use crate::certificate::fixture::Authority;
use crate::domain::{Domain, ProxyAddress};
use crate::limits::Limits;
use crate::partner::PartnerType;

fn domain(text: &str) -> Domain {
    Domain::parse(text).expect("a domain")
}

fn load(top: &str, rest: &str) -> Result<Config, String> {
    Config::from_toml(&text(top, rest), "proxy.toml").map_err(|error| error.to_string())
}

fn refusal(top: &str, rest: &str) -> String {
    load(top, rest).expect_err("refused")
}

#[test]
fn defaults_are_those_of_the_cmdlets() {
    let config = load("", "[[partner]]\ndomain = \"beta.example\"").expect("loads");
    let partner = config.partner(&domain("beta.example")).expect("listed");
    assert_eq!(partner.kind, PartnerType::PublicUnverified);
    assert_eq!(partner.terms.row(), 1);
    assert!(partner.keep_alive);
    assert_eq!(partner.connection_limit, None);
    assert!(partner.proxy.is_none());
    let settings = &config.settings;
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    assert_eq!(settings.external.listen, [address("0.0.0.0:5269")]);
    assert_eq!(settings.internal.listen, [address("127.0.0.1:23456")]);
    assert!(settings.source.is_empty() && settings.control.is_none());
    assert_eq!(settings.limits, Limits::default());
    assert!(!settings.strict_certificates && !settings.client_auth_eku);
}

#[test]
fn every_setting_is_read() {
    let config = load(
        "dns = [\"127.0.0.1:5300\"]\nsecret = \"s\"\nvalidation = \"matrix\"\n\
         strict-certificates = true\nclient-auth-eku = true",
        "[limits]\nconnections = 5\npartner-connections = 2\nkeep-alive-interval = 1\n\
         stream-establishment-timeout = 0.5\nstream-inactivity-timeout = \"2m\"\n\
         connect-timeout = 3\ndialback-timeout = \"250ms\"\ndns-timeout = 4\n\
         acknowledgement-timeout = 9\nresumption-timeout = 8\nstop-timeout = 6\n\
         bytes-before-authentication = 5000\nstanza-bytes = 10000\ndepth = 7\nattributes = 8\n\
         unauthenticated-connections = 13\nunauthenticated-by-address = 14\noutbound-reserve = 0\n\
         verification-connections = 15\n\
         stream-pairs = 9\nqueue-stanzas = 10\nqueue-bytes = 10001\ngateway-queue-stanzas = 12\n\
         [[partner]]\ndomain = \"Beta.example\"\nadditional-domains = [\"beta2.example\"]\n\
         description = \"d\"\ntype = \"federated\"\ntls = \"not-supported\"\nsasl = \"optional\"\n\
         dialback = true\nkeep-alive = false\nmultiplexing = false\n\
         bidirectional = true\nstream-management = true\nconnection-limit = 3\nproxy-fqdn = \"p.example:1\"",
    )
    .expect("loads");
    let settings = &config.settings;
    assert_eq!(settings.dns[0].port(), 5300);
    assert!(settings.strict_certificates && settings.client_auth_eku);
    assert_eq!(
        settings.limits,
        Limits {
            connections: 5,
            partner_connections: 2,
            keep_alive_interval: Duration::from_secs(1),
            stream_establishment_timeout: Duration::from_millis(500),
            stream_inactivity_timeout: Duration::from_secs(120),
            unauthenticated_connections: 13,
            unauthenticated_by_address: 14,
            outbound_reserve: Some(0),
            verification_connections: 15,
            connect_timeout: Duration::from_secs(3),
            dialback_timeout: Duration::from_millis(250),
            acknowledgement_timeout: Duration::from_secs(9),
            resumption_timeout: Duration::from_secs(8),
            dns_timeout: Duration::from_secs(4),
            stop_timeout: Duration::from_secs(6),
            bytes_before_authentication: 5000,
            stanza_bytes: 10_000,
            depth: 7,
            attributes: 8,
            stream_pairs: 9,
            queue_stanzas: 10,
            queue_bytes: 10_001,
            gateway_queue_stanzas: 12,
        }
    );
    let partner = config.partner(&domain("beta2.example")).expect("listed");
    assert_eq!(partner.domain, domain("beta.example"));
    assert_eq!(partner.kind, PartnerType::Federated);
    assert_eq!(partner.terms.row(), 11);
    assert!(!partner.keep_alive && !partner.multiplexing);
    assert!(partner.bidirectional && partner.stream_management);
    assert_eq!(partner.connection_limit, Some(3));
    assert_eq!(partner.proxy, ProxyAddress::parse("p.example:1").ok());
}

#[test]
fn domains_match_exactly() {
    let config = load("", "[[partner]]\ndomain = \"beta.example\"").expect("loads");
    assert!(config.serves(&domain("ALPHA.example")));
    assert!(!config.serves(&domain("sub.alpha.example")));
    assert!(config.partner(&domain("beta.example")).is_some());
    assert!(config.partner(&domain("chat.beta.example")).is_none());
    assert!(config.partner(&domain("example")).is_none());
}

#[test]
fn mistake_is_shown_with_file_line_caret_and_help() {
    let authority = Authority::new("CA");
    let (certificate, key) = authority.issue(&["alpha.example"]).pem();
    let ca = authority.pem();
    let text = format!(
        "domains = [\"alpha.example\"]\n\
         partner = [\n\
         {{ domain = \"beta.example\", tls = \"not-supported\", sasl = \"required\" }},\n\
         ]\n\
         [external]\ncertificate = '''{certificate}'''\nkey = '''{key}'''\nca = '''{ca}'''\n\
         [internal]\ncertificate = '''{certificate}'''\nkey = '''{key}'''\nca = '''{ca}'''\n\
         gateways = [\"gateway.alpha.example\"]\n"
    );
    let error = Config::from_toml(&text, "folder/proxy.toml").expect_err("refused");
    insta::assert_snapshot!(error.to_string(), @r#"
    error: row 5 of the negotiation table is not a valid configuration: SASL needs TLS, which is not supported here
     --> folder/proxy.toml:3:58
      |
    3 | { domain = "beta.example", tls = "not-supported", sasl = "required" },
      |                                                          ^^^^^^^^^^
      |
      = help: set tls to required or optional, or sasl to not-supported; validation = "matrix" loads such a row with a warning
    "#);
    let matrix = format!("validation = \"matrix\"\n{text}");
    assert!(Config::from_toml(&matrix, "folder/proxy.toml").is_ok());
}

#[test]
fn unknown_words_are_shown_with_the_valid_ones() {
    for (top, rest, word, valid) in [
        ("secrets = \"s\"", "", "`secrets`", "`secret`"),
        ("validation = \"none\"", "", "`none`", "`control-panel`"),
        (
            "",
            "[limits]\nconnection = 1",
            "`connection`",
            "`connections`",
        ),
        (
            "",
            "[[partner]]\ndomain = \"b.example\"\ntls = \"yes\"",
            "`yes`",
            "`not-supported`",
        ),
        (
            "",
            "[[partner]]\ndomain = \"b.example\"\ntype = \"x\"",
            "`x`",
            "`public-verified`",
        ),
        (
            "",
            "[[partner]]\nidentity = \"b.example\"",
            "`identity`",
            "`domain`",
        ),
    ] {
        let report = refusal(top, rest);
        assert!(report.contains(word) && report.contains(valid), "{report}");
        assert!(report.contains("--> proxy.toml:"), "{report}");
        assert!(report.contains("^^"), "{report}");
    }
}

#[test]
fn values_that_make_no_sense_are_refused() {
    for (top, rest, part) in [
        ("secret = \"\"", "", "the secret may not be empty"),
        (
            "dns = [\"127.0.0.1\"]",
            "",
            "`127.0.0.1` is not an address with a port",
        ),
        (
            "metrics = \"192.0.2.1:9100\"",
            "",
            "`192.0.2.1:9100` is not a loopback address",
        ),
        ("", "[limits]\nconnections = 0", "has to be at least 1"),
        ("", "[limits]\nconnections = -1", "-1"),
        (
            "",
            "[limits]\nconnections = 5\noutbound-reserve = 5",
            "no connection is left for partners that dial",
        ),
        (
            "",
            "[limits]\ndns-timeout = 0",
            "a duration may not be zero",
        ),
        (
            "",
            "[limits]\ndns-timeout = \"5\"",
            "a duration needs a unit",
        ),
        (
            "",
            "[limits]\nstanza-bytes = 9999",
            "has to be at least 10000",
        ),
        (
            "",
            "[limits]\nqueue-bytes = 10000",
            "a queue has to hold one stanza",
        ),
        (
            "",
            "[[partner]]\ndomain = \"a b\"",
            "`a b`: not a valid domain name",
        ),
        (
            "",
            "[[partner]]\ndomain = \"127.0.0.1\"",
            "an IP address is not a domain name",
        ),
        (
            "",
            "[[partner]]\ndomain = \"u@b.example\"",
            "without `@` and `/`",
        ),
        (
            "",
            "[[partner]]\ndomain = \"alpha.example\"",
            "cannot be a partner",
        ),
        (
            "",
            "[[partner]]\ndomain = \"b.example\"\nadditional-domains = [\"ALPHA.example\"]",
            "cannot be a partner",
        ),
        (
            "",
            "[[partner]]\ndomain = \"b.example\"\nadditional-domains = [\"B.example\"]",
            "is already a domain of partner b.example",
        ),
        (
            "",
            "[[partner]]\ndomain = \"b.example\"\n[[partner]]\ndomain = \"b.example\"",
            "is already a domain of partner b.example",
        ),
        (
            "",
            "[[partner]]\ndomain = \"b.example\"\nconnection-limit = 0",
            "the connection limit may not be zero",
        ),
        (
            "",
            "[[partner]]\ndomain = \"b.example\"\nproxy-fqdn = \"p.example:0\"",
            "`p.example:0` is not `FQDN[:port]`",
        ),
        (
            "",
            "[[partner]]\ndomain = \"b.example\"\nsasl = \"not-supported\"\ndialback = false",
            "row 14 of the negotiation table",
        ),
    ] {
        let report = refusal(top, rest);
        assert!(report.contains(part), "{part}\n{report}");
        assert!(
            report.contains("--> proxy.toml:") && report.contains('^'),
            "{report}"
        );
    }
    assert!(load("secret = \"s\"", "[limits]\nstanza-bytes = 10000").is_ok());
}

#[test]
fn served_domains_and_gateways_have_to_be_there_once() {
    let good = text("", "");
    for (from, to, part) in [
        (
            "domains = [\"alpha.example\"]",
            "domains = []",
            "at least one domain",
        ),
        (
            "domains = [\"alpha.example\"]",
            "domains = [\"a.example\", \"A.example\"]",
            "`a.example` is listed twice",
        ),
        (
            "domains = [\"alpha.example\"]",
            "",
            "missing field `domains`",
        ),
        ("[\"gateway.alpha.example\"]", "[]", "at least one gateway"),
    ] {
        let error = Config::from_toml(&good.replace(from, to), "proxy.toml");
        let report = error.expect_err("refused").to_string();
        assert!(report.contains(part), "{report}");
    }
    assert!(Config::from_toml(&good, "proxy.toml").is_ok());
}

#[test]
fn all_mistakes_are_shown_at_once() {
    let report = refusal(
        "",
        "[[partner]]\ndomain = \"b.example\"\nconnection-limit = 0\n\
         [[partner]]\ndomain = \"c.example\"\nsasl = \"not-supported\"\ndialback = false",
    );
    assert_eq!(report.matches("error: ").count(), 2, "{report}");
    let many = "[[partner]]\ndomain = \"-\"\n".repeat(30);
    let report = refusal("", &many);
    assert!(report.contains("10 more mistakes"), "{report}");
}

#[test]
fn broken_toml_is_a_mistake_like_any_other() {
    for text in [
        "",
        "domains = [",
        "\u{feff}é = 1\n",
        "domains = \"é",
        "a.b.c = [{x = '",
    ] {
        let error = Config::from_toml(text, "proxy.toml").expect_err("refused");
        assert!(error.to_string().contains("proxy.toml:"), "{error}");
    }
}

#[test]
fn pem_files_are_found_relative_to_the_configuration() {
    let folder = std::env::temp_dir().join(format!("reference-proxy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let authority = Authority::new("CA");
    let (certificate, key) = authority.issue(&["alpha.example"]).pem();
    for (name, content) in [
        ("a.crt", &certificate),
        ("a.key", &key),
        ("ca.crt", &authority.pem()),
    ] {
        std::fs::write(folder.join(name), content).expect("a file");
    }
    let side = "certificate = \"a.crt\"\nkey = \"a.key\"\nca = \"ca.crt\"";
    let good = format!(
        "domains = [\"alpha.example\"]\n[external]\n{side}\n[internal]\n{side}\n\
         gateways = [\"gateway.alpha.example\"]\n"
    );
    let path = folder.join("proxy.toml");
    std::fs::write(&path, &good).expect("a file");
    let loaded = Config::load(&path).map(|_| ());
    let missing = good.replace("a.key", "b.key");
    let missing = Config::from_toml(&missing, &path.to_string_lossy()).map(|_| ());
    let absent = Config::load(&folder.join("none.toml")).map(|_| ());
    std::fs::remove_dir_all(&folder).expect("removed");
    loaded.expect("loads");
    let report = missing.expect_err("refused").to_string();
    assert!(report.contains("b.key") && report.contains('^'), "{report}");
    assert!(matches!(absent, Err(ConfigError::Read { .. })));
}

#[test]
fn message_about_a_key_does_not_show_it() {
    let good = text("", "");
    let wrong = good.replace("PRIVATE KEY", "HIDDEN THING");
    let body = good
        .lines()
        .skip_while(|line| !line.contains("PRIVATE KEY"))
        .nth(1)
        .expect("a line of the key");
    let error = Config::from_toml(&wrong, "proxy.toml").expect_err("refused");
    let report = error.to_string();
    assert!(report.contains("no private key found"), "{report}");
    assert!(!report.contains(body), "{report}");
}

#[test]
fn sample_shows_words_that_are_read() {
    let sample = include_str!("../../../proxy.toml");
    let report = Config::from_toml(sample, "proxy.toml").map(|_| ());
    let report = report
        .expect_err("its certificates are not there")
        .to_string();
    for line in report.lines().filter(|line| line.starts_with("error")) {
        assert!(line.contains("could not read"), "{report}");
    }
    // The settings that the sample shows commented out, at their defaults, are read too.
    let inline = text("", "");
    let tables = &inline[inline.find("[external]").expect("a table")..];
    let shown: String = sample
        .lines()
        .map(|line| line.strip_prefix("#: ").unwrap_or(line))
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    let (top, rest) = shown.split_once("[external]").expect("a table");
    let limits = rest.find("[limits]").expect("a table");
    let whole = format!("{top}{tables}{}", &rest[limits..]);
    let config = Config::from_toml(&whole, "proxy.toml").expect("loads");
    let shown = Limits {
        outbound_reserve: Some(Limits::default().kept_for_outbound()),
        ..Limits::default()
    };
    assert_eq!(config.settings.limits, shown);
}

#[test]
fn more_pairs_than_connections_are_told() {
    let partner = "[[partner]]\ndomain = \"b.example\"\nadditional-domains = [\"b2.example\"]\n";
    let told = |limit: &str| {
        let config = load("", &format!("{partner}{limit}")).expect("loads");
        let crowding = config.crowding(&config.settings.partners[0]);
        crowding.map(|crowding| crowding.to_string())
    };
    assert_eq!(told(""), None);
    assert_eq!(told("connection-limit = 4"), None);
    let crowding = told("connection-limit = 3").expect("four streams");
    assert!(crowding.starts_with("1 domains here and 2 there are 2 pairs"));
}

#[test]
fn five_thousand_partners_load_fast() {
    let partners: String = (0..5000)
        .map(|number| {
            format!(
                "[[partner]]\ndomain = \"p{number}.example\"\n\
                 additional-domains = [\"q{number}.example\"]\ntls = \"optional\"\n\
                 sasl = \"optional\"\nconnection-limit = 3\n"
            )
        })
        .collect();
    let text = text("", &partners);
    let start = Instant::now();
    let config = Config::from_toml(&text, "proxy.toml").expect("loads");
    let taken = start.elapsed();
    assert_eq!(config.settings.partners.len(), 5000);
    assert!(config.partner(&domain("q4999.example")).is_some());
    // Release has to stay below 100 ms; a debug build on a busy machine is far slower.
    let bound = if cfg!(debug_assertions) { 5000 } else { 100 };
    assert!(taken < Duration::from_millis(bound), "{taken:?}");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        let _ = Config::from_toml(&text, "proxy.toml");
    }
}

#[test]
fn words_of_the_cmdlets_are_understood_or_explained() {
    let config = load(
        "",
        "[[partner]]\ndomain = \"b.example\"\ntls = \"NotSupported\"\nsasl = \"NotSupported\"\n\
         type = \"Federated\"",
    );
    let config = config.expect("loads");
    let partner = config.partner(&domain("b.example")).expect("listed");
    assert_eq!(partner.terms.row(), 17);
    assert_eq!(partner.kind, PartnerType::Federated);
    for (line, help) in [
        (
            "TlsNegotiation = \"NotSupported\"",
            "TlsNegotiation is `tls` in [[partner]]",
        ),
        (
            "identity = \"b.example\"",
            "Identity is `domain` in [[partner]]",
        ),
    ] {
        let report = refusal("", &format!("[[partner]]\n{line}"));
        assert!(report.contains(help), "{report}");
    }
    let report = refusal("DialbackPassphrase = \"s\"", "");
    assert!(report.contains("is `secret`"), "{report}");
    assert!(!refusal("pass = \"s\"", "").contains("help"));
}

#[test]
fn a_draft_needs_no_certificates_and_the_rest_is_checked_all_the_same() {
    let sample = include_str!("../../../proxy.toml");
    let draft = Draft::from_toml(sample, "proxy.toml").expect("its settings are right");
    assert_eq!(draft.external.certificate.first(), "external.crt");
    assert!(draft.has_secret());
    let gmail = draft.partner(&domain("gmail.com")).expect("listed");
    assert_eq!(draft.warning(gmail), None);
    let wrong = format!("{sample}\n[[partner]]\ndomain = \"gmail.com\"\n");
    let report = Draft::from_toml(&wrong, "proxy.toml").expect_err("refused");
    let report = report.to_string();
    assert!(report.contains("is already a domain"), "{report}");
    assert!(!report.contains("could not read"), "{report}");
}
