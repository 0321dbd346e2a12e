//! Embeds the folders of `targets/` that hold a `target.toml`, so that a new built-in server is a new
//! folder and nothing else, and says which commit a release was built from, and whether it was changed.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// What the program is made of, from the top of the repository. Whatever else changes there is not in it.
const SOURCES: &[&str] = &[
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "harness/build.rs",
    "harness/Cargo.toml",
    "harness/rules",
    "harness/src",
    "harness/targets",
    "reference-proxy",
    "scenarios",
    "simulated-partners",
];

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
    let commit = is_commit.then(|| sha1[..8].to_owned())?;
    Some(marked(commit, text.contains("\"dirty\": true")))
}

/// The commit of the repository, with its date, and whether what the program is made of is otherwise.
fn checked_out(manifest: &Path) -> Option<String> {
    let top = manifest.parent()?;
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        // Asking changes nothing, not even what git has noted about files.
        git.env("GIT_OPTIONAL_LOCKS", "0").arg("-C").arg(top);
        let output = git.args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        output.status.success().then_some(text)
    };
    // Sources without a history of their own may lie in a folder of another repository.
    if !git(&["rev-parse", "--show-prefix"])?.is_empty() {
        return None;
    }
    for file in ["HEAD", "logs/HEAD"] {
        let path = top.join(git(&["rev-parse", "--git-path", file])?);
        if path.is_file() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", top.join(source).display());
    }
    let commit = git(&["log", "-1", "--abbrev=8", "--format=%h %cs"])?;
    let changes = git(&[&["status", "--porcelain", "--"], SOURCES].concat())?;
    Some(marked(commit, !changes.is_empty()))
}

fn marked(commit: String, is_modified: bool) -> String {
    if is_modified {
        commit + ", modified"
    } else {
        commit
    }
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
