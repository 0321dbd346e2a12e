//! Domains in their different spellings (RFC 7622 §3.2).

use hickory_resolver::proto::rr::Name;

/// The form in which domains are compared: in lower case, of U-labels, without a final dot. What is no
/// domain stays as it is.
pub(super) fn canonical(domain: &str) -> String {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let lower = domain.to_ascii_lowercase();
    if lower.is_ascii() && !lower.contains("xn--") {
        return lower;
    }
    match Name::from_utf8(&lower) {
        Ok(name) => name.to_utf8(),
        Err(_) => lower,
    }
}

/// The form in DNS and TLS: of A-labels.
pub(super) fn a_labels(domain: &str) -> String {
    match Name::from_utf8(domain) {
        Ok(name) if !domain.is_ascii() => name.to_ascii(),
        _ => domain.to_owned(),
    }
}

/// Whether this can be a domain: otherwise nobody is asked about it.
pub(super) fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..64).contains(&label.len())
            && !label.contains(|c: char| c.is_whitespace() || "@/".contains(c))
    };
    name.len() < 254 && name.split('.').all(is_label) && Name::from_utf8(name).is_ok()
}
