//! New, set, grant and remove.

use std::path::Path;

use reference_gateway::config::Draft;
use reference_gateway::policy::{LACKS_FEDERATION, Scope};
use toml_edit::TableLike;

use super::{Grant, Identity, New, Remove, Set, Settings, draft, granted, show, shown, unknown};
use crate::confirm::{Confirm, Usually};
use crate::error::{Error, Exit};
use crate::output::{note, print};
use crate::running;
use crate::store::{Store, put};
use crate::tables;
use crate::value::Change;

const POLICIES: &str = "policy";
const USERS: &str = "user";

pub(super) fn new(file: &Path, new: &New) -> Result<Exit, Error> {
    let identity = new.which.identity();
    let mut store = Store::open(file)?;
    let draft = draft(&store)?;
    if identity.scope == Scope::Global {
        let text = "the policy Global is always there; change it with `policy set`";
        return Err(Error::Usage(text.to_owned()));
    }
    if place(&draft, &identity.scope).is_some() {
        let name = &identity.text;
        return Err(Error::Usage(format!(
            "there is a policy `{name}` already; change it with `policy set`"
        )));
    }
    add(&mut store, identity, &new.settings);
    let saving = Saving {
        confirm: &new.confirm,
        usually: (Usually::DoesNotAsk, new.force),
        question: format!("Add the policy {}?", identity.text),
        what_if: new.what_if,
    };
    finish(store, saving, &identity.scope)
}

pub(super) fn set(file: &Path, set: &Set) -> Result<Exit, Error> {
    if set.settings.is_empty() {
        return Err(Error::Usage(
            "nothing to set: name at least one setting, such as --enable-xmpp-access".to_owned(),
        ));
    }
    let named = set.which.named.as_ref().or(set.which.identity.as_ref());
    let identity = named.cloned().unwrap_or_else(|| Identity {
        text: "global".to_owned(),
        scope: Scope::Global,
    });
    let mut store = Store::open(file)?;
    let draft = draft(&store)?;
    match place(&draft, &identity.scope) {
        Some(index) => {
            if let Some(table) = tables::at(&mut store.document, POLICIES, index) {
                apply(table, &set.settings);
            }
        }
        None if identity.scope == Scope::Global => add(&mut store, &identity, &set.settings),
        None => return Err(unknown(&draft, &identity.text)),
    }
    let saving = Saving {
        confirm: &set.confirm,
        usually: (Usually::DoesNotAsk, set.force),
        question: format!("Change the policy {}?", identity.text),
        what_if: set.what_if,
    };
    finish(store, saving, &identity.scope)
}

pub(super) fn grant(file: &Path, grant: &Grant) -> Result<Exit, Error> {
    let mut store = Store::open(file)?;
    let before = draft(&store)?;
    let name = match &grant.policy_name {
        Change::Clear => None,
        Change::To(name) => match Scope::parse(name) {
            Ok(scope @ Scope::User(_)) if place(&before, &scope).is_some() => Some(name.as_str()),
            Ok(Scope::User(_)) => return Err(unknown(&before, name)),
            Ok(Scope::Global | Scope::Site(_)) => {
                return Err(Error::Usage(format!(
                    "the policy `{name}` applies by itself and cannot be granted"
                )));
            }
            Err(error) => return Err(Error::Usage(format!("`{name}`: {error}"))),
        },
    };
    let users: Vec<_> = match grant.all {
        true => before.users.iter().collect(),
        false => grant.users.iter().chain(&grant.identity).collect(),
    };
    let count = users.len();
    let mut text = String::new();
    for user in users {
        let index = before.users.iter().position(|known| known == user);
        let index = index.ok_or_else(|| {
            let file = shown(file);
            Error::Usage(format!("there is no user `{user}` in {file}"))
        })?;
        if let Some(table) = tables::at(&mut store.document, USERS, index) {
            give(table, name);
        }
        let would = if grant.what_if { "would have" } else { "has" };
        text.push_str(&match name {
            Some(name) => format!("{user} {would} the policy {name}\n"),
            None => format!("{user} {would} no policy of its own\n"),
        });
    }
    let saving = Saving {
        confirm: &grant.confirm,
        usually: (Usually::DoesNotAsk, false),
        question: match (name, count) {
            (Some(name), 1) => format!("Grant the policy {name} to 1 user?"),
            (Some(name), count) => format!("Grant the policy {name} to {count} users?"),
            (None, 1) => "Take the policy of 1 user away?".to_owned(),
            (None, count) => format!("Take the policies of {count} users away?"),
        },
        what_if: grant.what_if,
    };
    if save(store, saving)?.is_none() {
        return Ok(Exit::Wanting);
    }
    print(&text)?;
    Ok(Exit::Good)
}

