//! Tests which crates and modules may use which others: the proxy and the partners do not know each
//! other, and dependencies inside a crate point one way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::root;

const OURS: [&str; 7] = [
    "s2spec",
    "s2spec-rules",
    "simulated-partners",
    "reference-gateway",
    "reference-proxy",
    "reference-proxy-admin",
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
fn partners_and_proxy_depend_on_none_of_our_crates() {
    assert_eq!(of_ours("simulated-partners"), BTreeSet::new());
    assert_eq!(of_ours("reference-proxy"), BTreeSet::new());
}

#[test]
fn rules_know_partners_and_no_proxy() {
    assert_eq!(
        of_ours("s2spec-rules"),
        BTreeSet::from(["simulated-partners".to_owned()])
    );
}

#[test]
fn only_the_harness_knows_the_proxy_its_gateway_and_its_administration() {
    for known in [
        "reference-gateway",
        "reference-proxy",
        "reference-proxy-admin",
    ] {
        assert!(of_ours("s2spec").contains(known));
        assert!(!of_ours("s2spec-tests").contains(known));
    }
    let ours = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let known: BTreeSet<String> = ours(&["reference-proxy"]);
    assert_eq!(of_ours("reference-gateway"), known);
    let known: BTreeSet<String> = ours(&["reference-gateway", "reference-proxy"]);
    assert_eq!(of_ours("reference-proxy-admin"), known);
}

#[test]
fn proxy_and_partners_read_xml_with_different_parsers() {
    let all = dependencies();
    assert!(all["simulated-partners"].contains("quick-xml"));
    assert!(!all["reference-proxy"].contains("quick-xml"));
    assert!(all["reference-proxy"].contains("rxml"));
}

/// The floors of each crate, from the bottom up. A module may use those below it, and nothing else of
/// its crate. Modules on one floor do not know each other.
const FLOORS: [(&str, &[&[&str]]); 6] = [
    (
        "harness/rules",
        &[
            &["embedded", "evidence", "glob", "kind", "outcome", "verdict"],
            &["expectation", "finding", "policy", "requirement"],
            &["case"],
            &["observe", "oracle", "record"],
            &["scenario", "settings"],
            &["judge", "matrix"],
        ],
    ),
    (
        "harness",
        &[
            &["cause", "lab", "listening", "resources", "transcript"],
            &["baseline", "console", "coverage", "error", "subject"],
            &["load", "report", "runner", "suite"],
            &["bundle", "doctor"],
            &["cli"],
            &["embed"],
        ],
    ),
    (
        "simulated-partners",
        &[
            &["board", "diagnostic", "dns", "nearest", "wire"],
            &["document", "event", "negotiate", "stanza"],
            &["reaction"],
            &["persona"],
            &["pki"],
            &["line", "tls"],
            &["inner", "probe", "stream"],
            &["driver"],
            &["testing"],
        ],
    ),
    (
        "reference-proxy",
        &[
            &["clock", "domain", "limits", "negotiation", "random", "xml"],
            &[
                "certificate",
                "key",
                "ledger",
                "partner",
                "resolve",
                "stanza",
                "stream",
                "task",
                "trial",
            ],
            &[
                "config",
                "connections",
                "dialback",
                "listener",
                "management",
                "register",
            ],
            &["router"],
            &["open_streams"],
            &["context"],
            &["outbound", "reload", "upkeep"],
            &["control", "gateway", "inbound"],
            &["proxy"],
        ],
    ),
    (
        "reference-proxy/admin",
        &[
            &["error", "unused"],
            &["output", "tables", "value"],
            &["cmdlet", "store"],
            &["confirm", "running"],
            &[
                "certificate",
                "check",
                "csr",
                "dns",
                "gateway_config",
                "log",
                "partner",
                "policy",
                "reload",
                "serve",
                "status",
                "test_im",
            ],
            &["setup"],
        ],
    ),
    (
        "reference-proxy/gateway",
        &[
            &["address", "policy", "refusal", "talk"],
            &["control", "directory", "withdrawal"],
            &["config", "event", "roster"],
            &["link", "session", "state", "store"],
            &["door", "hub"],
            &["local"],
            &["gateway"],
            &["serve"],
            &["command"],
        ],
    ),
];

#[test]
fn no_module_uses_one_above_it() {
    for (place, floors) in FLOORS {
        let floor_of: BTreeMap<&str, usize> = floors
            .iter()
            .enumerate()
            .flat_map(|(floor, modules)| modules.iter().map(move |module| (*module, floor)))
            .collect();
        let mut wrong = Vec::new();
        for (module, uses) in modules(place) {
            let Some(floor) = floor_of.get(module.as_str()) else {
                wrong.push(format!("`{module}` stands on no floor"));
                continue;
            };
            for (used, file) in uses {
                match floor_of.get(used.as_str()) {
                    Some(below) if below < floor => {}
                    Some(_) => wrong.push(format!("`{module}` uses `{used}` ({file})")),
                    // A module of the rules that the harness re-exports, or a function.
                    None => {}
                }
            }
        }
        assert!(wrong.is_empty(), "{place}: {}", wrong.join(", "));
    }
}

#[test]
fn the_page_on_the_architecture_shows_the_floors() {
    let page = page();
    for (place, floors) in FLOORS {
        let floors: Vec<String> = floors
            .iter()
            .map(|modules| {
                let modules = modules.iter().map(|module| format!("`{module}`"));
                modules.collect::<Vec<_>>().join(", ")
            })
            .collect();
        let row = format!("| `{place}` | {} |", floors.join(" · "));
        assert!(page.contains(&row), "docs/architecture.md lacks\n{row}");
    }
}

#[test]
fn the_way_of_a_case_leads_through_each_file_once() {
    let page = page();
    let (_, way) = page
        .split_once("## The way of a case")
        .expect("the page has it");
    let way = way.split("\n## ").next().unwrap_or_default();
    let mut seen = BTreeSet::new();
    for name in way.split('`').filter(|name| name.ends_with(".rs")) {
        // One step stays in the folder that it names first.
        let tops = [root(), root().join("simulated-partners/src")];
        let file = tops
            .map(|top| top.join(name))
            .into_iter()
            .find(|file| file.exists());
        let file = file.unwrap_or_else(|| panic!("there is no {name}"));
        assert!(seen.insert(file), "{name} comes twice");
    }
    assert!(seen.len() > 40, "{}", seen.len());
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/architecture.md")).expect("the page can be read")
}

/// The modules of a crate except its tests: which others each of them uses, and where.
fn modules(place: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let folder = root().join(place).join("src");
    let front = read(&folder.join("lib.rs"));
    declared(&front)
        .map(|name| {
            let mut uses = BTreeMap::new();
            collect(&folder, name, &mut uses);
            uses.remove(name);
            (name.to_owned(), uses)
        })
        .collect()
}

/// The parts of its crate that a module and its submodules use.
fn collect(folder: &Path, module: &str, uses: &mut BTreeMap<String, String>) {
    let inside = folder.join(module);
    let mut file = folder.join(format!("{module}.rs"));
    if !file.exists() {
        file = inside.join("mod.rs");
    }
    let text = read(&file);
    for used in used(&text) {
        let shown = file.strip_prefix(root()).unwrap_or(&file).display();
        uses.entry(used).or_insert_with(|| shown.to_string());
    }
    for name in declared(&text) {
        collect(&inside, name, uses);
    }
}

/// A source without comments and test code.
fn read(file: &Path) -> String {
    let text =
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            // Tests in the same file come last.
            let item = lines.by_ref().find(|line| !line.trim().starts_with("#["));
            if item.is_some_and(|item| item.ends_with('{')) {
                break;
            }
        } else {
            kept.push_str(line.split("//").next().unwrap_or_default());
            kept.push('\n');
        }
    }
    kept
}

