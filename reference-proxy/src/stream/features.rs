//! Stream features, shown and read (RFC 6120 §4.3.2).

use crate::xml::Element;
use crate::xml::namespace::{DIALBACK_FEATURE, SASL, STREAM_LIMITS, STREAMS, TLS};

/// The least that every server has to take (RFC 6120 §13.12).
const LEAST_STANZA: usize = 10_000;

/// STARTTLS among the features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starttls {
    /// Not among them.
    Absent,
    /// The peer may go on without.
    Offered,
    /// The peer may not.
    Required,
}

/// Features that this side shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// STARTTLS.
    pub(crate) starttls: Starttls,
    /// SASL EXTERNAL.
    pub(crate) external: bool,
    /// Dialback, with dialback errors (XEP-0220 §2.4.2).
    pub(crate) dialback: bool,
}

impl Shown {
    /// The features as text.
    pub(crate) fn text(self) -> String {
        let mut out = String::from("<stream:features>");
        match self.starttls {
            Starttls::Absent => {}
            Starttls::Offered => out.push_str(&format!("<starttls xmlns='{TLS}'/>")),
            Starttls::Required => {
                out.push_str(&format!("<starttls xmlns='{TLS}'><required/></starttls>"));
            }
        }
        if self.external {
            out.push_str(&format!(
                "<mechanisms xmlns='{SASL}'><mechanism>EXTERNAL</mechanism></mechanisms>"
            ));
        }
        if self.dialback {
            out.push_str(&format!(
                "<dialback xmlns='{DIALBACK_FEATURE}'><errors/></dialback>"
            ));
        }
        out.push_str("</stream:features>");
        out
    }
}

/// Features that a peer shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    /// STARTTLS. As the only feature it is required, marked or not (RFC 6120 §5.3.1).
    pub(crate) starttls: Starttls,
    /// SASL EXTERNAL.
    pub(crate) external: bool,
    /// Dialback.
    pub(crate) dialback: bool,
    /// Bytes of the largest stanza that the peer takes, where it says so (XEP-0478).
    pub(crate) largest_stanza: Option<usize>,
    /// A feature marked as required that this side does not know.
    pub(crate) unknown_required: bool,
}

impl Offered {
    /// Reads an element; `None` if it is not the features.
    pub(crate) fn read(element: &Element) -> Option<Self> {
        if !element.is(STREAMS, "features") {
            return None;
        }
        let starttls = match element.child(TLS, "starttls") {
            None => Starttls::Absent,
            Some(feature) if feature.child(TLS, "required").is_some() => Starttls::Required,
            Some(_) if element.children.len() == 1 => Starttls::Required,
            Some(_) => Starttls::Offered,
        };
        let external = element.child(SASL, "mechanisms").is_some_and(|mechanisms| {
            mechanisms
                .children
                .iter()
                .any(|child| child.is(SASL, "mechanism") && child.text.trim() == "EXTERNAL")
        });
        let unknown_required = element.children.iter().any(|feature| {
            let known = [TLS, SASL, DIALBACK_FEATURE].contains(&feature.namespace.as_str());
            !known
                && feature
                    .children
                    .iter()
                    .any(|child| child.name == "required")
        });
        Some(Self {
            starttls,
            external,
            dialback: element.child(DIALBACK_FEATURE, "dialback").is_some(),
            largest_stanza: largest_stanza(element),
            unknown_required,
        })
    }
}

/// What is no number says nothing; nor is less believed than every server has to take.
fn largest_stanza(features: &Element) -> Option<usize> {
    let bytes = features
        .child(STREAM_LIMITS, "limits")?
        .child(STREAM_LIMITS, "max-bytes")?
        .text
        .trim()
        .parse::<usize>()
        .ok()?;
    Some(bytes.max(LEAST_STANZA))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(namespace: &str, name: &str, children: Vec<Element>) -> Element {
        Element {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            children,
            ..Element::default()
        }
    }

    #[test]
    fn the_largest_stanza_is_a_number_and_no_less_than_all_have_to_take() {
        for (text, largest) in [
            (" 262144\n", Some(262_144)),
            ("10000", Some(10_000)),
            ("0", Some(10_000)),
            ("-1", None),
            ("much", None),
            ("", None),
        ] {
            let bytes = Element {
                text: text.to_owned(),
                ..element(STREAM_LIMITS, "max-bytes", Vec::new())
            };
            let limits = element(STREAM_LIMITS, "limits", vec![bytes]);
            let features = element(STREAMS, "features", vec![limits]);
            let offered = Offered::read(&features).expect("features");
            assert_eq!(offered.largest_stanza, largest, "{text:?}");
        }
        let none = Offered::read(&element(STREAMS, "features", Vec::new())).expect("features");
        assert_eq!(none.largest_stanza, None);
    }
}
