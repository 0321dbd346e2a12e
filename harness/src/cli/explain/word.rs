//! Words of reports and tables: levels, ends, phases, conditions, checks, column heads and so on. One word may
//! mean several things.

use simulated_partners::persona::Certificate;
use strum::VariantArray as _;

use super::condition;
use crate::case::{Direction, PartnerType, Set};
use crate::console::describe_direction;
use crate::console::mark::{Charset, Mark};
use crate::doctor::{Check, Severity};
use crate::expectation::Reason;
use crate::judge::Strength;
use crate::outcome::{Closer, Phase, Signal};
use crate::policy;
use crate::report::Standing;
use crate::report::diff::Change;
use crate::requirement::{Level, Role};
use crate::verdict::Verdict;

/// A word, what kind of word it is, and what it means.
pub(super) struct Word {
    pub(super) word: String,
    pub(super) kind: &'static str,
    pub(super) says: String,
}

/// What a word means, in each of its meanings. Letter case does not matter, blanks are hyphens, and a word may
/// be cut off by a dot, as in the heads of narrow columns.
pub(super) fn explain(term: &str) -> Vec<(&'static str, String)> {
    let term = term.trim().to_lowercase().replace(' ', "-");
    let is_it = |word: &str| match term.strip_suffix('.') {
        Some(start) if !start.is_empty() => word.starts_with(start),
        _ => word == term,
    };
    let found = all().into_iter().filter(|one| is_it(&one.word));
    found.map(|one| (one.kind, one.says)).collect()
}

/// All words.
pub(super) fn all() -> Vec<Word> {
    let mut words = Vec::new();
    let mut of = |kind, word: String, says: &str| {
        words.push(Word {
            word,
            kind,
            says: says.to_owned(),
        });
    };
    for one in Verdict::VARIANTS {
        of("verdict", one.to_string(), one.says());
    }
    for one in Level::ALL {
        let says = format!("{}; a breach is {}", one.says(), breach(*one));
        of("level", one.to_string(), &says);
    }
    for one in Strength::VARIANTS {
        of("clause", one.to_string(), strength(*one));
    }
    for one in Standing::VARIANTS {
        of("requirement", one.to_string(), standing(*one));
    }
    for one in Direction::VARIANTS {
        of("direction", one.to_string(), describe_direction(*one));
    }
    for one in Role::VARIANTS {
        of("role", one.to_string(), one.says());
    }
    for one in Set::ALL {
        of("set", one.to_string(), set(*one));
    }
    for one in Reason::VARIANTS {
        of("refused", one.to_string(), one.says());
    }
    for one in Phase::VARIANTS {
        of("phase", one.to_string(), phase(*one));
    }
    for one in Closer::VARIANTS {
        of("ended by", one.to_string(), closer(*one));
    }
    for one in signals() {
        let (name, says) = signal(&one);
        of("signal", name.to_owned(), says);
    }
    for one in policy::Level::ALL {
        of("in a policy", one.to_string(), of_policy(*one));
    }
    for one in PartnerType::ALL {
        of("partner", one.to_string(), partner_type(*one));
    }
    for one in Change::VARIANTS {
        of("change", <&str>::from(one).to_owned(), change(*one));
    }
    for one in Check::VARIANTS {
        of("check", one.to_string(), check(*one));
    }
    for one in Severity::VARIANTS {
        of("doctor", one.to_string(), severity(*one));
    }
    for one in Certificate::VARIANTS {
        of("certificate", one.to_string(), certificate(*one));
    }
    for one in Mark::ALL {
        for charset in [Charset::Unicode, Charset::Ascii] {
            of("mark", one.symbol(charset).to_string(), one.meaning());
        }
    }
    for (kind, word, says) in OTHERS {
        of(kind, word.to_owned(), says);
    }
    words.extend(condition::all());
    words
}

