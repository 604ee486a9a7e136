"""Pages that others' text is made of: the command line, each finding, what benchmarks recorded."""

import inspect
import shutil
from difflib import ndiff
from pathlib import Path
from typing import Any

from finding_examples import Example, diagnosis, examples

from xpnet.cli.main import COMMANDS
from xpnet.cli.options import ScriptOptions, flag, parsed_fields
from xpnet.doctor.gradcheck.mistakes import TEXTS
from xpnet.doctor.rules.catalogue import RULES
from xpnet.doctor.scripts.examine import CHECKS
from xpnet.doctor.scripts.gradients.conclusions import KINDS

ROOT = Path(__file__).parents[1]


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


def copy_records(folder: Path) -> None:
    """Copy what the benchmarks recorded, and how an emulated GPU works, into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "benchmarks" / "results", folder)
    shutil.copy(ROOT / "tests" / "emulated_cuda" / "README.md", folder / "GPU.md")
    text = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    (folder / "README.md").write_text(text.replace("](results/", "]("), encoding="utf-8")


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


def explanations() -> dict[str, list[str]]:
    """Return why each code matters, by each rule, check or measurement that gives it."""
    found: dict[str, list[str]] = {}
    known = [(rule.code, rule.why) for rule in RULES]
    known += [(check.code, check.why) for check in CHECKS]
    known += [(key.partition("/")[0], why) for key, (_, why, _) in TEXTS.items()]
    known += [(code, why) for code, why, _ in KINDS.values()]
    for code, why in known:
        if why not in found.setdefault(code, []):
            found[code].append(why)
    return found


def finding_pages() -> dict[str, str]:
    """Return the text of each code's page."""
    reasons = explanations()
    return {
        code: _page(code, reasons.get(code, []), example)
        for code, example in sorted(examples().items())
    }


def _page(code: str, reasons: list[str], example: Example) -> str:
    found = next(each for each in diagnosis(example.wrong).findings if each.code == code)
    why = "\n\n".join(reasons or [found.explanation])
    lines = ndiff(example.wrong.splitlines(), example.right.splitlines())
    script = "\n".join(line for line in lines if not line.startswith("?"))
    return f"""\
# {code}

{why}

## Example

The mistake is in the lines with `-`; those with `+` mend it:

```diff
{script}
```

What the doctor says of the script with the mistake:

```text
{found}
```
"""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")
