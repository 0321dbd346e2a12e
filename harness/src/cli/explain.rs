//! `s2spec explain`.

mod condition;
mod term;
mod word;

use simulated_partners::nearest::did_you_mean;
use simulated_partners::persona::{
    AuthorityFact, Deviations, ExternalFact, StarttlsFact, StreamFact,
};
use simulated_partners::reaction::Do;

use super::judging::Judging;
use super::sheet::Sheet;
use super::{output, requirement, select};
use crate::case::{Administration, Case, Direction, Scenario, Script, Set};
use crate::console::{Rerun, describe_direction, describe_offer, describe_policy};
use crate::error::{CliError, Exit};
use crate::expectation::End;
use crate::judge::WANTED;
use crate::matrix::control_of;
use crate::oracle::{self, allowed, second_opinions};
use crate::outcome::Method;

/// Options of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Id of a case (see `s2spec list`), a requirement such as STR-01, a bug such as B01, or any word that a
    /// report or table prints: a rule (in.3.no-tls), a policy (row07), a persona, a verdict, a level, a method, a
    /// phase, a condition, an area, a mark
    #[arg(value_name = "ID")]
    id: String,

    /// Print it as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    sources: select::Sources,

    #[command(flatten)]
    judging: Judging,
}

pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    let sheet = found(args)?;
    if args.json {
        output::print(&output::json(&sheet)?)?;
    } else {
        output::show(sheet.render(output::width()))?;
    }
    Ok(Exit::Expected)
}

fn found(args: &Args) -> Result<Sheet, CliError> {
    let suite = args.sources.read()?.naming(std::slice::from_ref(&args.id));
    let registry = &suite.catalogue.registry;
    if let Some(sheet) = requirement::explain(&args.id, registry, suite.library())? {
        return Ok(sheet);
    }
    let (personas, profile) = (suite.catalogue.personas(), args.judging.profile());
    if let Some(sheet) = term::explain(&args.id, personas, registry, profile) {
        return Ok(sheet);
    }
    let wanted = select::Wanted::one(&args.id);
    let all = wanted.parts(&suite);
    let found = wanted.among(&all, registry).map_err(|error| {
        let words = term::names(&args.id, personas, registry);
        match (words.as_slice(), error) {
            ([_, ..], CliError::NothingSelected(_)) => CliError::NothingSelected(format!(
                "{} is no case, and no word of a report{}",
                args.id,
                did_you_mean(&words)
            )),
            (_, error) => error,
        }
    })?;
    let [case] = found.as_slice() else {
        return Err(CliError::Usage(format!(
            "{} selects {} cases, and one is explained at a time, such as {}",
            args.id,
            found.len(),
            found.first().map_or("none", |case| &case.id)
        )));
    };
    let rerun = Rerun {
        options: [args.sources.options(), args.judging.options()].concat(),
    };
    Ok(of_case(case, &all, args.judging, &rerun))
}

/// The whole explanation.
pub(super) fn of_case(case: &Case, all: &[Case], judging: Judging, rerun: &Rerun) -> Sheet {
    let profile = judging.profile();
    let policy = case.row.policy();
    let partner = &case.partner;
    let allowed = allowed(case, profile);
    let mut sheet = Sheet::new(&case.id);
    let mut say = |name: &str, text: &str| sheet.say(name, text);

    say("what", &story(case));
    say(
        "set to",
        &format!(
            "{} {policy}: {}",
            case.row.label(),
            describe_policy(&policy)
        ),
    );
    if let Some(note) = policy.note().text() {
        say("set to", note);
    }
    say("methods", &methods(policy.methods(profile.mode).iter()));
    say("partner", &format!("{}: {}", partner.name, partner.title));
    if let Some(seen) = &partner.seen_in {
        say("seen in", seen);
    }
    say("offers", &describe_offer(&partner.offer));
    for deviation in deviations(&partner.facts) {
        say("deviates", deviation);
    }
    say("direction", describe_direction(case.direction));
    if let Some(scenario) = case.scenario() {
        for (name, text) in scripted(scenario, &case.script) {
            say(name, &text);
        }
    }
    if let Some(administration) = case.administration() {
        for (name, text) in administered(administration, &case.script) {
            say(name, &text);
        }
    }
    if let Some(expectation) = allowed {
        let rule = expectation.rule;
        match oracle::rule(rule) {
            Some(found) => say("rule", &format!("{rule}: {}", found.says)),
            None => say("rule", rule),
        }
        say("clause", expectation.clause);
        for (index, allowed) in expectation.allowed.iter().enumerate() {
            let name = match (index, expectation.allowed.len()) {
                (0, 1) => "allowed",
                (0, _) => "expected",
                _ => "or also",
            };
            say(name, &format!("{allowed}: {}", meaning(&allowed.end)));
        }
    }
    let opinions = match case.administration() {
        None => second_opinions(case, profile),
        Some(_) => Vec::new(),
    };
    for opinion in opinions {
        let ends: Vec<String> = opinion
            .ends
            .iter()
            .map(|end| end.map_or_else(|| "refused".to_owned(), |method| method.to_string()))
            .collect();
        say(
            "also says",
            &format!("{}: {}", opinion.source, ends.join(" or ")),
        );
    }
    let control = match case.scenario() {
        None if case.is_of_matrix() => control_of(case, all, profile),
        None => None,
        Some(scenario) => scenario.control.clone(),
    };
    if let Some(control) = control {
        say(
            "control",
            &format!("{control} has to get through in the same run"),
        );
    }
    say("run it", &format!("$ {}", rerun.command(&case.id)));
    sheet
}

