//! SASL EXTERNAL between servers (RFC 6120 §6, XEP-0178 §3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::wire::{Element, NS_SASL, Unit};

/// The facts by which a server judges an initiator that requests EXTERNAL.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// TLS is up.
    pub encrypted: bool,
    /// EXTERNAL is offered on this server.
    pub offered: bool,
    /// The initiator's certificate is valid for the stream's `from`.
    pub trusted: bool,
    /// The stream's `from`.
    pub from: Option<&'a str>,
}

/// Requests EXTERNAL for a domain. The authorization identity is explicit, which older
/// servers need (XEP-0178 §3, step 10).
pub fn request(domain: &str) -> Element {
    Unit::Auth
        .element()
        .attr("mechanism", "EXTERNAL")
        .text(&STANDARD.encode(domain))
}

/// Answers a challenge, which EXTERNAL uses only if there was no initial response.
pub fn response(domain: &str) -> Element {
    Unit::Response.element().text(&STANDARD.encode(domain))
}

/// Whether EXTERNAL is among stream features.
pub fn offers_external(features: &Element) -> bool {
    let mechanisms = features.find(NS_SASL, "mechanisms");
    mechanisms
        .into_iter()
        .flat_map(Element::elements)
        .any(|one| one.is(NS_SASL, "mechanism") && one.content().trim() == "EXTERNAL")
}

/// Judges `<auth/>`.
///
/// An empty authorization identity, written `=` or left out, means the stream's `from`.
///
/// # Errors
/// The condition of the `<failure/>` that answers it (RFC 6120 §6.5).
pub fn judge(auth: &Element, claim: Claim<'_>) -> Result<(), &'static str> {
    if auth.attribute("mechanism") != Some("EXTERNAL") {
        return Err("invalid-mechanism");
    }
    if !claim.encrypted {
        return Err("encryption-required");
    }
    if !claim.offered {
        return Err("invalid-mechanism");
    }
    let content = auth.content();
    let identity = match content.trim() {
        "" | "=" => None,
        text => {
            let bytes = STANDARD.decode(text).map_err(|_| "incorrect-encoding")?;
            Some(String::from_utf8(bytes).map_err(|_| "malformed-request")?)
        }
    };
    let from = claim.from.ok_or("not-authorized")?;
    if let Some(identity) = identity
        && !identity.eq_ignore_ascii_case(from)
    {
        return Err("invalid-authzid");
    }
    if claim.trusted {
        Ok(())
    } else {
        Err("not-authorized")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: Claim<'static> = Claim {
        encrypted: true,
        offered: true,
        trusted: true,
        from: Some("a.example"),
    };

    fn auth(text: &str) -> Element {
        Unit::Auth
            .element()
            .attr("mechanism", "EXTERNAL")
            .text(text)
    }

    #[test]
    fn takes_an_empty_identity_and_the_stream_s_own() {
        assert_eq!(judge(&auth("="), CLAIM), Ok(()));
        assert_eq!(judge(&auth(""), CLAIM), Ok(()));
        assert_eq!(judge(&request("a.example"), CLAIM), Ok(()));
        assert_eq!(judge(&request("A.Example"), CLAIM), Ok(()));
    }

    #[test]
    fn refuses_another_identity() {
        assert_eq!(judge(&request("b.example"), CLAIM), Err("invalid-authzid"));
    }

    #[test]
    fn refuses_what_is_no_base64_or_no_text() {
        assert_eq!(judge(&auth("!"), CLAIM), Err("incorrect-encoding"));
        assert_eq!(judge(&auth("/w=="), CLAIM), Err("malformed-request"));
    }

    #[test]
    fn refuses_another_mechanism() {
        let plain = Unit::Auth.element().attr("mechanism", "PLAIN");
        assert_eq!(judge(&plain, CLAIM), Err("invalid-mechanism"));
        assert_eq!(
            judge(&Unit::Auth.element(), CLAIM),
            Err("invalid-mechanism")
        );
    }

    #[test]
    fn refuses_without_tls_offer_certificate_or_name() {
        let with = |claim| judge(&auth("="), claim);
        assert_eq!(
            with(Claim {
                encrypted: false,
                ..CLAIM
            }),
            Err("encryption-required")
        );
        assert_eq!(
            with(Claim {
                offered: false,
                ..CLAIM
            }),
            Err("invalid-mechanism")
        );
        assert_eq!(
            with(Claim {
                trusted: false,
                ..CLAIM
            }),
            Err("not-authorized")
        );
        assert_eq!(
            with(Claim {
                from: None,
                ..CLAIM
            }),
            Err("not-authorized")
        );
    }
}
