//! `s2spec predict`: whether two sides will federate, from the rules alone.

use std::fmt::Write as _;
use std::path::Path;

use owo_colors::OwoColorize as _;
use serde::Serialize;
use simulated_partners::nearest::{did_you_mean, nearest};
use simulated_partners::persona::{Certificate, Deviations, Offer, Persona, Tls};

use super::judging::Judging;
use super::output;
use crate::case::Direction;
use crate::console::{describe_offer, describe_policy, field};
use crate::error::{CliError, Exit};
use crate::expectation::{End, Expectation};
use crate::kind::{Kind, files_of};
use crate::oracle::{Profile, Situation, expectation, rule};
use crate::policy::{Policy, PolicyNumber};
use crate::suite::Files;
use crate::suite::PolicyName;
use crate::suite::target_file;

/// Arguments of `predict`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// One side: a policy (row07, or required/optional/on), a persona or its file, or a target file
    #[arg(value_name = "SIDE")]
    a: String,

    /// The other side
    #[arg(value_name = "SIDE")]
    b: String,

    /// Print it as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    files: Files,

    #[command(flatten)]
    judging: Judging,
}

/// One of the two servers.
#[derive(Clone, Debug)]
struct Side {
    name: String,
    policy: Policy,
    offer: Offer,
    facts: Deviations,
    /// Whether its settings are known, rather than what it offers.
    is_policy: bool,
}

impl From<Persona> for Side {
    fn from(persona: Persona) -> Self {
        Self {
            name: persona.name,
            policy: Policy::from(&persona.offer),
            offer: persona.offer,
            facts: persona.facts,
            is_policy: false,
        }
    }
}

/// What happens when one of them dials.
#[derive(Debug, Serialize)]
struct Prediction {
    dials: String,
    to: String,
    /// The method, or the reason of a refusal.
    end: End,
    /// Other ends that the standards leave open.
    or: Vec<End>,
    rule: &'static str,
    clause: &'static str,
    /// What the rule says.
    says: &'static str,
    /// Why it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<&'static str>,
    /// Changes that let it through.
    would_help: Vec<String>,
}

/// Prints what is expected in both directions; ends with 1 if one of them does not get through.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    let (one, other) = (side(&args.a, args)?, side(&args.b, args)?);
    // The rules see one side by its settings, so that should be one whose settings are known.
    let (target, partner) = match (one.is_policy, other.is_policy) {
        (false, true) => (&other, &one),
        _ => (&one, &other),
    };
    let profile = args.judging.profile();
    let both = [Direction::Outbound, Direction::Inbound]
        .map(|direction| predict(target, partner, direction, profile));
    if args.json {
        output::print(&output::json(&both)?)?;
    } else {
        output::show(text(target, partner, &both, output::width()))?;
    }
    let through = |one: &Prediction| matches!(one.end, End::Established(_));
    Ok(match both.iter().all(through) {
        true => Exit::Expected,
        false => Exit::Unexpected,
    })
}

fn is_persona_file(path: &Path) -> bool {
    let is_toml = path.extension().is_some_and(|end| end == "toml");
    // What is wrong with a file is said where it is read.
    is_toml && files_of(Kind::Persona, &[path.to_owned()]).is_ok_and(|found| !found.is_empty())
}

/// A side by what names it.
fn side(text: &str, args: &Args) -> Result<Side, CliError> {
    let suite = args.files.read()?;
    let personas = suite.catalogue.personas();
    let path = Path::new(text);
    if is_persona_file(path) {
        return Ok(Side::from(Persona::load(path)?));
    }
    if let Some(persona) = personas.iter().find(|one| one.name == text) {
        return Ok(Side::from(persona.clone()));
    }
    let row = if text.ends_with(".toml") {
        let file = target_file(Path::new(text), true)?;
        let rows: Vec<PolicyNumber> = file.rows().collect();
        match rows.as_slice() {
            [only] => *only,
            several => {
                let rows: Vec<String> = several.iter().map(ToString::to_string).collect();
                return Err(CliError::Usage(format!(
                    "{text} has several policies; name the one that is meant: {}",
                    rows.join(", ")
                )));
            }
        }
    } else {
        let PolicyName(row) = text.parse().map_err(|why| {
            let names = personas.iter().map(|one| one.name.as_str());
            let alike = nearest(text, names);
            CliError::Usage(format!(
                "{text} is no persona, no target file and no policy{} ({why})",
                did_you_mean(&alike)
            ))
        })?;
        row
    };
    let policy = row.policy();
    Ok(Side {
        name: text.to_owned(),
        policy,
        offer: policy.as_offer(),
        facts: Deviations::default(),
        is_policy: true,
    })
}

fn expected(policy: Policy, partner: &Side, direction: Direction, profile: Profile) -> Expectation {
    expectation(&Situation {
        policy,
        profile,
        direction,
        partner: &partner.offer,
        facts: &partner.facts,
    })
}

fn predict(target: &Side, partner: &Side, direction: Direction, profile: Profile) -> Prediction {
    let expectation = expected(target.policy, partner, direction, profile);
    let mut ends = expectation.allowed.into_iter().map(|allowed| allowed.end);
    let end = ends.next().expect("each rule allows an end");
    let (dials, to) = match direction {
        Direction::Outbound => (target, partner),
        Direction::Inbound => (partner, target),
    };
    let (because, would_help) = match end {
        End::Established(_) => (None, Vec::new()),
        End::Refused(reason) => {
            let mut all = other_policies(target, partner, direction, profile);
            all.extend(other_offers(target, partner, direction, profile));
            (Some(reason.says()), all)
        }
    };
    Prediction {
        dials: dials.name.clone(),
        to: to.name.clone(),
        end,
        or: ends.collect(),
        rule: expectation.rule,
        clause: expectation.clause,
        says: rule(expectation.rule).map_or("", |rule| rule.says),
        because,
        would_help,
    }
}

