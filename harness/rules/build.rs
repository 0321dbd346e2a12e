//! Embeds the data files of `scenarios/`, so the binary does not need the folder. It is a link to that of
//! the repository, which a package has the files of.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = manifest.join("scenarios");
    let root = root
        .canonicalize()
        .map_err(|e| format!("cannot find the folder {}: {e}", root.display()))?;
    // Cargo checks everything below it.
    println!("cargo::rerun-if-changed={}", root.display());
    println!("cargo::rerun-if-changed=build.rs");

    let mut found = Vec::new();
    toml_below(&root, &mut found)?;
    found.sort();
    let mut code = String::from("&[\n");
    for path in &found {
        let name = name_of(path, &root)
            .ok_or_else(|| format!("{} has a name that is not UTF-8", path.display()))?;
        let path = path
            .to_str()
            .ok_or_else(|| format!("{} has a name that is not UTF-8", path.display()))?;
        writeln!(code, "    ({name:?}, include_str!({path:?})),")?;
    }
    code.push_str("]\n");
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("scenarios.rs"),
        code,
    )?;
    Ok(())
}

/// Every `*.toml` at any depth. Names that begin with a dot belong to editors.
fn toml_below(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            toml_below(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "toml") {
            found.push(path);
        }
    }
    Ok(())
}

/// The path below the folder, with slashes on every system.
fn name_of(path: &Path, root: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path
        .strip_prefix(root)
        .ok()?
        .iter()
        .map(|part| part.to_str())
        .collect();
    parts.map(|parts| parts.join("/"))
}
