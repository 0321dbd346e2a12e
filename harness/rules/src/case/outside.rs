//! What is left of a script where only the wires of partners are seen.
//!
//! The target sends because it owes an answer: a partner of the case's domain, which the script does not
//! know of, asks, and the answer is the probe. That its sender got it back shows in nothing but that the
//! target has given up, before its partner does.

use simulated_partners::board::Begins;
use simulated_partners::event::ConnectionKind;
use simulated_partners::reaction::Signal;
use simulated_partners::stanza::{domain_of, ping};

use super::expect::{Expect, Mark};
use super::names::{insert, stanza};
use super::script::{Local, MAIN, Script, TARGET};
use super::{Direction, Sees};
use crate::verdict::Weight;

/// The requirements that are about what the sender is told.
const TOLD: &str = "DLV-";

/// How signals begin that follow from what reaches the inner side.
const INSIDE: [&str; 3] = ["answered", "delivered", "returned"];

impl Script {
    /// The script for a target whose inner side is invisible. `None` if too little of it is left.
    ///
    /// Inbound, a delivery shows in its answer to a ping, and other deliveries cannot be observed.
    /// Outbound, stanzas become answers to pings, and a stanza that comes back becomes an end of the
    /// target's stream.
    pub fn from_outside(&self) -> Option<Self> {
        if !self.rooms.is_empty() {
            return None;
        }
        let script = match self.direction {
            Direction::Inbound => self.inbound_from_outside()?,
            Direction::Outbound => self.outbound_from_outside()?,
        };
        let tells = script.expect.iter().any(|expect| !expect.is_negative());
        tells.then_some(script)
    }

    fn inbound_from_outside(&self) -> Option<Self> {
        let expect = self.expect.iter();
        let expect = expect.filter(|expect| expect.is_negative() || !is_inside(expect.sees));
        self.local.is_empty().then(|| Self {
            expect: expect.cloned().collect(),
            ..self.clone()
        })
    }

    fn outbound_from_outside(&self) -> Option<Self> {
        let main = self.roles.first()?;
        if main.unlisted || main.target != TARGET || self.waits_for_the_inside() {
            return None;
        }
        let local: Option<Vec<Local>> = self.local.iter().map(|one| self.request(one)).collect();
        let mut expect = Vec::new();
        for one in &self.expect {
            expect.extend(self.seen_from_outside(one)?);
        }
        let judges = expect.iter().any(|one| self.is_about_the_wire(one));
        let local = local.filter(|_| judges)?;
        Some(Self {
            local,
            expect,
            ..self.clone()
        })
    }

    /// Whether it goes on when something has reached the inner side.
    fn waits_for_the_inside(&self) -> bool {
        let is_inside = |name: &str| INSIDE.iter().any(|word| name.starts_with(word));
        let roles = || self.roles.iter();
        let begins = roles().flat_map(|role| [&role.dials, &role.accepts]);
        let begins = begins.filter_map(|begins| match begins {
            Begins::When(name) => Some(name.as_str()),
            Begins::Plain(_) => None,
        });
        let actions = roles().flat_map(|role| &role.persona.reactions);
        let actions = actions.flat_map(|reaction| &reaction.actions);
        let awaited = actions.filter_map(|action| match action.signal() {
            Some(Signal::Awaited(name)) => Some(name),
            Some(Signal::Raised(_)) | None => None,
        });
        let local = self.local.iter().filter_map(|local| local.when.as_deref());
        let dns = self.dns.iter().filter_map(|dns| dns.when.as_deref());
        begins.chain(awaited).chain(local).chain(dns).any(is_inside)
    }

    /// The request of the main partner whose answer stands for a stanza of the inner side, if the script
    /// needs no more than that something is sent.
    fn request(&self, local: &Local) -> Option<Local> {
        let main = self.roles.first()?;
        if local.raw {
            return None;
        }
        let text = insert(&local.send, &self.values);
        let stanza = stanza(&text).ok()?;
        let to = domain_of(stanza.attribute("to")?);
        let own = insert(&main.domain, &self.values);
        let from = domain_of(stanza.attribute("from")?);
        let is_plain = matches!(stanza.attribute("type"), None | Some("get" | "chat"))
            && !text.contains('*')
            && [TARGET, "{target1}"].contains(&from)
            && (to == own || to == format!("{{{MAIN}}}"));
        let id = stanza.attribute("id")?;
        is_plain.then(|| Local {
            send: ping(id, &own, TARGET).to_xml(),
            ..local.clone()
        })
    }

