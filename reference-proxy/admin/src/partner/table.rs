//! The partners in the document.

use reference_proxy::config::Domain;
use toml_edit::{Array, DocumentMut, TableLike, Value};

use super::Settings;
use crate::store::put;
use crate::tables;
use crate::value::{Change, Word as _};

const KEY: &str = "partner";

/// Adds a partner behind the others.
pub(super) fn add(document: &mut DocumentMut, domain: &Domain, settings: &Settings) {
    tables::add(document, KEY, |table| {
        put(table, "domain", domain.to_string());
        apply(table, &[], settings);
    });
}

/// Changes the partner at this place.
pub(super) fn edit(
    document: &mut DocumentMut,
    index: usize,
    additional: &[Domain],
    settings: &Settings,
) {
    if let Some(table) = tables::at(document, KEY, index) {
        apply(table, additional, settings);
    }
}

/// Takes the partner at this place away, with the comment that stands directly above it.
pub(super) fn remove(document: &mut DocumentMut, index: usize) {
    tables::remove(document, KEY, index);
}

fn apply(table: &mut dyn TableLike, additional: &[Domain], settings: &Settings) {
    if let Some(domains) = &settings.additional_domains {
        let list: Vec<String> = domains
            .of(additional)
            .iter()
            .map(Domain::to_string)
            .collect();
        match list.is_empty() {
            true => drop(table.remove("additional-domains")),
            false => put(table, "additional-domains", Array::from_iter(list)),
        }
    }
    change(
        table,
        "description",
        settings.description.as_ref(),
        |text| text.clone().into(),
    );
    if let Some(kind) = settings.partner_type {
        put(table, "type", kind.in_file());
    }
    if let Some(tls) = settings.tls_negotiation {
        put(table, "tls", tls.in_file());
    }
    if let Some(sasl) = settings.sasl_negotiation {
        put(table, "sasl", sasl.in_file());
    }
    if let Some(dialback) = settings.support_dialback_negotiation {
        put(table, "dialback", dialback);
    }
    if let Some(keep_alive) = settings.enable_keep_alive {
        put(table, "keep-alive", keep_alive);
    }
    let limit = settings.connection_limit.as_ref();
    change(table, "connection-limit", limit, |limit| {
        i64::from(*limit).into()
    });
    change(table, "proxy-fqdn", settings.proxy_fqdn.as_ref(), |name| {
        name.clone().into()
    });
}

fn change<T>(
    table: &mut dyn TableLike,
    key: &str,
    wanted: Option<&Change<T>>,
    value: impl FnOnce(&T) -> Value,
) {
    match wanted {
        None => {}
        Some(Change::Clear) => drop(table.remove(key)),
        Some(Change::To(wanted)) => put(table, key, value(wanted)),
    }
}
