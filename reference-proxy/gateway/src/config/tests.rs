//! What a file may say, and what is said of one with mistakes.

use std::path::Path;

use insta::assert_snapshot;
use reference_proxy::wire::PartnerType;

use super::{Config, Limits};
use crate::address::Bare;
use crate::directory::{PublicVerified, Subscription};
use crate::fixture::link;
use crate::policy::Scope;
use crate::refusal::Refusal;

const SAMPLE: &str = include_str!("../../gateway.toml");

/// The sample with certificates in place of their files.
fn sample() -> String {
    let (head, tail) = SAMPLE.split_once("[link]").expect("a table");
    let (_, tail) = tail.split_once("\n[[proxy]]").expect("a table");
    format!(
        "{head}[link]\n{}\n[[proxy]]{tail}",
        link("gateway.contoso.com")
    )
}

fn mistakes(text: &str) -> String {
    let error = Config::from_toml(text, "gateway.toml").expect_err("refused");
    // Certificates differ in each run.
    let lines = error.to_string();
    let kept = lines.lines().filter(|line| !line.contains("-----BEGIN"));
    kept.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_sample_says_what_it_comments() {
    let config = Config::from_toml(&sample(), "sub/gateway.toml").unwrap_or_else(|e| panic!("{e}"));
    let state = Path::new("/var/lib/s2spec-gateway/state");
    assert_eq!(config.state.as_deref(), Some(state));
    let relative = sample().replace("/var/lib/s2spec-gateway/", "");
    let relative = Config::from_toml(&relative, "sub/gateway.toml").expect("right, too");
    assert_eq!(relative.state.as_deref(), Some(Path::new("sub/state")));
    assert_eq!(config.proxies[0].name.as_str(), "edge1.contoso.com");
    assert_eq!(config.proxies[1].address, "10.0.0.2:23456");
    let bare = |text| Bare::user(text).expect("an address");
    let directory = &config.directory;
    let ana = &directory.users[&bare("ana@contoso.com")];
    assert_eq!(ana.contacts[&bare("bob@fabrikam.com")], Subscription::Both);
    assert_eq!(ana.site, Some(Scope::Site("madrid".to_owned())));
    let access = |user, contact| directory.access(&bare(user), bare(contact).domain());
    let chat = "x@chat.fabrikam.com";
    assert_eq!(access("ana@contoso.com", chat), Ok(PartnerType::Federated));
    assert_eq!(
        access("ben@contoso.com", chat),
        Err(Refusal::BranchAppliance)
    );
}

#[test]
fn commented_defaults_are_the_defaults() {
    let text: Vec<&str> = SAMPLE
        .lines()
        .filter(|line| {
            line.starts_with("#: ") && !line.contains("partners =") && !line.contains("name =")
        })
        .filter_map(|line| line.strip_prefix("#: "))
        .collect();
    let (rules, rest): (Vec<&str>, Vec<&str>) =
        text.iter().partition(|line| line.starts_with("public-"));
    let (policy, limits): (Vec<&str>, Vec<&str>) =
        rest.iter().partition(|line| line.starts_with("enable-"));
    let limits = limits.join("\n");
    assert_eq!(
        toml::from_str::<Limits>(&limits).expect("limits"),
        Limits::default()
    );
    let text = format!(
        "domains = ['contoso.com']\n{}\n[link]\n{}[[proxy]]\naddress = 'a.b:1'\n[[policy]]\nidentity = 'global'\n{}\n",
        rules.join("\n"),
        link("gateway.contoso.com"),
        policy.join("\n"),
    );
    let config = Config::from_toml(&text, "gateway.toml").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        config.directory.rules.public_verified,
        PublicVerified::default()
    );
    assert!(!config.directory.rules.public_needs_public_cloud);
    let policy = config.directory.policies.of(None, None);
    assert_eq!(policy, crate::policy::Policy::default());
}

