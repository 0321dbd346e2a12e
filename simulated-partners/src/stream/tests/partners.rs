//! Whole negotiations, partner against partner.

use std::sync::Arc;

use insta::assert_snapshot;

use super::network::Network;
use super::{offer, persona, ping};
use crate::persona::Persona;

fn meet(a: &Arc<Persona>, b: &Arc<Persona>) -> Network {
    let mut network = Network::new(a, b, usize::MAX);
    network.dial(ping("a.example", "b.example"));
    network
}

fn modern() -> Arc<Persona> {
    persona(&offer("offered", true, true))
}

fn deviating(tls: &str, external: bool, dialback: bool, reactions: &str) -> Arc<Persona> {
    persona(&format!("{}{reactions}", offer(tls, external, dialback)))
}

#[test]
fn external_over_tls_carries_a_ping_and_its_answer() {
    assert_snapshot!("sasl-tls", meet(&modern(), &modern()).transcript());
}

#[test]
fn dialback_over_tls_asks_the_authoritative_server() {
    let dialback = persona(&offer("required", false, true));
    assert_snapshot!("tls-dialback", meet(&dialback, &dialback).transcript());
}

#[test]
fn dialback_works_in_clear() {
    let old = persona(&offer("none", false, true));
    assert_snapshot!("tcp-dialback", meet(&old, &old).transcript());
}

#[test]
fn a_bad_certificate_leaves_dialback() {
    let expired = persona(&format!(
        "{}certificate = 'expired'\n",
        offer("offered", true, true)
    ));
    let network = meet(&expired, &modern());
    assert!(
        network.saw("established TlsDialback"),
        "{}",
        network.transcript()
    );
    assert!(
        network.saw("←* <features [dialback/errors]>"),
        "{}",
        network.transcript()
    );
}

#[test]
fn no_common_method_ends_the_stream() {
    let none = persona(&offer("offered", false, false));
    assert_snapshot!("no-method", meet(&none, &modern()).transcript());
}

#[test]
fn a_partner_that_requires_tls_gives_up_without_it() {
    let strict = persona(&offer("required", true, false));
    let old = persona(&offer("none", false, true));
    assert_snapshot!("no-tls", meet(&strict, &old).transcript());
}

#[test]
fn a_key_in_clear_is_refused_where_tls_is_required() {
    let strict = persona(&offer("required", false, true));
    let old = persona(&offer("none", false, true));
    let network = meet(&old, &strict);
    assert!(
        network.saw("← <result error [error/policy-violation]>"),
        "{}",
        network.transcript()
    );
    assert_eq!(network.established(), 0);
}

#[test]
fn a_key_is_refused_where_external_is_insisted_on() {
    let strict = persona(&format!(
        "{}needs-external = true\n",
        offer("offered", true, true)
    ));
    let network = meet(&persona(&offer("offered", false, true)), &strict);
    assert!(
        network.saw("←* <result error [error/not-authorized]>"),
        "{}",
        network.transcript()
    );
    assert_eq!(network.established(), 0);
}

#[test]
fn starttls_can_be_refused() {
    let refusing = deviating(
        "offered",
        false,
        true,
        "[[reaction]]\nwhen = 'starttls'\ndo = [{ send = \"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\" }, 'close']\n",
    );
    assert_snapshot!("starttls-refused", meet(&modern(), &refusing).transcript());
}

#[test]
fn external_refused_with_the_stream_kept_leaves_dialback() {
    let refusing = deviating(
        "offered",
        true,
        true,
        "[[reaction]]\nwhen = 'auth'\ndo = [{ send = \"<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>\" }]\n",
    );
    assert_snapshot!(
        "external-refused-kept",
        meet(&modern(), &refusing).transcript()
    );
}

#[test]
fn external_refused_with_the_stream_closed_is_the_end() {
    let refusing = deviating(
        "offered",
        true,
        true,
        "[[reaction]]\nwhen = 'auth'\ndo = [{ send = \"<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>\" }, 'close']\n",
    );
    assert_snapshot!(
        "external-refused-closed",
        meet(&modern(), &refusing).transcript()
    );
}

#[test]
fn an_authority_that_says_invalid_is_believed() {
    let liar = deviating(
        "none",
        false,
        true,
        "[[reaction]]\nwhen = 'db-verify'\ndo = [{ send = \"<db:verify from='{to}' to='{from}' id='{id}' type='invalid'/>\" }]\n",
    );
    assert_snapshot!(
        "authority-invalid",
        meet(&liar, &persona(&offer("none", false, true))).transcript()
    );
}

#[test]
fn an_authority_that_speaks_for_another_domain_is_not_heard() {
    let liar = deviating(
        "none",
        false,
        true,
        "[[reaction]]\nwhen = 'db-verify'\ndo = [{ send = \"<db:verify from='other.example' to='{from}' id='{id}' type='valid'/>\" }]\n",
    );
    let mut network = meet(&liar, &persona(&offer("none", false, true)));
    assert_eq!(network.established(), 0, "{}", network.transcript());
    network.let_time_pass();
    assert_snapshot!("authority-wrong-domain", network.transcript());
}

