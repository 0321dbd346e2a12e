//! Errors that do not have the form that the standards define.

use simulated_partners::wire::{Element, NS_SERVER, NS_STANZAS, NS_STREAM, NS_STREAMS, Unit};

use crate::case::Sees;

/// What is wrong with an error, if the element is one, and the word for it.
pub(super) fn of(element: &Element) -> Option<(Sees, &'static str)> {
    if Unit::StreamError.is(element) {
        return stream_error(element).map(|fault| (Sees::MalformedError, fault));
    }
    // Stanzas at the inner side may have the namespace of its link.
    let is_stanza = ["message", "presence", "iq"].contains(&element.name.as_str());
    if !is_stanza {
        return None;
    }
    match stanza_error(element) {
        Some(fault) => Some((Sees::MalformedStanzaError, fault)),
        None => mistyped(element).map(|condition| (Sees::MistypedStanzaError, condition)),
    }
}

/// RFC 6120 §4.9.2.
fn stream_error(error: &Element) -> Option<&'static str> {
    let defined = Unit::StreamError.conditions().unwrap_or_default();
    condition(error, NS_STREAMS, defined, &["see-other-host"])
}

/// RFC 6120 §8.3.1 and §8.3.2.
fn stanza_error(stanza: &Element) -> Option<&'static str> {
    let is_error = stanza.attribute("type") == Some("error");
    let is_own = |child: &&Element| child.name == "error" && child.namespace == stanza.namespace;
    let errors: Vec<&Element> = stanza.elements().filter(is_own).collect();
    let error = match (is_error, errors.as_slice()) {
        (false, []) => return None,
        (false, _) => return Some("an error in a stanza of another type"),
        (true, []) => return Some("no error"),
        (true, [error]) => error,
        (true, _) => return Some("several errors"),
    };
    match error.attribute("type") {
        None => return Some("no type"),
        Some("auth" | "cancel" | "continue" | "modify" | "wait") => {}
        Some(_) => return Some("a type that is not defined"),
    }
    let defined = Unit::Message.conditions().unwrap_or_default();
    condition(error, NS_STANZAS, defined, &["gone", "redirect"])
}

/// The condition of a well-formed error, if its type is not one that RFC 6120 §8.3.3 recommends for it.
fn mistyped(stanza: &Element) -> Option<&'static str> {
    let own = |child: &&Element| child.name == "error" && child.namespace == stanza.namespace;
    let error = stanza.elements().find(own)?;
    let kind = error.attribute("type")?;
    let condition = Unit::Message.condition(stanza)?;
    let (condition, kinds) = TYPES.iter().find(|(name, _)| *name == condition)?;
    (!kinds.contains(&kind)).then_some(condition)
}

/// The types that go with each condition, those of RFC 3920 §9.3.3 too; an `undefined-condition` has any.
const TYPES: [(&str, &[&str]); 21] = [
    ("bad-request", &["modify"]),
    ("conflict", &["cancel"]),
    ("feature-not-implemented", &["cancel", "modify"]),
    ("forbidden", &["auth"]),
    ("gone", &["cancel", "modify"]),
    ("internal-server-error", &["cancel", "wait"]),
    ("item-not-found", &["cancel"]),
    ("jid-malformed", &["modify"]),
    ("not-acceptable", &["modify"]),
    ("not-allowed", &["cancel"]),
    ("not-authorized", &["auth"]),
    ("policy-violation", &["modify", "wait"]),
    ("recipient-unavailable", &["wait"]),
    ("redirect", &["modify"]),
    ("registration-required", &["auth"]),
    ("remote-server-not-found", &["cancel"]),
    // Unless the error is of a more permanent nature.
    ("remote-server-timeout", &["cancel", "wait"]),
    ("resource-constraint", &["wait"]),
    ("service-unavailable", &["cancel"]),
    ("subscription-required", &["auth"]),
    ("unexpected-request", &["modify", "wait"]),
];

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
    let others: Vec<&Element> = error
        .elements()
        .filter(|child| !in_namespace(child))
        .collect();
    if others.len() > 1 {
        return Some("several elements of applications");
    }
    if others.iter().any(|other| is_of_the_protocol(error, other)) {
        return Some("an element in a namespace that is no application's");
    }
    (!error.content().trim().is_empty()).then_some("text in addition to the condition")
}

