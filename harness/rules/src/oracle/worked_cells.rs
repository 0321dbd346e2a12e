//! The 61 worked cells of the requirements catalogue, and the counts of the full product.
//!
//! The cells assume that the partner's authoritative server works and do not mention the connection to
//! it, so the verify connection is assumed to work here too; `verification` has its own tests.

use rstest::rstest;
use simulated_partners::persona::{
    Certificate, Deviations, ExternalFact, Offer, StarttlsFact, Tls,
};

use super::rule::decide;
use super::{Premises, Profile, Situation, rules};
use crate::case::Direction;
use crate::expectation::End::{Established, Refused};
use crate::expectation::Reason::{
    BadCert, Config, NoMethod, NoTls, PeerBroken, PeerGivesUp, PeerTls, SaslFail, TlsFail,
};
use crate::expectation::{End, Expectation};
use crate::outcome::Method::{SaslTls, TcpDialback, TlsDialback};
use crate::policy::{Mode, PolicyNumber};

fn decided(situation: &Situation<'_>) -> Expectation {
    decide(rules(situation.direction), &Premises::of(situation))
}

/// A partner in the words of the cells: TLS, then marks: `E` EXTERNAL, `D` dialback, `S` needs SASL,
/// `keep` and `close` for EXTERNAL refused, `break` for a handshake that fails, and the certificate
/// where it is not good.
fn partner(words: &str) -> (Offer, Deviations) {
    let mut offer = PolicyNumber::new(18).expect("1 to 18").policy().as_offer();
    let mut facts = Deviations::default();
    for word in words.split(' ') {
        match word {
            "none" => offer.tls = Tls::None,
            "offered" => offer.tls = Tls::Offered,
            "required" => offer.tls = Tls::Required,
            "direct" => offer.tls = Tls::Direct,
            "E" => offer.external = true,
            "D" => offer.dialback = true,
            "S" => offer.needs_external = true,
            "keep" => facts.external = ExternalFact::RefusedKept,
            "close" => facts.external = ExternalFact::RefusedClosed,
            "break" => facts.starttls = StarttlsFact::Broken,
            "untrusted" => offer.certificate = Certificate::UnknownCa,
            "wrong" => offer.certificate = Certificate::WrongName,
            "expired" => offer.certificate = Certificate::Expired,
            "nocert" => offer.certificate = Certificate::None,
            other => panic!("{other}"),
        }
    }
    (offer, facts)
}

fn ends(expectation: &Expectation) -> Vec<(End, bool)> {
    let allowed = expectation.allowed.iter();
    allowed
        .map(|allowed| (allowed.end.clone(), allowed.warn.is_some()))
        .collect()
}

/// An expected end.
fn wanted(end: End) -> (End, bool) {
    (end, false)
}

/// An end that warns.
fn warned(end: End) -> (End, bool) {
    (end, true)
}

type Ends = Vec<(End, bool)>;

const SASL: End = Established(SaslTls);
const TLS: End = Established(TlsDialback);
const TCP: End = Established(TcpDialback);

