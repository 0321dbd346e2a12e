//! Builds one program that has all mutants, below `target/mutants`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use crate::mutant::{Change, Mutant};
use crate::weave::{Misfit, weave};

/// The switch: the variable of the environment names the one mutant that is active.
const SWITCH: &str = r#"
/// Whether the mutant is active.
pub(crate) fn active(id: &str) -> bool {
    static ACTIVE: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var("S2SPEC_MUTANT").unwrap_or_default());
    *ACTIVE == id
}
"#;

/// How the program is built.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Profile {
    Debug,
    /// As users have it, which is what tells how long a run takes.
    Release,
}

/// The program could not be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error(transparent)]
    Misfit(#[from] Misfit),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("no mutant may be in the unknown file {0}")]
    NoFile(String),
    #[error("cargo could not build it")]
    Cargo,
}

pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The sources of the proxy that have mutants, with all of them woven in.
pub(crate) fn woven(mutants: &[Mutant]) -> Result<BTreeMap<String, String>, BuildError> {
    let mut files: BTreeMap<String, Vec<(&str, Change)>> = BTreeMap::new();
    for mutant in mutants {
        for change in mutant.changes() {
            let changes = files.entry(change.file.clone()).or_default();
            changes.push((&mutant.id, change));
        }
    }
    let sources = root().join("reference-proxy/src");
    let woven = files.into_iter().map(|(file, changes)| {
        let source = fs::read_to_string(sources.join(&file))
            .map_err(|_| BuildError::NoFile(file.clone()))?;
        let woven = weave(&source, &changes)?;
        Ok((file, woven))
    });
    woven.collect()
}

/// Builds the program and returns its path.
pub(crate) fn build(mutants: &[Mutant], profile: Profile) -> Result<PathBuf, BuildError> {
    weave_all(mutants)?;
    let name = match profile {
        Profile::Debug => "dev",
        Profile::Release => "release",
    };
    cargo(&["build", "-p", "s2spec", "--profile", name])?;
    Ok(program(profile))
}

/// The program with all mutants.
pub(crate) fn program(profile: Profile) -> PathBuf {
    folder().join(match profile {
        Profile::Debug => "target/debug/s2spec",
        Profile::Release => "target/release/s2spec",
    })
}

/// The command that runs tests of the proxy, those whose names have one of these parts.
pub(crate) fn tests(names: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command
        .args([
            "test",
            "-p",
            "reference-proxy",
            "--lib",
            "--test",
            "federation",
        ])
        .args(["--locked", "--no-fail-fast", "--"])
        .args(names)
        .current_dir(folder().join("workspace"))
        .env("CARGO_TARGET_DIR", folder().join("target"));
    command
}

/// Finds out whether all mutants compile.
pub(crate) fn check(mutants: &[Mutant]) -> Result<(), BuildError> {
    weave_all(mutants)?;
    cargo(&["check", "-p", "reference-proxy"])
}

fn folder() -> PathBuf {
    root().join("target/mutants")
}

fn cargo(arguments: &[&str]) -> Result<(), BuildError> {
    let status = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--locked")
        .current_dir(folder().join("workspace"))
        .env("CARGO_TARGET_DIR", folder().join("target"))
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(BuildError::Cargo),
    }
}

/// Makes a workspace of links, in which only the proxy is a copy.
fn weave_all(mutants: &[Mutant]) -> Result<(), BuildError> {
    let workspace = folder().join("workspace");
    fs::create_dir_all(&workspace)?;
    for entry in fs::read_dir(root())? {
        let entry = entry?;
        let name = entry.file_name();
        let link = workspace.join(&name);
        if name != "target" && name != "reference-proxy" && !link.is_symlink() {
            std::os::unix::fs::symlink(fs::canonicalize(entry.path())?, link)?;
        }
    }
    let sources = woven(mutants)?;
    let proxy = root().join("reference-proxy");
    copy(
        &proxy,
        &workspace.join("reference-proxy"),
        &mut |file, text| {
            let Ok(file) = file.strip_prefix(proxy.join("src")) else {
                return text;
            };
            let woven = sources.get(&*file.to_string_lossy()).cloned();
            let text = woven.unwrap_or(text);
            match file == Path::new("lib.rs") {
                true => format!("#![allow(warnings)]\n{text}\nmod mutants;\n"),
                false => text,
            }
        },
    )?;
    write(&workspace.join("reference-proxy/src/mutants.rs"), SWITCH)?;
    Ok(())
}

/// Copies a folder of texts, each as `change` has it. What an earlier copy had and the folder has no more goes.
fn copy(
    from: &Path,
    to: &Path,
    change: &mut impl FnMut(&Path, String) -> String,
) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        let is_gone = !from.join(entry.file_name()).exists() && entry.file_name() != "mutants.rs";
        match is_gone {
            true if entry.path().is_dir() => fs::remove_dir_all(entry.path())?,
            true => fs::remove_file(entry.path())?,
            false => {}
        }
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match from.is_dir() {
            true => copy(&from, &to, change)?,
            false => write(&to, &change(&from, fs::read_to_string(&from)?))?,
        }
    }
    Ok(())
}

/// Writes only what is new, or cargo would build it again.
fn write(path: &Path, text: &str) -> io::Result<()> {
    match fs::read_to_string(path) {
        Ok(old) if old == text => Ok(()),
        _ => fs::write(path, text),
    }
}
