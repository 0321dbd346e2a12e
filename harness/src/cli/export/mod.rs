//! `s2spec export`: one side of a case as the configuration of a real server.

mod lync;
mod openfire;
mod side;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::new_files::write_all;
use super::output;
use super::select::Wanted;
use crate::case::Case;
use crate::error::{CliError, Exit};
use crate::subject::built_in::{self, Export, Folder, Site};
use crate::subject::remote::CertificateNames;
use crate::suite::Files;
use side::{Side, SideName};

/// The usual port for streams between servers (RFC 6120 §14.7).
const PORT: u16 = 5269;
/// The usual port for direct TLS between servers.
const DIRECT_TLS_PORT: u16 = 5270;
const OPENFIRE: &str = "openfire";
const LYNC: &str = "lync";

/// Arguments of `export`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Id of a case of `personas`, `policies` or `offers` (see `s2spec list`)
    #[arg(value_name = "CASE")]
    case: String,

    /// The software to configure
    #[arg(long = "as", value_name = "SERVER", value_parser = software())]
    software: Software,

    /// The side of the case that it is
    #[arg(long, value_enum, default_value_t, value_name = "SIDE")]
    side: SideName,

    /// The partner's domain [default: that of the case]
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,

    /// The target's domain
    #[arg(long, value_name = "DOMAIN", default_value = "target.example")]
    target_domain: String,

    /// Keep what makes it run on this machine, beside s2spec: it listens at this loopback address, and asks the
    /// name server of --dns
    #[arg(long, value_name = "ADDRESS")]
    lab: Option<SocketAddr>,

    /// The name server that it asks then
    #[arg(
        long,
        value_name = "ADDRESS",
        requires = "lab",
        default_value = "127.0.0.1:15353"
    )]
    dns: SocketAddr,

    /// Folder for the files [default: print them]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,

    #[command(flatten)]
    files: Files,
}

