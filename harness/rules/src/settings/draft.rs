//! A case of these sets while it is made.

use std::sync::Arc;
use std::time::Duration;

use simulated_partners::board::Begins;
use simulated_partners::event::ConnectionKind;
use simulated_partners::persona::{self, Persona};
use simulated_partners::reaction::{Do, Reaction, When};
use simulated_partners::wire::Unit;

use crate::case::{
    Administration, CONTACT, Case, Direction, Expect, Local, OutcomeWord, Role, Rule, Script, Sees,
    Set, Settings, Step, USER, What,
};
use crate::policy::PolicyNumber;

/// The persona of partners: what is set is the case here, not how they negotiate.
const PERSONA: &str = "modern";
/// The policy that leaves open all ways.
const OPEN: u8 = 9;

/// A case to be.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    set: Set,
    id: String,
    row: PolicyNumber,
    direction: Direction,
    administration: Administration,
    script: Script,
}

impl Draft {
    /// A case of the set `settings` that this rule decides; its id is what follows the set, without the direction.
    pub(super) fn new(id: &str, rule: &'static Rule, direction: Direction) -> Self {
        Self::of(Set::Settings, id, rule, direction)
    }

    /// The same of any set.
    pub(super) fn of(set: Set, id: &str, rule: &'static Rule, direction: Direction) -> Self {
        let administration = Administration {
            rule,
            settings: Settings::default(),
            steps: Vec::new(),
            is_pool: set == Set::Failover,
            passes: None,
            every: None,
        };
        let mut script = Script::of_settings(&partner(), direction);
        rule.says.clone_into(&mut script.title);
        Self {
            set,
            id: format!("{set}/{id}/{direction}"),
            row: PolicyNumber::new(OPEN).expect("there are 18"),
            direction,
            administration,
            script,
        }
    }

    /// With these settings.
    pub(super) fn set_to(mut self, settings: Settings) -> Self {
        self.administration.settings = settings;
        self
    }

    /// With this policy.
    pub(super) fn in_policy(mut self, row: PolicyNumber) -> Self {
        self.row = row;
        self
    }

    /// The target's clock is moved so far.
    pub(super) fn lasting(mut self, time: Duration) -> Self {
        self.administration.passes = Some(time);
        self
    }

    /// Each time so much has passed, that raises a signal.
    pub(super) fn every(mut self, time: Duration) -> Self {
        self.administration.every = Some(time);
        self
    }

    /// This is done when the signal is raised.
    pub(super) fn then(mut self, when: &str, what: What) -> Self {
        let when = Some(when.to_owned());
        self.administration.steps.push(Step { when, what });
        self
    }

    /// This is done at once.
    pub(super) fn first(mut self, what: What) -> Self {
        let step = Step { when: None, what };
        self.administration.steps.push(step);
        self
    }

    /// The inner side sends this, at once or when a signal is raised.
    pub(super) fn local(mut self, when: Option<&str>, send: String) -> Self {
        self.script.local.push(Local {
            send,
            raw: false,
            when: when.map(str::to_owned),
            times: 1,
        });
        self
    }

    /// The partner does this.
    pub(super) fn reacting(self, reaction: Reaction) -> Self {
        self.changed(|script| {
            let main = &mut script.roles[0];
            Arc::make_mut(&mut main.persona).reactions.push(reaction);
        })
    }

    /// The partner does this on its own connection, once that is authenticated.
    pub(super) fn once_established(self, actions: Vec<Do>) -> Self {
        self.reacting(on(When::Established, ConnectionKind::Inbound, actions))
    }

    /// This has to be seen, or must not be.
    pub(super) fn expecting(self, expect: impl IntoIterator<Item = Expect>) -> Self {
        self.changed(|script| script.expect.extend(expect))
    }

    /// It has to end so.
    pub(super) fn ending(self, outcome: OutcomeWord) -> Self {
        self.changed(|script| script.outcome.push(outcome))
    }

    /// With another script.
    pub(super) fn changed(mut self, change: impl FnOnce(&mut Script)) -> Self {
        change(&mut self.script);
        self
    }

    /// The case.
    pub(super) fn case(mut self) -> Case {
        self.script.administration = Some(Arc::new(self.administration));
        Case {
            id: self.id,
            set: self.set,
            row: self.row,
            partner: Arc::clone(&self.script.roles[0].persona),
            direction: self.direction,
            script: Arc::new(self.script),
        }
    }
}

