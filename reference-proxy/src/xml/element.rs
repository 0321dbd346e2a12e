//! Elements of negotiation as small trees. Stanzas never become trees.

use super::namespace::XML;

/// The language of this side's texts and streams.
pub(crate) const LANGUAGE: &str = "en";
/// The most characters of a peer's words that are kept.
const WORDS: usize = 256;
/// The most characters of a language tag, as RFC 5646 §4.4.1 counts them.
const TAG: usize = 35;

/// An element with its names resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Empty for none.
    pub namespace: String,
    /// Without a prefix.
    pub name: String,
    /// Attributes as namespace, local name and value.
    pub attributes: Vec<(String, String, String)>,
    /// Elements directly inside, in order.
    pub children: Vec<Self>,
    /// All character data directly inside, joined.
    pub text: String,
}

impl Element {
    /// Whether it has this name in this namespace.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }

    /// The value of an attribute in no namespace.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(namespace, local, _)| namespace.is_empty() && local == name)
            .map(|(_, _, value)| value.as_str())
    }

    /// The value of its `xml:lang`.
    fn language_tag(&self) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(namespace, local, _)| namespace == XML && local == "lang")
            .map(|(_, _, value)| value.as_str())
    }

    /// Whether it has an `xml:lang`, even an empty one.
    pub(super) fn has_language(&self) -> bool {
        self.language_tag().is_some()
    }

    /// The language that its `xml:lang` names, if that can be one.
    pub(crate) fn language(&self) -> Option<&str> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        self.language_tag()
            .filter(|tag| !tag.is_empty() && tag.len() <= TAG && tag.bytes().all(legal))
    }

    /// The first element directly inside with this name.
    pub fn child(&self, namespace: &str, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.is(namespace, name))
    }

    /// What an error says, on one line and cut where it is long: its condition, which is in this
    /// namespace, and its text.
    pub(crate) fn said(&self, namespace: &str) -> String {
        let mut ours = self
            .children
            .iter()
            .filter(|child| child.namespace == namespace);
        let condition = ours.find(|child| child.name != "text");
        let condition = condition.map_or("", |child| child.name.as_str());
        let text = self.child(namespace, "text");
        let text = text.map_or("", |child| child.text.as_str());
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let all = match (condition, text.as_str()) {
            (condition, "") => condition.to_owned(),
            ("", text) => text.to_owned(),
            (condition, text) => format!("{condition} ({text})"),
        };
        match all.char_indices().nth(WORDS) {
            Some((end, _)) => format!("{}…", &all[..end]),
            None => all,
        }
    }
}

/// Escapes text for element content and for attribute values in either kind of quotes.
///
/// Line breaks and tabs become references, because a parser would turn them into blanks inside an
/// attribute (XML 1.0 §3.3.3).
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' => out.push_str("&#9;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_its_condition_and_its_text_on_one_line() {
        let child = |name: &str, text: &str| Element {
            namespace: "urn:x".to_owned(),
            name: name.to_owned(),
            text: text.to_owned(),
            ..Element::default()
        };
        for (children, said) in [
            (vec![], ""),
            (vec![child("reset", "")], "reset"),
            (vec![child("text", " no\n more ")], "no more"),
            (vec![child("text", "no"), child("reset", "")], "reset (no)"),
        ] {
            let error = Element {
                children,
                ..Element::default()
            };
            assert_eq!(error.said("urn:x"), said);
            assert_eq!(error.said("urn:y"), "");
        }
        let error = Element {
            children: vec![child("text", &"ñ".repeat(300))],
            ..Element::default()
        };
        assert_eq!(error.said("urn:x"), "ñ".repeat(256) + "…");
    }

    #[test]
    fn escapes_all_that_could_end_an_attribute_or_open_an_element() {
        assert_eq!(escape("a<b>&\"'\n"), "a&lt;b&gt;&amp;&quot;&apos;&#10;");
    }
}
