//! Dialback keys that anyone could make from public data, without a secret
//! (CVE-2016-1232 and similar).

use aws_lc_rs::digest::{self, Algorithm};
use aws_lc_rs::hmac;

use super::{dialback, hex};

/// Secrets that are not secret: the empty one, and examples from documentation.
const KNOWN_SECRETS: [&str; 7] = [
    "",
    "secret",
    "changeme",
    "password",
    "s3cr3tf0rd14lb4ck",
    "d14lb4ck43v3r",
    "undefined",
];

const SEPARATORS: [&str; 6] = ["", " ", ":", "-", "/", "|"];

/// How the key could be made without the secret, if it can.
pub fn way(key: &str, stream_id: &str, receiving: &str, originating: &str) -> Option<String> {
    let key = key.trim().to_ascii_lowercase();
    if key.len() <= 10 && key.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some("a number of 32 bits".to_owned());
    }
    let parts = [("id", stream_id), ("to", receiving), ("from", originating)];
    if let Some((name, _)) = parts
        .iter()
        .find(|(_, part)| part.eq_ignore_ascii_case(&key))
    {
        return Some(format!("it is `{name}`"));
    }
    for order in orders() {
        let names: Vec<&str> = order.iter().map(|at| parts[*at].0).collect();
        let values: Vec<&str> = order.iter().map(|at| parts[*at].1).collect();
        for separator in SEPARATORS {
            if let Some(made) = made_from(&values.join(separator), &key) {
                return Some(format!("{made} of {}", names.join(separator)));
            }
        }
        if let [one, rest @ ..] = values.as_slice()
            && !rest.is_empty()
        {
            // jabberd: the digest of a digest and the rest.
            let inner = digest_of(&digest::SHA1_FOR_LEGACY_USE_ONLY, one);
            if digest_of(&digest::SHA1_FOR_LEGACY_USE_ONLY, &(inner + &rest.concat())) == key {
                return Some(format!("digests of {} in each other", names.join(" and ")));
            }
        }
    }
    None
}

/// The functions that make a key from a text.
fn made_from(text: &str, key: &str) -> Option<String> {
    let digests: [(&str, &Algorithm); 3] = [
        ("SHA-1", &digest::SHA1_FOR_LEGACY_USE_ONLY),
        ("SHA-256", &digest::SHA256),
        ("SHA-512", &digest::SHA512),
    ];
    if let Some((name, _)) = digests.iter().find(|(_, one)| digest_of(one, text) == key) {
        return Some((*name).to_owned());
    }
    let macs = [
        ("HMAC of SHA-1", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        ("HMAC of SHA-256", hmac::HMAC_SHA256),
    ];
    for secret in KNOWN_SECRETS {
        if dialback::key_of(secret, text) == key {
            return Some(format!("the secret `{secret}`"));
        }
        for (name, algorithm) in macs {
            let mac = hmac::sign(
                &hmac::Key::new(algorithm, secret.as_bytes()),
                text.as_bytes(),
            );
            if hex(mac.as_ref()) == key {
                return Some(format!("{name} with the secret `{secret}`"));
            }
        }
    }
    None
}

fn digest_of(algorithm: &'static Algorithm, text: &str) -> String {
    hex(digest::digest(algorithm, text.as_bytes()).as_ref())
}

/// One, two or all of three values, in every order.
fn orders() -> Vec<Vec<usize>> {
    let mut orders: Vec<Vec<usize>> = vec![Vec::new()];
    let mut all = Vec::new();
    for _ in 0..3 {
        orders = orders
            .iter()
            .flat_map(|order| {
                (0..3)
                    .filter(|one| !order.contains(one))
                    .map(|one| order.iter().copied().chain([one]).collect())
            })
            .collect();
        all.extend(orders.iter().cloned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "D60000229F";
    const TO: &str = "xmpp.example.com";
    const FROM: &str = "example.org";

    #[test]
    fn detects_keys_that_need_no_secret() {
        let sha1 = |text: &str| digest_of(&digest::SHA1_FOR_LEGACY_USE_ONLY, text);
        for key in [
            "1804289383".to_owned(),
            ID.to_owned(),
            sha1(ID),
            digest_of(&digest::SHA256, &format!("{TO} {FROM} {ID}")),
            sha1(&(sha1(TO) + ID)),
            dialback::key("", TO, FROM, ID),
            dialback::key("secret", TO, FROM, ID).to_uppercase(),
        ] {
            assert!(way(&key, ID, TO, FROM).is_some(), "{key}");
        }
    }

    #[test]
    fn a_key_with_a_secret_is_none_of_them() {
        let key = dialback::key("not known to anybody", TO, FROM, ID);
        assert_eq!(way(&key, ID, TO, FROM), None);
    }

    #[test]
    fn takes_three_things_in_fifteen_orders() {
        let orders = orders();
        assert_eq!(orders.len(), 15);
    }
}
