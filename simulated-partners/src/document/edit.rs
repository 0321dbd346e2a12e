//! Finds and changes the value at a place.

use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeArray, DeValue};

use super::NOWHERE;

/// Keys and indices from the top to a value.
pub(super) type Path = Vec<String>;

/// The path to the key at a place.
pub(super) fn key_at(root: &DeValue<'_>, place: &Range<usize>) -> Option<Path> {
    find(root, &|key, _| key == Some(place))
}

/// The path to the innermost value at a place.
pub(super) fn value_at(root: &DeValue<'_>, place: &Range<usize>) -> Option<Path> {
    find(root, &|_, value| value == place)
}

/// The path to a value, given the places of it and its key. Added values have none.
fn find(
    value: &DeValue<'_>,
    fits: &impl Fn(Option<&Range<usize>>, &Range<usize>) -> bool,
) -> Option<Path> {
    children(value)
        .into_iter()
        .filter(|(_, _, child)| child.span() != NOWHERE)
        .find_map(|(step, key, child)| {
            let below = find(child.get_ref(), fits);
            let path = below.or_else(|| fits(key.as_ref(), &child.span()).then(Vec::new));
            path.map(|mut path| {
                path.insert(0, step);
                path
            })
        })
}

type Child<'v, 'a> = (String, Option<Range<usize>>, &'v Spanned<DeValue<'a>>);

fn children<'v, 'a>(value: &'v DeValue<'a>) -> Vec<Child<'v, 'a>> {
    match value {
        DeValue::Table(table) => table
            .iter()
            .map(|(key, child)| (key.get_ref().to_string(), Some(key.span()), child))
            .collect(),
        DeValue::Array(array) => (0..)
            .zip(array)
            .map(|(at, child): (usize, _)| (at.to_string(), None, child))
            .collect(),
        _ => Vec::new(),
    }
}

/// The value at the end of a path.
pub(super) fn at<'v, 'a>(
    mut value: &'v mut Spanned<DeValue<'a>>,
    path: &[String],
) -> Option<&'v mut Spanned<DeValue<'a>>> {
    for step in path {
        value = match value.get_mut() {
            DeValue::Table(table) => table.get_mut(step.as_str())?,
            DeValue::Array(array) => array.get_mut(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}

/// Removes a value. Returns the place of its parent.
pub(super) fn take(root: &mut Spanned<DeValue<'_>>, path: &[String]) -> Option<Range<usize>> {
    let (last, parents) = path.split_last()?;
    let parent = at(root, parents)?;
    let place = parent.span();
    match parent.get_mut() {
        DeValue::Table(table) => drop(table.remove(last.as_str())?),
        DeValue::Array(array) => {
            let number: usize = last.parse().ok()?;
            let all = std::mem::replace(array, DeArray::new()).into_iter();
            *array = (0..)
                .zip(all)
                .filter(|(at, _)| *at != number)
                .map(|(_, one)| one)
                .collect();
        }
        _ => return None,
    }
    Some(place)
}

/// Renames a key if its table has no key of the new name. Returns whether it did.
pub(super) fn rename(root: &mut Spanned<DeValue<'_>>, path: &[String], name: &str) -> bool {
    let Some((last, parents)) = path.split_last() else {
        return false;
    };
    let Some(DeValue::Table(table)) = at(root, parents).map(Spanned::get_mut) else {
        return false;
    };
    if table.contains_key(name) {
        return false;
    }
    let Some((key, value)) = table.remove_entry(last.as_str()) else {
        return false;
    };
    table.insert(Spanned::new(key.span(), name.to_owned().into()), value);
    true
}
