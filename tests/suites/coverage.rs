//! The requirements, the scenarios that test them, and the table of both in the documentation.

use s2spec::coverage::{Coverage, Covering, Table, in_document, page};
use s2spec::requirement::Registry;
use s2spec::scenario::Library;

const PAGE: &str = include_str!("../../docs/coverage.md");

#[test]
fn the_page_shows_the_current_coverage() {
    let covering = Covering::from(Library::builtin());
    let table = Table::new(&Coverage::new(Registry::builtin(), &covering), &[]);
    let markdown = page(&table, Library::builtin());
    let fresh = in_document(PAGE, &markdown).expect("the page has a place for the table");
    assert!(
        fresh == PAGE,
        "the table of coverage in docs/coverage.md is out of date; bring it up to date with\n\n    \
         cargo run -p s2spec -- coverage --update docs/coverage.md\n\nIt should be:\n\n{markdown}"
    );
}

#[test]
fn the_page_states_the_number_of_requirements() {
    let rows = Registry::builtin().all().count();
    assert!(
        PAGE.contains(&format!("{rows} requirements")),
        "docs/coverage.md does not say that there are {rows} requirements"
    );
}
