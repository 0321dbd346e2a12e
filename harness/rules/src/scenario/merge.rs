//! Merges tables: a variant over its file, a partner's offer over its persona's.

use std::ops::Range;

use simulated_partners::document::NOWHERE;
use simulated_partners::persona::Offer;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::catalogue::Cast;
use super::file::PartnerSpec;

/// Merges a variant over the rest of its file. Lists replace lists; values, partners and differences from a
/// persona's offer are merged key by key.
pub(super) fn lay<'a>(over: DeTable<'a>, base: &mut DeTable<'a>) {
    lay_below(&mut Vec::new(), over, base);
}

fn lay_below<'a>(path: &mut Vec<String>, over: DeTable<'a>, base: &mut DeTable<'a>) {
    for (key, value) in over {
        path.push(key.get_ref().to_string());
        let place = value.span();
        let value = match (
            base.remove(&**key.get_ref()).map(Spanned::into_inner),
            value.into_inner(),
        ) {
            (Some(DeValue::Table(mut below)), DeValue::Table(over)) if is_merged(path) => {
                lay_below(path, over, &mut below);
                DeValue::Table(below)
            }
            (_, value) => value,
        };
        base.insert(key, Spanned::new(place, value));
        path.pop();
    }
}

fn is_merged(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(
        path[..],
        ["values" | "partner" | "partners"]
            | ["partner", "offer"]
            | ["partners", _]
            | ["partners", _, "offer"]
    )
}

/// The words for personas in a scenario, or in the differences of a variant, with their places.
pub(super) fn personas(scenario: &DeTable<'_>) -> Vec<(Range<usize>, String)> {
    let main = scenario.get("partner").into_iter();
    let others = scenario.get("partners").into_iter();
    let others = others
        .filter_map(|parts| parts.get_ref().as_table())
        .flat_map(DeTable::values);
    main.chain(others)
        .filter_map(|part| part.get_ref().as_table()?.get("persona"))
        .filter_map(|word| Some((word.span(), word.get_ref().as_str()?.to_owned())))
        .collect()
}

/// Completes each partner's offer from its persona. The added values do not appear in the
/// file.
pub(super) fn complete(scenario: &mut DeTable<'_>, cast: &Cast) {
    if !scenario.contains_key("partner") {
        add(scenario, "partner", DeValue::Table(DeTable::new()));
    }
    each_part(scenario, |part| {
        let word = part.get("persona").and_then(|word| word.get_ref().as_str());
        let word = word.map_or_else(PartnerSpec::persona, str::to_owned);
        // A missing persona is reported elsewhere; any other will do here.
        let persona = cast
            .get(&word)
            .or_else(|| cast.get(&PartnerSpec::persona()));
        if !part.contains_key("offer") {
            add(part, "offer", DeValue::Table(DeTable::new()));
        }
        let offer = part.get_mut("offer").map(Spanned::get_mut);
        if let (Some(DeValue::Table(offer)), Some(persona)) = (offer, persona) {
            for (key, value) in written(&persona.offer) {
                if !offer.contains_key(key.as_str()) {
                    add(offer, &key, value);
                }
            }
        }
    });
}

/// Removes the values that were added to complete the offers.
pub(super) fn forget_added(scenario: &mut DeTable<'_>) {
    each_part(scenario, |part| {
        keep_written(part);
        if let Some(DeValue::Table(offer)) = part.get_mut("offer").map(Spanned::get_mut) {
            keep_written(offer);
        }
    });
    keep_written(scenario);
}

fn keep_written(table: &mut DeTable<'_>) {
    let all = std::mem::take(table).into_iter();
    *table = all.filter(|(_, value)| value.span() != NOWHERE).collect();
}

/// An offer as it would be written in a file.
fn written(offer: &Offer) -> impl Iterator<Item = (String, DeValue<'static>)> + use<> {
    fn read(value: Value) -> DeValue<'static> {
        match value {
            Value::String(word) => DeValue::String(word.into()),
            Value::Boolean(is) => DeValue::Boolean(is),
            Value::Array(list) => DeValue::Array(
                list.into_iter()
                    .map(|one| Spanned::new(NOWHERE, read(one)))
                    .collect(),
            ),
            other => unreachable!("an offer is a table of words, and this is {other}"),
        }
    }
    let table = Table::try_from(offer).expect("an offer is a table");
    table.into_iter().map(|(key, value)| (key, read(value)))
}

fn each_part<'a>(scenario: &mut DeTable<'a>, mut change: impl FnMut(&mut DeTable<'a>)) {
    if let Some(DeValue::Table(part)) = scenario.get_mut("partner").map(Spanned::get_mut) {
        change(part);
    }
    if let Some(DeValue::Table(parts)) = scenario.get_mut("partners").map(Spanned::get_mut) {
        for (_, part) in parts.iter_mut() {
            if let DeValue::Table(part) = part.get_mut() {
                change(part);
            }
        }
    }
}

fn add<'a>(table: &mut DeTable<'a>, key: &str, value: DeValue<'a>) {
    let key = key.to_owned().into();
    table.insert(Spanned::new(NOWHERE, key), Spanned::new(NOWHERE, value));
}
