//! `s2spec proxy test-im`: a test message by the whole way, as Test-CsXmppIM sends it.

use std::collections::BTreeMap;
use std::path::Path;

use reference_gateway::address::Bare;
use reference_gateway::config::Draft;
use reference_proxy::control::{Client, ClientError, Step, Tested};
use serde_json::json;

use crate::error::{Error, Exit, chained};
use crate::output::{Lines, print};
use crate::running::Gateway;
use crate::{store, value};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The user of a partner who gets the message
    #[arg(long, value_name = "USER@PARTNER", visible_alias = "receiver", value_parser = value::user)]
    to: Bare,
    /// The local user who seems to send it [default: test at the first served domain, for whom no policy counts]
    #[arg(long, value_name = "USER@DOMAIN", visible_alias = "user-sip-address", value_parser = value::user)]
    from: Option<Bare>,
    #[command(flatten)]
    gateway: Gateway,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn command(config: &Path, args: &Args) -> Result<Exit, Error> {
    let client = Client::of_configuration(config)?;
    let (to, from) = (args.to.to_string(), args.from.as_ref().map(Bare::to_string));
    let policies = policies(config, args)?;
    let tested = match &policies {
        Policies::Refuse(why) => Tested {
            latency: 0.0,
            method: None,
            broken: Some(Step::LocalPolicy),
            error: Some(why.clone()),
        },
        Policies::Allow(_) | Policies::Unknown(_) => client.test_im(&to, from.as_deref())?,
    };
    let text = match args.json {
        true => in_json(&to, &policies, &tested),
        false => list(&to, &policies, &tested),
    };
    print(&text)?;
    Ok(match tested.broken {
        None => Exit::Good,
        Some(_) => Exit::Wanting,
    })
}

/// What the gateway's policies say of the two users.
enum Policies {
    /// By whom this is known.
    Allow(String),
    Refuse(String),
    /// Why nobody was asked.
    Unknown(String),
}

impl Policies {
    fn text(&self) -> String {
        match self {
            Self::Allow(by) => format!("allow it, by {by}"),
            Self::Refuse(_) => "do not allow it".to_owned(),
            Self::Unknown(why) => format!("not looked at: {why}"),
        }
    }
}

/// Asks the running gateway, or else reads its file. What the proxy refuses by itself is left to it.
fn policies(config: &Path, args: &Args) -> Result<Policies, Error> {
    let unknown = |why: &str| Ok(Policies::Unknown(why.to_owned()));
    let Some(from) = &args.from else {
        return unknown("no local user is named by --from");
    };
    let Some(file) = &args.gateway.file else {
        return unknown("name the gateway's file by --gateway, or in S2SPEC_GATEWAY_CONFIG");
    };
    let (_, proxy) = store::read(config)?;
    let partners = proxy.partners.iter().flat_map(|partner| {
        let domains = partner.domains().cloned();
        domains.map(|domain| (domain, partner.kind))
    });
    let partners: BTreeMap<_, _> = partners.collect();
    if !proxy.domains.contains(from.domain()) || !partners.contains_key(args.to.domain()) {
        return unknown("the proxy has no way between these domains");
    }
    let name = file.display();
    let asked = Client::of_configuration(file)
        .and_then(|client| client.may_talk(&from.to_string(), &args.to.to_string()));
    let (refused, by) = match asked {
        Ok(refused) => (refused, "the running gateway".to_owned()),
        Err(ClientError::NoControl { .. } | ClientError::Unreachable { .. }) => {
            let mut directory = match Draft::load(file) {
                Ok(draft) => draft.directory,
                Err(error) => return unknown(&chained(&error)),
            };
            directory.partners = partners;
            let access = directory.access(from, args.to.domain());
            let by = match access {
                Ok(_) => {
                    format!("{name}; the gateway does not run, so contact lists were not looked at")
                }
                Err(_) => name.to_string(),
            };
            (access.err().map(|why| why.to_string()), by)
        }
        Err(error) => return unknown(&chained(&error)),
    };
    Ok(match refused {
        None => Policies::Allow(by),
        Some(why) => Policies::Refuse(format!(
            "{from} may not talk to {}, by {by}: {why}",
            args.to
        )),
    })
}

fn result(tested: &Tested) -> &'static str {
    match tested.broken {
        None => "Success",
        Some(_) => "Failure",
    }
}

fn list(to: &str, policies: &Policies, tested: &Tested) -> String {
    let mut lines = Lines::default();
    lines.add("Receiver", to);
    lines.add("Result", result(tested));
    lines.add("Latency", &format!("{:.3} s", tested.latency));
    lines.add("Method", tested.method.as_deref().unwrap_or_default());
    lines.add("Policies", &policies.text());
    lines.add("ErrorMessage", tested.error.as_deref().unwrap_or_default());
    let diagnosis = tested.broken.map(diagnosis).unwrap_or_default();
    lines.add("Diagnosis", &diagnosis);
    lines.text()
}

fn in_json(to: &str, policies: &Policies, tested: &Tested) -> String {
    let object = json!({
        "Receiver": to,
        "Result": result(tested),
        "Latency": tested.latency,
        "Method": tested.method,
        "Policies": policies.text(),
        "ErrorMessage": tested.error,
        "Step": tested.broken,
        "Diagnosis": tested.broken.map(diagnosis),
    });
    format!("{object:#}\n")
}

/// The step that failed, and where to look.
fn diagnosis(step: Step) -> String {
    let look = match step {
        Step::LocalPolicy => {
            "look at the addresses, the policies (`policy get`), and the limits (`gateway-config get`)"
        }
        Step::Route => "allow the partner, or add the domain to it (`partner get`)",
        Step::InnerLink => "start the gateway, and see whether its certificate is taken (`log`)",
        Step::Dns => "the partner publishes no usable records, or the name servers do not answer",
        Step::Tcp => "the partner is down, or a firewall is between (port 5269, outgoing)",
        Step::Tls => "TLS is not as both sides want it (`partner get`, `certificate check`)",
        Step::Method => {
            "the ways of authentication of both sides do not meet (`partner get`, `log`)"
        }
        Step::Answer => {
            "the way back: own DNS records (`dns --check`), or the firewall (port 5269, incoming)"
        }
        Step::Recipient => {
            "there and back works; to the partner there is no such user, or it may not get the message"
        }
    };
    format!("{step}: {look}")
}
