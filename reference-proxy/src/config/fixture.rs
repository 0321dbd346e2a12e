//! Configurations for tests.

use std::sync::LazyLock;

use super::Config;
use crate::certificate::fixture::{Authority, Leaf};
use crate::negotiation::{Support, Terms, Validation};

/// A valid file, with `top` before the tables and `rest` after them.
pub(crate) fn text(top: &str, rest: &str) -> String {
    serving(&["alpha.example"], top, rest)
}

/// A valid file with this certificate.
pub(crate) fn text_of(authority: &Authority, leaf: &Leaf) -> String {
    with(authority, leaf, &["alpha.example"], "", "")
}

fn serving(domains: &[&str], top: &str, rest: &str) -> String {
    let authority = Authority::new("CA");
    with(&authority, &authority.issue(domains), domains, top, rest)
}

fn with(authority: &Authority, leaf: &Leaf, domains: &[&str], top: &str, rest: &str) -> String {
    let (certificate, key) = leaf.pem();
    let ca = authority.pem();
    let side = format!("certificate = '''{certificate}'''\nkey = '''{key}'''\nca = '''{ca}'''");
    format!(
        "domains = {domains:?}\n{top}\n[external]\n{side}\n\
         [internal]\n{side}\ngateways = [\"gateway.alpha.example\"]\n{rest}\n"
    )
}

/// Serves `a.example` and `a2.example`, with one partner for each row: `row1.example` to
/// `row18.example`.
pub(crate) static CONFIG: LazyLock<Config> = LazyLock::new(|| rows(""));
/// The same with strict certificates.
pub(crate) static STRICT: LazyLock<Config> = LazyLock::new(|| rows("strict-certificates = true"));

fn rows(top: &str) -> Config {
    let mut partners = String::new();
    let words = [
        (Support::Required, "required"),
        (Support::Optional, "optional"),
        (Support::NotSupported, "not-supported"),
    ];
    for (tls, tls_word) in words {
        for (sasl, sasl_word) in words {
            for dialback in [true, false] {
                let terms = Terms {
                    tls,
                    sasl,
                    dialback,
                };
                if terms.check(Validation::Matrix).is_ok() {
                    partners.push_str(&format!(
                        "[[partner]]\ndomain = \"row{}.example\"\ntls = \"{tls_word}\"\n\
                         sasl = \"{sasl_word}\"\ndialback = {dialback}\n",
                        terms.row()
                    ));
                }
            }
        }
    }
    let top = format!("validation = \"matrix\"\n{top}");
    let text = serving(&["a.example", "a2.example"], &top, &partners);
    Config::from_toml(&text, "proxy.toml").expect("a configuration")
}
