//! The requirements, the scenarios that test them, and the table of both in the README.

use s2spec::coverage::{self, Coverage, Table, in_document, to_markdown};
use s2spec::requirement::Registry;

const README: &str = include_str!("../../README.md");

#[test]
fn the_readme_shows_the_coverage_that_there_is() {
    let covering = coverage::builtin().unwrap_or_else(|wrong| {
        let told: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        panic!("{}", told.join("\n\n"))
    });
    let table = Table::new(&Coverage::new(Registry::builtin(), &covering), &[]);
    let markdown = to_markdown(&table);
    let fresh = in_document(README, &markdown).expect("the README has a place for the table");
    assert!(
        fresh == README,
        "the table of coverage in README.md is out of date; bring it up to date with\n\n    \
         cargo run -p s2spec -- coverage --update README.md\n\nIt should be:\n\n{markdown}"
    );
}

#[test]
fn the_readme_tells_how_many_requirements_there_are() {
    let rows = Registry::builtin().all().count();
    assert!(
        README.contains(&format!("{rows} requirements")),
        "README.md does not say that there are {rows} requirements"
    );
}