#[test]
fn a_silent_authority_costs_the_asker_its_patience() {
    let silent = deviating(
        "none",
        false,
        true,
        "[[reaction]]\nwhen = 'db-verify'\ndo = ['stay-silent']\n",
    );
    let mut network = meet(&silent, &persona(&offer("none", false, true)));
    assert_eq!(network.established(), 0, "{}", network.transcript());
    network.let_time_pass();
    assert_snapshot!("authority-silent", network.transcript());
}

#[test]
fn a_header_without_id_allows_no_key() {
    let nameless = deviating(
        "none",
        false,
        true,
        "[[reaction]]\nwhen = 'header'\ndo = [{ header-without = ['id'] }, 'features']\n",
    );
    assert_snapshot!(
        "no-stream-id",
        meet(&persona(&offer("none", false, true)), &nameless).transcript()
    );
}

#[test]
fn a_server_without_version_is_asked_by_dialback_at_once() {
    let old = deviating(
        "none",
        false,
        true,
        "[[reaction]]\nwhen = 'header'\ndo = [{ header-without = ['version'] }]\n",
    );
    assert_snapshot!("no-version", meet(&modern(), &old).transcript());
    let network = meet(&persona(&offer("required", false, true)), &old);
    assert!(
        network.saw("→ <error [unsupported-version]>"),
        "{}",
        network.transcript()
    );
}

#[test]
fn a_silent_server_is_given_up() {
    let silent = deviating(
        "none",
        false,
        true,
        "[[reaction]]\nwhen = 'accepted'\ndo = ['stay-silent']\n",
    );
    let mut network = meet(&modern(), &silent);
    network.let_time_pass();
    assert_snapshot!("silent-after-accept", network.transcript());
}

#[test]
fn a_reset_in_place_of_features_is_seen() {
    let rude = deviating(
        "none",
        false,
        true,
        "[[reaction]]\nwhen = 'features'\ndo = ['reset']\n",
    );
    assert_snapshot!("reset-at-features", meet(&modern(), &rude).transcript());
}

#[test]
fn a_handshake_broken_by_the_listener_is_no_stream() {
    let broken = deviating(
        "offered",
        true,
        true,
        "[[reaction]]\nwhen = 'proceed-sent'\ndo = ['break-tls']\n",
    );
    let mut network = meet(&modern(), &broken);
    network.let_time_pass();
    assert!(network.all_ended(), "{}", network.transcript());
    assert_eq!(network.established(), 0);
}

#[test]
fn a_partner_that_requires_the_dialback_namespace_refuses_a_header_without_it() {
    let google = persona(&format!(
        "{}insists-on-db-namespace = true\n",
        offer("none", false, true)
    ));
    let network = meet(&persona(&offer("none", false, false)), &google);
    assert!(
        network.saw("← <error [invalid-namespace]>"),
        "{}",
        network.transcript()
    );
    let network = meet(&persona(&offer("none", false, true)), &google);
    assert!(
        network.saw("established TcpDialback"),
        "{}",
        network.transcript()
    );
}

#[test]
fn external_is_never_used_in_clear() {
    let careless = persona(&format!(
        "{}external-on-plaintext = true\n",
        offer("none", false, true)
    ));
    let network = meet(&modern(), &careless);
    assert!(!network.saw("→ <auth>"), "{}", network.transcript());
    assert!(
        network.saw("established TcpDialback"),
        "{}",
        network.transcript()
    );
}

#[test]
fn stopping_ends_every_stream_in_order() {
    let mut network = meet(&modern(), &modern());
    assert_eq!(network.established(), 4);
    network.stop();
    assert!(network.all_ended(), "{}", network.transcript());
    assert!(network.saw("closed by Partner"), "{}", network.transcript());
}

#[test]
fn each_persona_meets_a_modern_server() {
    let modern = modern();
    let mut out = String::new();
    for persona in crate::persona::builtin() {
        let name = persona.name.clone();
        let persona = Arc::new(persona);
        let outcome = |mut network: Network| {
            network.let_time_pass();
            let outcome = network.outcome();
            network.stop();
            network.let_time_pass();
            assert!(network.all_ended(), "{name}: {}", network.transcript());
            outcome
        };
        out += &format!(
            "{name}: dialled {}, dialling {}\n",
            outcome(meet(&modern, &persona)),
            outcome(meet(&persona, &modern)),
        );
    }
    assert_snapshot!("personas", out);
}

#[test]
fn byte_by_byte_delivery_changes_nothing() {
    let tls = |name| persona(&offer(name, false, true));
    for (a, b) in [
        (modern(), modern()),
        (tls("required"), tls("offered")),
        (tls("none"), tls("none")),
    ] {
        let observations = |chunk| {
            let mut network = Network::new(&a, &b, chunk);
            network.dial(ping("a.example", "b.example"));
            network.stop();
            network.observations()
        };
        let whole = observations(usize::MAX);
        assert_eq!(observations(1), whole);
        assert_eq!(observations(7), whole);
    }
}
