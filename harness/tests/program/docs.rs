//! Tests the documentation: links resolve, and commands work as written.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use yaml_rust2::{Yaml, YamlLoader};

/// Options of `run` that do not change which cases are selected, and whether they take a value.
const NOT_OF_LIST: [(&str, bool); 19] = [
    ("--failed", false),
    ("--at-least", true),
    ("--baseline", true),
    ("--budget", true),
    ("--capture", false),
    ("--jobs", true),
    ("--json", true),
    ("--keep", true),
    ("--out", true),
    ("--prove", false),
    ("--repeat", true),
    ("--retries", true),
    ("--seed", true),
    ("--strict", false),
    ("--target", true),
    ("--transcripts", false),
    ("--until-fail", false),
    ("--verbose", false),
    ("--write-baseline", true),
];

/// The persona that the pages name.
const SHY: &str = "format = 1
title = \"Offers dialback alone\"
offer = { tls = \"offered\", external = false, dialback = true }
";

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("the repository is there")
}

/// A page, with its path from the root of the repository.
struct Page {
    path: String,
    text: String,
}

impl Page {
    fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path));
        Self {
            path: path.to_owned(),
            text: text.unwrap_or_else(|error| panic!("{path}: {error}")),
        }
    }

    fn all() -> Vec<Self> {
        let beside = [
            "README.md",
            "CHANGELOG.md",
            "CONTRIBUTING.md",
            "SECURITY.md",
            "reference-proxy/README.md",
            "scenarios/README.md",
        ];
        let mut paths: BTreeSet<String> = beside.map(str::to_owned).into();
        for entry in fs::read_dir(root().join("docs")).expect("there is docs/") {
            let name = entry.expect("an entry").file_name();
            paths.insert(format!("docs/{}", name.to_string_lossy()));
        }
        let pages = paths.iter().filter(|path| path.ends_with(".md"));
        pages.map(|path| Self::read(path)).collect()
    }

    /// The lines outside of code blocks.
    fn prose(&self) -> impl Iterator<Item = &str> {
        let mut inside = false;
        self.text.lines().filter(move |line| {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            !inside && !fence
        })
    }

    /// The code blocks of a language, without the indentation of a list around them.
    fn blocks(&self, language: &str) -> Vec<String> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            let fence = line.trim_start();
            if fence.strip_prefix("```") == Some(language) {
                let indentation = &line[..line.len() - fence.len()];
                let block = lines
                    .by_ref()
                    .map(|line| line.strip_prefix(indentation).unwrap_or(line));
                let block = block.take_while(|line| !line.starts_with("```"));
                blocks.push(block.map(|line| format!("{line}\n")).collect());
            }
        }
        blocks
    }

    /// The targets of the page's links, except web addresses.
    fn links(&self) -> Vec<String> {
        let ends = self.prose().flat_map(|line| {
            let parts = line.split("](").skip(1);
            parts.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
        });
        ends.filter(|link| !link.contains("://")).collect()
    }

    /// The anchors of headings.
    fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose().filter(|line| line.starts_with('#'));
        let letters = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
        letters
            .map(|text| {
                let kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
                text.chars().filter(kept).collect::<String>()
            })
            .map(|text| text.replace(' ', "-"))
            .collect()
    }

    /// The arguments of each `s2spec` in a block of commands, or in the steps of a workflow.
    fn commands(&self) -> Vec<Vec<String>> {
        let blocks = self.blocks("console");
        let lines = blocks.iter().flat_map(|block| block.lines());
        let typed = lines.filter_map(|line| line.strip_prefix("$ "));
        let workflows = self.blocks("yaml");
        let steps: Vec<String> = workflows.iter().flat_map(|text| steps(text)).collect();
        let scripts = steps.iter().flat_map(|script| script.lines());
        let lines = typed.chain(scripts);
        lines.filter_map(|line| arguments(&words(line))).collect()
    }
}

fn yaml(text: &str) -> Yaml {
    let documents = YamlLoader::load_from_str(text).unwrap_or_else(|e| panic!("{e} in\n{text}"));
    documents.into_iter().next().expect("a document")
}