/// The persona of partners.
pub(super) fn partner() -> Arc<Persona> {
    Arc::new(persona::find(PERSONA).expect("it is built in"))
}

/// A reaction on connections of a kind.
pub(super) fn on(when: When, on: ConnectionKind, actions: Vec<Do>) -> Reaction {
    Reaction {
        on: Some(on),
        ..Reaction::new(when, actions)
    }
}

/// Sends this text.
pub(super) fn send(text: impl Into<String>) -> Do {
    Do::Send(text.into())
}

/// Waits for a signal.
pub(super) fn wait_for(signal: &str) -> Do {
    Do::WaitFor(signal.to_owned())
}

/// Raises a signal.
pub(super) fn raise(signal: &str) -> Do {
    Do::Raise(signal.to_owned())
}

/// Expects a stanza with this id, wherever it is seen.
pub(super) fn stanza(sees: Sees, id: &str) -> Expect {
    with(Expect::new(sees), "id", id)
}

/// A message with this id reaches the partner.
pub(super) fn message(id: &str) -> Expect {
    stanza(Sees::Unit(Unit::Message), id)
}

/// A stanza with this id reaches the inner side.
pub(super) fn delivered(id: &str) -> Expect {
    stanza(Sees::Delivered, id)
}

/// The same expectation with an attribute.
pub(super) fn with(mut expect: Expect, name: &str, value: &str) -> Expect {
    expect.with.insert(name.to_owned(), value.to_owned());
    expect
}

/// The same for an error with this condition.
pub(super) fn failing(expect: Expect, condition: &str) -> Expect {
    Expect {
        condition: vec![condition.to_owned()],
        ..with(expect, "type", "error")
    }
}

/// That it is not seen.
pub(super) fn never(expect: Expect) -> Expect {
    Expect {
        never: true,
        ..expect
    }
}

/// The same expectation on connections of a kind.
pub(super) fn seen_on(expect: Expect, kind: ConnectionKind) -> Expect {
    Expect {
        on: Some(kind),
        ..expect
    }
}

/// The same on the partner's first connection of a kind: the one that was open before.
pub(super) fn on_the_first(expect: Expect, kind: ConnectionKind) -> Expect {
    Expect {
        connection: Some(1),
        ..seen_on(expect, kind)
    }
}

/// The same at another partner than any.
pub(super) fn at(expect: Expect, role: &str) -> Expect {
    Expect {
        at: Some(role.to_owned()),
        ..expect
    }
}

/// The same exactly so often.
pub(super) fn exactly(expect: Expect, times: u32) -> Expect {
    Expect {
        at_least: Some(times),
        at_most: Some(times),
        ..expect
    }
}

/// The target ends a stream with this error.
pub(super) fn stream_error(condition: &str) -> Expect {
    Expect {
        condition: vec![condition.to_owned()],
        ..Expect::new(Sees::Unit(Unit::StreamError))
    }
}

/// The target ends a stream in order, and not only because the partner does.
pub(super) fn ended_in_order() -> Expect {
    Expect {
        condition: vec!["stream".to_owned()],
        ..with(Expect::new(Sees::Closed), "by", "target")
    }
}

/// The target does not end the first stream of a kind, with an error or without.
pub(super) fn no_end(kind: ConnectionKind) -> [Expect; 2] {
    let error = Expect::new(Sees::Unit(Unit::StreamError));
    [error, Expect::new(Sees::StreamEnd)].map(|end| never(on_the_first(end, kind)))
}

/// A message of a contact at this domain to the user.
pub(super) fn from_contact(domain: &str, id: &str) -> Do {
    send(format!(
        "<message from='{CONTACT}@{domain}' to='{USER}@{{target}}' id='{id}'><body>hello</body></message>"
    ))
}

/// A message of the user to a contact at this domain.
pub(super) fn to_contact(domain: &str, id: &str) -> String {
    format!(
        "<message from='{USER}@{{target}}' to='{CONTACT}@{domain}' id='{id}'><body>hello</body></message>"
    )
}

impl Draft {
    /// Beside the main partner another one, which is like it but for this.
    pub(super) fn beside(self, name: &str, change: impl FnOnce(&mut Role)) -> Self {
        self.changed(|script| {
            let mut role = Role {
                name: name.into(),
                persona: partner(),
                dials: Begins::Plain(false),
                ..script.roles[0].clone()
            };
            change(&mut role);
            script.roles.push(role);
        })
    }
}
