#!/usr/bin/env python3
"""Writes docs/findings.md: what s2spec shows in Debian's Prosody and ejabberd.

    tests/findings.py                                   run everything against both, for some minutes
    tests/findings.py prosody.json ejabberd.json        take these reports, made with the baselines of the servers
    tests/findings.py --check prosody.json ejabberd.json    change nothing: does the page say what the reports show?
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap

TOP = pathlib.Path(__file__).resolve().parents[1]
PAGE = TOP / "docs/findings.md"
SERVERS = {"prosody": "Prosody", "ejabberd": "ejabberd"}
# The most severe first.
LEVELS = ("security", "must", "derived", "should", "practice", "may")
# So many events of a transcript are shown, the last ones.
SHOWN = 9

INTRODUCTION = """\
# What s2spec found

These are the deviations from standards that s2spec shows in the Prosody and the ejabberd of Debian 12, each with
the clause, what is on the wire, and the command that shows it again. The [baselines](baselines.md) of the two
servers list them, and CI runs everything against both servers, so this is what they do, not what they once did.
They hold more than is here: what a standard leaves open, what a setting decides, and what the versions lack.

The two are good servers, and most of this is small. It is here because a maintainer can see from it what a report of
s2spec is worth. Some of it has been mended since in newer versions.

In a transcript `→` is the simulated partner, `←` the server, and `#` the number of the connection. Namespaces are
left out.

This page is made by a command, from a run with the baseline of each server:

```console
$ tests/findings.py
```
"""


def report(server, folder):
    """Runs everything against a server."""
    path = folder / f"{server}.json"
    command = ["cargo", "run", "--release", "--locked", "--quiet", "--", "run", "--target", server, "--strict"]
    command += ["--baseline", f"harness/baselines/{server}.toml", "--json", path, "--no-out"]
    subprocess.run(command, cwd=TOP, stdout=subprocess.DEVNULL)
    return path


def bugs(saved):
    """The cases that show each bug of the baseline, those alone that show one and nothing else."""
    found = {}
    for case in saved["cases"]:
        known = re.fullmatch(r"bug: (.*) \(harness/baselines/[a-z]+\.toml:\d+\)", case["why"])
        if case["verdict"] == "xfail" and known and "(harness/baselines" not in known[1]:
            found.setdefault(known[1], []).append(case)
    for cases in found.values():
        cases.sort(key=lambda case: (len(steps(case)) or sys.maxsize, case["id"]))
    return sorted(found.items(), key=lambda item: (severity(item[1][0]), item[1][0]["id"]))


def steps(case):
    return [step for partner in case.get("transcript", []) for step in partner["steps"]]


def deciding(case):
    return [finding["clause"] for finding in case["findings"] if finding["weight"] in ("fail", "warn")]


def severity(case):
    return min((LEVELS.index(clause["level"]) for clause in deciding(case)), default=len(LEVELS))


def sentence(text):
    """With a capital letter, unless it begins with a name of the server's own."""
    first = text.split()[0]
    if first.isalpha():
        text = text[0].upper() + text[1:]
    return text if text.endswith(".") else text + "."


def wrapped(text, indent=""):
    return textwrap.fill(text, 118, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def event(step):
    text = re.sub(r" xmlns(:[a-z]+)?=('[^']*'|\"[^\"]*\")", "", step["text"])
    text = re.sub(r"\s+", " ", text).strip()
    if len(text) > 104:
        text = f"{text[:69]}…{text[-34:]}"
    arrow = {"partner": "→", "target": "←"}.get(step["by"], " ")
    return f"#{step['connection']} {arrow} {step['layer']:3} {text}"


def transcript(case):
    """What the main partner saw, without the handshakes."""
    main = case.get("transcript", [])[:1]
    seen = [step for partner in main for step in partner["steps"] if step["layer"] != "tls" or not step["by"]]
    before = len(seen) - SHOWN
    lines = [f"   … {before} events before"] if before > 0 else []
    return lines + [event(step) for step in seen[-SHOWN:]]


def section(server, why, cases, requirements):
    case = cases[0]
    yield f"### {case['id']}"
    yield wrapped(sentence(why))
    names = list(dict.fromkeys(clause["requirement"] for clause in deciding(case) if clause["requirement"]))
    for name in names[:2]:
        rule = requirements[name]
        yield wrapped(f"> {name} ({rule['level']}, {rule['source']}): {rule['text']}", "> ")
    for clause in deciding(case)[: 0 if names else 1]:
        yield wrapped(f"> {clause['level']}, {clause['source']}: {clause['text']}", "> ")
    if lines := transcript(case):
        yield "```text\n" + "\n".join(lines) + "\n```"
    yield f"```console\n$ s2spec run {case['id']} --target {server}\n```"
    if len(cases) > 1:
        yield f"{len(cases)} cases show it."


def page(reports):
    parts = [INTRODUCTION.rstrip()]
    for server, saved in reports.items():
        parts.append(f"## {SERVERS[server]} {saved['target'].split(' ', 1)[1]}")
        requirements = {rule["id"]: rule for rule in saved["requirements"]}
        for why, cases in bugs(saved):
            parts += section(server, why, cases, requirements)
    return "\n\n".join(parts) + "\n"


def differences(text, reports):
    """What the page lacks, and what it says that is so no more."""
    flat = " ".join(text.split())
    expected = 0
    for server, saved in reports.items():
        for why, cases in bugs(saved):
            expected += 1
            if sentence(why) not in flat:
                yield f"{server}: the page lacks {cases[0]['id']}: {why}"
        standing = {case["id"] for case in saved["cases"] if case["verdict"] == "xfail"}
        for case in re.findall(rf"s2spec run (\S+) --target {server}\n", text):
            if case not in standing:
                yield f"{server}: the page has {case}, which is not as the baseline says"
    if text.count("\n### ") != expected:
        yield f"the page has {text.count('### ')} deviations, and the reports have {expected}"


def main():
    arguments = sys.argv[1:]
    check = arguments[:1] == ["--check"]
    paths = [pathlib.Path(path) for path in arguments[1 if check else 0 :]]
    if len(paths) not in (0, len(SERVERS)) or check and not paths:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        paths = paths or [report(server, pathlib.Path(folder)) for server in SERVERS]
        reports = {server: json.loads(path.read_text()) for server, path in zip(SERVERS, paths)}
    if check:
        wrong = list(differences(PAGE.read_text(), reports))
        sys.exit("\n".join(wrong + ["tests/findings.py writes it again"]) if wrong else 0)
    PAGE.write_text(page(reports))


main()