/// The scripts of a workflow's steps: each `run`, wherever it is.
fn steps(text: &str) -> Vec<String> {
    fn collect(value: &Yaml, found: &mut Vec<String>) {
        for (key, value) in value.as_hash().into_iter().flatten() {
            match (key.as_str(), value.as_str()) {
                (Some("run"), Some(script)) => found.push(script.to_owned()),
                _ => collect(value, found),
            }
        }
        for value in value.as_vec().into_iter().flatten() {
            collect(value, found);
        }
    }
    let mut found = Vec::new();
    collect(&yaml(text), &mut found);
    found
}

/// A command line split as a shell does, without its comment.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
            continue;
        }
        for word in part.split_whitespace() {
            if word == "#" || word == "&" {
                return words;
            }
            words.push(word.to_owned());
        }
    }
    words
}

/// What follows the program's name, called directly or through cargo.
fn arguments(words: &[String]) -> Option<Vec<String>> {
    if words.first()? == "s2spec" {
        return Some(words[1..].to_vec());
    }
    let cargo = words.first()? == "cargo" && words.get(1)? == "run";
    let package = words.iter().skip_while(|word| *word != "-p").nth(1);
    let is_other = package.is_some_and(|package| package != "s2spec");
    let rest = words.iter().skip_while(|word| *word != "--").skip(1);
    (cargo && !is_other).then(|| rest.cloned().collect())
}

fn s2spec(arguments: &[String], folder: &Path) -> Output {
    let mut command = crate::s2spec();
    command.args(arguments).current_dir(folder);
    command.output().expect("the program runs")
}

/// Runs the program for a page and says what went wrong, if it did.
fn failure(page: &Page, arguments: &[String], folder: &Path) -> Option<String> {
    let output = s2spec(arguments, folder);
    let errors = String::from_utf8_lossy(&output.stderr);
    let line = arguments.join(" ");
    (!output.status.success()).then(|| format!("{}: s2spec {line}\n{errors}", page.path))
}

/// A folder with the files that the page's commands name.
fn folder(page: &Page) -> PathBuf {
    let name = page.path.replace('/', "-");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("docs")
        .join(name);
    let _ = fs::remove_dir_all(&folder);
    let area = folder.join("my-scenarios/streams");
    fs::create_dir_all(&area).expect("a folder");
    let examples = Page::read("docs/scenarios.md").blocks("toml");
    let [example, requirements, own] = examples.as_slice() else {
        panic!("the page has three examples");
    };
    let mine = folder.join("my-files");
    fs::create_dir_all(&mine).expect("a folder");
    for (path, text) in [
        (area.join("STR-40-my-case.toml"), example.as_str()),
        (mine.join("requirements.toml"), requirements),
        (mine.join("MY-01-dialback.toml"), own),
        (mine.join("shy.toml"), SHY),
        (folder.join("their-server.toml"), SHY),
        (folder.join("nightly.txt"), "# mine\npolicies/row07\n"),
    ] {
        fs::write(path, text).expect("the file is written");
    }
    std::os::unix::fs::symlink(root().join("scenarios"), folder.join("scenarios"))
        .expect("the scenarios are linked");
    folder
}

/// A command that ends by itself and needs no server: unchanged, or one that selects the same cases.
fn harmless(arguments: &[String]) -> Option<Vec<String>> {
    match arguments.first()?.as_str() {
        "run" => Some(listing(&arguments[1..])),
        "check" | "dump" | "explain" | "export" | "init" | "list" | "personas" => {
            Some(arguments.to_vec())
        }
        // It would write the table into the page.
        "coverage" if !arguments.contains(&"--update".to_owned()) => Some(arguments.to_vec()),
        _ => None,
    }
}

