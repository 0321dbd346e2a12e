//! Changes while the proxy runs.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use serde_json::Value;
use simulated_partners::persona::Certificate;
use simulated_partners::pki::Authority;

use super::certificate::put;
use super::{CONFIG, Place};

/// A proxy that ends with the test.
struct Running(Child);

impl Running {
    /// Starts the proxy and waits until it says that it is there.
    fn start(place: &Place) -> Self {
        let mut command = place.command(&[]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let errors = child.stderr.take().expect("it is piped");
        let mut lines = BufReader::new(errors).lines().map_while(Result::ok);
        let started = lines.any(|line| line.contains("proxy started"));
        assert!(started, "the proxy has ended");
        // So that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_running_proxy_takes_each_change_in() {
    let authority = Authority::new(1);
    let place = Place::with(&format!("control = \"control\"\n{CONFIG}"));
    let both = ["contoso.com", "chat.contoso.com"];
    put(&place, &authority, &both, Certificate::Good, "external");
    put(&place, &authority, &both, Certificate::Good, "internal");
    let new = [
        "partner",
        "new",
        "gmail.com",
        "-SaslNegotiation",
        "Optional",
    ];
    let done = place.good(&[&new[..], &["-WhatIf"]].concat());
    assert!(!done.err.contains("proxy is running"), "{}", done.err);
    let running = Running::start(&place);
    let done = place.good(&new);
    assert!(done.err.contains("New partners: gmail.com"), "{}", done.err);
    let limit = ["partner", "set", "gmail.com", "-ConnectionLimit", "3"];
    assert!(
        place
            .good(&limit)
            .err
            .contains("Partners changed: gmail.com")
    );
    // Nobody has told it of a gateway.
    let test = ["test-im", "-Receiver", "user@fabrikam.com"];
    let done = place.run(&test);
    assert_eq!(done.code, Some(1), "{}", done.err);
    let latency = done.out.lines().find(|line| line.starts_with("Latency"));
    let shown = done.out.replace(latency.expect("it is there"), "Latency …");
    insta::assert_snapshot!(shown, @r"
    Receiver                       : user@fabrikam.com
    Result                         : Failure
    Latency …
    Method                         :
    Policies                       : not looked at: no local user is named by --from
    ErrorMessage                   : no gateway is connected for contoso.com
    Diagnosis                      : inner-link: start the gateway, and see whether
                                     its certificate is taken (`log`)
    ");
    let json = place.run(&[&test[..], &["--json"]].concat()).out;
    let json: Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(json["Result"], "Failure");
    assert_eq!(json["Step"], "inner-link");
    put(&place, &authority, &both, Certificate::Good, "new");
    let import = ["certificate", "import", "new.crt", "--key", "new.key"];
    let done = place.good(&import);
    assert!(
        done.err
            .contains("The proxy has read its configuration again"),
        "{}",
        done.err
    );
    let removed = place.good(&["partner", "remove", "gmail.com"]);
    assert!(
        removed.err.contains("Partners removed: gmail.com"),
        "{}",
        removed.err
    );
    drop(running);
    assert_eq!(place.run(&test).code, Some(3));
    let done = place.good(&new);
    assert!(done.err.contains("no proxy is running"), "{}", done.err);
}
