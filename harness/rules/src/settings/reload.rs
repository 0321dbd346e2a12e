//! Each setting changed while a stream is open: the change counts at once, and the streams that it does not touch stay.

mod people;

use std::sync::Arc;
use std::time::Duration;

use simulated_partners::board::Begins;
use simulated_partners::event::ConnectionKind;
use simulated_partners::reaction::{Await, Do, When};

use super::draft::{
    Draft, at, delivered, ended_in_order, from_contact, message, never, no_end, on, on_the_first,
    partner, raise, stream_error, to_contact, wait_for,
};
use super::limits::ROOM;
use crate::case::{Case, Direction, Dns, Expect, Role, Rule, Settings, What};
use crate::policy::PolicyNumber;
use crate::requirement::Level;

static STAYS: Rule = Rule {
    id: "reload.stays",
    clause: "Lync Server 2013, setting up XMPP federation, troubleshooting, step 10",
    level: Level::Derived,
    says: "Another configuration takes no restart: it counts at once, and streams that it does not touch stay open.",
};
static ENDS: Rule = Rule {
    id: "reload.ends",
    clause: "Lync Server 2013, create or edit XMPP partner configuration; setting up XMPP federation, troubleshooting, \
             step 10",
    level: Level::Derived,
    says: "A stream that the new configuration does not allow any more is ended in order.",
};

pub(super) fn rules() -> impl Iterator<Item = &'static Rule> {
    [&STAYS, &ENDS].into_iter()
}

const FIRST: &str = "{probe}";
const NEXT: &str = "{probe}-2";
/// Raised when the reload is done.
const DONE: &str = "done-1";
const UP: &str = "time-is-up";
const BELOW: &str = "chat.{domain}";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        kept("nothing", Settings::default(), Settings::default()),
        listed("partner-removed", false),
        listed("partner-added", true),
        domains("additional-domain-removed", false),
        domains("additional-domain-added", true),
        policy(9, 17),
        policy(17, 9),
        fqdn(),
    ];
    for way in [[1, 2], [2, 1]] {
        cases.push(connections("partner-limit", way, |limit| Settings {
            connection_limit: Some(limit),
            ..Settings::default()
        }));
        cases.push(connections("each-partner-limit", way, |limit| Settings {
            partner_connections: Some(limit),
            ..Settings::default()
        }));
        cases.push(connections("limit-of-all", way, |limit| Settings {
            connections: Some(limit),
            ..Settings::default()
        }));
    }
    cases.extend(times());
    cases.extend([establishment(60, 300), establishment(300, 60)]);
    cases.extend(people::cases());
    cases
}

fn draft(id: &str, rule: &'static Rule, before: Settings, after: Settings) -> Draft {
    Draft::new(&format!("reload/{id}"), rule, Direction::Inbound)
        .set_to(before)
        .then("delivered", What::Reload(Box::new(after)))
}

/// A first message, and a next one when the signal is raised.
fn says_two(domain: &str, when: &str) -> Vec<Do> {
    vec![
        from_contact(domain, FIRST),
        wait_for(when),
        from_contact(domain, NEXT),
        Do::Await(Await::Nothing),
    ]
}

/// The stream stays, and carries the next message.
fn kept(id: &str, before: Settings, after: Settings) -> Case {
    draft(id, &STAYS, before, after)
        .once_established(says_two("{domain}", DONE))
        .expecting([delivered(NEXT)])
        .expecting(no_end(ConnectionKind::Inbound))
        .case()
}

/// A partner is taken out of the list, or put into it.
fn listed(id: &str, is_added: bool) -> Case {
    let unlisted = |unlisted| Settings {
        unlisted,
        ..Settings::default()
    };
    if is_added {
        // Another one shows that the target is there, and that the first one does not get in before.
        return draft(id, &STAYS, unlisted(true), unlisted(false))
            .changed(|script| script.roles[0].dials = Begins::When(DONE.to_owned()))
            .beside("other", |role| {
                "other.{domain}".clone_into(&mut role.domain);
                role.dials = Begins::Plain(true);
                says(
                    role,
                    vec![from_contact("{domain}", NEXT), Do::Await(Await::Nothing)],
                );
            })
            .expecting([delivered(NEXT), delivered(FIRST)])
            .expecting(no_end(ConnectionKind::Inbound).map(|end| at(end, "other")))
            .case();
    }
    draft(id, &ENDS, unlisted(false), unlisted(true))
        .once_established(says_two("{domain}", "never"))
        .expecting([delivered(FIRST)])
        .expecting([on_the_first(ended(), ConnectionKind::Inbound)])
        .case()
}

