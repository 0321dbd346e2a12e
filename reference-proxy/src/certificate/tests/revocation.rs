use aws_lc_rs::digest;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::domain;
use crate::certificate::fixture::{Authority, Leaf, leaf, serial, tlv};
use crate::certificate::judge::Presenter;
use crate::certificate::{Fault, Judge, Judged, Lists, Revocation, RevocationPolicy};

const NAME: &str = "fp.example";

/// ecdsa-with-SHA256.
const ECDSA: [u8; 12] = [
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];
/// SHA-1 and SHA-256 with their parameters.
const SHA1: [u8; 11] = [0x30, 9, 0x06, 5, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0];
const SHA256: [u8; 15] = [
    0x30, 13, 0x06, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0,
];

const GOOD: &[u8] = &[0x80, 0];
const UNKNOWN: &[u8] = &[0x82, 0];

fn revoked() -> Vec<u8> {
    tlv(0xa1, &tlv(0x18, b"20240101000000Z"))
}

fn far() -> time::OffsetDateTime {
    date_time_ymd(2090, 1, 1)
}

fn judge(authority: &Authority, policy: RevocationPolicy, lists: &[String]) -> Judge {
    let lists = lists.iter().fold(Lists::default(), |all, list| {
        all.and(&Lists::read(list.as_bytes()).expect("a list"))
    });
    let judge = Judge::new(authority.authorities(), false);
    judge.heeding(Revocation { policy, lists })
}

