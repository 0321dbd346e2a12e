//! `s2spec doctor`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::json_file::JsonFile;
use super::judging::Judging;
use super::run;
use super::select::{Sources, Wanted};
use super::signal::end_wanted;
use super::target::Tested;
use super::worth::Worth;
use super::{Color, logging, number, output};
use crate::doctor::{self, Depth, Diagnosis, DoctorError, Preflight, PublicDns};
use crate::error::{CliError, Exit};
use crate::suite::PolicyName;

/// Wider lines are hard to read.
const WIDEST: usize = 100;

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 nothing blocks a run, 3 something does.
The first line says what to fix first; the checks stand in the order of causes.")]
pub(super) struct Args {
    #[command(flatten)]
    tested: Tested,

    /// The policy of the target [default: the one that shows most]
    #[arg(long, value_name = "POLICY")]
    policy: Option<PolicyName>,

    /// Time limit for each check
    #[arg(long, value_name = "SECONDS", default_value = "5",
          value_parser = number::timeout, env = "S2SPEC_TIMEOUT")]
    timeout: Duration,

    #[command(flatten)]
    judging: Judging,

    /// Seed of stream ids, dialback secrets and certificate serials
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = number::seed, env = "S2SPEC_SEED")]
    seed: u64,

    /// Name server to ask for the target's own records [default: the system's name server, if it is
    /// on this machine]
    #[arg(long, value_name = "ADDRESS", env = "S2SPEC_NAMESERVER")]
    nameserver: Option<SocketAddr>,

    /// Also write the findings as JSON; `-` prints them instead of the text
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

/// Examines a target.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    args.color.apply();
    logging::start("off");
    if let Some(server) = args.nameserver
        && !server.ip().is_loopback()
        && !args.tested.allow_remote
    {
        return Err(CliError::Usage(format!(
            "the name server {server} is not on this machine; --allow-remote lets it be asked"
        )));
    }
    let server = args.tested.read()?;
    let worth = match server.file() {
        Some(file) => {
            let suite = server.sources(&Sources::default()).read()?;
            Worth::of(file, &Wanted::default(), &suite, &suite.all())
        }
        None => Worth::default(),
    };
    let json = args.json.as_deref().map(JsonFile::open).transpose()?;
    let profile = args.judging.profile();
    let (target, extra) = server.open(profile)?;
    let preflight = Preflight {
        row: args.policy.map(|PolicyName(row)| row),
        profile,
        seed: args.seed,
        patience: args.timeout,
        depth: Depth::Full,
        public_dns: match args.nameserver {
            Some(server) => PublicDns::NameServer(server),
            None => PublicDns::System {
                remote: args.tested.allow_remote,
            },
        },
        extra,
    };
    let diagnosis = unless_ended(
        "nothing examined",
        doctor::preflight(target.as_ref(), &preflight),
    )?;
    let on_stdout = matches!(json, Some(JsonFile::Stdout));
    if !on_stdout {
        let width = output::width().min(WIDEST);
        let charset = output::charset();
        let shown = doctor::render(&diagnosis, width, charset);
        output::print(&(shown + &charset.fit(worth.more(width))))?;
    }
    if let Some(json) = json {
        let text = doctor::to_json(&diagnosis)
            .map_err(|e| CliError::environment("cannot write the findings as JSON", e))?;
        json.write(&text)?;
    }
    Ok(exit(&diagnosis))
}

/// Waits for what a look at a target brings, unless a signal asks the program to end. `nothing` says what came of it
/// then.
pub(super) fn unless_ended<T>(
    nothing: &'static str,
    look: impl Future<Output = Result<T, DoctorError>>,
) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| CliError::environment("cannot start threads", e))?;
    let found = runtime.block_on(async {
        tokio::select! {
            // Signals are listened to before anything is started.
            biased;
            () = asked_to_end() => Err(CliError::environment(nothing, "interrupted")),
            found = look => found.map_err(|why| CliError::environment(nothing, why)),
        }
    });
    // After an interrupt, what was started for a target ends here or with the program.
    runtime.shutdown_timeout(run::WIND_DOWN);
    found
}

/// Returns when a signal asks the program to end.
async fn asked_to_end() {
    if end_wanted().await.is_err() {
        // Then signals end the process at once, which is acceptable.
        std::future::pending().await
    }
}

fn exit(diagnosis: &Diagnosis) -> Exit {
    if diagnosis.blocking().is_some() {
        Exit::Environment
    } else {
        Exit::Expected
    }
}
