//! `s2spec load`: many partners and stanzas at once.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

use super::json_file::JsonFile;
use super::run::WIND_DOWN;
use super::signal::end_wanted;
use super::target::{Chosen, Tested};
use super::{Color, logging, number, output};
use crate::error::{CliError, Exit};
use crate::load::{self, Direction, Wanted};
use crate::oracle::Profile;
use crate::outcome::Method;

/// Partners take descriptors and ports.
const MOST_PARTNERS: u64 = 10_000;
const MOST_RATE: f64 = 1e6;
const MOST_CHURN: f64 = 1000.0;
/// What a stanza may have in every server (RFC 6120 §13.12), less its start tag.
const MOST_BYTES: u64 = 9000;

/// Options of `load`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    tested: Tested,

    /// Send through a plain relay of bytes instead, to see what this machine can do at most
    #[arg(long, conflicts_with_all = ["target", "churn", "direction", "methods", "limit"])]
    relay: bool,

    /// Number of partners, each with a domain and a connection of its own
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, env = "S2SPEC_PARTNERS",
          value_parser = clap::value_parser!(u64).range(1..=MOST_PARTNERS))]
    partners: u64,

    /// Stanzas a second in all, or `max` for as many as arrive
    #[arg(long, value_name = "R", default_value = "100", value_parser = rate, allow_negative_numbers = true, env = "S2SPEC_RATE")]
    rate: Rate,

    /// How long stanzas are sent, such as `30s` or `10m`
    #[arg(long, value_name = "D", default_value = "10s", value_parser = number::budget, env = "S2SPEC_DURATION")]
    duration: Duration,

    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "sasl-tls,tls-dialback,tcp-dialback",
        env = "S2SPEC_METHODS",
        value_parser = method,
        help = format!("How partners authenticate, in turns: {}; a method may come more than once", names())
    )]
    methods: Vec<Method>,

    /// In which directions stanzas go, if the target has an inner side
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "WAY",
        env = "S2SPEC_DIRECTION"
    )]
    direction: Direction,

    /// Connections that are closed and opened anew each second
    #[arg(long, value_name = "C", default_value = "0", value_parser = churn, allow_negative_numbers = true, env = "S2SPEC_CHURN")]
    churn: f64,

    /// Bytes of text in each message
    #[arg(long, value_name = "BYTES", default_value_t = 40, env = "S2SPEC_SIZE",
          value_parser = clap::value_parser!(u64).range(0..=MOST_BYTES))]
    size: u64,

    /// Stanzas under way to or from each partner, at most
    #[arg(long, value_name = "N", default_value_t = 128, env = "S2SPEC_WINDOW",
          value_parser = clap::value_parser!(u64).range(1..=65_536))]
    window: u64,

    /// Limit of connections of the embedded proxy [default: 1000 and a tenth for its own, as delivered]
    #[arg(long, value_name = "N", env = "S2SPEC_LIMIT", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    limit: Option<u64>,

    /// Seed of stream ids, dialback secrets and certificate serials
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = number::seed, env = "S2SPEC_SEED")]
    seed: u64,

    /// Also write the report as JSON; `-` prints it instead of the text
    #[arg(long, value_name = "FILE", env = "S2SPEC_JSON")]
    json: Option<PathBuf>,

    /// When to use color
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        env = "S2SPEC_COLOR"
    )]
    color: Color,
}

/// A rate, or none.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rate {
    Most,
    Of(f64),
}

