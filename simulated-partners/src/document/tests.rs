//! What is read from broken files, and the reports.

use std::path::Path;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    title: String,
    colour: Colour,
    #[serde(default)]
    sizes: Vec<u16>,
    #[serde(default, rename = "step")]
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Colour {
    Green,
    Red,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Step {
    name: String,
    #[serde(rename = "do")]
    actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Stop,
    Walk(u8),
}

const HINTS: &Hints = &[
    ("title", "`title = \"what it is\"`"),
    ("colour", "`colour = \"red\"`"),
    ("name", "`name = \"first\"`"),
];

fn read(text: &str) -> (Option<File>, Document<'_>) {
    let source = Box::leak(Box::new(Source::new(
        "it.toml",
        &format!("format = 1\n{text}"),
    )));
    let mut document = Document::parse(source).unwrap_or_else(|error| panic!("{error}"));
    (document.read(HINTS), document)
}

fn report(text: &str) -> String {
    let source = Source::new("it.toml", &format!("format = 1\n{text}"));
    let read = Document::parse(&source).and_then(|mut document| {
        let file: Option<File> = document.read(HINTS);
        document.finish(file)
    });
    read.map_or_else(|error| error.to_string(), |_| "no mistake".to_owned())
}

#[test]
fn every_mistake_is_shown_with_what_is_valid() {
    let shown = [
        // Keys and words, similar or not.
        "title = \"a\"\ncolor = \"reed\"\nshape = \"round\"\n",
        "title = \"a\"\ncolour = \"blue\"\n",
        // Kinds of values.
        "title = 1\ncolour = \"red\"\nsizes = [1, 70000, \"x\", -1]\nstep = true\n",
        "title = \"a\"\ncolour = 1\n[step]\nname = \"x\"\n",
        // Actions, which are words or tables with one key.
        "title = \"a\"\ncolour = \"red\"\n[[step]]\nname = \"x\"\n\
         do = [\"stopp\", \"walk\", \"fly\", { wakl = 2 }, { fly = 2 }, { stop = 1 }, {}, 5, { stop = 1, walk = 2 }]\n",
        // Missing keys in several tables at once, one of them without an example.
        "[[step]]\n[[step]]\nname = \"x\"\n[[step]]\ndo = []\n",
        // Consequences of a mistake are not reported.
        "title = [\"a\"]\ncolour = \"red\"\n[[step]]\nname = 1\ndo = [\"walk\"]\n",
    ]
    .map(report);
    insta::assert_snapshot!(shown.join("\n\n----\n\n"));
}

#[test]
fn broken_toml_is_shown_line_by_line() {
    let shown = [
        "title = \"a\ncolour = \"red\"\n",
        "title = a title\ncolour = red\nsizes = [1 2]\n",
        "title = none\ntitle = \"b\"\n[[step\nname = \"x\"\n",
        "<xml>\n  <tag/>\n</xml>\n",
        "title = \"\"\"never ends\n",
    ]
    .map(report);
    insta::assert_snapshot!(shown.join("\n\n----\n\n"));
}

#[test]
fn another_format_is_not_checked() {
    for (text, title) in [
        ("", "`format` is missing"),
        ("title = 1\n", "`format` is missing"),
        ("format = 2\nflavour = \"new\"\n", "unknown format"),
        ("format = \"1\"\n", "unknown format"),
        (
            "\n{\n  \"schema\": 4,\n  \"cases\": []\n}\n",
            "this is JSON, and no TOML",
        ),
    ] {
        let error = Document::parse(&Source::new("it.toml", text)).unwrap_err();
        let FileError::Mistakes(wrong) = error else {
            panic!("{error}");
        };
        assert_eq!(wrong.list.len(), 1, "{wrong}");
        assert_eq!(wrong.list[0].title, title);
    }
}

#[test]
fn a_misspelt_word_counts_as_read_and_a_wrong_kind_does_not() {
    let (file, document) = read("title = \"a\"\ncolor = \"reed\"\nshape = 1\n");
    assert!(matches!(
        file,
        Some(File {
            colour: Colour::Red,
            ..
        })
    ));
    assert!(document.is_whole());
    let (file, document) = read("title = \"a\"\ncolour = \"red\"\nsizes = [1, \"x\", 3]\n");
    assert_eq!(file.map(|file| file.sizes), Some(vec![1, 3]));
    assert!(!document.is_whole());
    let (file, document) = read("title = \"a\"\ncolour = \"red\"\n[[step]]\ndo = []\n");
    assert_eq!(file.map(|file| file.steps.len()), Some(0));
    assert!(!document.is_whole());
}

#[test]
fn places_are_found_by_keys_and_numbers() {
    let text =
        "title = \"a\"\ncolour = \"red\"\n[[step]]\nname = \"x\"\ndo = [\"stop\", { walk = 1 }]\n";
    let (file, document) = read(text);
    let file = file.unwrap();
    assert_eq!((&*file.title, &*file.steps[0].name), ("a", "x"));
    assert!(matches!(
        file.steps[0].actions[..],
        [Action::Stop, Action::Walk(1)]
    ));
    let shown = |path: &str| &document.source.text[document.place(path)];
    assert_eq!(shown("step.0.do.1"), "{ walk = 1 }");
    assert_eq!(shown("step.0.do.1.walk"), "1");
    assert_eq!(shown("step.0.why"), "[[step]]");
    assert_eq!(document.written("step.0.why"), None);
    assert_eq!(document.written("sizes"), None);
}

#[test]
fn a_file_is_read_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it.toml");
    let error = |path: &Path| Source::load(path).unwrap_err();
    let why = |error: FileError| match error {
        FileError::Unreadable { source, .. } => source.to_string(),
        FileError::Mistakes(wrong) => wrong.to_string(),
    };
    assert_eq!(
        error(&path).to_string(),
        format!("cannot read {}", path.display())
    );
    std::fs::write(&path, vec![b'#'; (4 << 20) + 1]).unwrap();
    assert_eq!(why(error(&path)), "it is larger than 4 MiB");
    std::fs::write(&path, b"format = 1\ntitle = \"caf\xe9\"\n").unwrap();
    let shown = why(error(&path)).replace(&folder.path().display().to_string(), "");
    insta::assert_snapshot!(shown, @r#"
    error: this is not UTF-8
     --> /it.toml:2:13
      |
    2 | title = "caf�"
      |             ^
      |
      = help: save the file as UTF-8
    "#);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(error(&path), FileError::Unreadable { .. }));
}

#[test]
fn names_and_texts_give_a_terminal_no_orders() {
    let orders = "a\u{1b}[2J\u{202e}b";
    let source = Source::new(&format!("{orders}\n.toml"), &format!("x = '{orders}'\n"));
    let mistake = Diagnostic::new(0..1, orders).label(orders).help(orders);
    let FileError::Mistakes(wrong) = source.wrong(vec![mistake; 21]) else {
        panic!("mistakes are mistakes");
    };
    let shown = wrong.render(false);
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
    assert!(shown.contains("␛[2J"), "{shown:?}");
    assert!(shown.contains("␊.toml:1:1"), "{shown:?}");
}