/// Modules in files.
fn declared(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (visibility, rest) = line.trim().split_once("mod ")?;
        let is_item = visibility.is_empty() || visibility.starts_with("pub");
        rest.strip_suffix(';').filter(|_| is_item)
    })
}

/// The modules that a text names with `crate::`.
fn used(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let path = &text[at + "crate::".len()..];
        if let Some(list) = path.strip_prefix('{') {
            let list = list.split("};").next().unwrap_or_default();
            // The first name of each path in the list: what follows a brace or a comma at depth 0.
            let mut depth = 0;
            let mut begins = true;
            for (at, character) in list.char_indices() {
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => begins = true,
                    c if begins && c.is_alphanumeric() => {
                        found.insert(name(&list[at..]));
                        begins = false;
                    }
                    _ => {}
                }
            }
        } else {
            found.insert(name(path));
        }
    }
    found
}

fn name(path: &str) -> String {
    path.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn uses_are_found_in_all_forms_and_tests_are_left_out() {
    let names = |text: &str| used(text).into_iter().collect::<Vec<_>>();
    assert_eq!(names("use crate::case::{Case, Set};"), ["case"]);
    assert_eq!(
        names("let x = crate::judge::read(crate::outcome::A);"),
        ["judge", "outcome"]
    );
    assert_eq!(names("use crate::{a::{B, C}, d::E,\n f};"), ["a", "d", "f"]);
    assert_eq!(
        declared("pub mod a;\nmod b;\nmod c {\n").collect::<Vec<_>>(),
        ["a", "b"]
    );
}

#[test]
fn the_proxy_is_touched_in_one_room_of_the_harness() {
    let room = ["administrator.rs", "behind.rs", "reference.rs"];
    assert_eq!(naming("reference_proxy::"), room);
    assert_eq!(naming("reference_proxy_admin::"), ["mod.rs", "proxy.rs"]);
    let known = ["administrator.rs", "behind.rs", "gateway.rs", "mod.rs"];
    assert_eq!(naming("reference_gateway::"), known);
}

/// The sources of the harness that contain the text.
fn naming(text: &str) -> Vec<String> {
    let mut files = Vec::new();
    sources(&root().join("harness/src"), &mut files);
    let mut names: Vec<String> = files
        .iter()
        .filter(|path| {
            std::fs::read_to_string(path)
                .expect("a source is text")
                .contains(text)
        })
        .filter_map(|path| path.file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn sources(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}
