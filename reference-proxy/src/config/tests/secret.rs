//! The secret that dialback keys are made from.

use super::{domain, load};
use crate::domain::Pair;

#[test]
fn random_secret_outlives_a_reload_and_one_of_a_file_comes_with_it() {
    let pair = Pair {
        from: domain("a.example"),
        to: domain("b.example"),
    };
    let secret = "secret = \"pool\"";
    for (before, after, kept) in [("", "", true), (secret, "", false), ("", secret, false)] {
        let before = load(before, "").expect("loads");
        let mut after = load(after, "").expect("loads");
        after.keep_random_secret(&before);
        let keys = [before, after].map(|config| config.keys().issue(&pair, "id"));
        assert_eq!(keys[0] == keys[1], kept);
    }
}

#[test]
fn pool_members_share_keys_and_lone_proxies_do_not() {
    let pair = Pair {
        from: domain("a.example"),
        to: domain("b.example"),
    };
    let key = |top: &str| load(top, "").expect("loads").keys().issue(&pair, "id");
    let pool = "secret = \"pool\"";
    assert_eq!(key(pool), key(pool));
    assert_ne!(key(""), key(""));
}
