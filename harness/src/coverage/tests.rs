use super::*;
use simulated_partners::document::Source;

use crate::requirement::Level;
use crate::scenario::Catalogue;

const ABC: &str = "format = 1
code = \"ABC\"
title = \"A, b and c\"

[[requirement]]
id = \"ABC-01\"
source = \"RFC 6120 §1\"
level = \"must\"
role = \"both\"
text = \"It holds.\"

[[requirement]]
id = \"ABC-02\"
source = \"RFC 6120 §2\"
level = \"must\"
role = \"initiating\"
text = \"It holds too.\"
unjudgeable = \"Nobody sees it.\"

[[requirement]]
id = \"ABC-03\"
source = \"RFC 6120 §3\"
level = \"may\"
role = \"receiving\"
text = \"It may hold.\"
";

const X9: &str = "format = 1
code = \"X9\"
title = \"X\"

[[requirement]]
id = \"X9-01\"
source = \"practice\"
level = \"practice\"
role = \"both\"
text = \"It helps.\"
";

const BUGS: &str = "format = 1

[[bug]]
id = \"B01\"
source = \"Some server\"
text = \"It broke.\"
requirements = [\"ABC-01\"]

[[bug]]
id = \"S01\"
source = \"Another server\"
text = \"It leaked.\"
requirements = [\"ABC-03\"]
";

fn registry() -> Registry {
    let files = [("a-b-c.toml", ABC), ("x9.toml", X9), ("bugs.toml", BUGS)];
    let (registry, wrong) =
        Registry::default().with(&files.map(|(name, text)| Source::new(name, text)));
    assert!(wrong.is_empty(), "{wrong:?}");
    registry
}

fn by(requirements: &[(&str, &[&str])]) -> Covering {
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Covering {
        requirements: requirements
            .iter()
            .map(|(requirement, names)| (requirement.parse().unwrap(), named(names)))
            .collect(),
        bugs: BTreeMap::new(),
    }
}

#[test]
fn a_row_is_covered_by_the_scenarios_that_name_it() {
    let registry = registry();
    let covering = by(&[
        ("ABC-01", &["abc/ABC-01-a"]),
        ("X9-01", &["abc/ABC-01-a", "x/X9-01-b"]),
    ]);
    let coverage = Coverage::new(&registry, &covering);
    let requirement = |id: &str| registry.get(&id.parse().unwrap()).unwrap();
    assert_eq!(
        coverage.scenarios(&requirement("X9-01").id),
        ["abc/ABC-01-a", "x/X9-01-b"]
    );
    let states = ["ABC-01", "ABC-02", "ABC-03", "X9-01"].map(|id| coverage.state(requirement(id)));
    use State::{Covered, Open, Unjudgeable};
    assert_eq!(states, [Covered, Unjudgeable, Open, Covered]);
}

#[test]
fn variants_cover_rows_of_their_own_and_a_file_counts_once() {
    let text = "format = 1\ntitle = \"a\"\nrequirements = [\"STR-01\"]\nbugs = [\"B05\"]\n\
                direction = \"inbound\"\nexpect = [{ sees = \"header\" }]\n\
                [variants.b]\nrequirements = [\"STR-01\", \"STR-02\"]\n[variants.c]\n";
    let source = Source::new("streams/STR-01-a.toml", text);
    let (library, wrong) = Library::read(&[source], Catalogue::builtin());
    assert!(wrong.is_empty(), "{wrong:?}");
    let covering = Covering::from(&library);
    let named: Vec<&Vec<ScenarioId>> = covering.requirements.values().collect();
    assert_eq!(named, [&["streams/STR-01-a"], &["streams/STR-01-a"]]);
    assert_eq!(covering.bugs["B05"], ["streams/STR-01-a"]);
}

#[test]
fn bugs_are_hunted_by_the_scenarios_that_name_them() {
    let registry = registry();
    let covering = Covering {
        bugs: [("S01".to_owned(), vec!["a".to_owned()])].into(),
        ..Covering::default()
    };
    let coverage = Coverage::new(&registry, &covering);
    assert_eq!(coverage.hunters(registry.bug("S01").unwrap()), ["a"]);
    let open: Vec<&str> = coverage.open_bugs().map(|bug| bug.id.as_str()).collect();
    assert_eq!(open, ["B01"]);
    let json = to_json(&coverage, &Table::new(&coverage, &[]));
    assert_eq!(json["bugs"][1]["scenarios"][0], "a");
}

#[test]
fn tables_count_by_area_and_level() {
    let registry = registry();
    let covering = by(&[("ABC-01", &["a"])]);
    let coverage = Coverage::new(&registry, &covering);
    let table = Table::new(&coverage, &[]);
    insta::assert_snapshot!(format!("{}\n{}", to_text(&table), to_markdown(&table)));

    let only = Table::new(&coverage, &[registry.area("X9").unwrap()]);
    assert_eq!(only.areas.len(), 1);
    assert_eq!(only.total.all.total(), 1);
    assert!(!to_text(&only).contains("\nall"));
}

#[test]
fn sums_agree_with_the_registry() {
    let registry = Registry::builtin();
    let covering = Covering::default();
    let table = Table::new(&Coverage::new(registry, &covering), &[]);
    assert_eq!(table.total.all.total(), registry.all().count());
    let by_area: usize = table
        .areas
        .iter()
        .map(|(_, counts)| counts.all.total())
        .sum();
    assert_eq!(by_area, table.total.all.total());
    for (index, &level) in Level::ALL.iter().enumerate() {
        let requirements = registry
            .all()
            .filter(|requirement| requirement.level == level)
            .count();
        assert_eq!(table.total.levels[index].total(), requirements, "{level:?}");
    }
}

#[test]
fn the_table_fits_80_columns_even_when_all_is_covered() {
    let registry = Registry::builtin();
    let covering = Covering {
        requirements: registry
            .all()
            .map(|requirement| (requirement.id.clone(), vec!["scenario".to_owned()]))
            .collect(),
        ..Covering::default()
    };
    let text = to_text(&Table::new(&Coverage::new(registry, &covering), &[]));
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let full = text.lines().find(|line| line.starts_with("all")).unwrap();
    let total = format!(" {} ", registry.all().count());
    assert!(full.contains(&total), "cells run into each other: {full}");
}

#[test]
fn json_holds_every_row_with_its_scenarios() {
    let registry = registry();
    let covering = by(&[("ABC-01", &["a/b"])]);
    let coverage = Coverage::new(&registry, &covering);
    let value = to_json(&coverage, &Table::new(&coverage, &[]));
    assert_eq!(value["schema"], SCHEMA);
    assert_eq!(value["total"]["open"], 2);
    assert_eq!(value["areas"][0]["levels"]["must"]["covered"], 1);
    let requirements = value["requirements"].as_array().unwrap();
    assert_eq!(requirements.len(), 4);
    assert_eq!(requirements[0]["scenarios"][0], "a/b");
    assert_eq!(requirements[0]["state"], "covered");
    assert_eq!(requirements[0]["breach"], "fail");
    assert_eq!(requirements[1]["unjudgeable"], "Nobody sees it.");
}

#[test]
fn only_what_stands_between_the_marks_is_replaced() {
    let document = format!("# A\n\n{START}\nold\n{END}\n\nend\n");
    let new = in_document(&document, "new\n").unwrap();
    assert_eq!(new, format!("# A\n\n{START}\nnew\n{END}\n\nend\n"));
    assert_eq!(in_document(&new, "new\n").unwrap(), new);
    assert_eq!(in_document("no marks", "new"), None);
    assert_eq!(in_document(START, "new"), None);
}