/// An end of a stream by the target, with an error or without.
fn ended() -> Expect {
    Expect {
        or: vec![stream_error("*")],
        ..ended_in_order()
    }
}

fn says(role: &mut Role, actions: Vec<Do>) {
    let mut persona = partner();
    let reactions = &mut Arc::make_mut(&mut persona).reactions;
    reactions.push(on(When::Established, ConnectionKind::Inbound, actions));
    role.persona = persona;
}

/// An additional domain of the partner is taken out of the list, or put into it. The stream of the primary one stays.
fn domains(id: &str, is_added: bool) -> Case {
    let with_domains = |is_listed: bool| Settings {
        additional_domains: is_listed.then(|| BELOW.to_owned()).into_iter().collect(),
        ..Settings::default()
    };
    let below = |role: &mut Role, dials: Begins| {
        BELOW.clone_into(&mut role.domain);
        role.unlisted = true;
        role.dials = dials;
        says(
            role,
            vec![
                from_contact("{domain}", "{probe}-below"),
                Do::Await(Await::Nothing),
            ],
        );
    };
    let (before, after) = (with_domains(!is_added), with_domains(is_added));
    let inbound = ConnectionKind::Inbound;
    match is_added {
        true => Draft::new(&format!("reload/{id}"), &STAYS, Direction::Inbound)
            .set_to(before)
            .then("delivered", What::Reload(Box::new(after)))
            .once_established(says_two("{domain}", "delivered-2"))
            .beside("below", |role| below(role, Begins::When(DONE.to_owned())))
            .expecting([delivered("{probe}-below"), delivered(NEXT)])
            .expecting(no_end(inbound).map(|end| at(end, "partner"))),
        false => Draft::new(&format!("reload/{id}"), &ENDS, Direction::Inbound)
            .set_to(before)
            .then("delivered-2", What::Reload(Box::new(after)))
            .once_established(says_two("{domain}", DONE))
            .beside("below", |role| {
                below(role, Begins::When("delivered".to_owned()))
            })
            .expecting([delivered("{probe}-below"), delivered(NEXT)])
            .expecting([at(on_the_first(ended(), inbound), "below")])
            .expecting(no_end(inbound).map(|end| at(end, "partner"))),
    }
    .case()
}

/// Other terms: what was negotiated under the former ones is ended, and the partner gets in again.
fn policy(before: u8, after: u8) -> Case {
    let row = |number| PolicyNumber::new(number).expect("there are 18");
    let settings = |number| Settings {
        policy: Some(row(number)),
        ..Settings::default()
    };
    let id = format!("policy-{}-{}", row(before).label(), row(after).label());
    draft(&id, &ENDS, settings(before), settings(after))
        .once_established(says_two("{domain}", "never"))
        .beside("again", |role| {
            "{domain}".clone_into(&mut role.domain);
            role.serves = false;
            role.dials = Begins::When(DONE.to_owned());
            says(
                role,
                vec![from_contact("{domain}", NEXT), Do::Await(Await::Nothing)],
            );
        })
        .expecting([delivered(FIRST), delivered(NEXT)])
        .expecting([at(
            on_the_first(ended(), ConnectionKind::Inbound),
            "partner",
        )])
        .case()
}

/// The partner's server is elsewhere from now on.
fn fqdn() -> Case {
    let edge = Dns {
        name: "edge.{domain}".to_owned(),
        address: Some(vec!["{edge-address}".to_owned()]),
        ..Dns::default()
    };
    let after = Settings {
        proxy_fqdn: Some("edge.{domain}".to_owned()),
        ..Settings::default()
    };
    // The stream to where the server was is over, so that the target looks for it again.
    let first = vec![raise("first-is-there"), wait_for(DONE), Do::Close];
    Draft::new("reload/proxy-fqdn", &STAYS, Direction::Outbound)
        .then("first-is-there", What::Reload(Box::new(after)))
        .local(None, to_contact("{domain}", FIRST))
        .local(Some("ended"), to_contact("{domain}", NEXT))
        .reacting(on(When::Stanza, ConnectionKind::Outbound, first))
        .changed(|script| script.dns.push(edge))
        .beside("edge", |role| {
            role.serves = false;
            role.default_port = true;
        })
        .expecting([at(message(FIRST), "partner"), at(message(NEXT), "edge")])
        .case()
}

