//! A component of a server (XEP-0114).

use std::net::SocketAddr;

use aws_lc_rs::digest;

use super::error::InnerError;
use super::link::{Content, Inner};
use super::opening::{Opening, tcp, unexpected};
use crate::wire::{Element, Kind, NS_STREAM};

/// Content namespace between a server and its components (XEP-0114 §3).
pub(super) const NS_COMPONENT: &str = "jabber:component:accept";

/// Connects to a server's component port and authenticates by shared secret (XEP-0114 §3).
///
/// # Errors
/// When a step fails, such as a wrong secret; nothing stays open then.
pub async fn connect(address: SocketAddr, domain: &str, secret: &str) -> Result<Inner, InnerError> {
    let (tcp, socket) = tcp(address).await?;
    let header = Element::prefixed("stream", NS_STREAM, "stream")
        .declare(None, NS_COMPONENT)
        .attr("to", domain);
    let mut opening = Opening::new(tcp, socket);
    let answer = opening.open(&header).await?;
    let Some(id) = answer.attribute("id") else {
        return Err(unexpected("a stream id", &Kind::Header(answer)));
    };
    let proof = handshake(id, secret);
    opening
        .send(&format!("<handshake>{proof}</handshake>"))
        .await?;
    let accepted = opening.element("the answer to the handshake").await?;
    if !accepted.is(NS_COMPONENT, "handshake") {
        return Err(unexpected(
            "the answer to the handshake",
            &Kind::Element(accepted),
        ));
    }
    Ok(Inner::start(opening, Content::Component))
}

/// Lower-case hex of SHA-1 over stream id and secret (XEP-0114 §3).
fn handshake(id: &str, secret: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(id.as_bytes());
    context.update(secret.as_bytes());
    let mut hex = String::with_capacity(40);
    for byte in context.finish().as_ref() {
        for digit in [byte >> 4, byte & 15] {
            hex.push(char::from_digit(digit.into(), 16).expect("four bits are one digit"));
        }
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_that_of_the_published_example() {
        assert_eq!(
            handshake("3BF96D32", "test"),
            "aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e"
        );
    }
}