#[test]
fn partners_may_be_those_of_the_proxy() {
    let folder = tempfile::tempdir().expect("a folder");
    let proxy = folder.path().join("proxy.toml");
    let of_proxy = "domains = ['contoso.com']\n[[partner]]\ndomain = 'fabrikam.com'\n\
                    type = 'federated'\ntls = 'required'\n";
    std::fs::write(&proxy, of_proxy).expect("written");
    let (head, _) = sample()
        .split_once("\n# Domains that are not listed")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .expect("a comment");
    let text = head.replacen("\ndomains", "\npartners = 'proxy.toml'\ndomains", 1);
    let name = folder.path().join("gateway.toml");
    let config =
        Config::from_toml(&text, &name.to_string_lossy()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(config.directory.partners.len(), 1);
    // Whatever the proxy reads there, in either spelling.
    let in_cmdlets = of_proxy.replace("'federated'", "'PublicVerified'").replace(
        "'required'",
        "'NotSupported'\nstream-management = true\nconnection-limit = 3",
    );
    std::fs::write(&proxy, in_cmdlets).expect("written");
    let config =
        Config::from_toml(&text, &name.to_string_lossy()).unwrap_or_else(|e| panic!("{e}"));
    let kinds: Vec<PartnerType> = config.directory.partners.into_values().collect();
    assert_eq!(kinds, [PartnerType::PublicVerified]);
    std::fs::write(&proxy, of_proxy.replace("tls", "TlsNegotiation")).expect("written");
    let error = Config::from_toml(&text, &name.to_string_lossy()).expect_err("refused");
    let help = "TlsNegotiation is `tls` in [[partner]]";
    assert!(error.to_string().contains(help), "{error}");
    std::fs::write(&proxy, "[[partner]]\ndomain = 'a b'\n").expect("written");
    let error = Config::from_toml(&text, &name.to_string_lossy()).expect_err("refused");
    assert!(error.to_string().contains("proxy.toml:2:10"), "{error}");
    let both = sample().replacen("\ndomains", "\npartners = 'proxy.toml'\ndomains", 1);
    std::fs::write(&proxy, of_proxy).expect("written");
    let error = Config::from_toml(&both, &name.to_string_lossy()).expect_err("refused");
    assert!(
        error
            .to_string()
            .contains("partners are listed here and in another file"),
        "{error}"
    );
}

#[test]
fn each_mistake_is_shown_with_its_place() {
    let link = link("gateway.contoso.com");
    let text = format!(
        "domains = ['contoso.com', 'a b']\n[limits]\nstanza-bytes = 10\nsessions = 0\n\
         [[proxy]]\naddress = 'edge'\n[[proxy]]\naddress = '10.0.0.1:23456'\n\
         [[proxy]]\naddress = 'edge:1'\n[[proxy]]\naddress = 'edge:1'\n\
         [[partner]]\ndomain = 'b.example'\nadditional-domains = ['B.example']\n\
         [[policy]]\nidentity = 'service:x'\n[[policy]]\nidentity = 'global'\n[[policy]]\nidentity = 'Global'\n\
         [[user]]\naddress = 'ana@contoso.com'\npolicy = 'FedPic'\n\
         [[user.contact]]\naddress = 'b'\n[[user.contact]]\naddress = 'b@b.example'\n\
         [[user.contact]]\naddress = 'B@b.example'\n\
         [[user]]\naddress = 'Ana@contoso.com'\npolicy = 'site:x'\n\
         [[user]]\naddress = 'ben@other.example/x'\n[[user]]\naddress = 'ben@other.example'\n\
         [link]\n{link}"
    );
    assert_snapshot!(mistakes(&text));
    let nothing = format!("domains = []\n[link]\n{link}");
    assert_snapshot!(mistakes(&nothing));
    assert_snapshot!(mistakes("domains = ['contoso.com']\nuser = 1\n"));
    let unknown = format!("domains = ['contoso.com']\nhomes = 1\n[link]\n{link}");
    assert_snapshot!(mistakes(&unknown));
}
