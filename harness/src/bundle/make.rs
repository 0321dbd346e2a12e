//! Makes a bundle of a result.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use simulated_partners::document::Source;

use super::{Bundle, End, Made, Named, Options, Pem, Shown, Target, Text, Tool, VERSION};
use crate::case::{Case, MAIN, Set};
use crate::finding::Against;
use crate::judge::heaviest;
use crate::oracle::Profile;
use crate::outcome::outcome_text;
use crate::record::{CaseResult, Record, Scene};
use crate::report;
use crate::scenario::Catalogue;
use crate::transcript::Course;

/// What all cases of a run have in common.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// What `--target` calls the target, if it is built in.
    pub built_in: Option<String>,
    /// The target file's name and text, if it has one.
    pub target_file: Option<(String, String)>,
    /// The seed.
    pub seed: u64,
    /// How policies are read.
    pub profile: Profile,
    /// The time limit of a case.
    pub timeout: Duration,
    /// What scenarios may name.
    pub catalogue: Catalogue,
}

impl Bundle {
    /// The bundle of a case that was run; `target` is name and version of the server.
    ///
    /// # Errors
    /// When a value has no JSON form, which is a bug in the harness.
    pub fn of(
        record: &Record,
        target: &str,
        run: &Circumstances,
    ) -> Result<Self, serde_json::Error> {
        let result = &record.result;
        let case = &result.case;
        let nothing = Scene::default();
        let scene = result.scene.as_deref().unwrap_or(&nothing);
        let mut configuration = BTreeMap::clone(&scene.configuration);
        configuration.extend(run.target_file.clone());
        let (certificate, key) = &*scene.authority;
        Ok(Self {
            bundle: VERSION,
            tool: Tool {
                name: "s2spec".to_owned(),
                version: crate::VERSION.to_owned(),
            },
            target: Target {
                name: target.to_owned(),
                built_in: run.built_in.clone(),
                configuration,
                log: scene.log.clone(),
            },
            seed: run.seed,
            options: Options {
                mode: run.profile.mode,
                strict_certificates: run.profile.strict_certificates,
                timeout: run.timeout.as_secs_f64(),
            },
            case: Named {
                id: case.id.clone(),
                set: case.set,
                direction: case.direction,
                policy: case.row.number(),
            },
            scenario: case.scenario().map(|scenario| Text {
                file: scenario.path.clone(),
                text: scenario.texts.scenario.clone(),
            }),
            personas: personas(case, &run.catalogue),
            partner: matches!(case.set, Set::Policies | Set::Offers).then(|| Made {
                name: case.partner.name.clone(),
                title: case.partner.title.clone(),
                offer: case.partner.offer.clone(),
            }),
            requirements: requirements(case),
            authority: Pem {
                certificate: Some(certificate.clone()).filter(|pem| !pem.is_empty()),
                key: key.clone(),
            },
            certificates: certificates(scene),
            dns: scene.dns.clone(),
            end: End::of(result),
            canonical: courses(result),
            result: report::case_to_json(record)?,
        })
    }
}

impl From<&Source> for Text {
    fn from(source: &Source) -> Self {
        Self {
            file: source.file().to_owned(),
            text: source.text().to_owned(),
        }
    }
}

impl End {
    /// That of a result.
    pub(super) fn of(result: &CaseResult) -> Self {
        let outcome = result.judged_outcome();
        let findings = result.findings();
        let faults: BTreeSet<String> = findings
            .iter()
            .filter_map(|finding| match &finding.against {
                Against::Fault(fault) => Some(fault.to_string()),
                Against::Outcome
                | Against::Requirements(_)
                | Against::Scenario
                | Against::Rule(_) => None,
            })
            .collect();
        Self {
            outcome: outcome.map(|outcome| outcome_text(Some(outcome))),
            weight: heaviest(findings).map(|weight| weight.effect().to_owned()),
            faults: faults.into_iter().collect(),
        }
    }
}

/// The canonical transcript of each partner.
pub(super) fn courses(result: &CaseResult) -> BTreeMap<String, Course> {
    let main = std::iter::once((MAIN, &result.events));
    let further = result.further.iter();
    let all = main.chain(further.map(|(name, events)| (name.as_str(), events)));
    all.filter(|(_, events)| !events.is_empty())
        .map(|(name, events)| {
            let course = Course::of(result.case.direction, events);
            (name.to_owned(), course)
        })
        .collect()
}

fn personas(case: &Case, catalogue: &Catalogue) -> BTreeMap<String, Text> {
    match case.scenario() {
        Some(scenario) => {
            let files = scenario.texts.personas.iter();
            files
                .map(|(word, source)| (word.clone(), source.into()))
                .collect()
        }
        None if case.set == Set::Personas => {
            let name = &case.partner.name;
            let file = catalogue.file_of(name);
            file.map(|source| (name.clone(), Text::from(&source)))
                .into_iter()
                .collect()
        }
        None => BTreeMap::new(),
    }
}

/// The files of everything that a scenario judges or looks for.
fn requirements(case: &Case) -> Vec<Text> {
    let Some(scenario) = case.scenario() else {
        return Vec::new();
    };
    let expected = case.script.expect.iter();
    let siblings = scenario.siblings.iter().flat_map(|(_, expect)| expect);
    let ids: BTreeSet<&str> = expected
        .chain(siblings)
        .flat_map(|expect| &expect.requirements)
        .chain(&scenario.requirements)
        .chain(&scenario.bugs)
        .map(String::as_str)
        .collect();
    let sources = scenario.registry.sources_of(&ids).into_iter();
    sources.map(Text::from).collect()
}

fn certificates(scene: &Scene) -> BTreeMap<String, Shown> {
    let partners = scene.partners.iter();
    partners
        .map(|(name, (domain, identity))| {
            let shown = Shown {
                domain: domain.clone(),
                pem: Pem {
                    certificate: identity.as_ref().map(|one| one.chain_pem()),
                    key: identity.as_ref().map(|one| one.key_pem()),
                },
            };
            (name.clone(), shown)
        })
        .collect()
}
