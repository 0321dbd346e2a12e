//! Lists of tables in a document, such as `[[partner]]`, in whichever form they are written.

use toml_edit::{
    Array, ArrayOfTables, DocumentMut, InlineTable, Item, RawString, Table, TableLike, Value,
};

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
        let (_, indent) = prefix.rsplit_once('\n')?;
        Some(indent.to_owned())
    });
    let mut entry = Value::InlineTable(table);
    if let Some(indent) = own_line {
        // Without a comma behind it, the end of the line belongs to the last entry.
        if let Some(last) = list.iter_mut().last() {
            let suffix = text(last.decor().suffix());
            last.decor_mut().set_suffix("");
            list.set_trailing(format!("{suffix}{}", text(Some(list.trailing()))));
        }
        // What stands behind the last entry is about that one.
        let end = text(Some(list.trailing()));
        let (behind, rest) = end.split_once('\n').unwrap_or(("", ""));
        entry.decor_mut().set_prefix(format!("{behind}\n{indent}"));
        list.set_trailing(format!("\n{rest}"));
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
        Some(Item::Value(Value::Array(list))) => remove_inline(list, index),
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

/// Takes an entry away with the comments directly above it and behind it on its line. Those of others stay.
fn remove_inline(list: &mut Array, index: usize) {
    let own = text(list.get(index).and_then(|entry| entry.decor().prefix()));
    list.remove(index);
    // What is behind an entry belongs to the next one, or to the end of the list.
    let Some(next) = list.get_mut(index) else {
        let kept = joined(&own, &text(Some(list.trailing())));
        let kept = kept.unwrap_or_else(|| match own.split_once('\n') {
            Some((comment, _)) if comment.contains('#') => format!("{comment}\n"),
            _ => String::new(),
        });
        list.set_trailing(kept);
        return;
    };
    let kept = joined(&own, &text(next.decor().prefix())).unwrap_or(own);
    next.decor_mut().set_prefix(kept);
}

/// What stays of what stood before an entry and behind it, where it had a line of its own.
fn joined(before: &str, behind: &str) -> Option<String> {
    let (of_the_one_before, above) = before.split_once('\n')?;
    let (_, rest) = behind.split_once('\n')?;
    let mut above: Vec<&str> = above.lines().collect();
    // The last is the entry's own indent.
    above.pop();
    while above
        .last()
        .is_some_and(|line| line.trim_start().starts_with('#'))
    {
        above.pop();
    }
    let above: String = above.iter().map(|line| format!("{line}\n")).collect();
    Some(format!("{of_the_one_before}\n{above}{rest}"))
}

fn text(raw: Option<&RawString>) -> String {
    raw.and_then(RawString::as_str)
        .unwrap_or_default()
        .to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A list without one of its entries.
    fn without(text: &str, index: usize) -> String {
        let mut document = text.parse::<DocumentMut>().expect("TOML");
        remove(&mut document, "a", index);
        document.to_string()
    }

    #[test]
    fn comments_of_other_entries_stay() {
        let lines = [
            "a = [\n",
            "    { x = 1 }, # one\n",
            "    # Apart.\n\n",
            "    # Two.\n",
            "    { x = 2 }, # two\n",
            "    { x = 3 }, # three\n",
            "]\n",
        ];
        let but = |gone: &[usize]| -> String {
            let kept = lines.iter().enumerate();
            kept.filter(|(line, _)| !gone.contains(line))
                .map(|(_, text)| *text)
                .collect()
        };
        for (index, gone) in [(0, &[1][..]), (1, &[3, 4]), (2, &[5])] {
            assert_eq!(without(&lines.concat(), index), but(gone), "{index}");
        }
        for (text, index, kept) in [
            ("a = [{ x = 1 }, { x = 2 }]\n", 0, "a = [{ x = 2 }]\n"),
            ("a = [{ x = 1 }, { x = 2 }]\n", 1, "a = [{ x = 1 }]\n"),
            ("a = [\n  { x = 1 } # one\n]\n", 0, "a = []\n"),
            (
                "a = [\n  { x = 1 }, # one\n  { x = 2 }\n]\n",
                1,
                "a = [\n  { x = 1 } # one\n]\n",
            ),
        ] {
            assert_eq!(without(text, index), kept);
        }
    }

    #[test]
    fn a_new_entry_leaves_the_comment_to_the_one_before() {
        let text = "a = [\n  { x = 1 }, # one\n]\n";
        let mut document = text.parse::<DocumentMut>().expect("TOML");
        add(&mut document, "a", |table| {
            table.insert("x", toml_edit::value(2));
        });
        let expected = "a = [\n  { x = 1 }, # one\n  { x = 2 },\n]\n";
        assert_eq!(document.to_string(), expected);
    }
}
