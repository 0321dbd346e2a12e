//! Stream features, written and read (RFC 6120 §4.3.2).

use crate::xml::Element;
use crate::xml::namespace::{
    BIDI_FEATURE, DIALBACK_FEATURE, MANAGEMENT, SASL, STREAM_LIMITS, STREAMS, TLS,
};

/// The stanza size that every server has to accept (RFC 6120 §13.12).
const LEAST_STANZA: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starttls {
    Absent,
    Offered,
    Required,
}

/// The features of this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) starttls: Starttls,
    /// SASL EXTERNAL.
    pub(crate) external: bool,
    /// Dialback, with dialback errors (XEP-0220 §2.4.2).
    pub(crate) dialback: bool,
    /// That stanzas may also be sent back on the stream (XEP-0288).
    pub(crate) bidi: bool,
    /// Stream management, after authentication (XEP-0198 §2).
    pub(crate) management: bool,
}

impl Shown {
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
        if self.bidi {
            out.push_str(&format!("<bidi xmlns='{BIDI_FEATURE}'/>"));
        }
        if self.management {
            out.push_str(&format!("<sm xmlns='{MANAGEMENT}'/>"));
        }
        out.push_str("</stream:features>");
        out
    }
}

/// The features of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    /// Required, marked or not, where it is the only feature (RFC 6120 §5.3.1).
    pub(crate) starttls: Starttls,
    /// SASL EXTERNAL.
    pub(crate) external: bool,
    pub(crate) dialback: bool,
    /// Whether a dialback error leaves the stream open (XEP-0220 §2.4.2).
    pub(crate) dialback_errors: bool,
    /// That stanzas may also come back on the stream (XEP-0288).
    pub(crate) bidi: bool,
    pub(crate) management: bool,
    /// Bytes of the largest stanza that the peer accepts, if it says so (XEP-0478).
    pub(crate) largest_stanza: Option<usize>,
    /// Whether the peer requires a feature that this side does not know.
    pub(crate) unknown_required: bool,
}

impl Offered {
    /// Reads an element, if it is the features.
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
            let known = [TLS, SASL, DIALBACK_FEATURE, BIDI_FEATURE, MANAGEMENT]
                .contains(&feature.namespace.as_str());
            !known
                && feature
                    .children
                    .iter()
                    .any(|child| child.name == "required")
        });
        let dialback = element.child(DIALBACK_FEATURE, "dialback");
        Some(Self {
            starttls,
            external,
            dialback: dialback.is_some(),
            dialback_errors: dialback
                .is_some_and(|feature| feature.child(DIALBACK_FEATURE, "errors").is_some()),
            bidi: element.child(BIDI_FEATURE, "bidi").is_some(),
            management: element.child(MANAGEMENT, "sm").is_some(),
            largest_stanza: largest_stanza(element),
            unknown_required,
        })
    }
}

/// Reads the limit, if it is a number. A smaller one than every server has to accept is raised.
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
    fn the_largest_stanza_is_a_number_and_at_least_what_all_servers_accept() {
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
