//! The conditions of errors in XMPP, as reports print them: `stream error policy-violation`.

use super::word::Word;

/// Where they are defined, in the order of the sections there.
const STREAM: (&str, &str) = (
    "stream error, RFC 6120 §4.9.3",
    "bad-format bad-namespace-prefix conflict connection-timeout host-gone host-unknown improper-addressing \
     internal-server-error invalid-from invalid-namespace invalid-xml not-authorized not-well-formed \
     policy-violation remote-connection-failed reset resource-constraint restricted-xml see-other-host \
     system-shutdown undefined-condition unsupported-encoding unsupported-feature unsupported-stanza-type \
     unsupported-version",
);
const SASL: (&str, &str) = (
    "SASL failure, RFC 6120 §6.5",
    "aborted account-disabled credentials-expired encryption-required incorrect-encoding invalid-authzid \
     invalid-mechanism malformed-request mechanism-too-weak not-authorized temporary-auth-failure",
);
const STANZA: (&str, &str) = (
    "stanza or dialback error, RFC 6120 §8.3.3",
    "bad-request conflict feature-not-implemented forbidden gone internal-server-error item-not-found \
     jid-malformed not-acceptable not-allowed not-authorized policy-violation recipient-unavailable redirect \
     registration-required remote-server-not-found remote-server-timeout resource-constraint \
     service-unavailable subscription-required undefined-condition unexpected-request",
);

/// All of them, each once for each kind of error that has it.
pub(super) fn all() -> impl Iterator<Item = Word> {
    let kinds = [STREAM, SASL, STANZA].into_iter();
    kinds.flat_map(|(kind, conditions)| {
        let conditions = conditions.split_ascii_whitespace().enumerate();
        conditions.map(move |(before, condition)| Word {
            word: condition.to_owned(),
            kind: "condition",
            says: format!("{kind}.{}: {}", before + 1, says(condition)),
        })
    })
}

fn says(condition: &str) -> &'static str {
    match condition {
        "aborted" => "authentication was given up",
        "account-disabled" => "the account is disabled for now",
        "bad-format" => "XML that cannot be processed",
        "bad-namespace-prefix" => "a namespace prefix is missing or not allowed",
        "bad-request" => "the stanza is malformed or unknown",
        "conflict" => "something of this name is there already",
        "connection-timeout" => "nothing came for too long",
        "credentials-expired" => "the credentials are no longer valid",
        "encryption-required" => "the mechanism cannot be used without TLS",
        "feature-not-implemented" => "the recipient does not do this",
        "forbidden" => "the sender may not do this",
        "gone" => "the recipient is no longer at this address",
        "host-gone" => "the domain is no longer served here",
        "host-unknown" => "the domain is not served here",
        "improper-addressing" => "a stanza between servers lacks a valid from or to",
        "incorrect-encoding" => "what was sent is no base64",
        "internal-server-error" => "the server has a mistake of its own",
        "invalid-authzid" => "the identity has a wrong form, or may not be taken",
        "invalid-from" => "the from is none of those that the stream is authenticated for",
        "invalid-mechanism" => "the mechanism is not offered",
        "invalid-namespace" => "the namespace of the stream or its content is another",
        "invalid-xml" => "the XML is not valid where that is checked",
        "item-not-found" => "the address or thing does not exist",
        "jid-malformed" => "an address has a wrong form",
        "malformed-request" => "the data of the mechanism have a wrong form",
        "mechanism-too-weak" => "the mechanism is weaker than wanted",
        "not-acceptable" => "the recipient does not take it in this form",
        "not-allowed" => "nobody may do this",
        "not-authorized" => "authentication failed, or has not yet taken place",
        "not-well-formed" => "the XML is not well-formed",
        "policy-violation" => "it goes against a rule of this server",
        "recipient-unavailable" => "the recipient is not there for now",
        "redirect" => "for the time being, it goes to another address",
        "registration-required" => "the sender has to register first",
        "remote-connection-failed" => "the server could not reach another that it needed",
        "remote-server-not-found" => "the server of the recipient cannot be found or reached",
        "remote-server-timeout" => "the server of the recipient did not answer in time",
        "reset" => "the stream has to be opened anew, as after changes in security",
        "resource-constraint" => "the server has too little left to serve this",
        "restricted-xml" => "comments, processing instructions, DTDs and entities are not allowed",
        "see-other-host" => "another address serves this",
        "service-unavailable" => "the recipient does not offer this, or is not reached",
        "subscription-required" => "the sender needs a subscription",
        "system-shutdown" => "the server is shutting down",
        "temporary-auth-failure" => "authentication failed for now",
        "undefined-condition" => "none of the others",
        "unexpected-request" => "it came at the wrong time",
        "unsupported-encoding" => "only UTF-8 is allowed",
        "unsupported-feature" => "a mandatory feature is not supported",
        "unsupported-stanza-type" => "the first-level element is not known",
        "unsupported-version" => "the version of XMPP is not supported",
        _ => "",
    }
}