    /// What has to be observed in place of this. `None` if the case is about what only the inner side shows.
    fn seen_from_outside(&self, expect: &Expect) -> Option<Vec<Expect>> {
        if expect.is_negative() {
            return match expect.sees {
                // A stanza that is expected elsewhere has not come back.
                Sees::Returned => Some(Vec::new()),
                Sees::Answered | Sees::Delivered => None,
                _ => of_an_answer(expect).map(|expect| vec![expect]),
            };
        }
        let mut ways = Some(Vec::new());
        let mut level = expect.level;
        for way in std::iter::once(expect).chain(&expect.or) {
            let seen = match way.sees {
                Sees::Returned => {
                    let seen = self.gives_up(way);
                    if seen.is_none() && way.warn.is_some() && expect.sees != Sees::Returned {
                        // It is a warning with the sender's view, too.
                        level = Some(level.map_or(Weight::Should, |own| own.min(Weight::Should)));
                        continue;
                    }
                    seen
                }
                Sees::Answered | Sees::Delivered => return None,
                _ => Some(of_an_answer(way)?),
            };
            // Without one of them, the others would be asked of a target that may take it.
            ways = ways.zip(seen).map(|(mut ways, seen)| {
                ways.push(seen);
                ways
            });
        }
        let kept_back = self.kept_back(expect);
        let mut ways = ways.into_iter().flatten();
        let shown = ways.next().map(|first| Expect {
            requirements: expect.requirements.clone(),
            level,
            or: ways.collect(),
            ..first
        });
        let in_time = shown
            .as_ref()
            .filter(|_| !expect.is_an_end_by_anyone())
            .and_then(in_time);
        let seen = shown.into_iter().chain(in_time).chain(kept_back);
        Some(seen.collect())
    }

    /// The end of the target's stream, where the sender only has to get its stanza back. What its error says
    /// cannot be seen, a target that finds nobody has no stream, and one with more to send opens another.
    fn gives_up(&self, returned: &Expect) -> Option<Expect> {
        let has_stream = self.roles.first()?.serves && self.dns.is_empty();
        let is_the_only = self.local.len() < 2 && self.local.iter().all(|one| one.times == 1);
        let never_dials = |one: &Expect| one.sees == Sees::Connection && one.is_negative();
        let says_no_more = returned.with.keys().all(|name| name == "id")
            && returned.condition.is_empty()
            && returned.at_least.is_none();
        let shows =
            has_stream && is_the_only && says_no_more && !self.expect.iter().any(never_dials);
        shows.then(|| Expect {
            on: Some(ConnectionKind::Outbound),
            with: [("by".to_owned(), "*".to_owned())].into(),
            warn: returned.warn.clone(),
            ..Expect::new(Sees::Closed)
        })
    }

    /// A stanza that has to come back is not sent to a partner, except where that is tolerated.
    fn kept_back(&self, expect: &Expect) -> Option<Expect> {
        let is_alone =
            expect.sees == Sees::Returned && expect.or.iter().all(|one| one.warn.is_some());
        let is_said = |one: &Expect| {
            one.sees == Sees::Stanza
                && one.never
                && one.with.is_empty()
                && one.level.is_none()
                && one.after.is_none()
                && one.before.is_none()
                && one.at.is_none()
        };
        let id = expect.with.get("id")?;
        (is_alone && !self.expect.iter().any(is_said)).then(|| Expect {
            requirements: expect.requirements.clone(),
            level: expect.level,
            with: [("id".to_owned(), id.clone())].into(),
            never: true,
            or: expect.or.clone(),
            ..Expect::new(Sees::Stanza)
        })
    }

    /// Whether this judges more than what a sender is told.
    fn is_about_the_wire(&self, expect: &Expect) -> bool {
        let all = self
            .scenario
            .as_ref()
            .map(|one| one.requirements.as_slice());
        let requirements = match expect.requirements.as_slice() {
            [] => all.unwrap_or_default(),
            own => own,
        };
        requirements.is_empty() || requirements.iter().any(|id| !id.starts_with(TOLD))
    }
}

/// An end by either side is the target's doing only if its partner has not waited in vain.
fn in_time(ended: &Expect) -> Option<Expect> {
    ended.is_an_end_by_anyone().then(|| Expect {
        requirements: ended.requirements.clone(),
        level: ended.level,
        on: Some(ConnectionKind::Outbound),
        never: true,
        ..Expect::new(Sees::GaveUp)
    })
}

