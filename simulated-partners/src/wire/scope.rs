//! Resolves prefixes at a place in a document.

use std::collections::BTreeMap;

use super::{NS_XML, NS_XMLNS};

/// Bindings in force, innermost last for each prefix; the empty prefix is the default namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    bindings: BTreeMap<String, Vec<String>>,
}

impl Scope {
    /// Applies an element's declarations.
    pub(super) fn enter(&mut self, declarations: &[(Option<String>, String)]) {
        for (prefix, namespace) in declarations {
            self.bindings
                .entry(prefix.clone().unwrap_or_default())
                .or_default()
                .push(namespace.clone());
        }
    }

    /// Reverts them.
    pub(super) fn leave(&mut self, declarations: &[(Option<String>, String)]) {
        for (prefix, _) in declarations {
            if let Some(stack) = self.bindings.get_mut(prefix.as_deref().unwrap_or_default()) {
                stack.pop();
            }
        }
    }

    /// The namespace of a prefix; the empty one is always declared.
    pub(super) fn resolve(&self, prefix: Option<&str>) -> Option<&str> {
        match prefix {
            Some("xml") => Some(NS_XML),
            Some("xmlns") => Some(NS_XMLNS),
            Some(prefix) => self.innermost(prefix),
            None => Some(self.innermost("").unwrap_or_default()),
        }
    }

    fn innermost(&self, prefix: &str) -> Option<&str> {
        self.bindings
            .get(prefix)
            .and_then(|stack| stack.last())
            .map(String::as_str)
    }
}