/// Words that are no variant of a type.
const OTHERS: [(&str, &str, &str); 35] = [
    (
        "end",
        "established",
        "a stanza arrived and, where the way back is sure, its answer came back",
    ),
    (
        "end",
        "refused",
        "a stanza was sent anyway and did not arrive; phase, signal, and who ended it say how",
    ),
    (
        "end",
        "stalled",
        "nothing more happened before the deadline of the case",
    ),
    (
        "end",
        "best",
        "established by the best method that the policy and the partner leave",
    ),
    (
        "case",
        "control",
        "what has to be accepted in the same run, or a refusal proves nothing: the nearest accepting case of the \
         matrix, or the variant `control` of a scenario",
    ),
    (
        "case",
        "selected",
        "what was asked for; controls that were added do not count",
    ),
    (
        "case",
        "one-way",
        "established, where the policy or the partner does not let the answer come back",
    ),
    ("word", "target", "the server or proxy under test"),
    (
        "word",
        "partner",
        "a simulated server at the other end, which behaves as a persona says",
    ),
    (
        "word",
        "persona",
        "how a partner behaves: what it offers, and where it deviates from a correct server",
    ),
    (
        "word",
        "policy",
        "what the target is set to for a partner: TLS, SASL and dialback; the 18 rows of the matrix",
    ),
    ("word", "row", "the number of a policy, such as row07"),
    (
        "word",
        "cause",
        "what stands behind findings of several cases: one clause, with what may follow from it",
    ),
    (
        "word",
        "baseline",
        "a file of known deviations of a target, each with its reason (`run --baseline`)",
    ),
    (
        "word",
        "bundle",
        "a file of one case, from which `s2spec replay` runs it again",
    ),
    (
        "word",
        "capture",
        "the connections of a case for Wireshark, with what decrypts them (`run --capture`)",
    ),
    (
        "word",
        "seed",
        "what stream ids, dialback secrets and certificate serials are made from (`run --seed`)",
    ),
    (
        "word",
        "round",
        "one run of all cases, where they are repeated (`run --repeat`)",
    ),
    (
        "word",
        "trouble",
        "what went wrong outside of cases, so that the run proves less",
    ),
    (
        "word",
        "double",
        "a small wrong server with one defect, which a scenario has to fail",
    ),
    (
        "requirement",
        "departed-from",
        "a case warned because of it",
    ),
    (
        "time",
        "connect",
        "from the start of a case to its TCP connection",
    ),
    ("STARTTLS", "offered", "the partner offers STARTTLS"),
    (
        "STARTTLS",
        "direct",
        "the partner takes TLS from the first byte",
    ),
    ("time", "tls", "the TLS handshake"),
    ("time", "auth", "until the stream is authenticated"),
    (
        "time",
        "probe",
        "until the stanza of the case is through and answered",
    ),
    ("coverage", "covered", "a scenario judges the requirement"),
    (
        "coverage",
        "unjudgeable",
        "the requirement cannot be judged from outside",
    ),
    ("coverage", "open", "no scenario judges the requirement yet"),
    (
        "load",
        "inward",
        "from partners to the inner side of the target",
    ),
    (
        "load",
        "outward",
        "from the inner side of the target to partners",
    ),
    (
        "load",
        "p50",
        "half of all took no longer; p90 and p99: 90 and 99 of a hundred",
    ),
    (
        "load",
        "returned",
        "stanzas that came back as errors in place of arriving",
    ),
    ("load", "lost", "stanzas that neither arrived nor came back"),
];

fn breach(level: Level) -> &'static str {
    match level {
        Level::Must | Level::Derived | Level::Security => "a failure",
        Level::Should | Level::Practice => "a warning",
        Level::May => "recorded and no failure",
    }
}

const fn strength(one: Strength) -> &'static str {
    match one {
        Strength::Demanded => "a standard demands it: a MUST",
        Strength::Recommended => "a standard recommends it, or leaves it open: a SHOULD or MAY",
        Strength::Unwritten => {
            "no standard says it in these words: it is derived, due to security, or practice"
        }
    }
}

const fn standing(one: Standing) -> &'static str {
    match one {
        Standing::Breached => "a case failed because of it, expected or not",
        Standing::Departed => "a case warned because of it",
        Standing::Open => "cases that judge it were run, and none of them can say",
        Standing::Held => "a case that judges it passed, and none spoke against it",
        Standing::NotTested => "no case that judges it was run",
    }
}

const fn set(one: Set) -> &'static str {
    match one {
        Set::Personas => "18 policies × every simulated server × two directions",
        Set::Policies => "18 policies × a correct partner with each of the 18 × two directions",
        Set::Offers => "18 policies × what else a partner can offer, certificates included",
        Set::Settings => "what each setting of an administrator does",
        Set::Failover => "a pool of two targets, the first of which goes",
        Set::Scenarios => "the conformance suite, whose ids begin with an area",
    }
}

const fn phase(one: Phase) -> &'static str {
    match one {
        Phase::Config => "the target rejects the configuration",
        Phase::Connect => "the TCP connection",
        Phase::Stream => "from the first stream header to the features",
        Phase::Starttls => "from <starttls/> to <proceed/> or <failure/>",
        Phase::Tls => "from <proceed/> through the handshake to the features of the new stream",
        Phase::Method => "after the features of the last stream: a method has to be chosen",
        Phase::Sasl => "from <auth/> to its answer and the new stream",
        Phase::Dialback => "from the db:result with a key to its answer",
        Phase::Stanza => "authenticated: the stanza is sent",
    }
}

const fn closer(one: Closer) -> &'static str {
    match one {
        Closer::Target => "the server under test ended it first",
        Closer::Partner => "the simulated server ended it first",
        Closer::Nobody => "the connection stayed open, and the case ended on other evidence",
    }
}

/// One of each.
fn signals() -> [Signal; 13] {
    let condition = String::new;
    [
        Signal::ConfigRefused(condition()),
        Signal::NoConnection,
        Signal::StreamError(condition()),
        Signal::SaslFailure(condition()),
        Signal::DialbackError(condition()),
        Signal::DialbackInvalid,
        Signal::TlsFailure,
        Signal::TlsAlert(condition()),
        Signal::TlsBroken,
        Signal::StreamEnd,
        Signal::Fin,
        Signal::Reset,
        Signal::Silence,
    ]
}

