//! `s2spec cert`: a certificate for the server under test, from the lab's authority.

use std::path::PathBuf;

use simulated_partners::persona::{Certificate, Key};
use simulated_partners::pki::NameForms;

use super::new_files::write_all;
use super::output;
use super::serve::domain;
use super::words::words_for;
use crate::error::{CliError, Exit};
use crate::subject::remote::authority_at;
use crate::suite::target_file;

/// Arguments of `cert`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The domains that the certificate is for; the first one names the files
    #[arg(required = true, num_args = 1.., value_name = "NAME")]
    names: Vec<String>,

    /// The target file whose authority issues it
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["ca", "ca_key"])]
    target: Option<PathBuf>,

    /// The authority's certificate, made with its key if both are missing
    #[arg(long, value_name = "FILE", default_value = "ca.crt")]
    ca: PathBuf,

    /// The authority's key
    #[arg(long, value_name = "FILE", default_value = "ca.key")]
    ca_key: PathBuf,

    /// The type of the certificate's key
    #[arg(long, value_enum, default_value_t, value_name = "TYPE")]
    key: KeyType,

    /// What is wrong with it, to see what others make of that
    #[arg(long, default_value_t, value_name = "KIND", value_parser = words_for::<Certificate>(is_shown))]
    kind: Certificate,

    /// Leave id-on-xmppAddr out, for servers that cannot read it, such as ejabberd of Debian 12
    #[arg(long)]
    without_xmpp_addr: bool,

    /// Folder for the certificate and its key
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

fn is_shown(kind: &Certificate) -> bool {
    *kind != Certificate::None
}

/// A type of key.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum KeyType {
    /// ECDSA on P-256
    #[default]
    P256,
    /// RSA with 2048 bits
    Rsa2048,
    /// Ed25519
    Ed25519,
}

impl From<KeyType> for Key {
    fn from(key: KeyType) -> Self {
        match key {
            KeyType::P256 => Self::P256,
            KeyType::Rsa2048 => Self::Rsa2048,
            KeyType::Ed25519 => Self::Ed25519,
        }
    }
}

/// Issues the certificate and writes it with its key.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    let names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    for name in &names {
        check(name)?;
    }
    let (certificate, key) = match &args.target {
        Some(path) => {
            let file = target_file(path, true)?;
            let key = file.ca.key.clone().ok_or_else(|| {
                CliError::Usage(format!(
                    "{} names no `key` of its authority, so that it issues certificates in a run alone",
                    path.display()
                ))
            })?;
            (file.ca.certificate, key)
        }
        None => (args.ca.clone(), args.ca_key.clone()),
    };
    // Before an authority is made.
    if !args.out.is_dir() {
        let what = format!("there is no folder {}", args.out.display());
        return Err(CliError::environment("cannot write the certificate", what));
    }
    let authority = authority_at(&certificate, &key, 0)
        .map_err(|e| CliError::environment("cannot use the authority", e))?;
    let authority = authority.naming(match args.without_xmpp_addr {
        true => NameForms::WithoutXmppAddr,
        false => NameForms::All,
    });
    let identity = authority.issue(&names, args.kind, args.key.into());
    let identity = identity
        .ok_or_else(|| CliError::environment("cannot issue it", "the authority made nothing"))?;
    // No domain begins like this, and no shell reads it as a pattern.
    let stem = names[0].replace('*', "_wildcard");
    let file = |extension: &str| args.out.join(format!("{stem}.{extension}"));
    write_all(&[
        (file("key"), &identity.key_pem(), 0o600),
        (file("crt"), &identity.chain_pem(), 0o644),
    ])?;
    output::note(&format!(
        "{} and {} are for {}; they come from {}",
        file("crt").display(),
        file("key").display(),
        names.join(", "),
        certificate.display()
    ));
    Ok(Exit::Expected)
}

/// A domain, or all those right below one.
fn check(name: &str) -> Result<(), CliError> {
    match name.strip_prefix("*.") {
        Some(parent) => domain(parent).map(drop),
        None => domain(name).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn two_certificates_come_from_one_authority_and_none_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let args = |name: &str| Args {
            names: vec![name.to_owned()],
            target: None,
            ca: folder.path().join("ca.crt"),
            ca_key: folder.path().join("ca.key"),
            key: KeyType::P256,
            kind: Certificate::Good,
            without_xmpp_addr: false,
            out: folder.path().to_owned(),
        };
        command(&args("a.example")).expect("it is issued");
        let ca = std::fs::read(folder.path().join("ca.crt")).expect("it was made");
        command(&args("b.example")).expect("it is issued, too");
        assert_eq!(
            std::fs::read(folder.path().join("ca.crt")).expect("it is there"),
            ca
        );
        let again = command(&args("a.example")).expect_err("it is there");
        assert_eq!(again.exit(), Exit::Usage);
        for wrong in [
            "../a",
            "a..b",
            "a.example.",
            "a_b.example",
            "-a",
            "*",
            "a.*.example",
        ] {
            let wrong = command(&args(wrong)).expect_err("it is no domain");
            assert_eq!(wrong.exit(), Exit::Usage);
        }
        command(&args("*.a.example")).expect("all below a domain");
        assert!(folder.path().join("_wildcard.a.example.crt").is_file());
        let nowhere = Args {
            ca: folder.path().join("other.crt"),
            ca_key: folder.path().join("other.key"),
            out: folder.path().join("nowhere"),
            ..args("c.example")
        };
        let error = command(&nowhere).expect_err("there is no such folder");
        assert_eq!(error.exit(), Exit::Environment);
        assert!(!nowhere.ca.exists(), "an authority of nothing is left");
    }

    #[test]
    fn a_certificate_is_wrong_as_asked_and_one_is_always_issued() {
        #[derive(clap::Parser)]
        struct Only {
            #[command(flatten)]
            args: Args,
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let parsed = |kind: &str| {
            let (ca, key, output) = (path("ca.crt"), path("ca.key"), path(""));
            let words = [
                "cert",
                "a.example",
                "--kind",
                kind,
                "--ca",
                &ca,
                "--ca-key",
                &key,
            ];
            Only::try_parse_from(words.into_iter().chain(["--out", &output]))
        };
        let args = parsed("self-signed").expect("a kind").args;
        command(&args).expect("it is issued");
        let text = std::fs::read_to_string(path("a.example.crt")).expect("it was written");
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 1);
        assert!(parsed("none").is_err());
    }
}
