//! `setup`: the walk, gone at once and in parts.

use std::fs;

use simulated_partners::dns::Dns;
use simulated_partners::persona::Certificate;
use simulated_partners::pki::Authority;

use super::certificate::put;
use super::policy::GATEWAY;
use super::{Done, Place};

/// All answers but the name server.
const ANSWERS: &str = "--domain contoso.com --gateway gateway.contoso.com --member \
                       xmpp.contoso.com=192.0.2.10 --organization Contoso --partner gmail.com \
                       --partner-kind google-talk --ca ca.crt";

/// A folder with the authorities of partners alone.
fn empty() -> Place {
    let place = Place::new();
    fs::remove_file(place.path("proxy.toml")).expect("it was there");
    fs::write(place.path("ca.crt"), Authority::new(1).root_pem()).expect("it has room");
    place
}

/// A step on a line, wherever it is folded, and whether there is IPv6 or not.
fn by_steps(out: &str) -> String {
    let words: Vec<&str> = out.split_whitespace().collect();
    let text = words.join(" ").replace("[::]:5269", "0.0.0.0:5269");
    (1..=7).fold(text, |text, step| {
        text.replacen(&format!(" {step}. "), &format!("\n{step}. "), 1)
    })
}

/// Goes the walk beside the name server of the test.
async fn walk(place: Place, options: &str) -> (Done, Place) {
    let line = format!("setup {options}");
    let gone = tokio::task::spawn_blocking(move || {
        let words: Vec<&str> = line.split_whitespace().collect();
        (place.run(&words), place)
    });
    gone.await.expect("it ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_the_walk_takes_its_answers_from_options() {
    let dns = Dns::start().expect("a port");
    let address = dns.address().to_string();
    let (done, place) = walk(empty(), &format!("{ANSWERS} --dns {address}")).await;
    assert_eq!(done.code, Some(1), "{}{}", done.out, done.err);
    insta::assert_snapshot!(by_steps(&done.out), @r"
    1. Configuration proxy.toml serves contoso.com
    2. Firewall let through: TCP from anywhere to 0.0.0.0:5269; TCP from this host to port 5269 anywhere; TCP from the gateway to 127.0.0.1:23456; DNS; no member's address is one of this machine: what comes to it has to be forwarded here
    3. Policies To do: write gateway.toml, the gateway's configuration with its users, as docs/gateway.md says, or have it written by --user; or name another one by --gateway-config, `none` if the gateway is another program
    4. Certificates To do: send external.csr to the authority; put its answer to external.crt; send internal.csr to the authority; put its answer to internal.crt; put the authorities of the other end to internal-ca.crt
    5. Partners allowed: gmail.com
    6. DNS To do: have the records of proxy.zone published. Now: missing _xmpp-server._tcp.contoso.com. SRV 10 0 5269 xmpp.contoso.com. missing xmpp.contoso.com. A 192.0.2.10
    7. Check To do: proxy.toml cannot be used yet; `s2spec proxy check --config proxy.toml` shows why Still to do: 3. Policies, 4. Certificates, 6. DNS, 7. Check. Then run the command again.
    ");
    let config = place.config();
    let (_, secret) = config.split_once("secret = \"").expect("it has one");
    let secret = secret.split('"').next().unwrap_or_default();
    assert_eq!(secret.len(), 48);
    let shown = config
        .replace(secret, "…")
        .replace(&address, "127.0.0.1:53")
        .replace("[::]:5269", "0.0.0.0:5269");
    insta::assert_snapshot!(shown, @r#"
    # The proxy. `s2spec proxy check` says whether it can be used; reference-proxy/proxy.toml explains each
    # setting. Paths of PEM files are relative to this file.

    # The domains that the proxy serves.
    domains = ["contoso.com"]

    # Name servers, each as an address with a port. If empty, those of the system.
    dns = ["127.0.0.1:53"]

    # A Unix socket, by which commands reach the running proxy. Only its own user may connect.
    control = "control.socket"

    # What the proxies of a pool share for dialback keys: the same in each of their files.
    secret = "…"

    # The side towards partners.
    [external]
    listen = "0.0.0.0:5269"
    certificate = "external.crt" # leaf first, then its intermediates
    key = "external.key"
    ca = "ca.crt" # who may issue the partners' certificates

    # The side towards the gateway.
    [internal]
    listen = "127.0.0.1:23456"
    certificate = "internal.crt"
    key = "internal.key"
    ca = "internal-ca.crt" # who may issue the gateway's certificate
    gateways = ["gateway.contoso.com"]

    # The partners. Nobody else may exchange stanzas with the served domains.

    [[partner]]
    domain = "gmail.com"
    type = "public-unverified"
    tls = "not-supported"
    sasl = "not-supported"
    dialback = true
    keep-alive = false
    "#);
    // Again: nothing is asked, nothing is made anew.
    let key = place.text("external.key");
    let (again, place) = walk(place, "").await;
    assert_eq!(again.code, Some(1), "{}{}", again.out, again.err);
    assert_eq!(place.config(), config);
    assert_eq!(place.text("external.key"), key);
    assert!(!again.out.contains("Subject"), "{}", again.out);
    let sent =
        "send external.csr to the authority, if it is not sent yet; put its answer to external.crt";
    assert!(by_steps(&again.out).contains(sent), "{}", again.out);
}

#[test]
fn a_missing_answer_is_named_and_leaves_nothing_half_written() {
    let place = empty();
    let done = place.run(&["setup"]);
    assert_eq!(done.code, Some(2));
    assert!(done.err.contains("--domain"), "{}", done.err);
    for (option, value, part) in [
        ("--domain", "a_b", "not a valid domain"),
        ("--gateway", "192.0.2.1", "IP address"),
        ("--dns", "192.0.2.1", "ADDRESS:PORT"),
        ("--internal-listen", "here", "ADDRESS:PORT"),
        ("--country", "USA", "two letters"),
        ("--member", "foo=bar", "not an IP address"),
        ("--partner", "contoso.com", "served here"),
        ("--partner-kind", "icq", "google-talk"),
        ("--ca", "none.pem", "No such file"),
        ("--policy", "service:x", "site:NAME"),
        ("--receiver", "gmail.com", "user@domain"),
        ("--user", "ana@other.com", "not served here"),
        ("--gateway", "a b", "not a valid domain"),
        ("--dns", "192.0.2.1:0", "port 0"),
        ("--internal-listen", "127.0.0.1:0", "port 0"),
        ("--member", "a.contoso.com=0.0.0.0", "partners can reach"),
        ("--member", "a.contoso.com=", "no address after"),
        ("--receiver", "ana@other.com", "no partner's"),
        ("--organization", &"a".repeat(65), "at most 64"),
        ("--locality", &"a".repeat(129), "at most 128"),
    ] {
        let mut words = vec!["setup"];
        let mut given = ANSWERS.split_whitespace();
        while let (Some(name), Some(text)) = (given.next(), given.next()) {
            if name != option {
                words.extend([name, text]);
            }
        }
        words.extend([option, value]);
        let done = place.run(&words);
        assert_eq!(done.code, Some(2), "{option}: {}", done.err);
        assert!(
            done.err.contains(part) && done.err.contains(option),
            "{}",
            done.err
        );
    }
    let alone = "setup --domain contoso.com --gateway gateway.contoso.com --partner-kind tls";
    let done = place.run(&alone.split_whitespace().collect::<Vec<_>>());
    assert_eq!(done.code, Some(2));
    assert!(done.err.contains("by --partner"), "{}", done.err);
    assert_eq!(fs::read_dir(place.path("")).expect("a folder").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_from_a_file_and_what_has_been_done_is_not_undone() {
    let place = empty();
    let dns = Dns::start().expect("a port");
    let answers = format!(
        "domain = [\"contoso.com\"]\ngateway = [\"gateway.contoso.com\"]\ndns = [\"{}\"]\n\
         member = [\"xmpp.contoso.com\"]\n",
        dns.address()
    );
    fs::write(place.path("answers.toml"), answers).expect("it has room");
    let (done, place) = walk(place, "--answers answers.toml").await;
    assert_eq!(done.code, Some(1), "{}{}", done.out, done.err);
    assert!(done.out.contains("partner new"), "{}", done.out);
    place.good(&[
        "partner",
        "new",
        "fabrikam.com",
        "-SaslNegotiation",
        "Optional",
    ]);
    for name in ["external.crt", "internal.crt", "internal-ca.crt"] {
        fs::write(place.path(name), "soon").expect("it has room");
    }
    let (done, place) = walk(place, "--answers answers.toml").await;
    assert!(done.out.contains("allowed: fabrikam.com"), "{}", done.out);
    assert!(!done.out.contains("send external.csr"), "{}", done.out);
    fs::write(place.path("answers.toml"), "domains = []\n").expect("it has room");
    let (done, _) = walk(place, "--answers answers.toml").await;
    assert_eq!(done.code, Some(2));
    assert!(done.err.contains("unknown field `domains`"), "{}", done.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_let_talk_to_partners_by_a_policy() {
    let dns = Dns::start().expect("a port");
    let options = format!("{ANSWERS} --dns {}", dns.address());
    let nobody = GATEWAY.replace("enable-federation-access = true", "");
    for (policy, granted) in [("global", 0), ("FedPic", 2)] {
        let place = empty();
        fs::write(place.path("gateway.toml"), &nobody).expect("it has room");
        let (done, place) = walk(place, &options).await;
        assert!(
            done.out.contains("no user may talk to partners yet"),
            "{}",
            done.out
        );
        assert_eq!(place.text("gateway.toml"), nobody);
        let (done, place) = walk(place, &format!("--policy {policy}")).await;
        let all = "all 2 users of gateway.toml may talk to partners";
        assert!(done.out.contains(all), "{}", done.out);
        let text = place.text("gateway.toml");
        assert_eq!(
            text.matches("policy = \"FedPic\"").count(),
            granted,
            "{text}"
        );
        // Again: it is done.
        let (done, place) = walk(place, &format!("--policy {policy}")).await;
        assert!(done.out.contains(all), "{}", done.out);
        assert_eq!(place.text("gateway.toml"), text);
        let (done, place) = walk(place, "--policy AnotherOne").await;
        assert_eq!(done.code, Some(2), "{}", done.out);
        assert!(
            done.err.contains("by another policy already"),
            "{}",
            done.err
        );
        assert_eq!(place.text("gateway.toml"), text);
    }
    let place = empty();
    fs::write(place.path("gateway.toml"), &nobody).expect("it has room");
    let (done, place) = walk(place, &format!("{options} --policy service:x")).await;
    assert_eq!(done.code, Some(2));
    assert!(
        done.err.contains("`service:x` for --policy"),
        "{}",
        done.err
    );
    let (done, _) = walk(place, &format!("{options} --gateway-config none")).await;
    assert!(
        done.out.contains("the gateway is another program"),
        "{}",
        done.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_judged() {
    let dns = Dns::start().expect("a port");
    let options = format!("{ANSWERS} --dns {}", dns.address());
    let (_, place) = walk(empty(), &options).await;
    let authority = Authority::new(1);
    let name = ["contoso.com", "xmpp.contoso.com"];
    for file in ["external", "internal"] {
        put(&place, &authority, &name, Certificate::Good, file);
    }
    put(
        &place,
        &authority,
        &["contoso.com"],
        Certificate::Good,
        "chat",
    );
    fs::copy(place.path("ca.crt"), place.path("internal-ca.crt")).expect("it has room");
    let (done, place) = walk(place, "").await;
    let good = "external.crt does for contoso.com; internal.crt does for the gateway";
    assert!(done.out.contains(good), "{}", done.out);
    // A domain with a certificate of its own, which does not name it.
    let config = place.config();
    let more = config
        .replace(
            "[\"contoso.com\"]",
            "[\"contoso.com\", \"chat.contoso.com\"]",
        )
        .replace("[::]:5269", "0.0.0.0:5269")
        .replace("0.0.0.0:5269", "192.0.2.1:5269")
        .replace(
            "# The side towards the gateway.",
            "[[external.own-certificate]]\ndomain = \"chat.contoso.com\"\n\
             certificate = \"chat.crt\"\nkey = \"chat.key\"\n",
        );
    fs::write(place.path("proxy.toml"), more).expect("it has room");
    let (done, _) = walk(place, "").await;
    let out = done.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        out.contains("To do: 192.0.2.1: no address of this machine"),
        "{out}"
    );
    assert!(out.contains("To do: replace chat.crt: "), "{out}");
    assert!(!out.contains("replace external.crt"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_a_further_walk_are_done_or_refused() {
    let dns = Dns::start().expect("a port");
    let options = format!("{ANSWERS} --dns {}", dns.address());
    let (_, place) = walk(empty(), &options).await;
    // The same again is no contradiction.
    let (done, mut place) = walk(place, &options).await;
    assert_eq!(done.code, Some(1), "{}", done.err);
    for (options, part) in [
        ("--domain other.com", "another `domains` already"),
        ("--gateway other.contoso.com", "another `gateways` already"),
        ("--dns 192.0.2.1:53", "another `dns` already"),
        (
            "--internal-listen 127.0.0.1:1",
            "another `internal.listen` already",
        ),
        (
            "--member xmpp.contoso.com=192.0.2.11",
            "proxy.zone has other records",
        ),
        (
            "--organization Litware",
            "external.csr has another one already",
        ),
        (
            "--partner gmail.com --partner-kind tls",
            "allowed otherwise already",
        ),
    ] {
        let before = place.config();
        let (done, same) = walk(place, options).await;
        assert_eq!(done.code, Some(2), "{options}: {}", done.out);
        assert!(done.err.contains(part), "{options}: {}", done.err);
        assert_eq!(same.config(), before);
        place = same;
    }
    let (done, place) = walk(place, "--partner fabrikam.com --partner-kind tls").await;
    assert!(
        done.out.contains("allowed: gmail.com, fabrikam.com"),
        "{}",
        done.out
    );
    let config = place.config().replace("[::]:5269", "0.0.0.0:5269");
    fs::write(place.path("proxy.toml"), config).expect("it has room");
    fs::remove_file(place.path("proxy.zone")).expect("it was there");
    let (done, _) = walk(place, "--member xmpp.contoso.com=2001:db8::7").await;
    let deaf = "nobody listens at 2001:db8::7";
    assert!(by_steps(&done.out).contains(deaf), "{}", done.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_the_gateway_is_written_for_a_first_user() {
    let dns = Dns::start().expect("a port");
    let options = format!(
        "{ANSWERS} --dns {} --user ana@contoso.com --policy global",
        dns.address()
    );
    let (done, place) = walk(empty(), &options).await;
    let out = by_steps(&done.out);
    assert!(
        out.contains("the only user of gateway.toml may talk to partners"),
        "{out}{}",
        done.err
    );
    let sent =
        "send gateway.csr to the authority, if it is not sent yet; put its answer to gateway.crt";
    assert!(out.contains(sent), "{out}");
    let authority = Authority::new(1);
    put(
        &place,
        &authority,
        &["gateway.contoso.com"],
        Certificate::Good,
        "gateway",
    );
    fs::copy(place.path("ca.crt"), place.path("internal-ca.crt")).expect("it has room");
    let mut check = crate::s2spec();
    let check = check.args(["gateway", "check", "--config", "gateway.toml"]);
    let checked = check.current_dir(place.path("")).output().expect("it runs");
    let err = String::from_utf8_lossy(&checked.stderr);
    assert_eq!(checked.status.code(), Some(0), "{err}");
    let text = place.text("gateway.toml");
    let (done, place) = walk(place, "").await;
    assert!(!by_steps(&done.out).contains("gateway.csr"), "{}", done.out);
    assert_eq!(place.text("gateway.toml"), text);
}