/// Whether what stands beside a condition has a namespace of RFC 6120, or none of its own, such as a
/// text in that of the other kind of errors.
fn is_of_the_protocol(error: &Element, child: &Element) -> bool {
    let namespace = child.namespace.as_str();
    ["", NS_SERVER, NS_STREAM, error.namespace.as_str()].contains(&namespace)
        || namespace.starts_with("urn:ietf:params:xml:ns:xmpp-")
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
            vec![
                condition("reset"),
                Element::new(NS_STANZAS, "text").text("why"),
            ],
            vec![condition("reset"), Element::new(NS_SERVER, "own")],
        ] {
            assert!(fault(&conditions).is_some(), "{conditions:?}");
        }
    }

    fn stanza(kind: &str, errors: &[Element]) -> Option<(Sees, &'static str)> {
        let message = Unit::Message.element().attr("type", kind);
        of(&errors.iter().cloned().fold(message, Element::child))
    }

    fn stanza_error(kind: &str, condition: &str) -> Element {
        Element::new(NS_SERVER, "error")
            .attr("type", kind)
            .child(Element::new(NS_STANZAS, condition))
    }

    #[test]
    fn stanzas_with_an_error_of_the_defined_form_have_no_fault() {
        let text = Element::new(NS_STANZAS, "text").text("why");
        let gone = Element::new(NS_STANZAS, "gone").text("xmpp:a.example");
        let moved = Element::new(NS_SERVER, "error").attr("type", "cancel");
        assert_eq!(stanza("chat", &[]), None);
        assert_eq!(stanza("error", &[stanza_error("cancel", "conflict")]), None);
        assert_eq!(stanza("error", &[moved.child(gone).child(text)]), None);
    }

    #[test]
    fn each_condition_goes_with_its_types() {
        let mistyped =
            |kind: &str, condition: &str| stanza("error", &[stanza_error(kind, condition)]);
        for (kind, condition) in [
            ("wait", "remote-server-timeout"),
            ("cancel", "remote-server-timeout"),
            ("auth", "undefined-condition"),
            ("modify", "jid-malformed"),
        ] {
            assert_eq!(mistyped(kind, condition), None, "{kind} {condition}");
        }
        for (kind, condition) in [
            ("wait", "conflict"),
            ("modify", "remote-server-timeout"),
            ("wait", "remote-server-not-found"),
            ("cancel", "jid-malformed"),
        ] {
            let found = Some((Sees::MistypedStanzaError, condition));
            assert_eq!(mistyped(kind, condition), found);
        }
    }

    #[test]
    fn stanzas_with_an_error_of_any_other_form_have_one() {
        let right = || stanza_error("cancel", "conflict");
        let bare = Element::new(NS_SERVER, "error").child(Element::new(NS_STANZAS, "conflict"));
        let beside = |namespace| right().child(Element::new(namespace, "text").text("why"));
        for (kind, errors, fault) in [
            ("error", vec![], "no error"),
            ("error", vec![right(), right()], "several errors"),
            (
                "chat",
                vec![right()],
                "an error in a stanza of another type",
            ),
            ("error", vec![bare], "no type"),
            (
                "error",
                vec![stanza_error("fatal", "conflict")],
                "a type that is not defined",
            ),
            (
                "error",
                vec![stanza_error("cancel", "broken")],
                "a condition that is not defined",
            ),
            (
                "error",
                vec![beside(NS_STREAMS)],
                "an element in a namespace that is no application's",
            ),
            (
                "error",
                vec![beside(NS_SERVER)],
                "an element in a namespace that is no application's",
            ),
        ] {
            let found = stanza(kind, &errors);
            assert_eq!(found, Some((Sees::MalformedStanzaError, fault)));
        }
    }
}
