//! Errors that do not have the form that the standards define.

use simulated_partners::wire::{Element, NS_STREAMS, Unit};

use crate::case::Sees;

/// What is wrong with an error, if the element is one, and the word for it.
pub(super) fn of(element: &Element) -> Option<(Sees, &'static str)> {
    match Unit::of(element)? {
        Unit::StreamError => stream_error(element).map(|fault| (Sees::MalformedError, fault)),
        _ => None,
    }
}

/// RFC 6120 §4.9.2.
fn stream_error(error: &Element) -> Option<&'static str> {
    let defined = Unit::StreamError.conditions().unwrap_or_default();
    condition(error, NS_STREAMS, defined, &["see-other-host"])
}

/// What is wrong with the content of an error: one defined condition, which is empty unless listed
/// here, one text and one element of an application.
fn condition(
    error: &Element,
    namespace: &str,
    defined: &[&str],
    filled: &[&str],
) -> Option<&'static str> {
    let in_namespace = |child: &&Element| child.namespace == namespace;
    let is_text = |child: &&Element| in_namespace(child) && child.name == "text";
    let conditions: Vec<&Element> = error
        .elements()
        .filter(|child| in_namespace(child) && !is_text(child))
        .collect();
    let [condition] = conditions.as_slice() else {
        return Some(match conditions.len() {
            0 => "no condition",
            _ => "several conditions",
        });
    };
    let name = condition.name.as_str();
    if !defined.contains(&name) {
        return Some("a condition that is not defined");
    }
    let is_empty = condition.children.is_empty();
    if !is_empty && (!filled.contains(&name) || condition.elements().next().is_some()) {
        return Some("a condition with content");
    }
    let texts: Vec<&Element> = error.elements().filter(is_text).collect();
    if texts.len() > 1 {
        return Some("several texts");
    }
    if texts.iter().any(|text| text.elements().next().is_some()) {
        return Some("elements in the text");
    }
    let others = error.elements().filter(|child| !in_namespace(child));
    if others.count() > 1 {
        return Some("several elements of applications");
    }
    (!error.content().trim().is_empty()).then_some("text in addition to the condition")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(conditions: &[Element]) -> Option<&'static str> {
        let error = Unit::StreamError.element();
        let found = of(&conditions.iter().cloned().fold(error, Element::child));
        found.map(|(sees, fault)| {
            assert_eq!(sees, Sees::MalformedError);
            fault
        })
    }

    fn condition(name: &str) -> Element {
        Element::new(NS_STREAMS, name)
    }

    #[test]
    fn errors_of_the_defined_form_have_no_fault() {
        let host = condition("see-other-host").text("a.example");
        let text = condition("text").lang("en").text("why");
        let own = Element::new("urn:x", "own").child(Element::new("urn:x", "more"));
        assert_eq!(fault(&[condition("reset")]), None);
        assert_eq!(fault(&[host]), None);
        assert_eq!(fault(&[condition("reset"), text, own]), None);
    }

    #[test]
    fn errors_of_any_other_form_have_one() {
        let text = || condition("text").text("why");
        let own = || Element::new("urn:x", "own");
        for conditions in [
            vec![],
            vec![text()],
            vec![own()],
            vec![condition("reset"), condition("conflict")],
            vec![condition("no-such-condition")],
            vec![condition("reset").text("why")],
            vec![condition("reset"), text(), text()],
            vec![condition("reset"), own(), own()],
            vec![condition("reset"), text().child(own())],
        ] {
            assert!(fault(&conditions).is_some(), "{conditions:?}");
        }
    }
}