/// The nearest policies of the target that let it through.
fn other_policies(
    target: &Side,
    partner: &Side,
    direction: Direction,
    profile: Profile,
) -> Vec<String> {
    let mut helping: Vec<(usize, String)> = PolicyNumber::all()
        .map(PolicyNumber::policy)
        .filter_map(|policy| {
            let expectation = expected(policy, partner, direction, profile);
            let End::Established(method) = expectation.allowed.first()?.end else {
                return None;
            };
            let changes = changes(target.policy, policy);
            Some((
                changes.len(),
                format!("{}: {} ({method})", target.name, changes.join(", ")),
            ))
        })
        .collect();
    helping.sort();
    let least = helping.first().map_or(0, |(count, _)| *count);
    helping
        .into_iter()
        .filter(|(count, _)| *count == least)
        .map(|(_, text)| text)
        .collect()
}

/// What a policy sets otherwise.
fn changes(from: Policy, to: Policy) -> Vec<String> {
    let mut changes = Vec::new();
    if from.tls != to.tls {
        changes.push(format!("TLS {}", to.tls));
    }
    if from.sasl != to.sasl {
        changes.push(format!("SASL {}", to.sasl));
    }
    if from.dialback != to.dialback {
        changes.push(format!(
            "dialback {}",
            if to.dialback { "on" } else { "off" }
        ));
    }
    changes
}

/// Single changes of the partner that let it through.
fn other_offers(
    target: &Side,
    partner: &Side,
    direction: Direction,
    profile: Profile,
) -> Vec<String> {
    type Edit = fn(&mut Offer);
    let changes: [(&str, Edit); 6] = [
        ("offer TLS", |offer| offer.tls = Tls::Offered),
        ("no longer require TLS", |offer| offer.tls = Tls::Offered),
        ("offer EXTERNAL", |offer| offer.external = true),
        ("take part in dialback", |offer| {
            offer.dialback = true;
            offer.needs_external = false;
        }),
        ("no longer require EXTERNAL", |offer| {
            offer.needs_external = false
        }),
        ("a valid certificate", |offer| {
            offer.certificate = Certificate::Good
        }),
    ];
    let helps = |(text, change): &(&str, Edit)| {
        let mut changed = partner.clone();
        change(&mut changed.offer);
        let applies = changed.offer != partner.offer
            && (*text != "offer TLS" || partner.offer.tls == Tls::None)
            && (*text != "no longer require TLS" || partner.offer.tls.is_demanded());
        let end = expected(target.policy, &changed, direction, profile)
            .allowed
            .into_iter()
            .next()?
            .end;
        match end {
            End::Established(method) if applies => {
                Some(format!("{}: {text} ({method})", partner.name))
            }
            _ => None,
        }
    };
    changes.iter().filter_map(helps).collect()
}

fn text(target: &Side, partner: &Side, both: &[Prediction], width: usize) -> String {
    let mut out = String::new();
    for side in [target, partner] {
        let what = match side.is_policy {
            true => format!("{}: {}", side.policy, describe_policy(&side.policy)),
            false => describe_offer(&side.offer),
        };
        out.push_str(&field(&side.name, &what, width));
    }
    for one in both {
        let _ = writeln!(out, "\n{} dials {}: {}", one.dials, one.to, one.end.bold());
        if let Some(because) = one.because {
            let roles = format!(
                "{because} (target: {}, partner: {})",
                target.name, partner.name
            );
            out.push_str(&field("because", &roles, width));
        }
        let rule = format!("{}: {} ({})", one.rule, one.says, one.clause);
        out.push_str(&field("rule", &rule, width));
        if !one.or.is_empty() {
            let ends: Vec<String> = one.or.iter().map(ToString::to_string).collect();
            out.push_str(&field("or", &ends.join(", "), width));
        }
        for (at, help) in one.would_help.iter().enumerate() {
            out.push_str(&field(if at == 0 { "would help" } else { "" }, help, width));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn predicted(line: &str) -> (Exit, String) {
        #[derive(Parser)]
        struct Only {
            #[command(flatten)]
            args: Args,
        }
        let words = ["predict"].into_iter().chain(line.split(' '));
        let args = Only::try_parse_from(words).expect("good arguments").args;
        let (one, other) = (
            side(&args.a, &args).expect("a side"),
            side(&args.b, &args).expect("a side"),
        );
        let (target, partner) = match (one.is_policy, other.is_policy) {
            (false, true) => (other, one),
            _ => (one, other),
        };
        let profile = Profile::default();
        let both = [Direction::Outbound, Direction::Inbound]
            .map(|way| predict(&target, &partner, way, profile));
        let text = text(&target, &partner, &both, 100);
        (
            command(&args).expect("it can be said"),
            anstream::adapter::strip_str(&text).to_string(),
        )
    }

    #[test]
    fn what_will_be_refused_is_said_with_what_would_help() {
        let (exit, text) = predicted("row07 google-talk");
        assert_eq!(exit, Exit::Unexpected);
        insta::assert_snapshot!(text);
        let (exit, _) = predicted("google-talk row15");
        assert_eq!(exit, Exit::Expected);
    }

    #[test]
    fn what_is_no_side_is_told_with_what_would_be_one() {
        let args = Args {
            a: "gogle-talk".to_owned(),
            b: "row07".to_owned(),
            json: false,
            files: Files::default(),
            judging: Judging::default(),
        };
        let error = command(&args).expect_err("there is no such persona");
        assert!(error.to_string().contains("google-talk"), "{error}");
        assert_eq!(error.exit(), Exit::Usage);
    }
}
