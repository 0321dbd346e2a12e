//! `s2spec proxy status`: what a running proxy does, for people, programs and monitoring.

use std::fmt::Write as _;
use std::path::Path;

use reference_proxy::control::{
    Client, ClientError, Direction, Health, PartnerStatus, RefusalStatus, Side, Status,
    StreamStatus,
};

use crate::error::{Error, Exit};
use crate::output::{columns, fitted, print, visible};

/// How many refusals are shown.
const REFUSALS: usize = 20;

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn command(config: &Path, args: &Args) -> Result<Exit, Error> {
    let status = match Client::of_configuration(config)?.status() {
        Ok(status) => status,
        Err(error @ ClientError::Unreachable { .. }) => return Err(Error::Critical(error.into())),
        Err(error) => return Err(error.into()),
    };
    let text = match args.json {
        true => {
            serde_json::to_string_pretty(&status).expect("a status has only texts and numbers")
                + "\n"
        }
        false => fitted(&shown(&status), columns()),
    };
    print(&text)?;
    Ok(match status.health {
        Health::Well => Exit::Good,
        Health::Warning => Exit::Wanting,
        Health::Critical => Exit::Critical,
    })
}

/// A status for people.
fn shown(status: &Status) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        text += words.trim_end();
        text.push('\n');
    };
    let health = match status.health {
        Health::Well => "well",
        Health::Warning => "warning",
        Health::Critical => "critical",
    };
    line(format!(
        "{health}: proxy {}, process {}, up {}",
        status.version,
        status.process,
        age(status.uptime)
    ));
    for concern in &status.concerns {
        let sign = match concern.health {
            Health::Critical => '✕',
            Health::Warning | Health::Well => '!',
        };
        line(format!("  {sign} {}", concern.text));
    }
    line("\nlisteners".to_owned());
    for one in &status.listeners {
        let side = match one.side {
            Side::External => "external",
            Side::Internal => "internal",
        };
        line(format!("  {side}  {}", one.address));
    }
    line("\ngateways".to_owned());
    for one in &status.gateways {
        let domains = match one.domains.is_empty() {
            true => "all domains without another".to_owned(),
            false => one.domains.join(", "),
        };
        let waiting = waiting(one.queue);
        line(format!(
            "  {domains}  from {}, for {}{waiting}",
            one.address,
            age(one.age)
        ));
    }
    if status.gateways.is_empty() {
        line("  none".to_owned());
    }
    line(format!(
        "\npartners: {} configured, {} active",
        status.partners,
        status.active.len()
    ));
    for partner in &status.active {
        for words in shown_partner(partner) {
            line(words);
        }
    }
    line("\nlimits".to_owned());
    for limit in &status.limits {
        line(format!("  {}  {} of {}", limit.of, limit.used, limit.limit));
    }
    line("\nrefused in the last hour".to_owned());
    for refusal in status.refusals.iter().take(REFUSALS) {
        line(format!("  {}", refused(refusal)));
    }
    match status.refusals.len() {
        0 => line("  nothing".to_owned()),
        all if all > REFUSALS => line(format!("  and {} more; --json has them", all - REFUSALS)),
        _ => {}
    }
    line("\ncertificates".to_owned());
    for one in &status.certificates {
        let left = match one.days {
            1 => "1 day left".to_owned(),
            -1 => "ended 1 day ago".to_owned(),
            days if days < 0 => format!("ended {} days ago", -days),
            days => format!("{days} days left"),
        };
        line(format!("  {} ({})  {left}", one.presented, one.key));
        for remark in &one.remarks {
            line(format!("    {remark}"));
        }
    }
    text
}

fn shown_partner(partner: &PartnerStatus) -> Vec<String> {
    let mut lines = vec![format!("  {}", partner.domain)];
    lines.extend(partner.streams.iter().map(stream));
    for queue in &partner.queues {
        lines.push(format!(
            "    {} to {}{}, {} bytes",
            queue.from,
            queue.to,
            waiting(queue.stanzas),
            queue.bytes
        ));
    }
    for failure in &partner.failures {
        lines.push(format!(
            "    {} failed {} ago: {}",
            failure.domain,
            age(failure.ago),
            failure.reason
        ));
    }
    lines
}

