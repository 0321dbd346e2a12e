//! Keep-alive, and the times after which a stream is ended: shortly before each of them the stream is open, shortly
//! after it is not.

use std::time::Duration;

use simulated_partners::event::ConnectionKind;
use simulated_partners::reaction::{Await, Do, When};

use super::draft::{
    Draft, delivered, ended_in_order, failing, from_contact, message, no_end, on, on_the_first,
    raise, send, stanza, stream_error, to_contact, wait_for,
};
use crate::case::{Case, Direction, Expect, Rule, Sees, Settings};
use crate::requirement::Level;

static KEEP_ALIVE: Rule = Rule {
    id: "time.keep-alive",
    clause: "Set-CsXmppGatewayConfiguration, KeepAliveInterval; New-CsXmppAllowedPartner, EnableKeepAlive",
    level: Level::Must,
    says: "A partner that keeps alive has to send something within the interval, or its connection is closed.",
};
static BLANKS: Rule = Rule {
    id: "time.keep-alive.blanks",
    clause: "Set-CsXmppGatewayConfiguration, KeepAliveInterval; RFC 6120 §4.6.1",
    level: Level::Derived,
    says: "A blank is enough to keep a connection alive.",
};
static NO_KEEP_ALIVE: Rule = Rule {
    id: "time.no-keep-alive",
    clause: "New-CsXmppAllowedPartner, EnableKeepAlive",
    level: Level::Must,
    says: "A partner without keep-alive may be silent for longer than the interval.",
};
static INACTIVITY: Rule = Rule {
    id: "time.inactivity",
    clause: "Set-CsXmppGatewayConfiguration, StreamInactivityTimeout; RFC 6120 §4.6.3",
    level: Level::Must,
    says: "A stream without a stanza for so long is ended, and no sooner. Blanks are no stanzas.",
};
static ESTABLISHMENT: Rule = Rule {
    id: "time.establishment",
    clause: "Set-CsXmppGatewayConfiguration, StreamEstablishmentTimeout",
    level: Level::Must,
    says: "A stream that is not established after so long is given up, and no sooner.",
};

pub(super) fn rules() -> impl Iterator<Item = &'static Rule> {
    [
        &KEEP_ALIVE,
        &BLANKS,
        &NO_KEEP_ALIVE,
        &INACTIVITY,
        &ESTABLISHMENT,
    ]
    .into_iter()
}

/// The documented defaults, in seconds.
const KEPT_ALIVE: u16 = 300;
const INACTIVE: u16 = 600;
const ESTABLISHED: u16 = 60;
/// How often a partner sends blanks that does.
const BLANK: u16 = 60;
/// What is raised when the clock has been moved as far as it is.
const UP: &str = "time-is-up";
const NEXT: &str = "{probe}-2";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (word, set) in [("default", None), ("own", Some(100))] {
        let settings = |keep_alive| Settings {
            keep_alive,
            keep_alive_interval: set,
            ..Settings::default()
        };
        let interval = set.unwrap_or(KEPT_ALIVE);
        cases.extend([
            // It is on by default.
            silent(
                word,
                "kept-alive",
                &KEEP_ALIVE,
                settings(None),
                interval - 2,
            )
            .kept(),
            silent(
                word,
                "kept-alive",
                &KEEP_ALIVE,
                settings(None),
                interval + 2,
            )
            .ended(stream_error("connection-timeout")),
            silent(
                word,
                "kept-alive-explicitly",
                &KEEP_ALIVE,
                settings(Some(true)),
                interval + 2,
            )
            .ended(stream_error("connection-timeout")),
            silent(word, "blanks", &BLANKS, settings(None), INACTIVE - 2)
                .blanks()
                .kept(),
            silent(
                word,
                "no-keep-alive",
                &NO_KEEP_ALIVE,
                settings(Some(false)),
                INACTIVE - 2,
            )
            .kept(),
        ]);
    }
    for (word, set) in [("default", None), ("own", Some(200))] {
        let settings = |keep_alive| Settings {
            keep_alive,
            inactivity_timeout: set,
            ..Settings::default()
        };
        let timeout = set.unwrap_or(INACTIVE);
        let end = ended_in_order;
        cases.extend([
            silent(
                word,
                "inactive",
                &INACTIVITY,
                settings(Some(false)),
                timeout - 2,
            )
            .kept(),
            silent(
                word,
                "inactive",
                &INACTIVITY,
                settings(Some(false)),
                timeout + 2,
            )
            .ended(end()),
            silent(
                word,
                "inactive-with-blanks",
                &INACTIVITY,
                settings(None),
                timeout + 2,
            )
            .blanks()
            .ended(end()),
            dialled_and_silent(word, settings(None), timeout, true),
            dialled_and_silent(word, settings(None), timeout, false),
        ]);
    }
    for (word, set) in [("default", None), ("own", Some(15))] {
        let settings = Settings {
            establishment_timeout: set,
            ..Settings::default()
        };
        let timeout = set.unwrap_or(ESTABLISHED);
        for is_late in [false, true] {
            for &direction in Direction::ALL {
                cases.push(late(word, &settings, timeout, is_late, direction));
            }
        }
    }
    cases
}

