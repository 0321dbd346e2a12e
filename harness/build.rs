//! Embeds the folders of `targets/` that hold a `target.toml`, so that a new built-in server is a new
//! folder and nothing else, and says which commit a release was built from.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let mut version = env::var("CARGO_PKG_VERSION")?;
    // While it is worked on, a commit alone should build nothing again.
    if env::var("PROFILE")? == "release"
        && let Some(commit) = packaged(&manifest).or_else(|| checked_out(&manifest))
    {
        write!(version, " ({commit})")?;
    }
    println!("cargo::rustc-env=S2SPEC_VERSION={version}");
    let targets = manifest.join("targets");
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

/// The commit that a package was made of, which `cargo package` writes down.
fn packaged(manifest: &Path) -> Option<String> {
    let text = fs::read_to_string(manifest.join(".cargo_vcs_info.json")).ok()?;
    let (_, behind) = text.split_once("\"sha1\"")?;
    let sha1 = behind.split('"').nth(1)?;
    let is_commit = sha1.len() >= 8 && sha1.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then(|| sha1[..8].to_owned())
}

/// The commit of the repository, with its date.
fn checked_out(manifest: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        let output = git.arg("-C").arg(manifest).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    };
    for file in ["HEAD", "logs/HEAD"] {
        let path = manifest.join(git(&["rev-parse", "--git-path", file])?);
        if path.is_file() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(&["log", "-1", "--abbrev=8", "--format=%h %cs"])
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
