//! Changes while the proxy runs.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use simulated_partners::persona::Certificate;
use simulated_partners::pki::Authority;

use crate::certificate::put;
use crate::{CONFIG, Place};

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
    put(&place, &authority, &both, Certificate::Good, "new");
    let import = ["certificate", "import", "new.crt", "--key", "new.key"];
    let done = place.good(&import);
    assert!(
        done.err.contains("The configuration is in force"),
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
    let done = place.good(&new);
    assert!(done.err.contains("no proxy is running"), "{}", done.err);
}
