//! Merges tables: a variant over its file, a partner's offer over its persona's.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use simulated_partners::document::NOWHERE;
use simulated_partners::persona;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

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

/// Completes each partner's offer from its persona. The added values do not appear in the
/// file.
pub(super) fn complete(scenario: &mut DeTable<'_>) {
    if !scenario.contains_key("partner") {
        add(scenario, "partner", DeValue::Table(DeTable::new()));
    }
    each_part(scenario, |part| {
        let word = part.get("persona").and_then(|word| word.get_ref().as_str());
        let word = word.map_or_else(PartnerSpec::persona, str::to_owned);
        // A missing persona is reported elsewhere; any other will do here.
        let whole = OFFERS
            .get(&word)
            .or_else(|| OFFERS.get(&PartnerSpec::persona()));
        if !part.contains_key("offer") {
            add(part, "offer", DeValue::Table(DeTable::new()));
        }
        let offer = part.get_mut("offer").map(Spanned::get_mut);
        if let (Some(DeValue::Table(offer)), Some(whole)) = (offer, whole) {
            let whole = DeTable::parse(whole).expect("it was written as TOML");
            for (key, value) in whole.into_inner() {
                if !offer.contains_key(&**key.get_ref()) {
                    add(offer, &key.into_inner(), value.into_inner());
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

/// The offers of the built-in personas, as they would be written in files.
static OFFERS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    persona::builtin()
        .into_iter()
        .map(|persona| {
            let offer = toml::to_string(&persona.offer).expect("an offer is a table of words");
            (persona.name, offer)
        })
        .collect()
});

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