fn listing(arguments: &[String]) -> Vec<String> {
    let mut list = vec!["list".to_owned()];
    let mut arguments = arguments.iter();
    while let Some(word) = arguments.next() {
        match NOT_OF_LIST.iter().find(|(option, _)| option == word) {
            None => list.push(word.clone()),
            Some((_, true)) => drop(arguments.next()),
            Some((_, false)) => {}
        }
    }
    list
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut wrong = Vec::new();
    for page in Page::all() {
        for link in page.links() {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let to = match file {
                "" => root().join(&page.path),
                file => root().join(&page.path).with_file_name("").join(file),
            };
            let known = anchor.is_empty() || {
                let text = fs::read_to_string(&to).unwrap_or_default();
                let path = link.clone();
                Page { path, text }.anchors().contains(anchor)
            };
            if !to.exists() || !known {
                wrong.push(format!("{}: {link}", page.path));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn the_index_and_the_book_name_every_page() {
    let index = Page::read("docs/README.md").links();
    let book = Page::read("docs/SUMMARY.md").links();
    let mut missing = Vec::new();
    for page in Page::all() {
        let of_docs = page.path.strip_prefix("docs/");
        let from_docs = of_docs.map_or_else(|| format!("../{}", page.path), str::to_owned);
        if from_docs == "SUMMARY.md" {
            continue;
        }
        if of_docs.is_some_and(|name| name != "README.md") && !index.contains(&from_docs) {
            missing.push(format!("docs/README.md: {from_docs}"));
        }
        if !book.contains(&from_docs) {
            missing.push(format!("docs/SUMMARY.md: {from_docs}"));
        }
    }
    assert_none(&missing);
}

/// With `--help` appended, a command line is parsed but not executed.
#[test]
fn commands_are_understood() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in Page::all() {
        for mut arguments in page.commands() {
            arguments.push("--help".to_owned());
            wrong.extend(failure(&page, &arguments, &root()));
            count += 1;
        }
    }
    assert_none(&wrong);
    assert!(count > 40, "the commands are found: {count}");
}

#[test]
fn commands_without_a_server_succeed_and_runs_select_cases() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for page in Page::all() {
        let folder = folder(&page);
        let commands = page.commands();
        for arguments in commands.iter().filter_map(|words| harmless(words)) {
            if seen.insert(arguments.clone()) {
                wrong.extend(failure(&page, &arguments, &folder));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn the_persona_shown_is_the_real_one() {
    let shown = &Page::read("docs/personas.md").blocks("toml")[0];
    let file = Page::read("simulated-partners/personas/starttls-failure.toml");
    assert_eq!(*shown, file.text);
}

/// The steps of the action that are scripts, as GitHub would run them with these arguments.
#[test]
fn the_action_builds_and_runs_the_program() {
    let action = yaml(&Page::read(".github/actions/s2spec/action.yml").text);
    assert_eq!(action["runs"]["using"].as_str(), Some("composite"));
    let steps = action["runs"]["steps"].as_vec().expect("steps");
    let scripts = steps.iter().filter_map(|step| {
        assert!(step["uses"].as_str().is_some() ^ step["run"].as_str().is_some());
        let script = step["run"].as_str()?;
        assert_eq!(step["shell"].as_str(), Some("bash"), "{script}");
        Some((step["name"].as_str().expect("a name"), script))
    });
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("output");
    let report = folder.path().join("report");
    let program = Path::new(env!("CARGO_BIN_EXE_s2spec")).parent();
    let mut path = program.expect("it is in a folder").as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let top = "${{ steps.source.outputs.top }}";
    for (name, script) in scripts {
        if name == "Build" {
            // What it does is too much for a test, and CI does it.
            let script = script.replace(top, root().to_str().expect("UTF-8"));
            assert!(Path::new(&script).is_file(), "{script}");
            continue;
        }
        let script = script.replace(top, "/top");
        let done = Command::new("bash")
            .args(["-e", "-o", "pipefail", "-c", &script])
            .current_dir(folder.path())
            .env("PATH", &path)
            .env("GITHUB_ACTION_PATH", root().join(".github/actions/s2spec"))
            .env("GITHUB_OUTPUT", &output)
            .env("GITHUB_PATH", folder.path().join("path"))
            .env("ARGUMENTS", "policies/row07/*/inbound --jobs 2")
            .env("S2SPEC_OUT", &report)
            .output()
            .expect("bash runs");
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{name}: {errors}");
    }
    let told = fs::read_to_string(output).expect("it has outputs");
    let (first, second) = told.split_once('\n').expect("two of them");
    assert_eq!(first, format!("top={}", root().display()));
    let hash = second.trim().strip_prefix("hash=").expect("a hash");
    assert!(hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let path = fs::read_to_string(folder.path().join("path")).expect("a path");
    assert_eq!(path, "/top/target/release\n");
    assert!(report.join("report.html").is_file());
}