/// What can be configured.
#[derive(Clone, Copy, Debug)]
enum Software {
    /// A server that s2spec also sets up as a target.
    BuiltIn(&'static Folder),
    Lync,
    Openfire,
}

fn software() -> impl TypedValueParser<Value = Software> {
    let built_in = built_in::all().iter();
    let names = built_in
        .map(|folder| PossibleValue::new(folder.name).help(folder.about()))
        .chain([
            PossibleValue::new(OPENFIRE).help("Openfire, as system properties"),
            PossibleValue::new(LYNC).help("Lync Server or Skype for Business Server, as cmdlets"),
        ]);
    PossibleValuesParser::new(names).map(|name| match name.as_str() {
        OPENFIRE => Software::Openfire,
        LYNC => Software::Lync,
        name => Software::BuiltIn(built_in::named(name).expect("only names of these are possible")),
    })
}

/// A configuration.
struct Exported {
    /// What a comment begins with in the first file.
    comment: &'static str,
    /// Names and texts.
    files: Vec<(&'static str, String)>,
    /// What starts the server, if it is known.
    start: Option<String>,
    /// Further names and options for its certificate.
    certificate: Vec<String>,
    /// What the server does otherwise than the case says.
    differences: Vec<String>,
}

pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    let folder = match &args.out {
        None => "/path/to/folder".into(),
        Some(folder) => std::path::absolute(folder)
            .map_err(|error| CliError::environment("cannot tell where that is", error))?,
    };
    let files = exported(args, &folder)?;
    if args.out.is_some() {
        std::fs::create_dir_all(&folder)
            .map_err(|e| CliError::environment(format!("cannot make {}", folder.display()), e))?;
        let texts = files.iter();
        let texts: Vec<_> = texts
            .map(|(name, text)| (folder.join(name), text.as_str(), 0o644))
            .collect();
        write_all(&texts)?;
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        let names = names.join(" and ");
        output::note(&format!(
            "{} is written to {}; the first lines of it say what else it takes",
            names,
            folder.display()
        ));
        return Ok(Exit::Expected);
    }
    // A single one can be sent to a file as it is.
    output::print(&match files.as_slice() {
        [(_, text)] => text.clone(),
        several => {
            let shown = several
                .iter()
                .map(|(name, text)| format!("### {name}\n{text}\n"));
            shown.collect()
        }
    })?;
    Ok(Exit::Expected)
}

/// The files, the first of which begins with what else is needed.
fn exported(args: &Args, folder: &Path) -> Result<Vec<(&'static str, String)>, CliError> {
    if let Some(address) = args.lab
        && address.ip() != Ipv4Addr::LOCALHOST
    {
        return Err(CliError::Usage(format!(
            "--lab keeps the server on this machine, at an address such as 127.0.0.1:{PORT}, not {address}"
        )));
    }
    let case = one_case(args)?;
    let mut side = Side::of(&case, args)?;
    let mut refusal = None;
    for policy in side.settings() {
        side.policy = policy;
        let made = match args.software {
            Software::BuiltIn(server) => built_in(server, &side, args, folder),
            Software::Lync => lync::exported(&side),
            Software::Openfire => openfire::exported(&side),
        };
        match made {
            Ok(made) => return Ok(with_head(&case, &side, args, folder, made)),
            Err(why) => {
                refusal.get_or_insert_with(|| {
                    format!("{why}: {} cannot be had from it", side.in_words())
                });
            }
        }
    }
    Err(CliError::Usage(refusal.unwrap_or_default()))
}

/// The files, with the comment before the first.
fn with_head(
    case: &Case,
    side: &Side,
    args: &Args,
    folder: &Path,
    made: Exported,
) -> Vec<(&'static str, String)> {
    let mut head = side.head(case, args, folder, &made);
    let files = made.files.into_iter();
    files
        .map(|(name, text)| (name, std::mem::take(&mut head) + text.trim_end() + "\n"))
        .collect()
}

/// The case that is meant.
fn one_case(args: &Args) -> Result<Case, CliError> {
    let suite = args.files.read()?;
    let wanted = Wanted::one(&args.case);
    let all = wanted.parts(&suite);
    let found = wanted.among(&all, &suite.catalogue.registry)?;
    let (of_matrix, others): (Vec<&Case>, Vec<&Case>) =
        found.into_iter().partition(|case| case.is_of_matrix());
    match (of_matrix.as_slice(), others.first()) {
        ([case], None) => Ok((*case).clone()),
        ([], Some(case)) => Err(CliError::Usage(format!(
            "{} says what happens step by step, and no configuration does that; cases of the sets \
             personas, policies and offers are two servers with their settings",
            case.id
        ))),
        (several, _) => Err(CliError::Usage(format!(
            "{} selects {} cases, and one is exported at a time, such as {}",
            args.case,
            several.len() + others.len(),
            several.first().map_or("none", |case| &case.id)
        ))),
    }
}

fn built_in(
    server: &'static Folder,
    side: &Side,
    args: &Args,
    folder: &Path,
) -> Result<Exported, String> {
    let port = |usual| args.lab.map_or(usual, |lab| lab.port());
    let site = Site {
        folder: folder.to_owned(),
        dns: args.dns,
        s2s: port(PORT),
        // It has none.
        component: 0,
        // Where it has one, it has no other.
        direct_tls: port(DIRECT_TLS_PORT),
    };
    let export = Export {
        domain: &side.domain,
        tls_versions: &side.offer.tls_versions,
        direct_tls_only: side.is_direct(),
        in_lab: args.lab.is_some(),
    };
    let sheet = server.export(side.policy, export, &site)?;
    let mut differences = Vec::new();
    if server.description.certificate_names == CertificateNames::WithoutXmppAddr {
        differences.push(format!(
            "it cannot read certificates with an id-on-xmppAddr: issue that of {} with \
             `s2spec cert --without-xmpp-addr`",
            side.other
        ));
    }
    if side.is_direct() {
        differences.push(format!(
            "it dials with direct TLS only where {} has `_xmpps-server` records",
            side.other
        ));
    }
    Ok(Exported {
        comment: server.comment(),
        files: sheet.files,
        start: args.lab.map(|_| sheet.command),
        certificate: Vec::new(),
        differences,
    })
}
