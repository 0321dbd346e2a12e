//! The gateway's configuration file, for a first user.

use std::path::{Path, PathBuf};

use reference_gateway::address::Bare;
use reference_proxy::config::{Domain, Draft};
use toml_edit::Value;

use super::ask::Question;
use super::{State, Walk};
use crate::error::Error;
use crate::store::{self, create};
use crate::{csr, value};

/// A file of the gateway beside the proxy's configuration, by the end of its name.
pub(super) fn file(config: &Path, end: &str) -> PathBuf {
    config.with_file_name("gateway").with_extension(end)
}

/// Writes the file, with a key and a request for its certificate, if a first user is named. Returns what is to be
/// done where none is.
pub(super) fn write(walk: &mut Walk<'_>, to: &Path) -> Result<Option<State>, Error> {
    let name = to.display().to_string();
    // Its paths are relative to its folder.
    if folder(to) != folder(walk.config) {
        return Ok(Some(State::Open(format!(
            "write {name}, the gateway's configuration with its users, as docs/gateway.md says: only one in the folder \
             of {} is written here",
            walk.config.display()
        ))));
    }
    let by_hand = || {
        Ok(Some(State::Open(format!(
            "write {name}, the gateway's configuration with its users, as docs/gateway.md says, or have it written \
             by --user; or name another one by --gateway-config, `none` if the gateway is another program"
        ))))
    };
    let (_, draft) = store::read(walk.config)?;
    let question = Question {
        text: "First user of the gateway, for whom its file is written (nothing to write it by hand)",
        option: "user",
        default: Some(""),
    };
    let given = walk.answers.user.clone();
    let user = walk
        .asker
        .ask(&question, given.as_deref(), |text| match text {
            "" => Ok(None),
            text => local_user(text, &draft.domains).map(Some),
        })?;
    let Some(user) = user else {
        return by_hand();
    };
    let proxy = walk.own_name()?;
    let key = file(walk.config, "key");
    if !key.exists() {
        csr::make(
            walk.config,
            &csr::Args::gateway(draft.gateways[0].clone(), key),
        )?;
    }
    let text = text(walk.config, &draft, &proxy, &user);
    create(to, text.as_bytes(), false, false)
        .map_err(|error| Error::environment(format!("cannot write {name}"), error))?;
    Ok(None)
}

/// The folder of a file. The name of a file alone has none.
fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// The address of a user of a domain that is served here.
pub(super) fn local_user(text: &str, served: &[Domain]) -> Result<Bare, String> {
    let user = value::user(text)?;
    match served.is_empty() || served.contains(user.domain()) {
        true => Ok(user),
        false => Err("its domain is not served here".to_owned()),
    }
}

fn text(config: &Path, draft: &Draft, proxy: &Domain, user: &Bare) -> String {
    let text = |text: &str| Value::from(text);
    let domains: toml_edit::Array = draft.domains.iter().map(Domain::to_string).collect();
    let listen = draft.internal.listen[0];
    let address = match listen.ip().is_unspecified() {
        true => format!("{proxy}:{}", listen.port()),
        false => listen.to_string(),
    };
    let partners = config.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "# The gateway. `s2spec gateway check` says whether it can be used; reference-proxy/gateway/gateway.toml\n\
         # explains each setting. Paths are relative to this file.\n\n\
         # The domains of the users.\ndomains = {domains}\n\n\
         # Where contact lists are kept, where users sign in, and how commands reach it.\n\
         state = \"gateway.state\"\nlocal = \"gateway.sock\"\ncontrol = \"gateway.control\"\n\n\
         # Who has the tables `[[partner]]`.\npartners = {}\n\n\
         # The link to the proxies.\n[link]\nname = {}\ncertificate = \"gateway.crt\"\nkey = \"gateway.key\"\n\
         ca = {} # who may issue the proxies' internal certificates\n\n\
         # Each proxy of the pool, by its own address.\n[[proxy]]\naddress = {}\nname = {}\n\n\
         [[user]]\naddress = {}\n",
        text(&partners),
        text(draft.gateways[0].as_str()),
        text(&draft.internal.ca),
        text(&address),
        text(proxy.as_str()),
        text(&user.to_string()),
    )
}
