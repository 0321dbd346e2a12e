//! The test message of the control socket: how far it gets.

use std::net::{Ipv4Addr, SocketAddr};

use reference_proxy::control::{Client, Step, Tested};
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::task::spawn_blocking;

use crate::support::{Net, Settings};

const A: &str = "alpha.example";
const B: &str = "beta.example";

/// A folder for the control socket, the settings that name it, and its client.
fn controlled(net: &Net, number: u8) -> (TempDir, Settings, Client) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control");
    let mut settings = net.settings(A, B, number);
    settings.top += &format!("control = '{}'\n", path.display());
    (folder, settings, Client::new(path))
}

async fn test(client: &Client, to: &str, from: Option<&str>) -> Tested {
    let (client, to) = (client.clone(), to.to_owned());
    let from = from.map(str::to_owned);
    let asked = spawn_blocking(move || client.test_im(&to, from.as_deref()));
    asked.await.expect("no panic").expect("an answer")
}

/// The value of an attribute in a text that has it once.
fn value(text: &str, name: &str) -> String {
    let (_, rest) = text.split_once(&format!(" {name}='")).expect("it has one");
    rest.split('\'').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_answer_of_the_partner_is_success() {
    for (number, method) in [(2, "sasl-tls"), (13, "tls-dialback"), (17, "tcp-dialback")] {
        let net = Net::new().await;
        let (_folder, settings, client) = controlled(&net, number);
        let (alpha, gateway) = net.station(&settings).await;
        let (beta, mut beta_gateway) = net.station(&net.settings(B, A, number)).await;
        let answering = async {
            let message = beta_gateway.expect("</message>").await;
            assert!(message.contains(&format!(" to='user@{B}' ")), "{message}");
            assert!(message.contains(" type='chat'>"), "{message}");
            let ping = beta_gateway.expect("</iq>").await;
            let (from, id) = (value(&ping, "from"), value(&ping, "id"));
            let answer = format!("<iq type='result' from='{B}' to='{from}' id='{id}'/>");
            beta_gateway.send(&answer).await;
        };
        let to = format!("user@{B}");
        let (tested, ()) = tokio::join!(test(&client, &to, None), answering);
        assert_eq!(tested.broken, None, "{tested:?}");
        assert_eq!(tested.method.as_deref(), Some(method));
        assert!(tested.latency > 0.0);
        // The gateway sees nothing of it.
        let (_, _, rest) = tokio::join!(alpha.stop(), beta.stop(), gateway.part());
        assert_eq!(rest, "</stream:stream>");
    }
}

#[tokio::test]
async fn the_first_step_that_fails_is_named() {
    let net = Net::new().await;
    let (_folder, mut settings, client) = controlled(&net, 2);
    for partner in ["nowhere.example", "closed.example", "plain.example"] {
        settings.partner += &format!("[[partner]]\ndomain = '{partner}'\nsasl = 'optional'\n");
    }
    // Held for as long as the test runs, so that nobody else listens there.
    let closed = TcpSocket::new_v4().expect("a socket");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    closed.bind(any).expect("a port");
    net.dns
        .add("closed.example", closed.local_addr().expect("bound"));
    let proxy = net.start(&settings);
    let to = format!("user@{B}");
    let broken = async |to: &str, from: Option<&str>| {
        let tested = test(&client, to, from).await;
        assert_eq!(tested.method, None);
        let why = tested.error.expect("a reason");
        (tested.broken.expect("it fails"), why)
    };
    assert_eq!(broken(&to, None).await.0, Step::InnerLink);
    let gateway = net.gateway(&proxy, A).await;
    // Who serves this domain accepts no plain text, and no certificate is asked for.
    let mut plain = net.settings("plain.example", A, 17);
    plain.partner += "[[partner]]\ndomain = 'other.example'\n";
    let plain = net.start(&plain);
    let beta = net.start(&net.settings(B, A, 17));
    for (to, from, step, part) in [
        ("user", None, Step::LocalPolicy, "`user`"),
        (B, None, Step::LocalPolicy, "address of a user"),
        (
            &*to,
            Some("u@gamma.example"),
            Step::LocalPolicy,
            "not served",
        ),
        ("u@gamma.example", None, Step::Route, "gamma.example"),
        ("u@nowhere.example", None, Step::Dns, "no address"),
        ("u@closed.example", None, Step::Tcp, "1 addresses"),
        ("u@plain.example", None, Step::Tls, "does not offer it"),
        (&*to, None, Step::Tls, "does not offer it"),
    ] {
        let (seen, why) = broken(to, from).await;
        assert_eq!(seen, step, "{to}: {why}");
        assert!(why.contains(part), "{to}: {why}");
    }
    drop((plain, beta));
    let ((), rest) = tokio::join!(proxy.stop(), gateway.part());
    assert_eq!(rest, "</stream:stream>");
}

#[tokio::test]
async fn what_the_partner_refuses_is_told_with_its_condition() {
    let net = Net::new().await;
    let (_folder, settings, client) = controlled(&net, 7);
    let (alpha, _gateway) = net.station(&settings).await;
    // No gateway takes the message there.
    let beta = net.start(&net.settings(B, A, 7));
    let tested = test(&client, &format!("user@{B}"), Some(&format!("me@{A}"))).await;
    assert_eq!(tested.broken, Some(Step::Recipient));
    assert!(tested.method.is_some(), "the stream stood: {tested:?}");
    let why = tested.error.expect("a reason");
    assert!(why.contains("service-unavailable"), "{why}");
    tokio::join!(alpha.stop(), beta.stop());
}

#[tokio::test]
async fn methods_that_do_not_meet_are_named() {
    let net = Net::new().await;
    let (_folder, settings, client) = controlled(&net, 2);
    let (alpha, _gateway) = net.station(&settings).await;
    let beta = net.start(&net.settings(B, A, 13));
    let tested = test(&client, &format!("user@{B}"), None).await;
    assert_eq!(tested.broken, Some(Step::Method), "{tested:?}");
    tokio::join!(alpha.stop(), beta.stop());
}
