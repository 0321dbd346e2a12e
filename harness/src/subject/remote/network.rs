//! The test network of a target file: its DNS where the server asks, its authority in the files that
//! the server trusts.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use simulated_partners::dns::Dns;
use simulated_partners::pki::Authority;
use tempfile::NamedTempFile;

use super::file::TargetFile;
use crate::lab::{Lab, Pool, Ports};

/// Opens the network.
///
/// # Errors
/// When the address for DNS cannot be had, or a file of the authority not read or written; the text
/// says which.
pub(super) fn open(file: &TargetFile, seed: u64) -> io::Result<Lab> {
    let mut authority = authority(file, seed)?;
    if let Some(server) = &file.ca.server {
        authority
            .trust(&read(server)?)
            .map_err(|error| about(server, error))?;
    }
    let dns = Dns::start_at(file.dns).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => "something else listens there",
            io::ErrorKind::AddrNotAvailable => "it is no address of this machine",
            io::ErrorKind::PermissionDenied => "the port is for the administrator only",
            _ => "it cannot be listened at",
        };
        io::Error::new(
            error.kind(),
            format!("the lab's DNS must be at {}: {why} ({error})", file.dns),
        )
    })?;
    let pool = Pool::new(file.partner_domains.clone(), file.dns_cache);
    Ok(Lab {
        partners: file.partner_address,
        hosts: file.partner_hosts.into(),
        ports: Ports::OfDomains,
        pool: Arc::new(pool),
        back_off: file.partner_back_off,
        ..Lab::new(seed, authority.naming(file.certificate_names.into()), dns)
    })
}

/// The authority of the files, which are written where they are missing.
///
/// # Errors
/// As [`open`].
pub(crate) fn authority(file: &TargetFile, seed: u64) -> io::Result<Authority> {
    let certificate = &file.ca.certificate;
    let Some(key) = &file.ca.key else {
        let authority = Authority::new(seed);
        write(certificate, &authority.root_pem(), 0o644)?;
        return Ok(authority);
    };
    authority_at(certificate, key, seed)
}

/// The authority of these two files, which are written if both are missing.
///
/// # Errors
/// When one is missing, or cannot be read or written; the text says which.
pub fn authority_at(certificate: &Path, key: &Path, seed: u64) -> io::Result<Authority> {
    if certificate == key {
        let what = format!(
            "{} is to hold its certificate and its key: each needs a file of its own",
            key.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    match (certificate.exists(), key.exists()) {
        (true, true) => Authority::from_pem(seed, &read(certificate)?, &read(key)?)
            .map_err(|error| about(certificate, error)),
        (false, false) => {
            let authority = Authority::new(seed);
            let pem = authority
                .root_key_pem()
                .ok_or_else(|| io::Error::other("the new authority has no key"))?;
            write(key, &pem, 0o600)?;
            write(certificate, &authority.root_pem(), 0o644)?;
            Ok(authority)
        }
        (true, false) => Err(lonely(key, certificate)),
        (false, true) => Err(lonely(certificate, key)),
    }
}

fn lonely(missing: &Path, there: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!(
            "{} is missing beside {}: put it there, or remove both to have them made",
            missing.display(),
            there.display()
        ),
    )
}

fn read(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path).map_err(|error| about(path, error))
}

/// Writes a file at once or not at all.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    whole(path, text, mode)
        .and_then(|file| file.persist(path).map(drop).map_err(|error| error.error))
        .map_err(|error| about(path, error))
}

/// Writes a file that must not be there yet, at once or not at all.
///
/// # Errors
/// When it is there, or cannot be written.
pub fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let file = whole(path, text, mode)?;
    let placed = file.persist_noclobber(path);
    placed.map(drop).map_err(|error| error.error)
}

/// A file with all of its text beside the place where it belongs.
fn whole(path: &Path, text: &str, mode: u32) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        let why = format!("there is no folder {}", folder.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    }
    // The name of the file, which nobody knows, says nothing.
    let mut file = NamedTempFile::new_in(folder).map_err(|error| io::Error::from(error.kind()))?;
    file.as_file_mut().write_all(text.as_bytes())?;
    let permissions = Permissions::from_mode(mode);
    file.as_file().set_permissions(permissions)?;
    Ok(file)
}

fn about(path: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}