pub(super) fn remove(file: &Path, remove: &Remove) -> Result<Exit, Error> {
    let identity = remove.which.identity();
    let name = &identity.text;
    let mut store = Store::open(file)?;
    let before = draft(&store)?;
    let index = match place(&before, &identity.scope) {
        Some(index) => index,
        None if identity.scope == Scope::Global => {
            print("Global allows nothing already\n")?;
            return Ok(Exit::Good);
        }
        None => return Err(unknown(&before, name)),
    };
    let users: Vec<_> = granted(&before, &identity.scope).collect();
    if !users.is_empty() && !remove.force {
        let first = users[0];
        let others = match users.len() - 1 {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        return Err(Error::Usage(format!(
            "the policy `{name}` is granted to {first}{others}; grant another one, or use --force to \
             take it away from them"
        )));
    }
    for user in users {
        let index = before.users.iter().position(|known| known == user);
        if let Some(table) = index.and_then(|at| tables::at(&mut store.document, USERS, at)) {
            give(table, None);
        }
    }
    tables::remove(&mut store.document, POLICIES, index);
    let saving = Saving {
        confirm: &remove.confirm,
        usually: (Usually::Asks, remove.force),
        question: match identity.scope {
            Scope::Global => "Reset the policy Global, so that it allows nothing?".to_owned(),
            Scope::Site(_) | Scope::User(_) => format!("Remove the policy {name}?"),
        },
        what_if: remove.what_if,
    };
    if save(store, saving)?.is_none() {
        return Ok(Exit::Wanting);
    }
    let would = if remove.what_if { "would be" } else { "is" };
    print(&match identity.scope {
        Scope::Global => format!("Global {would} reset and allows nothing\n"),
        Scope::Site(_) | Scope::User(_) => format!("{name} {would} removed\n"),
    })?;
    Ok(Exit::Good)
}

/// Lets all users talk to XMPP partners by this policy, and grants it to them if it has to be granted.
pub(crate) fn allow_all(file: &Path, identity: &Identity) -> Result<(), Error> {
    let settings = Settings {
        enable_federation_access: Some(true),
        enable_xmpp_access: Some(true),
        ..Settings::default()
    };
    let mut store = Store::open(file)?;
    let before = draft(&store)?;
    match place(&before, &identity.scope) {
        Some(index) => {
            if let Some(table) = tables::at(&mut store.document, POLICIES, index) {
                apply(table, &settings);
            }
        }
        None => add(&mut store, identity, &settings),
    }
    if let Scope::User(_) = identity.scope {
        for index in 0..before.users.len() {
            if let Some(table) = tables::at(&mut store.document, USERS, index) {
                give(table, Some(&identity.text));
            }
        }
    }
    draft(&store)?;
    store.replace()?;
    running::tell_gateway(file);
    Ok(())
}

/// Where the policy stands in the file.
fn place(draft: &Draft, scope: &Scope) -> Option<usize> {
    draft
        .policies
        .iter()
        .position(|policy| policy.scope == *scope)
}

fn add(store: &mut Store, identity: &Identity, settings: &Settings) {
    tables::add(&mut store.document, POLICIES, |table| {
        put(table, "identity", identity.text.as_str());
        apply(table, settings);
    });
}

fn apply(table: &mut dyn TableLike, settings: &Settings) {
    match &settings.description {
        None => {}
        Some(Change::Clear) => drop(table.remove("description")),
        Some(Change::To(text)) => put(table, "description", text.as_str()),
    }
    for (setting, wanted) in [
        (
            "enable-federation-access",
            settings.enable_federation_access,
        ),
        ("enable-xmpp-access", settings.enable_xmpp_access),
        (
            "enable-public-cloud-access",
            settings.enable_public_cloud_access,
        ),
    ] {
        if let Some(wanted) = wanted {
            put(table, setting, wanted);
        }
    }
}

fn give(user: &mut dyn TableLike, policy: Option<&str>) {
    match policy {
        Some(name) => put(user, "policy", name),
        None => drop(user.remove("policy")),
    }
}

/// How a change is saved.
struct Saving<'a> {
    confirm: &'a Confirm,
    /// Whether it asks by itself, and whether it is forced.
    usually: (Usually, bool),
    question: String,
    what_if: bool,
}

/// Saves, if the gateway would take it, and has a running one take it in. None if somebody who was asked
/// does not want it.
fn save(mut store: Store, saving: Saving<'_>) -> Result<Option<Draft>, Error> {
    let draft = draft(&store)?;
    let name = store.name().to_owned();
    if saving.what_if {
        note(&format!("{} is unchanged", shown(&name)));
        return Ok(Some(draft));
    }
    let Saving {
        confirm,
        usually,
        question,
        ..
    } = saving;
    if !confirm.agreed(&mut store, usually, &question)? {
        return Ok(None);
    }
    store.replace()?;
    running::tell_gateway(&name);
    Ok(Some(draft))
}

/// Saves, shows the policy as it is now, and warns of what has no effect.
fn finish(store: Store, saving: Saving<'_>, scope: &Scope) -> Result<Exit, Error> {
    let Some(draft) = save(store, saving)? else {
        return Ok(Exit::Wanting);
    };
    let index = place(&draft, scope);
    if let Some(policy) = index.and_then(|index| draft.policies.get(index)) {
        if policy.policy.lacks_federation() {
            note(&format!("warning: {}: {LACKS_FEDERATION}", policy.identity));
        }
        print(&show::list(policy, &draft))?;
    }
    Ok(Exit::Good)
}
