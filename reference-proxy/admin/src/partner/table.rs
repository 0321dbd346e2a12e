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
    for (key, wanted) in [
        ("dialback", settings.support_dialback_negotiation),
        ("keep-alive", settings.enable_keep_alive),
        ("multiplexing", settings.multiplexing),
        ("bidirectional", settings.bidirectional),
        ("stream-management", settings.stream_management),
    ] {
        if let Some(wanted) = wanted {
            put(table, key, wanted);
        }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use reference_proxy::config::{Draft, PartnerType, Support};

    use super::*;
    use crate::value::Domains;

    /// The settings of a partner as the proxy's reader names them.
    fn known_to_the_proxy() -> BTreeSet<String> {
        let text = "domains = ['a.example']\n[[partner]]\nunheard-of = 1\n";
        let refused = Draft::from_toml(text, "proxy.toml").expect_err("it is not known");
        let report = refused.to_string();
        let (_, listed) = report.split_once("expected one of ").expect("a list");
        let listed = listed.lines().next().unwrap_or_default();
        listed
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn each_setting_that_the_proxy_knows_of_a_partner_can_be_set() {
        let domain = Domain::parse("b.example").expect("a domain");
        let every = Settings {
            additional_domains: Some(Domains::Replace(vec![domain.clone()])),
            connection_limit: Some(Change::To(1)),
            description: Some(Change::To("text".to_owned())),
            enable_keep_alive: Some(true),
            partner_type: Some(PartnerType::Federated),
            proxy_fqdn: Some(Change::To("proxy.b.example".to_owned())),
            sasl_negotiation: Some(Support::Optional),
            tls_negotiation: Some(Support::Optional),
            support_dialback_negotiation: Some(true),
            multiplexing: Some(true),
            bidirectional: Some(true),
            stream_management: Some(true),
        };
        let mut document = DocumentMut::new();
        add(&mut document, &domain, &every);
        let table = tables::at(&mut document, KEY, 0).expect("it is there");
        let set: BTreeSet<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
        assert_eq!(set, known_to_the_proxy());
    }
}