/// Puts the load on the target and reports.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    args.color.apply();
    logging::start("off");
    let target = match &args.tested.target {
        Chosen::Reference => None,
        Chosen::BuiltIn(_) | Chosen::File(_) if args.limit.is_some() => {
            let text = "--limit is for the embedded proxy: set the limit of another server in its own files";
            return Err(CliError::Usage(text.to_owned()));
        }
        Chosen::BuiltIn(_) | Chosen::File(_) => {
            Some(args.tested.read()?.open(Profile::default())?.0)
        }
    };
    let json = args.json.as_deref().map(JsonFile::open).transpose()?;
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::environment("cannot start threads", e))?;
    let program = std::env::current_exe().map_err(|e| {
        CliError::environment("cannot find this program to start it as the proxy", e)
    })?;
    let wanted = args.wanted(program);
    let report = runtime.block_on(async {
        let (told, mut ends) = mpsc::channel(2);
        // Without a handler, a signal ends the process at once, which is acceptable.
        tokio::spawn(async move {
            while end_wanted().await.is_ok() && told.send(()).await.is_ok() {
                output::note(
                    "ending the load; press Ctrl-C again not to wait for what is under way",
                );
            }
        });
        match args.relay {
            true => load::relay(&wanted, &mut ends).await.map_err(Into::into),
            false => load::run(target.as_deref(), &wanted, &mut ends).await,
        }
    });
    runtime.shutdown_timeout(WIND_DOWN);
    let report = report.map_err(|e| CliError::environment("cannot run the load", e))?;
    if !matches!(json, Some(JsonFile::Stdout)) {
        output::show(report.text(output::width()))?;
    }
    if let Some(json) = json {
        json.write(&output::json(&report)?)?;
    }
    Ok(match (report.is_clean(), report.interrupted) {
        (false, _) => Exit::Unexpected,
        (true, true) => Exit::Environment,
        (true, false) => Exit::Expected,
    })
}

impl Args {
    fn wanted(&self, program: PathBuf) -> Wanted {
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Wanted {
            partners: number(self.partners),
            rate: match self.rate {
                Rate::Most => None,
                Rate::Of(rate) => Some(rate),
            },
            duration: self.duration,
            methods: self.methods.clone(),
            direction: self.direction,
            churn: self.churn,
            size: number(self.size),
            window: number(self.window),
            limit: self.limit.map(number),
            seed: self.seed,
            program,
        }
    }
}

/// Each partner takes a few descriptors, and so does the proxy that is started: as many as the system allows.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limits.maximum,
        maximum: limits.maximum,
    };
    // With fewer, some partners cannot connect, and the report says so.
    let _ = setrlimit(Resource::Nofile, raised);
}

fn names() -> String {
    let names: Vec<String> = Method::ALL.iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn method(text: &str) -> Result<Method, String> {
    let unknown = |_| format!("expected {}", names());
    text.trim().parse().map_err(unknown)
}

fn rate(text: &str) -> Result<Rate, String> {
    if text == "max" {
        return Ok(Rate::Most);
    }
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= MOST_RATE => Ok(Rate::Of(rate)),
        _ => Err(format!(
            "expected stanzas a second, more than 0 and at most {MOST_RATE}, or max"
        )),
    }
}

fn churn(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(churn) if (0.0..=MOST_CHURN).contains(&churn) => Ok(churn),
        _ => Err(format!(
            "expected connections a second, from 0 to {MOST_CHURN}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_or_max() {
        assert_eq!(rate("max"), Ok(Rate::Most));
        assert_eq!(rate("0.5"), Ok(Rate::Of(0.5)));
        for wrong in ["0", "-1", "many", "NaN", "inf", "1e9", ""] {
            let error = rate(wrong).expect_err(wrong);
            assert!(error.contains("or max"), "{error}");
        }
    }

    #[test]
    fn an_unknown_method_is_told_those_that_there_are() {
        assert_eq!(method(" tcp-dialback"), Ok(Method::TcpDialback));
        let error = method("tls").expect_err("it is none");
        assert!(
            error.contains("sasl-tls, tls-dialback, tcp-dialback"),
            "{error}"
        );
    }

    #[test]
    fn churn_may_be_none() {
        assert_eq!(churn("0"), Ok(0.0));
        assert!(churn("-1").is_err() && churn("1e9").is_err() && churn("NaN").is_err());
    }
}
