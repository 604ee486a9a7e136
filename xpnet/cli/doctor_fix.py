"""`xpnet doctor script.py --fix`: mend a copy, run it, mend that again; keep what learns best.

A mended helper file is a copy of its own, `helper_fixed.py`, which the mended script imports.
"""

import ast
import difflib
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from xpnet.doctor.scripts.examine import Examination
from xpnet.doctor.scripts.recording.budget import TO_MEND, processor_seconds
from xpnet.doctor.scripts.recording.run import FAILED
from xpnet.doctor.scripts.recording.source import raw_cells, read_source, write_like
from xpnet.doctor.scripts.repairs.edits import Edit, apply
from xpnet.doctor.scripts.repairs.fix import TRIED
from xpnet.doctor.scripts.telling import FAULTS
from xpnet.errors import InputError

QUICK, SLOW = 20.0, 120.0  # seconds that a mended copy may run, as long as the script otherwise
ALL, TIMES = 60.0, 3.0  # seconds of processors that all copies may take, or times the script's
CLEARLY = 0.02  # of the targets' variance, by which a mended copy must be better,
MUCH = 0.1  # and one in which something else was tried
LEARNT = 0.9  # of it, after which no more is mended
ENOUGH = 0.8  # of it, after which nothing else is tried
ROUNDS = 4  # of mending and running: one cause can hide the next
# With these, what is learnt is not what should be, and how well it is learnt says nothing.
MISTAUGHT = {
    "same-batch", "targets-shifted", "shuffled-targets", "error-not-from-targets", "data-changed",
    "unshuffled-rows", "bias-per-sample", "parameter-shape-changed",
}  # fmt: skip
# With these alone, what was learnt is right, and a copy must not learn less.
MISUSED = {"prediction-wrong", "dropout-at-prediction", "prediction-drift"}

Texts = dict[str, str]  # by the file, or a notebook's cell, as the script's own edits name it


@dataclass(frozen=True)
class Attempt:
    """A copy of the script, and what the doctor says of it."""

    texts: Texts
    report: dict[str, Any]
    what: tuple[str, ...] = ()  # was tried or mended besides what the script's report names

    @property
    def skill(self) -> float:
        """The share of the targets' variance that the outputs explain at the end."""
        skill = self.report["facts"].get("skill")
        return -math.inf if skill is None or math.isnan(skill) else float(skill)

    @property
    def failed(self) -> bool:
        """Whether it ended by an error."""
        return bool(self.report["facts"].get("status") == FAILED)

    @property
    def repairs(self) -> list[list[Edit]]:
        """The edits of each finding."""
        return [(each["repair"] or {}).get("edits", []) for each in self.report["findings"]]

    @property
    def codes(self) -> set[str]:
        """The codes of errors that were found."""
        found = self.report["findings"]
        return {each["code"] for each in found if each["severity"] == "error"}

    @property
    def mistaught(self) -> set[str]:
        """The codes for which it does not matter how well it learns."""
        return (MISTAUGHT | MISUSED) & {each["code"] for each in self.report["findings"]}

    def better_than(self, other: "Attempt", by: float = CLEARLY) -> bool:
        """Return whether it learns more, or at last what it should."""
        if self.failed and not other.failed:
            return False
        if self.mistaught - other.mistaught:
            return False
        if cured := other.mistaught - self.mistaught:
            return self.skill > (0.0 if cured & MISTAUGHT else max(other.skill - CLEARLY, 0.0))
        mended = bool(other.codes - self.codes) and self.skill > LEARNT
        return mended or self.skill > max(other.skill, 0.0) + by