/// A row of the table: `strict` is the difference in the strict reading, if any.
///
/// The tables call the plaintext retry after a failed handshake (W12, W29) downgradable, which
/// is a reason for WARN here. The bad-certificate alternatives of W46 and W52 have none: the policy
/// requires EXTERNAL or valid certificates there.
#[rstest]
#[case::w01(1, "offered E D", vec![wanted(SASL)], None)]
#[case::w02(1, "none D", vec![wanted(Refused(NoTls))], None)]
#[case::w03(1, "offered D", vec![wanted(Refused(NoMethod))], None)]
#[case::w04(1, "offered E D untrusted", vec![wanted(Refused(BadCert))], None)]
#[case::w05(2, "required E wrong", vec![wanted(Refused(BadCert))], None)]
#[case::w06(1, "offered E D close", vec![wanted(Refused(SaslFail))], None)]
#[case::w07(1, "offered D break", vec![wanted(Refused(TlsFail))], None)]
#[case::w08(3, "none D", vec![wanted(TCP)], Some(vec![wanted(Refused(NoMethod))]))]
#[case::w09(3, "offered D", vec![wanted(TLS), warned(TCP)], Some(vec![wanted(Refused(NoMethod))]))]
#[case::w10(
    3,
    "offered E D close",
    vec![wanted(TLS), wanted(Refused(SaslFail)), warned(TCP)],
    Some(vec![wanted(Refused(SaslFail))])
)]
#[case::w11(
    3,
    "offered E D keep",
    vec![wanted(TLS), wanted(Refused(SaslFail)), warned(TCP)],
    Some(vec![wanted(Refused(SaslFail))])
)]
#[case::w12(
    3,
    "offered D break",
    vec![wanted(Refused(TlsFail)), warned(TCP)],
    Some(vec![wanted(Refused(TlsFail))])
)]
#[case::w13(4, "none D", vec![wanted(Refused(NoMethod))], None)]
#[case::w14(4, "offered D", vec![wanted(Refused(NoMethod))], None)]
#[case::w15(
    5,
    "required E D",
    vec![wanted(Refused(PeerTls))],
    Some(vec![wanted(Refused(Config))])
)]
#[case::w16(5, "offered E D", vec![wanted(TCP)], Some(vec![wanted(Refused(Config))]))]
#[case::w17(6, "offered E D", vec![wanted(Refused(Config))], None)]
#[case::w18(7, "offered E D", vec![wanted(SASL)], None)]
#[case::w19(7, "offered D untrusted", vec![wanted(TLS), wanted(Refused(BadCert))], None)]
#[case::w20(
    7,
    "offered E D expired",
    vec![wanted(TLS), wanted(Refused(BadCert)), warned(SASL)],
    None
)]
#[case::w22(7, "offered E D keep", vec![wanted(TLS), wanted(Refused(SaslFail))], None)]
#[case::w23(7, "offered E D close", vec![wanted(TLS), wanted(Refused(SaslFail))], None)]
#[case::w24(7, "none D", vec![wanted(Refused(NoTls))], None)]
#[case::w25(8, "offered E D untrusted", vec![wanted(Refused(BadCert)), warned(SASL)], None)]
#[case::w26(8, "offered D", vec![wanted(Refused(NoMethod))], None)]
#[case::w27(9, "offered E D", vec![wanted(SASL), warned(TCP)], None)]
#[case::w28(
    9,
    "offered D wrong",
    vec![wanted(TLS), wanted(Refused(BadCert)), warned(TCP)],
    None
)]
#[case::w29(9, "offered D break", vec![wanted(Refused(TlsFail)), warned(TCP)], None)]
#[case::w30(9, "required D break", vec![wanted(Refused(TlsFail))], None)]
#[case::w31(9, "none", vec![wanted(Refused(NoMethod))], None)]
#[case::w32(10, "none D", vec![wanted(Refused(NoMethod))], None)]
#[case::w33(13, "offered E D", vec![wanted(TLS)], None)]
#[case::w34(13, "offered E D S", vec![wanted(Refused(NoMethod))], None)]
#[case::w35(
    15,
    "offered D untrusted",
    vec![wanted(TLS), wanted(Refused(BadCert)), warned(TCP)],
    None
)]
#[case::w36(15, "none D", vec![wanted(TCP)], None)]
#[case::w37(17, "required E D", vec![wanted(Refused(PeerTls))], None)]
#[case::w38(17, "none D", vec![wanted(TCP)], None)]
fn outbound(
    #[case] row: u8,
    #[case] words: &str,
    #[case] matrix: Ends,
    #[case] strict: Option<Ends>,
) {
    check(Direction::Outbound, row, words, &matrix, strict.as_ref());
}

#[rstest]
#[case::w39(1, "offered E D", vec![wanted(SASL)], None)]
#[case::w40(1, "offered D", vec![wanted(Refused(NoMethod))], None)]
#[case::w41(1, "none D", vec![wanted(Refused(NoTls))], None)]
#[case::w42(1, "offered E D untrusted", vec![wanted(Refused(BadCert))], None)]
#[case::w43(2, "offered D nocert", vec![wanted(Refused(BadCert))], None)]
#[case::w44(3, "none D", vec![wanted(TCP)], Some(vec![wanted(Refused(NoMethod))]))]
#[case::w45(3, "offered D", vec![wanted(TLS)], Some(vec![wanted(Refused(NoMethod))]))]
#[case::w46(
    3,
    "offered E D expired",
    vec![wanted(TLS), wanted(Refused(BadCert))],
    Some(vec![wanted(Refused(BadCert))])
)]
#[case::w47(4, "none D", vec![wanted(Refused(NoMethod))], None)]
#[case::w48(
    5,
    "required D",
    vec![wanted(Refused(PeerGivesUp))],
    Some(vec![wanted(Refused(Config))])
)]
#[case::w49(5, "none D", vec![wanted(TCP)], Some(vec![wanted(Refused(Config))]))]
#[case::w50(7, "offered D untrusted", vec![wanted(TLS), warned(Refused(BadCert))], None)]
#[case::w51(7, "offered D wrong", vec![wanted(TLS), warned(Refused(BadCert))], None)]
#[case::w53(8, "offered E wrong", vec![wanted(Refused(BadCert))], None)]
#[case::w54(9, "none D", vec![wanted(TCP)], None)]
#[case::w55(9, "offered E D", vec![wanted(SASL)], None)]
#[case::w56(9, "offered E D S untrusted", vec![wanted(Refused(BadCert))], None)]
#[case::w57(13, "offered E D", vec![wanted(TLS)], None)]
#[case::w58(13, "offered E D S", vec![wanted(Refused(PeerGivesUp))], None)]
#[case::w59(15, "none D", vec![wanted(TCP)], None)]
#[case::w60(17, "required D", vec![wanted(Refused(PeerGivesUp))], None)]
#[case::w61(18, "none D", vec![wanted(Refused(Config))], None)]
fn inbound(
    #[case] row: u8,
    #[case] words: &str,
    #[case] matrix: Ends,
    #[case] strict: Option<Ends>,
) {
    check(Direction::Inbound, row, words, &matrix, strict.as_ref());
}

