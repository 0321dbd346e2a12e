//! Which crate may know which: the proxy and the partners are strangers to each other.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use support::root;

const OURS: [&str; 4] = [
    "s2spec",
    "simulated-partners",
    "reference-proxy",
    "s2spec-tests",
];

/// Direct dependencies, development ones included, of each package.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    packages
        .iter()
        .map(|package| {
            let name = package["name"]
                .as_str()
                .expect("a package has a name")
                .to_owned();
            let needs = package["dependencies"].as_array().expect("a list");
            let needs = needs
                .iter()
                .filter_map(|d| d["name"].as_str())
                .map(str::to_owned)
                .collect();
            (name, needs)
        })
        .collect()
}

fn of_ours(name: &str) -> BTreeSet<String> {
    let all = dependencies();
    all[name]
        .iter()
        .filter(|need| OURS.contains(&need.as_str()))
        .cloned()
        .collect()
}

#[test]
fn partners_and_proxy_know_nobody_of_ours() {
    assert_eq!(of_ours("simulated-partners"), BTreeSet::new());
    assert_eq!(of_ours("reference-proxy"), BTreeSet::new());
}

#[test]
fn only_the_harness_knows_the_proxy() {
    assert!(of_ours("s2spec").contains("reference-proxy"));
    assert!(!of_ours("s2spec-tests").contains("reference-proxy"));
}

#[test]
fn proxy_and_partners_read_xml_with_different_parsers() {
    let all = dependencies();
    assert!(all["simulated-partners"].contains("quick-xml"));
    assert!(!all["reference-proxy"].contains("quick-xml"));
    assert!(all["reference-proxy"].contains("rxml"));
}

#[test]
fn the_proxy_is_touched_in_one_file_of_the_harness() {
    let mut files = Vec::new();
    sources(&root().join("harness/src"), &mut files);
    let touching: Vec<String> = files
        .iter()
        .filter(|path| {
            std::fs::read_to_string(path)
                .expect("a source is text")
                .contains("reference_proxy")
        })
        .map(|path| {
            path.file_name()
                .expect("a file has a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(touching, ["reference.rs"]);
}

fn sources(folder: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}