class Fixer:
    """Makes and runs the copies of one script."""

    def __init__(self, found: Examination, roles: Sequence[str], look: float) -> None:
        self.found, self.roles, self.look = found, roles, look
        self.path, package = found.script.locate()
        if package is not None or self.path.suffix.lower() not in (".py", ".ipynb"):
            raise InputError(f"{found.script.name}: --fix mends scripts and notebooks; "
                             "name the file of the module")  # fmt: skip
        self.notebook = self.path.suffix.lower() == ".ipynb"
        self.target = self.path.with_name(f"{self.path.stem}.fixed{self.path.suffix}")
        self.before = dict[Path, bytes | None]()  # by a copy's path: what stood there
        self.start = self.best = Attempt(self._read(), found.report.to_dict())
        self.skills = list[float]()  # of all copies
        self.limit = processor_seconds() + max(ALL, TIMES * found.outcome.seconds)

    def run(self) -> None:
        """Find the best copy, and write it; InputError where a helper's copy would replace a file.

        Earlier copies are put back, if these are not better.
        """
        try:
            self._mend(self.start)
            if self.start.report["findings"]:  # a right network would only learn chance by heart
                self._vary()
        finally:
            for path, content in self.before.items():
                if content is None:
                    path.unlink(missing_ok=True)
                else:
                    path.write_bytes(content)
        if self.best is not self.start:
            self._write(self.best.texts)

    def _mend(self, now: Attempt) -> None:
        """Mend what all findings name, or else the first, run that, and mend it again."""
        for _ in range(ROUNDS):
            codes = [each["code"] for each in now.report["findings"]]
            edits = [(code, its) for code, its in zip(codes, now.repairs, strict=True) if its]
            latest: Attempt | None = None
            for some in dict.fromkeys((len(edits), 1)):
                each = self._tried(now, edits[:some], by=CLEARLY)
                if each is not None and (latest is None or each.better_than(latest)):
                    latest = each
                if latest is not None and latest.better_than(now):
                    break
            if latest is None or (latest is self.best and latest.skill > LEARNT):
                return
            now = latest

    def _vary(self) -> None:
        """Try other steps, and more units, as long as that helps; but more steps only once.

        Where a fault of the code is left, that would only hide it.
        """
        done = set[str]()
        while self.best.skill < ENOUGH and not (self.best.mistaught or self.best.codes & {*FAULTS}):
            ways = {e["what"]: e["edits"] for e in self.best.report["facts"].get("tries", ())}
            left = [what for what in ways if what not in done]
            if not left:
                return
            tried = self._tried(self.best, [(left[0], ways[left[0]])], by=MUCH)
            if tried is not self.best or left[0] == "more steps":
                done.add(left[0])

    def _tried(
        self, before: Attempt, changes: Sequence[tuple[str, list[Edit]]], by: float
    ) -> Attempt | None:
        """Return the copy with changes, after a run; None if there is none, or no time.

        It is the best one if it is better by so much. Changes that did not fit are not named.
        """
        edits = [each for _, its in changes for each in its]
        texts, _ = self._edited(before.texts, edits)
        if texts == before.texts or processor_seconds() > self.limit:
            return None
        self._write(texts)
        named = {each["code"] for each in self.start.report["findings"]}
        more = [what for what, its in changes if what not in named and texts != self._edited(
                before.texts, (each for each in edits if each not in its))[0]]  # fmt: skip
        told = (each if each in TRIED else f"the remedy of {each}" for each in more)
        tried = Attempt(texts, self._report(), (*before.what, *told))
        self.skills.append(tried.skill)
        self.best = tried if tried.better_than(self.best, by) else self.best
        return tried

    def _report(self) -> dict[str, Any]:
        limit = f"{min(max(QUICK, self.found.outcome.seconds), SLOW):g}"
        command = [sys.executable, "-m", "xpnet", "doctor", "--json", "--seconds", limit]
        command += ["--look", f"{self.look:g}"]
        command += [word for each in self.roles for word in ("--as", each)]
        command += [str(self.target), "--", *self.found.script.arguments]
        run = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        report: dict[str, Any] = json.loads(run.stdout or '{"findings": [], "facts": {}}')
        return report

    # The files.

    def _read(self) -> Texts:
        if not self.notebook:
            return {str(self.path): read_source(self.path)}
        cells = enumerate(raw_cells(self.path), start=1)
        return {f"{self.path.name}, cell {n}": text for n, text in cells}

    def _edited(self, texts: Texts, edits: Iterable[Edit]) -> tuple[Texts, list[str]]:
        """Return the texts with edits, where they stay Python, and the lines of all others."""
        originals = {str(self.copy_of(Path(each))): each for each in texts}
        by_file: dict[str, list[Edit]] = {}
        for each in edits:
            file = each["file"].replace(self.target.name, self.path.name)
            by_file.setdefault(originals.get(file, file), []).append(each)
        new, by_hand, script = dict(texts), list[str](), str(self.path)
        # The script first: its edits are for its lines as they were, before its imports change.
        for file, mine in sorted(by_file.items(), key=lambda item: item[0] != script):
            now = new if file in texts else self._with_helper(new, Path(file))
            try:
                text = apply(now[file], mine)
                ast.parse("" if self.notebook else text)  # cells may have what only IPython reads
                new = {**now, file: text}
            except (KeyError, SyntaxError, ValueError):
                by_hand += [f"{Path(e['file']).name}, line {e['line']}" for e in mine]
        return new, by_hand

    def _with_helper(self, texts: Texts, helper: Path) -> Texts:
        """Return texts with a helper's, whose copy the script imports; nothing if it does not."""
        if self.notebook or helper.parent != self.path.parent:
            return {}
        module, script = helper.stem, str(self.path)
        text = re.sub(rf"^(\s*from {module})(?= import )", r"\1_fixed", texts[script], flags=re.M)
        plain = re.compile(rf"^(\s*import {module})(?: as (\w+))?[ \t]*$", re.M)
        text = plain.sub(lambda m: f"{m[1]}_fixed as {m[2] or module}", text)
        if text == texts[script]:
            return {}
        return {**texts, script: text, str(helper): read_source(helper)}

    def by_hand(self) -> list[str]:
        """Return the lines that the best copy still has wrong, and that cannot be mended in it."""
        lines = [self._edited(self.best.texts, each)[1] for each in self.best.repairs]
        return [*dict.fromkeys(chain(*lines))]

    def _write(self, texts: Texts) -> None:
        """Write the copies, in the encoding and with the line ends of the files they are of."""
        if self.notebook:
            self._remember(self.target)
            whole = json.loads(self.path.read_text("utf-8"))
            code = [each for each in whole["cells"] if each["cell_type"] == "code"]
            for cell, text in zip(code, texts.values(), strict=True):
                cell["source"] = text.splitlines(keepends=True)
            self.target.write_text(json.dumps(whole, ensure_ascii=False, indent=1), "utf-8")
            return
        for file, text in texts.items():
            self._remember(self.copy_of(Path(file)))
            write_like(Path(file), self.copy_of(Path(file)), text)

    def _remember(self, copy: Path) -> None:
        """Keep what stands where a copy goes; refuse to replace what no earlier copy imports."""
        if copy in self.before:
            return
        content = copy.read_bytes() if copy.is_file() else None
        mended = self.before.get(self.target) or b""
        if copy != self.target and content is not None and copy.stem.encode() not in mended:
            raise InputError(f"{copy} exists, and --fix would replace it; move it away")
        self.before[copy] = content

    def copy_of(self, file: Path) -> Path:
        """Return where a file's mended copy is."""
        return self.target if file == self.path else file.with_name(f"{file.stem}_fixed.py")