/// Its name as reports print it, with hyphens, and what it means.
const fn signal(one: &Signal) -> (&'static str, &'static str) {
    match one {
        Signal::ConfigRefused(_) => (
            "configuration-refused",
            "the target rejected the configuration",
        ),
        Signal::NoConnection => (
            "no-connection",
            "the target never dialled, or TCP was refused",
        ),
        Signal::StreamError(_) => ("stream-error", "<stream:error/> with a condition"),
        Signal::SaslFailure(_) => ("sasl-failure", "the <failure/> of SASL with a condition"),
        Signal::DialbackError(_) => (
            "dialback-error",
            "an answer of dialback of the type `error`, with a condition",
        ),
        Signal::DialbackInvalid => (
            "dialback-invalid",
            "a db:result of the type `invalid`: the key is not confirmed",
        ),
        Signal::TlsFailure => ("starttls-failure", "the <failure/> of STARTTLS"),
        Signal::TlsAlert(_) => ("tls-alert", "an alert of TLS, by its name"),
        Signal::TlsBroken => (
            "broken-tls-handshake",
            "the handshake was cut off, or answered with data that is not TLS",
        ),
        Signal::StreamEnd => ("end-of-stream", "</stream:stream> without an error"),
        Signal::Fin => ("end-of-tcp", "the end of TCP without </stream:stream>"),
        Signal::Reset => ("tcp-reset", "the connection was reset"),
        Signal::Silence => ("silence", "nothing: the connection stayed open"),
    }
}

const fn of_policy(one: policy::Level) -> &'static str {
    match one {
        policy::Level::Required => "R: without it there is no session",
        policy::Level::Optional => "O: used if the partner supports it",
        policy::Level::NotSupported => "N: neither offered nor used",
    }
}

const fn partner_type(one: PartnerType) -> &'static str {
    match one {
        PartnerType::Federated => "type: the same enterprise, or one in a business relation",
        PartnerType::PublicVerified => {
            "type: a public provider that is trusted to vouch for its users"
        }
        PartnerType::PublicUnverified => "type: a public provider that is not trusted to",
    }
}

const fn change(one: Change) -> &'static str {
    match one {
        Change::NewFailure => "it was well, and is not any more",
        Change::NewlyFailing => "it ran in the second report alone, and is not well",
        Change::Fixed => "it was not well, and is now",
        Change::NoLongerRun => "it ran in the first report alone",
        Change::NewlyRun => "it ran in the second report alone, and is well",
        Change::Verdict => "another verdict that neither breaks nor mends it",
        Change::Reason => "it fails or warns as before, for another reason",
        Change::Outcome => "it is established or refused as rightly as before, in another way",
    }
}

const fn check(one: Check) -> &'static str {
    match one {
        Check::Start => "starting the target, and stopping it",
        Check::Port => "the TCP port for servers takes connections",
        Check::Stream => "the response to a stream header is that of a server for the domain",
        Check::Starttls => "STARTTLS and its handshake succeed",
        Check::Chain => "the chain of the target's certificate",
        Check::Dates => "the certificate's dates",
        Check::Names => "the certificate's names",
        Check::Usage => "what the certificate's key may be used for",
        Check::Key => "the kind and length of the certificate's key",
        Check::Policy => "what is offered fits the policy",
        Check::DirectTls => "the direct TLS port",
        Check::Inner => "the port of a proxy for its gateway",
        Check::Clock => "the clock of the target and that of this machine",
        Check::Trust => "the target trusts the lab's authority, and not an unknown one",
        Check::LabDns => "the target asks the lab's name server",
        Check::WayBack => "the target reaches the partners of the lab",
        Check::Silence => "how long a partner may say nothing",
        Check::Records => "the target's own DNS records",
    }
}

const fn severity(one: Severity) -> &'static str {
    match one {
        Severity::Note => "for information",
        Severity::Warning => {
            "some cases will fail because of it, or other servers will have trouble"
        }
        Severity::Blocking => {
            "cases would fail because of it and not because of what they test, so a run proves nothing"
        }
    }
}

const fn certificate(one: Certificate) -> &'static str {
    match one {
        Certificate::Good => "of a partner: for its own domain, from the lab's authority",
        Certificate::Expired => "of a partner: expired",
        Certificate::NotYetValid => "of a partner: valid from tomorrow on",
        Certificate::WrongName => "of a partner: for another domain",
        Certificate::SelfSigned => "of a partner: signed by its own key",
        Certificate::UnknownCa => "of a partner: from an authority that is not trusted",
        Certificate::NoClientAuth => "of a partner: for servers alone (extended key usage)",
        Certificate::MissingIntermediate => {
            "of a partner: valid, but the intermediate certificate is not sent"
        }
        Certificate::None => "the partner has none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_the_names_of_reports() {
        for one in signals() {
            let shown = one.to_string();
            let name = shown.split('(').next().expect("a name").trim();
            assert!(!explain(name).is_empty(), "{name}");
            assert_eq!(name.to_lowercase().replace(' ', "-"), signal(&one).0);
        }
    }
}
