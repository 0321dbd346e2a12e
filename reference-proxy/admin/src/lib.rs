//! The administration of the proxy: `s2spec proxy` and its subcommands.
//!
//! The program has [`Args`] parsed and hands them to [`run`]. Each subcommand is a module with its own
//! `Args` and a `command`. Results go to standard output, everything else to standard error.

mod certificate;
mod check;
mod cmdlet;
mod confirm;
mod csr;
mod dns;
mod error;
mod gateway_config;
mod log;
mod output;
mod partner;
mod policy;
mod reload;
mod running;
mod serve;
mod setup;
mod status;
mod store;
mod tables;
mod test_im;
mod unused;
mod value;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args as _, Subcommand};

pub use error::{Error, Exit};
pub use reference_proxy::control::tap;

/// Options of `s2spec proxy`. Without a command, runs the proxy.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file of the proxy (TOML)
    #[arg(long, global = true, value_name = "FILE", env = "S2SPEC_CONFIG")]
    config: Option<PathBuf>,

    #[command(flatten)]
    unused: unused::Unused,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the configuration file and show every mistake
    Check,
    /// Allow partners, change and show them (…-CsXmppAllowedPartner)
    Partner(partner::Args),
    /// Decide who may talk to partners (…-CsExternalAccessPolicy)
    Policy(policy::Args),
    /// Show and change limits and times (…-CsXmppGatewayConfiguration)
    GatewayConfig(gateway_config::Args),
    /// Go the whole way from nothing to a proxy that federates
    Setup(Box<setup::Args>),
    /// Make a key and a request for a certificate
    Csr(csr::Args),
    /// Check a certificate, or take it into use
    Certificate(certificate::Args),
    /// Print the DNS records to publish, or check those that are
    Dns(dns::Args),
    /// Send a test message to a partner's user, and say where its way breaks off (Test-CsXmppIM)
    TestIm(test_im::Args),
    /// Follow the log of the running proxy
    Log(log::Args),
    /// Have the running proxy read its configuration file again
    Reload,
    /// Show what the running proxy does (exit code 0: well, 1: warning, 2: critical or not running)
    Status(status::Args),
}

impl Args {
    /// Whether the proxy is run, which logs what it does, and not administered.
    #[must_use]
    pub fn runs_the_proxy(&self) -> bool {
        self.command.is_none()
    }

    fn config(&self) -> Result<&Path, Error> {
        self.config.as_deref().ok_or_else(|| {
            Error::Usage(
                "no configuration file: name it with --config FILE, or with the variable \
                 S2SPEC_CONFIG"
                    .to_owned(),
            )
        })
    }
}

/// The arguments of the program, with the options of `proxy` that are spelled as PowerShell has them
/// (`-TlsNegotiation`) in the spelling of this program (`--tls-negotiation`).
pub fn understood(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let proxy = Args::augment_args(clap::Command::new("proxy"));
    cmdlet::understood(arguments, &proxy)
}

/// Runs what the arguments ask for: a subcommand, or without one the proxy, until a signal stops it.
///
/// # Errors
/// See [`Error`].
pub fn run(args: &Args) -> Result<Exit, Error> {
    match &args.command {
        None => serve::command(args.config()?),
        Some(Command::Check) => check::command(args.config()?),
        Some(Command::Partner(options)) => partner::command(args.config()?, options),
        Some(Command::Policy(policy)) => policy::command(policy),
        Some(Command::GatewayConfig(options)) => gateway_config::command(args.config()?, options),
        Some(Command::Setup(options)) => setup::command(args.config()?, options),
        Some(Command::Csr(options)) => csr::command(args.config()?, options),
        Some(Command::Dns(options)) => dns::command(args.config()?, options),
        Some(Command::Log(options)) => log::command(args.config()?, options),
        Some(Command::Reload) => reload::command(args.config()?),
        Some(Command::Status(options)) => status::command(args.config()?, options),
        Some(Command::Certificate(options)) => certificate::command(args.config()?, options),
        Some(Command::TestIm(options)) => test_im::command(args.config()?, options),
    }
}