def fix(found: Examination, roles: Sequence[str] = (), look: float = TO_MEND) -> dict[str, Any]:
    """Mend the script, as far as that makes it learn; return what was done.

    Looking at a copy may take `look` seconds, see `Budget`.
    """
    fixer = Fixer(found, roles, look)
    fixer.run()
    start, best = fixer.start, fixer.best
    told = {"before": start.skill, "by_hand": fixer.by_hand()}
    if best is start:
        return {"file": None, "after": max(fixer.skills, default=None), **told}
    changes = []
    for key, text in best.texts.items():
        file = fixer.path if fixer.notebook else Path(key)
        old = start.texts[key] if key in start.texts else read_source(file)
        names = file.name, fixer.copy_of(file).name
        lines = difflib.unified_diff(old.splitlines(), text.splitlines(), *names, "", "", 0, "")
        changes += [*lines][2:]
    return {"file": str(fixer.target), "after": best.skill, "changes": changes,
            "tried": [*dict.fromkeys(best.what)], **told}  # fmt: skip


def in_words(fixed: dict[str, Any]) -> list[str]:
    """Return what `fix` has done, as lines for the user."""
    by_hand = [f"Not mended, do it by hand: {each}" for each in fixed.get("by_hand", ())]
    if not fixed or fixed["after"] is None:
        return ["Nothing could be mended automatically.", *by_hand]
    before, after = (f"{max(fixed[each], 0.0):.0%}" for each in ("before", "after"))
    if not fixed["file"]:
        return [f"The mended copy does not learn better: before {before}, after {after} of the "
                "targets' variance is explained at the end.", *by_hand]  # fmt: skip
    besides = f" Changed besides, as that helps: {', '.join(fixed['tried'])}."
    return [
        f"Mended in {fixed['file']}; of the targets' variance, its outputs explain at the end "
        f"{after}, those of the script {before}.{besides if fixed['tried'] else ''}",
        *fixed["changes"], *by_hand,
    ]  # fmt: skip