fn judged(judge: &Judge, chain: &[CertificateDer<'_>], stapled: &[u8]) -> Judged {
    let names = [domain(NAME)];
    judge.judge(
        Some(chain),
        stapled,
        Presenter::Server,
        &names,
        UnixTime::now(),
    )
}

const POLICIES: [RevocationPolicy; 3] = [
    RevocationPolicy::Off,
    RevocationPolicy::IfThere,
    RevocationPolicy::Required,
];

/// The verdicts by each policy.
fn verdicts(
    authority: &Authority,
    lists: &[String],
    chain: &[CertificateDer<'_>],
    stapled: &[u8],
) -> [Judged; 3] {
    POLICIES.map(|policy| judged(&judge(authority, policy, lists), chain, stapled))
}

const REVOKED: [Judged; 3] = [
    Judged::Good,
    Judged::Bad(Fault::Revoked),
    Judged::Bad(Fault::Revoked),
];
const KNOWN: [Judged; 3] = [Judged::Good; 3];
const NOT_KNOWN: [Judged; 3] = [
    Judged::Good,
    Judged::Good,
    Judged::Bad(Fault::RevocationUnknown),
];

#[test]
fn lists_are_judged_by_policy() {
    let authority = Authority::new("CA");
    let [one, other] = [(); 2].map(|()| authority.issue(&[NAME]));
    let chain = [one.der()];
    let old = date_time_ymd(2021, 1, 1);
    for (lists, due) in [
        (vec![], NOT_KNOWN),
        (vec![authority.list(&[&one], far())], REVOKED),
        (vec![authority.list(&[&other], far())], KNOWN),
        // What was revoked stays revoked, but an old list does not show that nothing was.
        (vec![authority.list(&[&one], old)], REVOKED),
        (vec![authority.list(&[&other], old)], NOT_KNOWN),
        // Of another authority, by its name or only by its key.
        (
            vec![Authority::new("Other").list(&[&one], far())],
            NOT_KNOWN,
        ),
        (vec![Authority::new("CA").list(&[&one], far())], NOT_KNOWN),
    ] {
        assert_eq!(verdicts(&authority, &lists, &chain, &[]), due);
    }
}

#[test]
fn intermediate_authority_may_be_revoked_too() {
    let root = Authority::new("Root");
    let between = root.below(Authority::params("Intermediate"));
    let one = between.issue(&[NAME]);
    let chain = [one.der(), between.der()];
    let lists = |revoked: &[&Leaf]| [root.list(revoked, far()), between.list(&[], far())];
    assert_eq!(verdicts(&root, &lists(&[]), &chain, &[]), KNOWN);
    let as_leaf = root.issue(&[NAME]);
    assert_eq!(verdicts(&root, &lists(&[&as_leaf]), &chain, &[]), KNOWN);
    let list = root.list_of(&[serial(&between.der())], far());
    let lists = [list, between.list(&[], far())];
    assert_eq!(verdicts(&root, &lists, &chain, &[]), REVOKED);
}

/// Parts of an answer.
struct Answer<'a> {
    about: &'a CertificateDer<'a>,
    issuer: &'a CertificateDer<'a>,
    sha256: bool,
    status: Vec<u8>,
    times: [&'a str; 2],
}

impl Answer<'_> {
    /// The DER, signed by `sign`, with these certificates.
    fn der(&self, sign: impl Fn(&[u8]) -> Vec<u8>, certificates: &[CertificateDer<'_>]) -> Vec<u8> {
        let (_, issuer) = X509Certificate::from_der(self.issuer).expect("a certificate");
        let (algorithm, oid) = match self.sha256 {
            true => (&digest::SHA256, &SHA256[..]),
            false => (&digest::SHA1_FOR_LEGACY_USE_ONLY, &SHA1[..]),
        };
        let hash = |bytes: &[u8]| tlv(0x04, digest::digest(algorithm, bytes).as_ref());
        let id = [
            oid.to_vec(),
            hash(issuer.subject().as_raw()),
            hash(&issuer.public_key().subject_public_key.data),
            tlv(0x02, &serial(self.about)),
        ];
        let [from, until] = self.times.map(|time| tlv(0x18, time.as_bytes()));
        let single = [
            tlv(0x30, &id.concat()),
            self.status.clone(),
            from.clone(),
            tlv(0xa0, &until),
        ];
        let responder = tlv(0xa2, &tlv(0x04, &[7; 20]));
        let data = [responder, from, tlv(0x30, &tlv(0x30, &single.concat()))];
        let data = tlv(0x30, &data.concat());
        let signature = [vec![0], sign(&data)].concat();
        let mut basic = [data, ECDSA.to_vec(), tlv(0x03, &signature)].concat();
        if !certificates.is_empty() {
            let all: Vec<u8> = certificates.iter().flat_map(|one| one.to_vec()).collect();
            basic.extend(tlv(0xa0, &tlv(0x30, &all)));
        }
        // id-pkix-ocsp-basic
        let kind = tlv(0x06, &[0x2b, 6, 1, 5, 5, 7, 48, 1, 1]);
        let bytes = [kind, tlv(0x04, &tlv(0x30, &basic))].concat();
        tlv(
            0x30,
            &[tlv(0x0a, &[0]), tlv(0xa0, &tlv(0x30, &bytes))].concat(),
        )
    }
}

const NOW: [&str; 2] = ["20240101000000Z", "20900101000000Z"];

#[test]
fn stapled_answers_are_judged_by_policy() {
    let authority = Authority::new("CA");
    let [one, other] = [(); 2].map(|()| authority.issue(&[NAME]).der());
    let issuer = authority.der();
    let by_authority = |answer: &Answer<'_>| answer.der(|data| authority.sign(data), &[]);
    let chain = [one.clone()];
    let verdicts_with =
        |lists: &[String], stapled: &[u8]| verdicts(&authority, lists, &chain, stapled);
    let verdicts = |stapled: &[u8]| verdicts_with(&[], stapled);
    let answer = || Answer {
        about: &one,
        issuer: &issuer,
        sha256: false,
        status: GOOD.to_vec(),
        times: NOW,
    };
    assert_eq!(verdicts(&by_authority(&answer())), KNOWN);
    let sha256 = true;
    assert_eq!(
        verdicts(&by_authority(&Answer { sha256, ..answer() })),
        KNOWN
    );
    let status = |status: Vec<u8>| by_authority(&Answer { status, ..answer() });
    assert_eq!(verdicts(&status(revoked())), REVOKED);
    assert_eq!(verdicts(&status(UNKNOWN.to_vec())), NOT_KNOWN);
    for times in [
        ["20200101000000Z", "20210101000000Z"],
        ["20800101000000Z", "20900101000000Z"],
    ] {
        assert_eq!(
            verdicts(&by_authority(&Answer { times, ..answer() })),
            NOT_KNOWN,
            "{times:?}"
        );
    }
    let about = &other;
    assert_eq!(
        verdicts(&by_authority(&Answer { about, ..answer() })),
        NOT_KNOWN
    );
    // Signed by somebody else, or not an answer at all.
    let stranger = Authority::new("CA");
    let forged = answer().der(|data| stranger.sign(data), &[]);
    assert_eq!(verdicts(&forged), NOT_KNOWN);
    let whole = by_authority(&answer());
    for cut in 0..whole.len() {
        assert_eq!(verdicts(&whole[..cut]), NOT_KNOWN, "{cut}");
    }
    // A list says what the answer does not.
    let lists = [authority.list(&[], far())];
    assert_eq!(verdicts_with(&lists, &forged), KNOWN);
}

#[test]
fn responder_needs_a_certificate_for_that() {
    let authority = Authority::new("CA");
    let one = authority.issue(&[NAME]).der();
    let issuer = authority.der();
    let answer = Answer {
        about: &one,
        issuer: &issuer,
        sha256: false,
        status: revoked(),
        times: NOW,
    };
    let responder = |params: &CertificateParams, by: &Authority| {
        let responder = by.issue_with(params);
        let stapled = answer.der(|data| responder.sign(data), &[responder.der()]);
        verdicts(&authority, &[], std::slice::from_ref(&one), &stapled)
    };
    let mut params = leaf(&["ocsp.example"]);
    assert_eq!(
        responder(&params, &authority),
        NOT_KNOWN,
        "of another purpose"
    );
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
    assert_eq!(responder(&params, &authority), REVOKED);
    assert_eq!(
        responder(&params, &Authority::new("CA")),
        NOT_KNOWN,
        "of another authority"
    );
    params.not_after = date_time_ymd(2021, 1, 1);
    assert_eq!(responder(&params, &authority), NOT_KNOWN, "expired");
}
