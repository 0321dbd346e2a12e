//! Lists of tables in a document, such as `[[partner]]`, in whichever form they are written.

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value};

/// Adds a table behind the others, and has it filled.
pub(crate) fn add(document: &mut DocumentMut, key: &str, fill: impl FnOnce(&mut dyn TableLike)) {
    match document.get_mut(key) {
        Some(Item::Value(Value::Array(list))) => {
            let mut table = InlineTable::new();
            fill(&mut table);
            push(list, table);
        }
        Some(Item::ArrayOfTables(tables)) => {
            let mut table = Table::new();
            fill(&mut table);
            table.decor_mut().set_prefix("\n");
            tables.push(table);
        }
        _ => {
            let mut table = Table::new();
            fill(&mut table);
            let mut tables = ArrayOfTables::new();
            // Comments at the end of the file are no longer at the end.
            let above = document.trailing().as_str().unwrap_or_default().to_owned();
            table.decor_mut().set_prefix(format!("{above}\n"));
            document.set_trailing("");
            tables.push(table);
            document.insert(key, Item::ArrayOfTables(tables));
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

/// The table at this place.
pub(crate) fn at<'a>(
    document: &'a mut DocumentMut,
    key: &str,
    index: usize,
) -> Option<&'a mut dyn TableLike> {
    match document.get_mut(key)? {
        Item::Value(Value::Array(list)) => match list.get_mut(index)? {
            Value::InlineTable(table) => Some(table),
            _ => None,
        },
        Item::ArrayOfTables(tables) => Some(tables.get_mut(index)?),
        _ => None,
    }
}

/// Takes the table at this place away, with the comment that stands directly above it.
pub(crate) fn remove(document: &mut DocumentMut, key: &str, index: usize) {
    match document.get_mut(key) {
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
