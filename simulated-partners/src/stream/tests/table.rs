//! The whole table of states and steps.

use std::fmt::Write as _;

use insta::assert_snapshot;

use crate::stream::{State, Step};

#[test]
fn each_step_leads_where_the_table_says() {
    let mut out = String::new();
    for &state in State::ALL {
        let waits = state.waits_for().unwrap_or("nothing");
        writeln!(out, "{state:?}, waits for {waits}").expect("strings take everything");
        for &step in Step::ALL {
            if let Ok(next) = state.after(step) {
                writeln!(out, "  {step:?} → {next:?}").expect("strings take everything");
            }
        }
    }
    assert_snapshot!("states", out);
}

#[test]
fn an_illegal_step_names_where_it_was_tried() {
    let illegal = State::Ended.after(Step::Establish);
    assert_eq!(
        illegal.map_err(|illegal| illegal.to_string()),
        Err("no step Establish from Ended".to_owned())
    );
}
