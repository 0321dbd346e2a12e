//! Every persona in both directions against all 18 policies of the embedded proxy: one test and one snapshot
//! each. A new persona is tested as soon as its file exists.

mod support;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use s2spec::case::{Case, Direction, Set};
use s2spec::oracle::Profile;
use s2spec::verdict::Verdict;
use simulated_partners::persona::{self, Persona};

use support::{all_cases, assert_snapshot, others, reference, run, story};

fn main() -> ExitCode {
    let trials = persona::builtin().into_iter().flat_map(|persona| {
        Direction::ALL.iter().map(move |&direction| {
            let persona = persona.clone();
            Trial::test(format!("{}_{direction}", persona.name), move || {
                ends_as_recorded(&persona, direction);
                Ok(())
            })
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn ends_as_recorded(persona: &Persona, direction: Direction) {
    let selected: Vec<Case> = all_cases()
        .iter()
        .filter(|case| {
            case.set == Set::Personas
                && case.partner.name == persona.name
                && case.direction == direction
        })
        .cloned()
        .collect();
    assert_eq!(selected.len(), 18, "one case for each policy");
    let records = run(reference(), Profile::default(), &selected);
    let wrong = others(&records, &[Verdict::Pass, Verdict::Warn]);
    assert_eq!(wrong, Vec::<String>::new());
    assert_snapshot(
        "reference",
        &format!("{}-{direction}", persona.name),
        &persona.title,
        &story(&records),
    );
}
