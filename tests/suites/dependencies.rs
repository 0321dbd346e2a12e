//! Tests our dependencies: licences, sources, one version of each crate, and nothing heavy in the program.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The allowed licences.
const LICENCES: [&str; 11] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that exist in two versions until the crates that need the older one are updated.
const TWICE: [&str; 2] = [
    "syn",       // asn1-rs and strum need 2.
    "untrusted", // aws-lc-rs needs 0.7.
];

/// Crates that the program must not depend on.
const BANNED: [&str; 8] = [
    "insta",          // For tests.
    "native-tls",     // rustls is the only TLS library.
    "openssl-sys",    // The same.
    "proptest",       // For tests.
    "regex",          // Seconds of build time; patterns for ids are globs.
    "regex-automata", // The same.
    "ring",           // aws-lc-rs is the only crypto provider.
    "rstest",         // For tests.
];

/// A line of `cargo tree` for each package: name, version, source unless crates.io, licence.
struct Package {
    name: String,
    version: String,
    origin: Option<String>,
    licence: String,
}

fn packages(arguments: &[&str]) -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--prefix=none", "--no-dedupe"])
        .arg("--format={p}|{l}")
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    let lines = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    let distinct: BTreeSet<&str> = lines.lines().filter(|line| !line.is_empty()).collect();
    assert!(distinct.len() > 100, "cargo names only {distinct:?}");
    distinct.into_iter().map(package).collect()
}

fn package(line: &str) -> Package {
    let (package, licence) = line.split_once('|').expect("two fields");
    let mut words = package.splitn(3, ' ');
    let name = words.next().expect("a name").to_owned();
    let version = words.next().expect("a version").to_owned();
    let origin = words.next().filter(|rest| *rest != "(proc-macro)");
    Package {
        name,
        version,
        origin: origin.map(str::to_owned),
        licence: licence.to_owned(),
    }
}

/// Whether each licence of an expression such as `(MIT OR Apache-2.0) AND ISC` is one of ours.
fn is_permissive(expression: &str) -> bool {
    expression
        .replace(['(', ')'], "")
        .replace('/', " OR ")
        .split(" OR ")
        .flat_map(|part| part.split(" AND "))
        .all(|licence| LICENCES.contains(&licence.trim()))
}

#[test]
fn all_licences_are_permissive() {
    let wrong: Vec<String> = packages(&["--workspace"])
        .iter()
        .filter(|package| !is_permissive(&package.licence))
        .map(|package| format!("{}: {:?}", package.name, package.licence))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn everything_foreign_comes_from_the_registry() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"));
    let root = root.trim_end_matches("tests");
    let wrong: Vec<String> = packages(&["--workspace"])
        .into_iter()
        .filter_map(|package| package.origin)
        .filter(|origin| !origin.starts_with(&format!("({root}")))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn each_crate_comes_in_one_version() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages(&["--workspace"]) {
        versions
            .entry(package.name)
            .or_default()
            .insert(package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let twice: Vec<&str> = versions.keys().map(String::as_str).collect();
    assert_eq!(twice, TWICE, "{versions:?}");
}

#[test]
fn the_program_contains_nothing_banned() {
    let banned: Vec<String> = packages(&["--package=s2spec", "--edges=normal"])
        .into_iter()
        .map(|package| package.name)
        .filter(|name| BANNED.contains(&name.as_str()))
        .collect();
    assert_eq!(banned, Vec::<String>::new());
}

/// Crates that another project builds for its tests, besides its own.
const EMBEDDED: usize = 149;

#[test]
fn tests_of_another_project_build_few_crates() {
    let all = packages(&[
        "--package=s2spec",
        "--no-default-features",
        "--edges=normal,build",
    ]);
    let built: BTreeSet<(String, String)> = all
        .into_iter()
        .map(|package| (package.name, package.version))
        .collect();
    assert!(built.len() <= EMBEDDED, "{}: {built:#?}", built.len());
}
