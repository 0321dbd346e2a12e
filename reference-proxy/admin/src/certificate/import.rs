//! `certificate import`.

use std::path::{Path, PathBuf};

use reference_proxy::config::{Domain, Draft};
use reference_proxy::fits_key;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TableLike};

use super::read;
use super::verdict::{Use, authorities, judge};
use crate::error::{Error, Exit, chained};
use crate::output::{note, print};
use crate::running;
use crate::store::{Store, beside, put};
use crate::value;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Certificate, the domain's own first, then the intermediate ones (PEM)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Its key [default: the one that the configuration has]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Only for this served domain
    #[arg(long, value_name = "DOMAIN", value_parser = value::domain)]
    domain: Option<Domain>,
    /// For the internal side
    #[arg(long, conflicts_with = "domain")]
    internal: bool,
    /// Who may have issued it [default: the authorities that the side itself trusts]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Even if partners will refuse it
    #[arg(long)]
    force: bool,
}

pub(super) fn command(config: &Path, args: &Args) -> Result<Exit, Error> {
    let mut store = Store::open(config)?;
    let draft = store.draft()?;
    if let Some(domain) = &args.domain {
        value::served(&draft, std::slice::from_ref(domain))?;
    }
    let chain = read(&args.file)?;
    let key = key(config, &draft, args)?;
    let (file, key_file) = (args.file.display(), key.display());
    fits_key(&chain, &read(&key)?)
        .map_err(|error| Error::Usage(format!("{file} with {key_file}: {}", chained(&error))))?;
    let used = match (&args.domain, args.internal) {
        (_, true) => Use::Internal,
        (Some(domain), false) => Use::Domains(value::served(&draft, std::slice::from_ref(domain))?),
        (None, false) => Use::Domains(without_own(&draft)),
    };
    let authorities = authorities(config, &draft, args.ca.as_deref(), args.internal)?;
    let verdict = judge(&chain, &authorities, &used)
        .map_err(|error| Error::Usage(format!("{file}: {}", chained(&error))))?;
    for line in &verdict.lines {
        let Some(why) = &line.broken else { continue };
        if line.refused && !args.force {
            return Err(Error::Usage(format!(
                "{file} is not taken into use, as partners will refuse it: {why} (--force takes it all the same)"
            )));
        }
        note(&format!("warning: {file}: {why}"));
    }
    let table = place(&mut store.document, args)?;
    put(table, "certificate", named(config, &args.file)?);
    put(table, "key", named(config, &key)?);
    store.save()?;
    print(&format!(
        "{file} is in the configuration, with the key {key_file}\n"
    ))?;
    running::tell(config);
    Ok(Exit::Good)
}

/// The served domains that have no certificate of their own.
pub(crate) fn without_own(draft: &Draft) -> Vec<Domain> {
    let own = |domain: &&Domain| {
        !draft
            .own_certificates
            .iter()
            .any(|own| own.domain == **domain)
    };
    draft.domains.iter().filter(own).cloned().collect()
}

/// The file of the key: the named one, or the first that is in the configuration.
fn key(config: &Path, draft: &Draft, args: &Args) -> Result<PathBuf, Error> {
    if let Some(key) = &args.key {
        return Ok(key.clone());
    }
    let own = args.domain.as_ref().map(|domain| {
        let mut own = draft.own_certificates.iter();
        own.find(|own| own.domain == *domain).map(|own| &own.key)
    });
    let list = match (own, args.internal) {
        (Some(Some(own)), _) => own,
        (Some(None), _) => {
            return Err(Error::Usage(
                "the domain has no certificate of its own yet: name its key by --key".to_owned(),
            ));
        }
        (None, true) => &draft.internal.key,
        (None, false) => &draft.external.key,
    };
    beside(config, list.first()).ok_or_else(|| {
        Error::Usage("the configuration has its key in itself: name a file by --key".to_owned())
    })
}

/// The path as the configuration has it: relative to its folder, if it is in there.
fn named(config: &Path, file: &Path) -> Result<String, Error> {
    let folder = config.parent().filter(|folder| *folder != Path::new(""));
    let whole = |path: &Path| {
        path.canonicalize()
            .map_err(|error| Error::environment(format!("cannot find {}", path.display()), error))
    };
    let (file, folder) = (
        whole(file)?,
        whole(folder.unwrap_or_else(|| Path::new(".")))?,
    );
    let path = file.strip_prefix(&folder).unwrap_or(&file);
    Ok(path.to_string_lossy().into_owned())
}

/// The table that names the certificate.
fn place<'a>(document: &'a mut DocumentMut, args: &Args) -> Result<&'a mut dyn TableLike, Error> {
    let side = if args.internal {
        "internal"
    } else {
        "external"
    };
    let side = document.get_mut(side).and_then(Item::as_table_like_mut);
    let side = side.expect("the reader has taken it for a table");
    let Some(domain) = &args.domain else {
        return Ok(side);
    };
    let own = side
        .entry("own-certificate")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let Item::ArrayOfTables(own) = own else {
        return Err(Error::Usage(
            "own certificates in a list of inline tables are not changed by this command"
                .to_owned(),
        ));
    };
    let is = |table: &Table| {
        let listed = table.get("domain").and_then(Item::as_str);
        listed.and_then(|text| Domain::parse(text).ok()).as_ref() == Some(domain)
    };
    let found = own.iter().position(is);
    if found.is_none() {
        let mut table = Table::new();
        table.decor_mut().set_prefix("\n");
        put(&mut table, "domain", domain.to_string());
        own.push(table);
    }
    let table = own.get_mut(found.unwrap_or(own.len() - 1));
    Ok(table.expect("it is found or made"))
}
