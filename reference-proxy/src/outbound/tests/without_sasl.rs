//! What the administrator is told where dialback takes the place of SASL.

use super::*;

#[test]
fn dialback_instead_of_sasl_is_told_with_its_reason() {
    let both = format!("{EXTERNAL}{DIALBACK}");
    for (judged, offered, told) in [
        (GOOD, both.as_str(), ""),
        (
            BAD,
            both.as_str(),
            "the certificate is not accepted: expired",
        ),
        // Nothing was given up.
        (BAD, DIALBACK, ""),
        (BAD, EXTERNAL, ""),
    ] {
        let mut partner = Partner::of_row(7);
        partner.offer(STARTTLS).secure(judged).offer(offered);
        let all = partner.told.join("\n");
        assert_eq!(all.is_empty(), told.is_empty(), "{all}");
        assert!(all.contains(told), "{all}");
    }
    let mut partner = Partner::of_row(7);
    partner
        .offer(STARTTLS)
        .secure(GOOD)
        .offer(&both)
        .send(FAILURE);
    assert!(
        partner.told[0].starts_with("peer: dialback instead of SASL: "),
        "{:?}",
        partner.told
    );
}