fn stream(stream: &StreamStatus) -> String {
    let direction = match stream.direction {
        Direction::Inbound => "inbound ",
        Direction::Outbound => "outbound",
    };
    let mut text = format!("    {direction}");
    for (number, pair) in stream.pairs.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(
            text,
            "{comma} {} to {} by {}",
            pair.from, pair.to, pair.method
        );
    }
    let tls = stream.tls.as_deref().unwrap_or("in clear");
    let _ = write!(text, ", {tls}, for {}", age(stream.age));
    if let Some(address) = stream.address {
        let _ = write!(text, ", with {address}");
    }
    text
}

fn refused(refusal: &RefusalStatus) -> String {
    let RefusalStatus {
        ago,
        times,
        kind,
        domain,
        address,
        text,
    } = refusal;
    let mut words = format!("{} ago: {} {}", age(*ago), kind.direction, kind.phase);
    if let Some(domain) = domain {
        let _ = write!(words, ", {domain}");
    }
    if let Some(address) = address {
        let _ = write!(words, ", {address}");
    }
    let _ = write!(words, ": {} by the {}", kind.condition, kind.by);
    if !text.is_empty() {
        let _ = write!(words, ": {}", visible(text));
    }
    if *times > 1 {
        let _ = write!(words, " ({times} times)");
    }
    words
}

fn waiting(stanzas: usize) -> String {
    match stanzas {
        0 => String::new(),
        1 => ", 1 stanza waits".to_owned(),
        more => format!(", {more} stanzas wait"),
    }
}

/// A time in its two greatest units.
fn age(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3599, "59 min 59 s"),
            (3660, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn status_is_shown_part_by_part() {
        let status: Status = serde_json::from_str(
            r#"{
              "version": "0.1.0", "process": 7, "uptime": 3700, "health": "critical",
              "concerns": [
                {"health": "critical", "text": "no gateway is connected"},
                {"health": "warning", "text": "the ECDSA certificate of a.example: it expires on 2026-12-01"}
              ],
              "listeners": [{"side": "external", "address": "127.0.0.1:5269"}],
              "gateways": [{"address": "127.0.0.1:4000", "domains": [], "age": 3, "queue": 2}],
              "partners": 3,
              "active": [{
                "domain": "b.example",
                "streams": [{
                  "direction": "outbound", "tls": "TLS 1.3", "address": "127.0.0.1:5000", "age": 65,
                  "pairs": [{"from": "a.example", "to": "b.example", "method": "sasl-tls"}]
                }],
                "queues": [{"from": "a.example", "to": "chat.b.example", "stanzas": 4, "bytes": 900}],
                "failures": [{"domain": "chat.b.example", "ago": 10, "reason": "no answer"}]
              }],
              "limits": [{"of": "connections", "used": 1, "limit": 1000}],
              "refusals": [{
                "ago": 5, "direction": "inbound", "phase": "stream", "by": "proxy", "condition": "host-unknown",
                "domain": "x.example", "address": "127.0.0.1:6000", "text": "not served here", "times": 952
              }, {
                "ago": 9, "direction": "inbound", "phase": "stream", "by": "proxy", "condition": "host-unknown",
                "domain": null, "address": null, "text": ""
              }],
              "refused": [],
              "certificates": [{"presented": "a.example", "key": "ECDSA", "days": 12, "remarks": ["it expires"]}]
            }"#,
        )
        .expect("a status");
        assert_eq!(
            shown(&status),
            "critical: proxy 0.1.0, process 7, up 1 h 1 min\n  \
             ✕ no gateway is connected\n  \
             ! the ECDSA certificate of a.example: it expires on 2026-12-01\n\
             \nlisteners\n  external  127.0.0.1:5269\n\
             \ngateways\n  all domains without another  from 127.0.0.1:4000, for 3 s, 2 stanzas wait\n\
             \npartners: 3 configured, 1 active\n  b.example\n    \
             outbound a.example to b.example by sasl-tls, TLS 1.3, for 1 min 5 s, with 127.0.0.1:5000\n    \
             a.example to chat.b.example, 4 stanzas wait, 900 bytes\n    \
             chat.b.example failed 10 s ago: no answer\n\
             \nlimits\n  connections  1 of 1000\n\
             \nrefused in the last hour\n  \
             5 s ago: inbound stream, x.example, 127.0.0.1:6000: host-unknown by the proxy: not served here (952 times)\n  \
             9 s ago: inbound stream: host-unknown by the proxy\n\
             \ncertificates\n  a.example (ECDSA)  12 days left\n    it expires\n"
        );
        for columns in [80, 120] {
            let fitted = fitted(&shown(&status), columns);
            assert!(fitted.lines().all(|line| line.chars().count() <= columns));
        }
    }
}
