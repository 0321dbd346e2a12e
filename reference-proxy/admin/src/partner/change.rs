//! New, set and remove.

use std::collections::BTreeSet;
use std::path::Path;

use reference_proxy::config::{Domain, Draft, Partner};

use super::table;
use super::{New, Remove, Set, Settings, Several, show};
use crate::confirm::Usually;
use crate::error::{Error, Exit};
use crate::output::{note, print};
use crate::running::{self, Gateway};
use crate::store::Store;

pub(super) fn new(config: &Path, gateway: &Gateway, new: &New) -> Result<Exit, Error> {
    let domain = new.who.domain();
    let mut store = with(config, domain, &new.settings)?;
    // A mistake is told before anybody is asked.
    store.draft()?;
    let question = format!("Allow the partner {domain}?");
    let usually = (Usually::DoesNotAsk, new.force);
    if !new.what_if && !new.confirm.agreed(&mut store, usually, &question)? {
        return Ok(Exit::Wanting);
    }
    save(store, new.what_if, std::slice::from_ref(domain))?;
    match new.what_if {
        true => note(&format!("{} is unchanged", config.display())),
        false => tell(config, gateway),
    }
    Ok(Exit::Good)
}

/// The file with one partner more.
pub(super) fn with(config: &Path, domain: &Domain, settings: &Settings) -> Result<Store, Error> {
    let mut store = Store::open(config)?;
    // Its own mistakes are not those of the change.
    store.draft()?;
    table::add(&mut store.document, domain, settings);
    Ok(store)
}

pub(super) fn set(config: &Path, gateway: &Gateway, set: &Set) -> Result<Exit, Error> {
    if set.settings.is_empty() {
        return Err(Error::Usage(
            "nothing to set: name at least one setting, such as --tls-negotiation".to_owned(),
        ));
    }
    let mut store = Store::open(config)?;
    let draft = store.draft()?;
    let before = domains(&draft);
    let chosen = chosen(&draft, &set.who)?;
    let mut changed = Vec::new();
    for index in chosen {
        let partner = &draft.partners[index];
        changed.push(partner.domain.clone());
        let additional = &partner.additional_domains;
        let domains = set.settings.additional_domains.iter();
        for absent in domains.flat_map(|domains| domains.absent(additional)) {
            note(&format!(
                "warning: {absent} is no additional domain of {}, so there is nothing to remove",
                partner.domain
            ));
        }
        table::edit(&mut store.document, index, additional, &set.settings);
    }
    let loses = !before.is_subset(&domains(&store.draft()?));
    let question = format!("Change {}?", listed(&changed));
    let usually = (Usually::DoesNotAsk, set.force);
    if !set.what_if && !set.confirm.agreed(&mut store, usually, &question)? {
        return Ok(Exit::Wanting);
    }
    save(store, set.what_if, &changed)?;
    match (set.what_if, loses) {
        (true, _) => note(&format!("{} is unchanged", config.display())),
        (false, true) => withdraw(config, gateway),
        (false, false) => tell(config, gateway),
    }
    Ok(Exit::Good)
}

/// All domains of partners.
fn domains(draft: &Draft) -> BTreeSet<Domain> {
    let domains = draft.partners.iter().flat_map(Partner::domains);
    domains.cloned().collect()
}

/// Has proxy and gateway take in what partners there are.
fn tell(config: &Path, gateway: &Gateway) {
    running::tell(config);
    gateway.tell(config);
}

/// The same where a domain is no partner any more: while the proxy still lets it, the gateway takes presence back.
fn withdraw(config: &Path, gateway: &Gateway) {
    gateway.tell_first(config);
    running::tell(config);
}

pub(super) fn remove(config: &Path, gateway: &Gateway, remove: &Remove) -> Result<Exit, Error> {
    let mut store = Store::open(config)?;
    let draft = store.draft()?;
    let chosen = chosen(&draft, &remove.who)?;
    let mut text = String::new();
    let named: Vec<Domain> = chosen
        .iter()
        .map(|index| draft.partners[*index].domain.clone())
        .collect();
    let question = format!("Remove {}?", listed(&named));
    let usually = (Usually::Asks, remove.force);
    if !remove.what_if && !remove.confirm.agreed(&mut store, usually, &question)? {
        return Ok(Exit::Wanting);
    }
    // From behind, so that the places before stay what they are.
    for index in chosen.iter().rev() {
        table::remove(&mut store.document, *index);
    }
    for domain in named {
        text.push_str(&match remove.what_if {
            true => format!("{domain} would be removed\n"),
            false => format!("{domain} is removed\n"),
        });
    }
    store.finish(remove.what_if)?;
    print(&text)?;
    if !remove.what_if {
        withdraw(config, gateway);
    }
    Ok(Exit::Good)
}

/// The partners, or how many there are.
fn listed(domains: &[Domain]) -> String {
    match domains {
        [one] => format!("the partner {one}"),
        some if some.len() <= 5 => {
            let names: Vec<&str> = some.iter().map(Domain::as_str).collect();
            format!("the partners {}", names.join(", "))
        }
        many => format!("{} partners", many.len()),
    }
}

/// Saves, shows the partners as they are now, and warns of what may not work.
fn save(store: Store, what_if: bool, domains: &[Domain]) -> Result<(), Error> {
    let (draft, told) = store.finish(what_if)?;
    let partners = domains.iter().filter_map(|domain| draft.partner(domain));
    let shown: Vec<String> = partners
        .map(|partner| {
            if let Some(warning) = draft.warning(partner) {
                let (domain, row) = (&partner.domain, partner.terms.row());
                let warning = format!("{domain}, row {row}: {warning}");
                if !told.contains(&warning) {
                    note(&format!("warning: {warning}"));
                }
            }
            show::list(partner, &draft)
        })
        .collect();
    print(&shown.join("\n"))
}

/// The places of the partners that the options choose, at least one.
fn chosen(draft: &Draft, who: &Several) -> Result<Vec<usize>, Error> {
    if who.domain().is_none() && who.filter.is_none() {
        return Err(Error::Usage(
            "which partner? Name its domain, or several by --filter".to_owned(),
        ));
    }
    let chosen = show::chosen(draft, who)?;
    Ok(chosen.into_iter().map(|(index, _)| index).collect())
}
