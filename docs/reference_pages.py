"""Pages written from the code they describe: the command line, and one page for each finding."""

import inspect
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xpnet.cli.main import COMMANDS
from xpnet.cli.options import ScriptOptions, flag, parsed_fields
from xpnet.doctor.gradcheck.mistakes import TEXTS
from xpnet.doctor.rules.catalogue import RULES

PACKAGE = Path(__file__).parents[1] / "xpnet"
SCRIPTS = Path(__file__).parents[1] / "tests" / "scripts"
MOST = 2  # examples on a page


def write(folder: Path) -> None:
    """Write the pages into a folder of the documentation."""
    (folder / "command-line.md").write_text(command_line(), encoding="utf-8")
    findings = folder / "findings"
    shutil.rmtree(findings, ignore_errors=True)
    findings.mkdir()
    pages = finding_pages()
    for code, text in pages.items():
        (findings / f"{code}.md").write_text(text, encoding="utf-8")
    listed = "".join(f"{code}\n" for code in pages)
    (findings / "index.md").write_text(
        "# Findings of the doctor\n\nEach finding of a report begins with one of these codes. In a "
        "report, causes come before symptoms: mend the first one and look again.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{listed}```\n",
        encoding="utf-8",
    )


def command_line() -> str:
    """Return a table of the options of each command."""
    parts = ["# Command line\n", "`xpnet COMMAND --help` shows the same.\n"]
    commands = {name: options for name, (options, _) in COMMANDS.items()}
    for name, options in {**commands, "doctor SCRIPT": ScriptOptions}.items():
        rows = parsed_fields(options)
        arguments = [each.metadata["argument"] for each in rows if "argument" in each.metadata]
        parts += [f"## {name}\n", f"{inspect.getdoc(options)}\n"]
        words = [name.split()[0], *arguments]
        parts.append(f"    xpnet {' '.join(words)} [OPTIONS]\n")
        parts += ["| option | default | meaning |", "|---|---|---|"]
        for each in rows:
            metadata: Any = each.metadata
            shown = f"`{metadata.get('argument') or flag(each.name)}`"
            usual = "" if "argument" in metadata or each.default in (None, False) else each.default
            parts.append(f"| {shown} | {usual} | {_cell(metadata['help'])} |")
        parts.append("")
    return "\n".join(parts)


def finding_pages() -> dict[str, str]:
    """Return the text of each code's page."""
    pages: dict[str, list[str]] = {}
    for rule in RULES:
        needs = ", ".join(f"`{need.rpartition('.')[2]}`" for need in rule.needs)
        pages.setdefault(rule.code, []).append(
            _section(rule.why, rule.remedy, rule.source, rule.limit, needs)
        )
    for key, (_, why, remedy) in TEXTS.items():
        pages.setdefault(key.partition("/")[0], []).append(_section(why, remedy, ""))
    shown: dict[str, list[str]] = {}
    for codes, example in _examples():
        for code in codes:
            shown.setdefault(code, []).append(example)
    package = "".join(each.read_text("utf-8") for each in PACKAGE.rglob("*.py"))
    for code in {code for code in shown if f'"{code}"' in package} | pages.keys():
        pages.setdefault(code, []).extend(shown.get(code, [])[:MOST])
    return {code: f"# {code}\n\n" + "\n".join(dict.fromkeys(pages[code])) for code in sorted(pages)}


def _examples() -> Iterator[tuple[list[str], str]]:
    """Yield mistakes of whole scripts: the codes that name each, and the lines and their mend."""
    corpus = tomllib.loads((SCRIPTS / "manifest.toml").read_text("utf-8"))
    kinds = corpus.pop("kinds")
    for name, each in corpus.items():
        if each.get("kind") and each.get("mend"):
            lines = [
                f"{sign} {line}"
                for old, new in each["mend"]
                for sign, text in (("-", old), ("+", new))
                for line in text.splitlines()
            ]
            text = f"Example, `tests/scripts/{name}`: {each['cause']}.\n"
            yield kinds[each["kind"]], "\n".join([text, "```diff", *lines, "```", ""])


def _section(
    why: str, remedy: str, source: str, limit: float | None = None, needs: str = ""
) -> str:
    parts = [f"{why}\n"]
    if remedy:
        parts += ["What helps:\n", *(f"    {line}" for line in remedy.splitlines()), ""]
    facts = [
        f"Limit: {limit:g}." if limit is not None else "",
        f"Looked for where these are shown: {needs}." if needs else "",
        f"Source: {source}." if source else "",
    ]
    return "\n".join([*parts, " ".join(filter(None, facts)), ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")
