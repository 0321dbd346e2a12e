//! The partners in the document, in whichever form they are written.

use reference_proxy::config::Domain;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::Settings;
use crate::store::put;
use crate::value::{Change, Word as _};

const KEY: &str = "partner";

/// Adds a partner behind the others.
pub(super) fn add(document: &mut DocumentMut, domain: &Domain, settings: &Settings) {
    match document.get_mut(KEY) {
        Some(Item::Value(Value::Array(list))) => {
            let mut table = InlineTable::new();
            fill(&mut table, domain, settings);
            push(list, table);
        }
        Some(Item::ArrayOfTables(tables)) => {
            let mut table = Table::new();
            fill(&mut table, domain, settings);
            table.decor_mut().set_prefix("\n");
            tables.push(table);
        }
        _ => {
            let mut table = Table::new();
            fill(&mut table, domain, settings);
            let mut tables = ArrayOfTables::new();
            // Comments at the end of the file are no longer at the end.
            let above = document.trailing().as_str().unwrap_or_default().to_owned();
            table.decor_mut().set_prefix(format!("{above}\n"));
            document.set_trailing("");
            tables.push(table);
            document.insert(KEY, Item::ArrayOfTables(tables));
        }
    }
}

/// Adds an entry on a line of its own, if the others have such.
fn push(list: &mut Array, table: InlineTable) {
    let own_line = list.iter().next().and_then(|first| {
        let prefix = first.decor().prefix()?.as_str()?;
        prefix.contains('\n').then(|| {
            let indent = prefix.rsplit('\n').next().unwrap_or_default();
            format!("\n{indent}")
        })
    });
    let mut entry = Value::InlineTable(table);
    if let Some(prefix) = own_line {
        entry.decor_mut().set_prefix(prefix);
        list.push_formatted(entry);
    } else {
        list.push(entry);
    }
}

fn fill(table: &mut dyn TableLike, domain: &Domain, settings: &Settings) {
    put(table, "domain", domain.to_string());
    apply(table, &[], settings);
}

/// Changes the partner at this place.
pub(super) fn edit(
    document: &mut DocumentMut,
    index: usize,
    additional: &[Domain],
    settings: &Settings,
) {
    match document.get_mut(KEY) {
        Some(Item::Value(Value::Array(list))) => {
            if let Some(Value::InlineTable(table)) = list.get_mut(index) {
                apply(table, additional, settings);
            }
        }
        Some(Item::ArrayOfTables(tables)) => {
            if let Some(table) = tables.get_mut(index) {
                apply(table, additional, settings);
            }
        }
        _ => {}
    }
}

/// Takes the partner at this place away, with the comment that stands directly above it.
pub(super) fn remove(document: &mut DocumentMut, index: usize) {
    match document.get_mut(KEY) {
        Some(Item::Value(Value::Array(list))) => {
            list.remove(index);
        }
        Some(Item::ArrayOfTables(tables)) => {
            let prefix = tables.get(index).and_then(|table| table.decor().prefix());
            let kept = detached(
                prefix
                    .and_then(|prefix| prefix.as_str())
                    .unwrap_or_default(),
            );
            tables.remove(index);
            if kept.is_empty() {
                return;
            }
            // What stands apart above it is about more than this partner.
            match tables.get_mut(index) {
                Some(next) => {
                    let own = next.decor().prefix().and_then(|prefix| prefix.as_str());
                    let prefix = format!("{kept}{}", own.unwrap_or_default());
                    next.decor_mut().set_prefix(prefix);
                }
                None => {
                    let own = document.trailing().as_str().unwrap_or_default();
                    let trailing = format!("{kept}{own}");
                    document.set_trailing(trailing);
                }
            }
        }
        _ => {}
    }
}

/// What stands above a table, but not directly above it.
fn detached(prefix: &str) -> String {
    let mut lines: Vec<&str> = prefix.lines().collect();
    while lines.last().is_some_and(|line| line.starts_with('#')) {
        lines.pop();
    }
    let apart = lines.join("\n");
    match apart.contains('#') {
        true => format!("{}\n", apart.trim_end()),
        false => String::new(),
    }
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