const fn is_inside(sees: Sees) -> bool {
    matches!(sees, Sees::Delivered | Sees::Answered | Sees::Returned)
}

/// What is seen in place of a stanza, where an answer to a ping takes its place. `None` if more of it is
/// wanted than that it was sent.
fn of_an_answer(expect: &Expect) -> Option<Expect> {
    let marks = [&expect.after, &expect.before];
    if marks.into_iter().flatten().any(|mark| is_inside(mark.sees)) {
        return None;
    }
    let [after, before] = marks.map(|mark| mark.clone().map(mark_of_an_answer));
    let or = expect.or.iter().map(of_an_answer).collect::<Option<_>>()?;
    let mut seen = Expect {
        after,
        before,
        or,
        ..expect.clone()
    };
    if !Sees::Stanza.covers(seen.sees) && seen.sees != Sees::Stanza {
        return Some(seen);
    }
    if seen.sees != Sees::Stanza {
        seen.with.remove("type");
    }
    seen.sees = Sees::Stanza;
    let by_id_alone = seen.with.keys().all(|name| name == "id")
        && seen.has.is_empty()
        && seen.lacks.is_empty()
        && seen.without.is_empty()
        && seen.text.is_none()
        && seen.raw.is_none();
    (by_id_alone || seen.is_negative()).then_some(seen)
}

fn mark_of_an_answer(mark: Mark) -> Mark {
    if mark.ours || !Sees::Stanza.covers(mark.sees) {
        return mark;
    }
    let mut with = mark.with;
    with.remove("type");
    Mark {
        sees: Sees::Stanza,
        with,
        ..mark
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::Library;

    /// What is left of a case: what is asked of the target, and what has to be seen.
    fn left(id: &str) -> Option<(Vec<String>, Vec<String>)> {
        let area = id.split_once('/').expect("an area").0;
        let cases = Library::builtin_where(|name, _| name.starts_with(area)).cases();
        let case = cases.iter().find(|case| case.id.starts_with(id));
        let script = case.expect("the case is there").script.from_outside()?;
        let sent = script.local.into_iter().map(|local| local.send);
        let seen = script.expect.iter().map(ToString::to_string);
        Some((sent.collect(), seen.collect()))
    }

    fn seen(id: &str) -> Vec<String> {
        left(id).expect("something is left").1
    }

    #[test]
    fn a_stanza_of_the_inner_side_is_the_answer_to_a_ping() {
        let (sent, seen) = left("certificates/CRT-01-names-of-a-server/dns-id").expect("a stanza");
        assert_eq!(
            sent,
            ["<iq type='get' id='{probe}' from='{domain}' to='{target}'>\
                 <ping xmlns='urn:xmpp:ping'/></iq>"]
        );
        assert_eq!(seen, ["stanza id='{probe}'"]);
    }

    #[test]
    fn a_stanza_that_comes_back_is_an_end_without_it() {
        assert_eq!(
            seen("tls/TLS-14-features-from-before-tls"),
            [
                "closed by='*' on its own connection",
                "no gave-up on its own connection",
                "no stanza id='{probe}'",
                "no auth on its own connection",
                "no db-result on its own connection",
            ]
        );
    }

    #[test]
    fn what_is_tolerated_stays_tolerated() {
        assert_eq!(
            seen("certificates/CRT-12-wildcards-of-a-server/end-of-a-label"),
            [
                "closed by='*' on its own connection, or stanza",
                "no gave-up on its own connection",
                "no stanza id='{probe}', or stanza",
            ]
        );
    }

    #[test]
    fn a_return_that_warns_is_a_missing_stanza_that_warns() {
        assert_eq!(
            seen("dns/DNS-17-broken-server/resets"),
            [
                "connection of `broken`, once or more, 10 times at most",
                "stanza id='{probe}' of `partner`",
            ]
        );
    }

    #[test]
    fn what_only_the_sender_is_told_is_not_seen() {
        for id in [
            // The error itself.
            "delivery/DLV-02-no-stream/closed-port",
            "domains/JID-07-long-parts-from-inside/localpart",
            // No stream is opened that could end.
            "delivery/DLV-01-no-such-domain/message",
            // The content of the stanza.
            "addresses/ADR-17-unchanged-out/languages",
            // What reaches the inner side.
            "bidi/BD-10-stanzas-the-wrong-way/before-authentication",
            // The next stanza waits for the return of the one before.
            "streams/STR-42-reconnection",
        ] {
            assert_eq!(left(id), None, "{id}");
        }
    }
}