/// What is set in a case, its rule, and what has to be seen.
fn administered(one: &Administration, script: &Script) -> Vec<(&'static str, String)> {
    let rule = one.rule;
    let mut lines = vec![("settings", one.settings.to_string())];
    for step in &one.steps {
        let when = step.when.as_ref();
        let when = when.map_or_else(String::new, |when| format!("when `{when}`: "));
        lines.push(("then", format!("{when}{}", step.what)));
    }
    lines.push(("rule", format!("{} ({})", rule.id, rule.level)));
    lines.push(("clause", rule.clause.to_owned()));
    lines.extend(script.expect.iter().map(|one| ("expects", one.to_string())));
    lines
}

/// The scenario of a case and what it judges.
fn scripted(scenario: &Scenario, script: &Script) -> Vec<(&'static str, String)> {
    let mut lines = vec![("file", scenario.path.clone())];
    lines.extend(scenario.tags.iter().map(|tag| ("tagged", tag.to_string())));
    let registry = &scenario.registry;
    let rows = scenario
        .requirements
        .iter()
        .filter_map(|row| row.parse().ok());
    for found in rows.filter_map(|row| registry.get(&row)) {
        let level = found.level;
        lines.push((
            "judges",
            format!("{} ({level}, {}): {}", found.id, found.source, found.text),
        ));
    }
    if scenario.requirements.is_empty() {
        let text = format!("{WANTED}, which names no requirement; a breach fails");
        lines.push(("judges", text));
    }
    for found in scenario.bugs.iter().filter_map(|id| registry.bug(id)) {
        lines.push((
            "hunts",
            format!("{} ({}): {}", found.id, found.source, found.text),
        ));
    }
    for role in &script.roles {
        for reaction in &role.persona.reactions {
            let actions: Vec<&str> = reaction.actions.iter().map(Do::as_ref).collect();
            lines.push((
                "reacts",
                format!(
                    "{} at {}: {}",
                    role.name,
                    reaction.when.word(),
                    actions.join(", ")
                ),
            ));
        }
    }
    lines.extend(script.expect.iter().map(|one| ("expects", one.to_string())));
    lines
}

/// The events of the case, in plain words.
fn story(case: &Case) -> String {
    let partner = match case.set {
        Set::Personas => format!("a simulated server of the kind {}", case.partner.name),
        Set::Policies => format!(
            "a correct server that is itself set to {}",
            case.partner.name
        ),
        Set::Offers => "a correct server with just this offer".to_owned(),
        Set::Settings | Set::Failover | Set::Scenarios => {
            format!("a script, beginning as {}", case.partner.name)
        }
    };
    if let Some(administration) = case.administration() {
        return administration.rule.says.to_owned();
    }
    if !case.script.by_oracle() {
        return format!("{}.", case.script.title);
    }
    if !case.row.policy().valid() {
        return format!(
            "The target is configured to federate with {partner}. The policy allows no method, so the \
             configuration must be rejected, and no stanza may get through."
        );
    }
    match case.direction {
        Direction::Outbound => format!(
            "The target has a stanza for {partner} and dials it. They negotiate; the stanza must \
             arrive if a session is allowed, and must not arrive otherwise."
        ),
        Direction::Inbound => format!(
            "The target is dialled by {partner}, which has a stanza for it. They negotiate, and with \
             dialback the target dials back to have the key verified; the stanza must arrive if a \
             session is allowed, and must not arrive otherwise."
        ),
    }
}

fn methods(methods: impl Iterator<Item = Method>) -> String {
    let names: Vec<String> = methods.map(|method| method.to_string()).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        format!("{} (as the target prefers them)", names.join(", "))
    }
}

fn meaning(end: &End) -> &'static str {
    match end {
        End::Established(Method::SaslTls) => {
            "the stanza gets through, authenticated by SASL EXTERNAL over TLS"
        }
        End::Established(Method::TlsDialback) => {
            "the stanza gets through, authenticated by dialback over TLS"
        }
        End::Established(Method::TcpDialback) => {
            "the stanza gets through, authenticated by dialback without TLS"
        }
        End::Refused(reason) => reason.says(),
    }
}

/// How the partner differs from a correct server.
pub(super) fn deviations(facts: &Deviations) -> Vec<&'static str> {
    let mut found = Vec::new();
    found.extend(match facts.stream {
        StreamFact::Normal => None,
        StreamFact::NoVersion => Some("its header has no version, and no features follow"),
        StreamFact::NoId => Some("its header has no id"),
        StreamFact::Silent => Some("it accepts connections and never says anything"),
        StreamFact::LateName => Some("it gives its name only under TLS where it dials"),
        StreamFact::ResetAtFeatures => Some("it resets the connection in place of features"),
    });
    found.extend(match facts.starttls {
        StarttlsFact::Proceeds => None,
        StarttlsFact::Refused => Some("it answers STARTTLS with a failure"),
        StarttlsFact::Broken => Some("after STARTTLS its handshake is broken"),
        StarttlsFact::Legacy => Some("after STARTTLS it speaks TLS 1.0 only"),
    });
    found.extend(match facts.external {
        ExternalFact::Accepted => None,
        ExternalFact::RefusedKept => Some("it refuses EXTERNAL and keeps the stream"),
        ExternalFact::RefusedClosed => Some("it refuses EXTERNAL and closes the stream"),
    });
    found.extend(match facts.authority {
        AuthorityFact::Truthful => None,
        AuthorityFact::Invalid => Some("asked to verify a key, it always says invalid"),
        AuthorityFact::WrongDomain => {
            Some("asked to verify a key, it answers in the name of another domain")
        }
        AuthorityFact::Silent => Some("asked to verify a key, it never answers"),
        AuthorityFact::Unreachable => Some("its address in DNS refuses connections"),
    });
    found
}
