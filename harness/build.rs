//! Embeds the folders of `targets/` that hold a `target.toml`, so that a new built-in server is a new
//! folder and nothing else.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn Error>> {
    let targets = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("targets");
    // Cargo looks at everything below it.
    println!("cargo::rerun-if-changed={}", targets.display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut code = String::from("&[\n");
    for folder in entries(&targets)? {
        if !folder.join("target.toml").is_file() {
            continue;
        }
        writeln!(code, "    ({:?}, &[", name(&folder)?)?;
        for file in entries(&folder)? {
            writeln!(
                code,
                "        ({:?}, include_str!({file:?})),",
                name(&file)?
            )?;
        }
        code.push_str("    ]),\n");
    }
    code.push_str("]\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("targets.rs"), code)?;
    Ok(())
}

/// What is in a folder, sorted. Names that begin with a dot are editors' own.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.retain(|path| !name(path).is_ok_and(|name| name.starts_with('.')));
    entries.sort();
    Ok(entries)
}

fn name(path: &Path) -> Result<&str, String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| format!("{} has a name that is not UTF-8", path.display()))
}
