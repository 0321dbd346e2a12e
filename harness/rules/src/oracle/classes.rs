//! A second oracle: the negotiation matrix by class of policy. Two sides use the best method
//! that both support, and none if they share none.

use simulated_partners::persona::{Offer, Tls};

use crate::outcome::Method;
use crate::policy::Methods;

/// The name of this source.
pub(super) const SOURCE: &str = "Lync negotiation matrix, by class";

/// The methods of a partner with this offer and a good certificate.
pub fn methods(offer: &Offer) -> Methods {
    let tls = offer.tls != Tls::None;
    let dialback = offer.dialback && !offer.needs_external;
    Methods {
        sasl_tls: tls && offer.external,
        tls_dialback: tls && dialback,
        tcp_dialback: !offer.tls.is_demanded() && dialback,
    }
}

/// The best method that both support.
pub fn common(one: Methods, other: Methods) -> Option<Method> {
    one.iter().find(|method| other.contains(*method))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use simulated_partners::persona::Deviations;

    use super::*;
    use crate::case::Direction;
    use crate::expectation::End;
    use crate::oracle::{Profile, Situation, expectation};
    use crate::policy::{Mode, PolicyNumber};

    /// Rows and columns: {S}, {S,L}, {S,L,C}, {L}, {L,C}, {C}; `-` where nothing is established.
    const TABLE: [&str; 6] = ["SSS---", "SSSLL-", "SSSLLC", "-LLLL-", "-LLLLC", "--C-CC"];

    fn class(methods: Methods) -> Option<usize> {
        let letters: String = methods.iter().map(letter).collect();
        ["S", "SL", "SLC", "L", "LC", "C"]
            .iter()
            .position(|class| *class == letters)
    }

    fn letter(method: Method) -> char {
        match method {
            Method::SaslTls => 'S',
            Method::TlsDialback => 'L',
            Method::TcpDialback => 'C',
        }
    }

    fn cell(ours: Methods, theirs: Methods) -> char {
        match (class(ours), class(theirs)) {
            (Some(row), Some(column)) => char::from(TABLE[row].as_bytes()[column]),
            _ => '-',
        }
    }

    #[test]
    fn a_policy_as_offer_has_the_methods_of_the_policy() {
        for row in PolicyNumber::all() {
            let policy = row.policy();
            assert_eq!(
                methods(&policy.as_offer()),
                policy.methods(Mode::Matrix),
                "{row}"
            );
        }
    }

    #[test]
    fn common_method_is_that_of_the_class_table() {
        for ours in PolicyNumber::all().map(|row| row.policy().methods(Mode::Matrix)) {
            for theirs in PolicyNumber::all().map(|row| row.policy().methods(Mode::Matrix)) {
                let found = common(ours, theirs).map_or('-', letter);
                assert_eq!(found, cell(ours, theirs), "{ours:?} {theirs:?}");
            }
        }
    }

    #[rstest]
    fn rules_expect_what_the_class_table_says(
        #[values(Direction::Outbound, Direction::Inbound)] direction: Direction,
    ) {
        for ours in PolicyNumber::all() {
            for theirs in PolicyNumber::all() {
                let expectation = expectation(&Situation {
                    policy: ours.policy(),
                    profile: Profile::default(),
                    direction,
                    partner: &theirs.policy().as_offer(),
                    facts: &Deviations::default(),
                });
                let expected = match expectation.allowed[0].end {
                    End::Established(method) => letter(method),
                    End::Refused(_) => '-',
                };
                let table = cell(
                    ours.policy().methods(Mode::Matrix),
                    theirs.policy().methods(Mode::Matrix),
                );
                assert_eq!(expected, table, "{ours} against {theirs}, {direction:?}");
            }
        }
    }
}
