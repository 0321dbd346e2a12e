//! Keys and elements of server dialback (XEP-0220, XEP-0185).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;

use super::hex;
use crate::wire::{Element, Unit};

/// The key sent by an originating server (XEP-0185 §3): bound to both domains and to the stream
/// id of the receiving server.
pub fn key(secret: &str, receiving: &str, originating: &str, stream_id: &str) -> String {
    key_of(secret, &format!("{receiving} {originating} {stream_id}"))
}

/// The key for an assembled text: both domains and the stream id.
pub fn key_of(secret: &str, text: &str) -> String {
    hex(hmac::sign(&keyed(secret), text.as_bytes()).as_ref())
}

/// Whether a key equals the result of [`key`]. Surrounding whitespace does not matter.
pub fn is_key(
    given: &str,
    secret: &str,
    receiving: &str,
    originating: &str,
    stream_id: &str,
) -> bool {
    let expected = key(secret, receiving, originating, stream_id);
    let given = given.trim().as_bytes();
    // The time must not reveal how much of the key was right.
    given.len() == expected.len()
        && given
            .iter()
            .zip(expected.as_bytes())
            .fold(0, |difference, (left, right)| difference | (left ^ right))
            == 0
}

fn keyed(secret: &str) -> hmac::Key {
    let digits = hex(digest(&SHA256, secret.as_bytes()).as_ref());
    hmac::Key::new(hmac::HMAC_SHA256, digits.as_bytes())
}

/// Asks the receiving server to authenticate us (XEP-0220 §2.1.1).
pub fn result_request(from: &str, to: &str, key: &str) -> Element {
    element(Unit::DbResult, from, to).text(key)
}

/// Asks an authoritative server about a key (XEP-0220 §2.1.2).
pub fn verify_request(from: &str, to: &str, id: &str, key: &str) -> Element {
    element(Unit::DbVerify, from, to).attr("id", id).text(key)
}

/// The meaning of a typed element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// `type='valid'`.
    Valid,
    /// `type='invalid'`.
    Invalid,
    /// `type='error'` with this condition; empty if none was given.
    Error(&'a str),
}

/// Answers an untyped `db:result` (XEP-0220 §2.2.1).
pub fn result_answer(from: &str, to: &str, answer: Answer<'_>) -> Element {
    typed(element(Unit::DbResult, from, to), answer)
}

/// Answers an untyped `db:verify` (XEP-0220 §2.2.2).
pub fn verify_answer(from: &str, to: &str, id: &str, answer: Answer<'_>) -> Element {
    typed(element(Unit::DbVerify, from, to).attr("id", id), answer)
}

/// The answer in a typed element; `None` for an untyped one or an unknown
/// type.
pub fn read_answer(element: &Element) -> Option<Answer<'_>> {
    match element.attribute("type")? {
        "valid" => Some(Answer::Valid),
        "invalid" => Some(Answer::Invalid),
        "error" => {
            let condition = Unit::DbResult.condition(element);
            Some(Answer::Error(condition.unwrap_or_default()))
        }
        _ => None,
    }
}

fn element(unit: Unit, from: &str, to: &str) -> Element {
    unit.element().attr("from", from).attr("to", to)
}

fn typed(element: Element, answer: Answer<'_>) -> Element {
    match answer {
        Answer::Valid => element.attr("type", "valid"),
        Answer::Invalid => element.attr("type", "invalid"),
        Answer::Error(condition) => {
            Unit::DbResult.with_condition(element.attr("type", "error"), condition)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_the_keys_of_the_published_examples() {
        let cases = [
            (
                "s3cr3tf0rd14lb4ck",
                "xmpp.example.com",
                "example.org",
                "D60000229F",
                "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643",
            ),
            (
                "s3cr3tf0rd14lb4ck",
                "montague.example",
                "capulet.example",
                "D60000229F",
                "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3",
            ),
            (
                "d14lb4ck43v3r",
                "capulet.example",
                "montague.example",
                "417GAF25",
                "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d",
            ),
        ];
        for (secret, receiving, originating, id, expected) in cases {
            assert_eq!(key(secret, receiving, originating, id), expected);
            assert!(is_key(expected, secret, receiving, originating, id));
        }
    }

    #[test]
    fn keys_the_hmac_with_the_digits_and_not_with_the_raw_digest() {
        assert_ne!(
            key(
                "s3cr3tf0rd14lb4ck",
                "xmpp.example.com",
                "example.org",
                "D60000229F"
            ),
            "4530485cd3f519a56e49b11b294b990ee9697dddaa9e95949e4cb0e64e9f017f"
        );
    }

    #[test]
    fn takes_white_space_around_a_key_and_nothing_else() {
        let right = key("s", "r.example", "o.example", "1");
        let is = |given: &str| is_key(given, "s", "r.example", "o.example", "1");
        assert!(is(&format!("\n  {right}\n")));
        assert!(!is(&right.to_uppercase()));
        assert!(!is(&right[1..]));
        assert!(!is(&format!("{right}0")));
        assert!(!is(""));
        assert!(!is_key(&right, "s", "r.example", "o.example", "2"));
        assert!(!is_key(&right, "s", "o.example", "r.example", "1"));
    }

    #[test]
    fn reads_back_each_answer() {
        for answer in [
            Answer::Valid,
            Answer::Invalid,
            Answer::Error("item-not-found"),
        ] {
            assert_eq!(
                read_answer(&result_answer("a.example", "b.example", answer)),
                Some(answer)
            );
        }
    }

    #[test]
    fn knows_no_other_type() {
        for kind in ["maybe", "VALID", " valid", ""] {
            let element = result_request("a.example", "b.example", "k").attr("type", kind);
            assert_eq!(read_answer(&element), None);
        }
        assert_eq!(
            read_answer(&result_request("a.example", "b.example", "k")),
            None
        );
    }

    #[test]
    fn an_error_without_a_condition_is_still_an_error() {
        let element = result_request("a.example", "b.example", "").attr("type", "error");
        assert_eq!(read_answer(&element), Some(Answer::Error("")));
    }
}