/// A limit that is raised, or lowered, while one connection is open and being used.
fn connections(id: &str, [before, after]: [u16; 2], settings: fn(u16) -> Settings) -> Case {
    let word = if after > before { "raised" } else { "lowered" };
    let id = format!("reload/{id}-{word}");
    let busy = vec![raise("there"), wait_for("over"), Do::Await(Await::Nothing)];
    let draft = Draft::new(&id, &STAYS, Direction::Inbound)
        .set_to(settings(before))
        .then("there", What::Reload(Box::new(settings(after))))
        .once_established(busy)
        .beside("again", |role| {
            role.serves = false;
            role.dials = Begins::When(DONE.to_owned());
            says(
                role,
                vec![from_contact("{domain}", NEXT), Do::Await(Await::Nothing)],
            );
        })
        .expecting(no_end(ConnectionKind::Inbound).map(|end| at(end, "partner")));
    match after > before {
        true => draft.expecting([delivered(NEXT)]),
        false => {
            let refused = at(stream_error("resource-constraint"), "again");
            draft
                .lasting(ROOM)
                .expecting([refused, never(delivered(NEXT))])
        }
    }
    .case()
}

/// Times that are changed while a stream is open.
fn times() -> Vec<Case> {
    let keep_alive = |on, interval| Settings {
        keep_alive: Some(on),
        keep_alive_interval: Some(interval),
        ..Settings::default()
    };
    let inactivity = |timeout| Settings {
        keep_alive: Some(false),
        inactivity_timeout: Some(timeout),
        ..Settings::default()
    };
    let timed = |id: &str, rule, before, after, seconds| {
        draft(id, rule, before, after)
            .lasting(Duration::from_secs(seconds))
            .once_established(says_two("{domain}", UP))
    };
    let stays = |draft: Draft| {
        let draft = draft.expecting([delivered(NEXT)]);
        draft.expecting(no_end(ConnectionKind::Inbound)).case()
    };
    let ends = |draft: Draft, end| {
        let end = on_the_first(end, ConnectionKind::Inbound);
        draft.expecting([delivered(FIRST), end]).case()
    };
    let timeout = || stream_error("connection-timeout");
    let end = ended_in_order;
    vec![
        stays(timed(
            "keep-alive-off",
            &STAYS,
            keep_alive(true, 100),
            keep_alive(false, 100),
            200,
        )),
        ends(
            timed(
                "keep-alive-on",
                &ENDS,
                keep_alive(false, 100),
                keep_alive(true, 100),
                110,
            ),
            timeout(),
        ),
        stays(timed(
            "keep-alive-longer",
            &STAYS,
            keep_alive(true, 100),
            keep_alive(true, 300),
            200,
        )),
        ends(
            timed(
                "keep-alive-shorter",
                &ENDS,
                keep_alive(true, 300),
                keep_alive(true, 100),
                110,
            ),
            timeout(),
        ),
        stays(timed(
            "inactivity-longer",
            &STAYS,
            inactivity(100),
            inactivity(300),
            200,
        )),
        ends(
            timed(
                "inactivity-shorter",
                &ENDS,
                inactivity(300),
                inactivity(100),
                110,
            ),
            end(),
        ),
    ]
}

/// The time to establish a stream is changed while one is being negotiated.
fn establishment(before: u16, after: u16) -> Case {
    let settings = |timeout| Settings {
        establishment_timeout: Some(timeout),
        ..Settings::default()
    };
    let (word, rule, seconds) = match after > before {
        true => ("longer", &STAYS, before + 50),
        false => ("shorter", &ENDS, after + 2),
    };
    let draft = Draft::new(
        &format!("reload/establishment-{word}"),
        rule,
        Direction::Inbound,
    )
    .set_to(settings(before))
    .then("there", What::Reload(Box::new(settings(after))))
    .lasting(Duration::from_secs(seconds.into()))
    .reacting(on(
        When::Connected,
        ConnectionKind::Inbound,
        vec![raise("there"), wait_for(UP), Do::Proceed],
    ));
    match after > before {
        true => draft.expecting([delivered(FIRST)]),
        false => draft.expecting([ended()]),
    }
    .case()
}