/// A partner that dials, sends a message, and nothing more for so long.
struct Silent {
    id: String,
    rule: &'static Rule,
    settings: Settings,
    seconds: u16,
    blanks: bool,
}

fn silent(word: &str, id: &str, rule: &'static Rule, settings: Settings, seconds: u16) -> Silent {
    Silent {
        id: format!("times/{id}/{word}"),
        rule,
        settings,
        seconds,
        blanks: false,
    }
}

impl Silent {
    /// It sends blanks meanwhile.
    fn blanks(mut self) -> Self {
        self.blanks = true;
        self
    }

    /// The stream has to stay open.
    fn kept(self) -> Case {
        self.draft("before")
            .expecting([delivered(NEXT)])
            .expecting(no_end(ConnectionKind::Inbound))
            .case()
    }

    /// The stream has to end so.
    fn ended(self, end: Expect) -> Case {
        self.draft("after")
            .expecting([
                delivered("{probe}"),
                on_the_first(end, ConnectionKind::Inbound),
            ])
            .case()
    }

    fn draft(self, word: &str) -> Draft {
        let mut actions = vec![from_contact("{domain}", "{probe}"), wait_for("delivered")];
        if self.blanks {
            for passed in (BLANK..self.seconds).step_by(BLANK.into()) {
                actions.extend([wait_for(&format!("passed-{passed}")), send(" ")]);
            }
        }
        actions.extend([
            wait_for(UP),
            from_contact("{domain}", NEXT),
            Do::Await(Await::Nothing),
        ]);
        let id = format!("{}/{word}", self.id);
        let draft = Draft::new(&id, self.rule, Direction::Inbound)
            .set_to(self.settings)
            .lasting(seconds(self.seconds))
            .once_established(actions);
        match self.blanks {
            true => draft.every(seconds(BLANK)),
            false => draft,
        }
    }
}

/// The target has sent a message, and sends the next one when the time is up: on the same stream if it still is open.
fn dialled_and_silent(word: &str, settings: Settings, timeout: u16, is_over: bool) -> Case {
    let (place, time) = match is_over {
        false => ("before", timeout - 2),
        true => ("after", timeout + 2),
    };
    let draft = Draft::new(
        &format!("times/inactive/{word}/{place}"),
        &INACTIVITY,
        Direction::Outbound,
    )
    .set_to(settings)
    .lasting(seconds(time))
    .local(None, to_contact("{domain}", "{probe}"))
    .local(Some(UP), to_contact("{domain}", NEXT));
    let outbound = ConnectionKind::Outbound;
    let next = message(NEXT);
    match is_over {
        false => draft
            .expecting([on_the_first(next, outbound)])
            .expecting(no_end(outbound)),
        true => {
            let second = Expect {
                connection: Some(2),
                ..on_the_first(next, outbound)
            };
            let end = on_the_first(ended_in_order(), outbound);
            draft.expecting([message("{probe}"), end, second])
        }
    }
    .case()
}

/// A partner that goes on with the negotiation only when the time is up.
fn late(
    word: &str,
    settings: &Settings,
    timeout: u16,
    is_over: bool,
    direction: Direction,
) -> Case {
    let (place, time) = match is_over {
        false => ("before", timeout - 2),
        true => ("after", timeout + 2),
    };
    let draft = Draft::new(
        &format!("times/establishment/{word}/{place}"),
        &ESTABLISHMENT,
        direction,
    )
    .set_to(settings.clone())
    .lasting(seconds(time));
    let wait = vec![raise("waits"), wait_for(UP), Do::Proceed];
    match (direction, is_over) {
        (Direction::Inbound, false) => draft
            .reacting(on(When::Connected, ConnectionKind::Inbound, wait))
            .expecting([delivered("{probe}")]),
        (Direction::Inbound, true) => {
            let end = Expect {
                or: vec![ended_in_order()],
                ..stream_error("connection-timeout")
            };
            draft
                .reacting(on(When::Connected, ConnectionKind::Inbound, wait))
                .expecting([end])
        }
        (Direction::Outbound, is_over) => {
            let draft = draft
                .local(None, to_contact("{domain}", "{probe}"))
                .reacting(on(When::Header, ConnectionKind::Outbound, wait));
            match is_over {
                false => draft.expecting([message("{probe}")]),
                true => {
                    let returned = stanza(Sees::Returned, "{probe}");
                    draft.expecting([failing(returned, "remote-server-timeout")])
                }
            }
        }
    }
    .case()
}

fn seconds(time: u16) -> Duration {
    Duration::from_secs(time.into())
}
