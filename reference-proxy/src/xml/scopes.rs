//! Namespace scopes over the raw parser's prefixes (Namespaces in XML 1.0).
//!
//! The parser could resolve prefixes too, but would then discard them. They show whether a stanza
//! uses a declaration of its stream header and would therefore be broken on another stream.

use std::collections::BTreeMap;

use super::namespace::XML;

/// The namespace of declarations; no prefix may be bound to it.
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// A prefix, or none for the default namespace.
pub(super) type Prefix = Option<String>;

/// Whether a prefix may be bound to a namespace (Namespaces in XML 1.0 §3, §5).
pub(super) fn is_bindable(prefix: &Prefix, namespace: &str) -> bool {
    match prefix.as_deref() {
        Some("xml") => namespace == XML,
        Some("xmlns") => false,
        Some(_) => !namespace.is_empty() && namespace != XML && namespace != XMLNS,
        None => namespace != XML && namespace != XMLNS,
    }
}

/// The declarations in force, outermost first.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    levels: Vec<BTreeMap<Prefix, String>>,
}

impl Scopes {
    /// Opens the scope of one element.
    pub(super) fn push(&mut self, declarations: BTreeMap<Prefix, String>) {
        self.levels.push(declarations);
    }

    /// Ends the innermost scope.
    pub(super) fn pop(&mut self) {
        self.levels.pop();
    }

    /// The namespace of a prefix and the level that declared it; `None` when nothing did.
    ///
    /// The default namespace is always declared: it is empty at level `usize::MAX` when no element
    /// says otherwise.
    pub(super) fn resolve(&self, prefix: &Prefix) -> Option<(&str, usize)> {
        if prefix.as_deref() == Some("xml") {
            return Some((XML, usize::MAX));
        }
        let declared = self
            .levels
            .iter()
            .enumerate()
            .rev()
            .find_map(|(level, scope)| Some((scope.get(prefix)?.as_str(), level)));
        match (declared, prefix) {
            (None, None) => Some(("", usize::MAX)),
            (found, _) => found,
        }
    }

    /// Whether any declaration of the outermost element names `namespace`.
    pub(super) fn outermost_declares(&self, namespace: &str) -> bool {
        self.levels
            .first()
            .is_some_and(|scope| scope.values().any(|declared| declared == namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_keep_their_meaning() {
        let bindable = |prefix: Option<&str>, namespace: &str| {
            is_bindable(&prefix.map(str::to_owned), namespace)
        };
        assert!(bindable(None, "urn:x") && bindable(None, "") && bindable(Some("a"), "urn:x"));
        assert!(bindable(Some("xml"), XML) && !bindable(Some("xml"), "urn:x"));
        assert!(!bindable(Some("a"), XML) && !bindable(None, XML));
        assert!(!bindable(Some("a"), XMLNS) && !bindable(None, XMLNS));
        assert!(!bindable(Some("xmlns"), XMLNS) && !bindable(Some("xmlns"), "urn:x"));
        assert!(!bindable(Some("a"), ""));
    }
}