/// Dialback that the partner refuses may be tried first, if the target supports it.
#[rstest]
#[case(7, "offered E D S expired", vec![wanted(Refused(BadCert)), wanted(Refused(NoMethod)), (SASL, true)])]
#[case(8, "offered E D S expired", vec![wanted(Refused(BadCert)), (SASL, true)])]
#[case(7, "offered E D S keep", vec![wanted(Refused(SaslFail)), wanted(Refused(NoMethod))])]
#[case(8, "offered E D S keep", vec![wanted(Refused(SaslFail))])]
fn dialback_may_be_tried_in_vain(#[case] row: u8, #[case] words: &str, #[case] expected: Ends) {
    check(Direction::Outbound, row, words, &expected, None);
}

/// Direct TLS (XEP-0368): either TLS is up, or there is no connection.
#[rstest]
#[case(Direction::Outbound, 9, "direct E D", vec![wanted(SASL)])]
#[case(Direction::Outbound, 3, "direct D", vec![wanted(TLS)])]
#[case(Direction::Outbound, 9, "direct D nocert", vec![wanted(Refused(TlsFail))])]
#[case(Direction::Outbound, 17, "direct D", vec![wanted(Refused(PeerBroken))])]
#[case(Direction::Inbound, 9, "direct E D", vec![wanted(SASL)])]
#[case(Direction::Inbound, 13, "direct E D", vec![wanted(TLS)])]
#[case(
    Direction::Inbound,
    17,
    "direct D",
    vec![wanted(Refused(TlsFail)), wanted(Refused(NoMethod))]
)]
fn direct_tls(
    #[case] direction: Direction,
    #[case] row: u8,
    #[case] words: &str,
    #[case] expected: Ends,
) {
    assert_eq!(ask(direction, row, words, Profile::default()), expected);
}

/// The two cells with the switch for strict certificates.
#[rstest]
#[case::w21(Direction::Outbound, "offered E D expired", vec![wanted(Refused(BadCert))])]
#[case::w52(
    Direction::Inbound,
    "offered D nocert",
    vec![wanted(TLS), wanted(Refused(BadCert))]
)]
fn strict_certificates(#[case] direction: Direction, #[case] words: &str, #[case] expected: Ends) {
    let profile = Profile {
        strict_certificates: true,
        ..Profile::default()
    };
    assert_eq!(ask(direction, 7, words, profile), expected);
}

fn check(direction: Direction, row: u8, words: &str, matrix: &Ends, strict: Option<&Ends>) {
    let profile = |mode| Profile {
        mode,
        strict_certificates: false,
    };
    assert_eq!(&ask(direction, row, words, profile(Mode::Matrix)), matrix);
    let strict = strict.unwrap_or(matrix);
    assert_eq!(&ask(direction, row, words, profile(Mode::Strict)), strict);
}

fn ask(direction: Direction, row: u8, words: &str, profile: Profile) -> Ends {
    let (partner, facts) = partner(words);
    ends(&decided(&Situation {
        policy: PolicyNumber::new(row).expect("1 to 18").policy(),
        profile,
        direction,
        partner: &partner,
        facts: &facts,
    }))
}

/// All 2160 situations of the full product in one direction, incoherent ones included.
fn product(direction: Direction) -> Vec<Expectation> {
    let mut all = Vec::new();
    for row in PolicyNumber::all() {
        for tls in ["none", "offered", "required"] {
            for external in ["", " E"] {
                for certificate in ["", " untrusted", " wrong", " expired", " nocert"] {
                    for dialback in ["", " D"] {
                        for needs in ["", " S"] {
                            let words = [tls, external, certificate, dialback, needs].concat();
                            let (partner, facts) = partner(&words);
                            all.push(decided(&Situation {
                                policy: row.policy(),
                                profile: Profile::default(),
                                direction,
                                partner: &partner,
                                facts: &facts,
                            }));
                        }
                    }
                }
            }
        }
    }
    all
}

/// Counted by the expected end; alternatives are ends with another method or reason.
///
/// Outbound, 18 more than in the catalogue: if row 3 meets a bad certificate and no
/// dialback, it may find out about dialback by trying.
#[rstest]
#[case(Direction::Outbound, [64, 74, 90, 1932], 354 + 18)]
#[case(Direction::Inbound, [64, 94, 90, 1912], 80)]
fn full_product_has_the_counts_of_the_catalogue(
    #[case] direction: Direction,
    #[case] counts: [usize; 4],
    #[case] with_alternatives: usize,
) {
    let all = product(direction);
    assert_eq!(all.len(), 2160);
    let count = |wanted: fn(&End) -> bool| {
        let expected = all.iter().map(|expectation| &expectation.allowed[0].end);
        expected.filter(|end| wanted(end)).count()
    };
    let found = [
        count(|end| *end == SASL),
        count(|end| *end == TLS),
        count(|end| *end == TCP),
        count(|end| matches!(end, Refused(_))),
    ];
    assert_eq!(found, counts);
    let alternatives = all
        .iter()
        .filter(|expectation| expectation.allowed.len() > 1);
    assert_eq!(alternatives.count(), with_alternatives);
}
