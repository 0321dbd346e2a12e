//! Which domains are a partner's, and where its server is found.

use simulated_partners::event::ConnectionKind;
use simulated_partners::wire::Unit;

use super::draft::{
    Draft, at, delivered, failing, message, never, stanza, stream_error, to_contact,
};
use crate::case::{Case, Direction, Dns, Expect, Rule, Sees, Settings};
use crate::policy::PolicyNumber;
use crate::requirement::Level;

static LISTED: Rule = Rule {
    id: "domain.listed",
    clause: "Lync Server 2013, create or edit XMPP partner configuration, steps 7 and 9",
    level: Level::Must,
    says: "Stanzas pass from and to the partner's primary domain and each of its additional domains.",
};
static NOT_LISTED: Rule = Rule {
    id: "domain.not-listed",
    clause: "Lync Server 2013, create or edit XMPP partner configuration, steps 7 and 9",
    level: Level::Must,
    says: "A domain that is not listed is no partner's, also if it lies below one that is.",
};
static FOUND: Rule = Rule {
    id: "domain.proxy-fqdn",
    clause: "New-CsXmppAllowedPartner, ProxyFqdn",
    level: Level::Derived,
    says: "The server of a partner with a ProxyFqdn is found by that name, whatever the SRV records say.",
};
static BY_SRV: Rule = Rule {
    id: "domain.srv",
    clause: "Lync Server 2013, setting up XMPP federation, step 23; RFC 6120 §3.2.1",
    level: Level::Must,
    says: "The server of a partner without a ProxyFqdn is found by its SRV records.",
};

pub(super) fn rules() -> impl Iterator<Item = &'static Rule> {
    [&LISTED, &NOT_LISTED, &FOUND, &BY_SRV].into_iter()
}

/// A domain below the partner's.
const BELOW: &str = "chat.{domain}";
/// The name of the partner's proxy.
const EDGE: &str = "edge.{domain}";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &direction in Direction::ALL {
        let further = vec!["talk.{domain}".to_owned(), BELOW.to_owned()];
        cases.extend([
            domain("primary", &LISTED, "{domain}", further.clone(), direction),
            domain("additional", &LISTED, BELOW, further.clone(), direction),
            domain(
                "below-the-primary",
                &NOT_LISTED,
                BELOW,
                Vec::new(),
                direction,
            ),
            domain(
                "beside-additional-ones",
                &NOT_LISTED,
                "other.{domain}",
                further,
                direction,
            ),
        ]);
        cases.extend([fqdn(true, direction), fqdn(false, direction)]);
    }
    cases
}

/// A partner of this domain, where these are listed besides the primary one.
fn domain(
    id: &str,
    rule: &'static Rule,
    domain: &str,
    additional_domains: Vec<String>,
    direction: Direction,
) -> Case {
    let is_listed = rule.id == LISTED.id;
    let draft = Draft::new(&format!("domains/{id}"), rule, direction)
        .set_to(Settings {
            additional_domains,
            ..Settings::default()
        })
        .changed(|script| {
            let main = &mut script.roles[0];
            domain.clone_into(&mut main.domain);
            // Only the settings may list it.
            main.unlisted = domain != "{domain}";
        });
    let draft = match direction {
        Direction::Inbound => draft,
        Direction::Outbound => draft.local(None, to_contact(domain, "{probe}")),
    };
    match (direction, is_listed) {
        (Direction::Inbound, true) => draft.expecting([delivered("{probe}")]),
        (Direction::Inbound, false) => {
            let refused = Expect {
                tolerated: vec!["*".to_owned()],
                ..stream_error("policy-violation")
            };
            draft.expecting([refused, never(delivered("{probe}"))])
        }
        (Direction::Outbound, true) => draft.expecting([message("{probe}")]),
        (Direction::Outbound, false) => {
            let returned = failing(stanza(Sees::Returned, "{probe}"), "policy-violation");
            draft.expecting([returned, never(Expect::new(Sees::Connection))])
        }
    }
    .case()
}

/// The partner's server at the place that ProxyFqdn names, and another one at that of the SRV records. Where the
/// partner dials, the key that it shows is verified there.
fn fqdn(is_set: bool, direction: Direction) -> Case {
    let (word, rule) = match is_set {
        true => ("set", &FOUND),
        false => ("not-set", &BY_SRV),
    };
    let edge = Dns {
        name: EDGE.to_owned(),
        address: Some(vec!["{partner-address}".to_owned()]),
        ..Dns::default()
    };
    let draft = Draft::new(&format!("proxy-fqdn/{word}"), rule, direction)
        .set_to(Settings {
            proxy_fqdn: is_set.then(|| EDGE.to_owned()),
            ..Settings::default()
        })
        .changed(|script| {
            let main = &mut script.roles[0];
            main.serves = false;
            main.default_port = true;
            script.dns.push(edge);
        })
        .beside("elsewhere", |role| {
            role.serves = true;
            role.default_port = false;
        });
    let (right, wrong) = match is_set {
        true => ("partner", "elsewhere"),
        false => ("elsewhere", "partner"),
    };
    let asked = |role| {
        let question = Expect {
            on: Some(ConnectionKind::Outbound),
            ..Expect::new(Sees::Unit(Unit::DbVerify))
        };
        at(question, role)
    };
    match direction {
        Direction::Outbound => draft
            .local(None, to_contact("{domain}", "{probe}"))
            .expecting([at(message("{probe}"), right)])
            .expecting([never(at(Expect::new(Sees::Connection), wrong))]),
        Direction::Inbound => draft
            .in_policy(PolicyNumber::new(17).expect("there are 18"))
            .expecting([asked(right), never(asked(wrong))]),
    }
    .case()
}
