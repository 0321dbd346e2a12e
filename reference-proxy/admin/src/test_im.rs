//! `s2spec proxy test-im`: a test message by the whole way, as Test-CsXmppIM sends it.

use std::path::Path;

use reference_proxy::control::{Client, Step, Tested};
use serde_json::json;

use crate::error::{Error, Exit};
use crate::output::{Lines, print};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The user of a partner who gets the message
    #[arg(long, value_name = "USER@PARTNER", visible_alias = "receiver")]
    to: String,
    /// The local user who seems to send it [default: test at the first served domain]
    #[arg(long, value_name = "USER@DOMAIN", visible_alias = "user-sip-address")]
    from: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn command(config: &Path, args: &Args) -> Result<Exit, Error> {
    let client = Client::of_configuration(config)?;
    let tested = client.test_im(&args.to, args.from.as_deref())?;
    let text = match args.json {
        true => in_json(&args.to, &tested),
        false => list(&args.to, &tested),
    };
    print(&text)?;
    Ok(match tested.broken {
        None => Exit::Good,
        Some(_) => Exit::Wanting,
    })
}

fn result(tested: &Tested) -> &'static str {
    match tested.broken {
        None => "Success",
        Some(_) => "Failure",
    }
}

fn list(to: &str, tested: &Tested) -> String {
    let mut lines = Lines::default();
    lines.add("Receiver", to);
    lines.add("Result", result(tested));
    lines.add("Latency", &format!("{:.3} s", tested.latency));
    lines.add("Method", tested.method.as_deref().unwrap_or_default());
    lines.add("ErrorMessage", tested.error.as_deref().unwrap_or_default());
    let diagnosis = tested.broken.map(diagnosis).unwrap_or_default();
    lines.add("Diagnosis", &diagnosis);
    lines.text()
}

fn in_json(to: &str, tested: &Tested) -> String {
    let object = json!({
        "Receiver": to,
        "Result": result(tested),
        "Latency": tested.latency,
        "Method": tested.method,
        "ErrorMessage": tested.error,
        "Step": tested.broken,
        "Diagnosis": tested.broken.map(diagnosis),
    });
    format!("{object:#}\n")
}

/// The step that failed, and where to look.
fn diagnosis(step: Step) -> String {
    let look = match step {
        Step::LocalPolicy => "look at the addresses, and at the limits (`gateway-config get`)",
        Step::Route => "allow the partner, or add the domain to it (`partner get`)",
        Step::InnerLink => "start the gateway, and see whether its certificate is taken (`log`)",
        Step::Dns => "the partner publishes no usable records, or the name servers do not answer",
        Step::Tcp => "the partner is down, or a firewall is between (port 5269, outgoing)",
        Step::Tls => "TLS is not as both sides want it (`partner get`, `certificate check`)",
        Step::Method => {
            "the ways of authentication of both sides do not meet (`partner get`, `log`)"
        }
        Step::Answer => {
            "the way back: own DNS records (`dns --check`), the firewall (port 5269, incoming), or the recipient"
        }
    };
    format!("{step}: {look}")
}
