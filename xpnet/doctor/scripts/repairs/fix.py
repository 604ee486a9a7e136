"""Which mender belongs to which finding: each finding gets the edits that may mend it.

What was measured brings its own edits; for what rules and checks find they are made here.
"""

import ast
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from xpnet.doctor.findings import Finding
from xpnet.doctor.scripts.mapping import Roles, in_source
from xpnet.doctor.scripts.recording.instrument import Site
from xpnet.doctor.scripts.recording.source import modules, tree, whole
from xpnet.doctor.scripts.recording.updates import origin
from xpnet.doctor.scripts.repairs import data, menders, sizes
from xpnet.doctor.scripts.repairs.edits import LOOPS, Edit, around, assignments, rewrite, statements
from xpnet.doctor.scripts.repairs.sizes import kept, loops

Mender = Callable[[Finding, Roles], Iterable[Edit]]
CORRECTED = "_a / (1 - _b) ** _t", "_a / (1 - _b ** _t)"  # Adam's moments
ORDER = "[(_x[i], _y[i]) for i in np.random.permutation(len(_x))]"


def _in_loops(finding: Finding, roles: Roles) -> Iterator[ast.AST]:
    yield from loops(roles)
    yield from (n for n in tree(roles.file).body if isinstance(n, ast.FunctionDef))


def _rows(finding: Finding, roles: Roles) -> Iterator[ast.AST]:
    """Yield what loops go over, if that is the inputs or the targets."""
    data = (*roles.inputs, *roles.targets[:1])
    names = {name for value in data for _, name in kept(value, roles)}
    for loop in loops(roles):
        if isinstance(loop, ast.For) and names & {ast.unparse(n) for n in ast.walk(loop.iter)}:
            yield loop.iter


def _script(finding: Finding, roles: Roles) -> Iterator[ast.AST]:
    yield tree(roles.file)


def _rate(finding: Finding, roles: Roles) -> Iterator[ast.AST]:
    names = {text.rpartition(".")[2] for u in roles.step.updates for text, _ in u.scalars}
    before = {each.arg for each in ast.walk(tree(roles.file)) if isinstance(each, ast.arg)}
    for each in sorted(statements(tree(roles.file)), key=lambda each: each.lineno):
        if isinstance(each, ast.Assign | ast.AugAssign):
            target = each.targets[0] if isinstance(each, ast.Assign) else each.target
            text = ast.unparse(target)
            known = text in before or isinstance(each, ast.AugAssign)
            if not around(roles.file, each.lineno, LOOPS):
                before.add(text)
            elif known and text.rpartition(".")[2] in names:
                yield each


def _alias(finding: Finding, roles: Roles) -> Iterator[ast.AST]:
    for each in assignments(roles.file):
        both = {ast.unparse(each.targets[0]), ast.unparse(each.value)}
        if both == {*finding.where.split(" and ")}:
            yield each


def _lists(finding: Finding, roles: Roles) -> Iterator[ast.AST]:
    """Yield the products of a list with the array that the parameters share, or what made it."""
    starts = [origin(each.old)[0] for each in roles.step.updates]
    known = {name for each in starts for name in each.names}
    known |= {each.made_by.site.text for each in starts}
    for node in ast.walk(tree(roles.file)):
        match node:
            case ast.BinOp(ast.List([element])) if ast.unparse(element) in known:
                yield node


def _numbered(finding: Finding, roles: Roles) -> Iterator[ast.AST]:
    """Yield slices that start at a batch's number, in the loop that counts the batches."""
    for node in ast.walk(tree(roles.file)):
        match node:
            case ast.For(ast.Name(number), ast.Call(ast.Name("range"), [_])):
                yield from (n for n in ast.walk(node) if isinstance(n, ast.Subscript)
                            and ast.unparse(n.slice).startswith(f"{number}:"))  # fmt: skip


def fractions(finding: Finding, roles: Roles) -> list[Edit]:
    """Divide inputs without cutting off to whole numbers, where the script makes them."""
    made = [each.made_by for each, _ in kept(roles.layers[0].inputs, roles)]
    numbers = {in_source(each, 1) for each in made if each.name == "floor_divide"}
    pairs = [(f"_x // {n}", f"_x / {n}") for n in numbers]  # of test data, too
    return [e for pair in pairs for e in rewrite(roles.file, tree(roles.file), *pair)]


# By a finding's code: where in the file that has the updates, what stands there, and what should.
REWRITES = {
    "shared-parameters": [
        (_lists, "[_x] * _n", "[_x.copy() for _ in range(_n)]"),
        (_alias, "_y = _x", "_y = _x.copy()"),
    ],
    "rows-left-out": [(_numbered, "_x[_i:_i + _n]", "_x[_i * _n:(_i + 1) * _n]")],
    "same-batch": [(_in_loops, "_x.seed(_n)", "pass")],
    "unshuffled-rows": [
        (_rows, "zip(_x, _y)", ORDER),
        (_rows, "range(len(_x))", "np.random.permutation(len(_x))"),
    ],
    "non-finite": [(_script, *CORRECTED)],
    "update-wrong": [(_script, *CORRECTED)],
    "learning-rate-vanishes": [(_rate, f"_x {op}= _a", "pass") for op in ("", "*", "/", "-")],
}
# By a finding's code, or by a change that it asks for.
MENDERS: dict[str, Mender] = {
    "weights-redrawn": menders.drawn_once,
    "no-update": menders.also_updated,
    "same-batch": menders.other_rows,
    "shuffled-targets": menders.paired,
    "target-range": data.reachable,
    "standardize_target": data.reachable,
    "standardize": data.scaled,
    "prediction-drift": data.scaled_alike,
    "sum_over_batch": menders.sum_biases,
    "gradient-shape": menders.sum_by_unit,
    "reshape_targets": menders.reshape_targets,
    "loss-broadcast": menders.reshape_targets,
    "gradient-wrong": menders.each_error,
    "constant-feature": fractions,
    "gradient-accumulated": menders.cleared,
    "softmax-axis": menders.by_sample,
    "output-activated-twice": menders.once,
    "linear-hidden-layer": menders.activated,
    "dropout-at-prediction": menders.only_in_training,
    "no-bias": data.column_of_ones,
    "regularisation-dominates": menders.less_decay,
    "init": sizes.draws,
    "learning_rate": sizes.rate,
    "learning_rate_factor": sizes.rate,
    "learning-rate-too-small": sizes.rate,
    "learning-rate-too-large": sizes.rate,
    "too-few-steps": sizes.more_steps,
    "too-small": sizes.more_units,
}
# What may be tried where no cause is left, and the network learns too little.
TRIED: dict[str, Mender] = {
    "longer steps": sizes.rate,
    "shorter steps": partial(sizes.rate, factor=sizes.SHORTER),
    "more steps": sizes.more_steps,
    "more units": sizes.more_units,
}


def with_edits(findings: Iterable[Finding], roles: Roles) -> Iterator[Finding]:
    """Yield the findings, with edits of the source in `repair` wherever these are known."""
    for each in findings:
        known = each.repair or {}
        mends = dict.fromkeys(MENDERS[key] for key in MENDERS if key in known or key == each.code)
        edits = _for_its_file(known.get("edits", ())) or [
            new for mend in (rewritten, *mends) for new in made_by(mend, each, roles)
        ]
        yield replace(each, repair={**known, "edits": edits}) if edits else each


def rewritten(finding: Finding, roles: Roles) -> list[Edit]:
    """Return the edits of all patterns that belong to a finding."""
    return [
        each for where, old, new in REWRITES.get(finding.code, ())
        for root in where(finding, roles)
        for each in rewrite(roles.file, root, old, new)
    ]  # fmt: skip


def tries(roles: Roles) -> list[dict[str, Any]]:
    """Return changes that may let any network learn more, each with what it does."""
    none = Finding("", "", "", "", "", "", "")
    made = {what: made_by(mend, none, roles) for what, mend in TRIED.items()}
    return [{"what": what, "edits": edits} for what, edits in made.items() if edits]


def made_by(mend: Mender, finding: Finding, roles: Roles) -> list[Edit]:
    """Return a mender's edits; none if it cannot do it."""
    try:
        return _for_its_file(mend(finding, roles))
    except Exception:  # one mender that does not fit a script must not spoil the others
        logging.getLogger(__name__).debug("%s was not mended", finding.code, exc_info=True)
        return []


def _for_its_file(edits: Iterable[Edit]) -> list[Edit]:
    """Return edits, each once, that call NumPy as their file does."""
    found = list[Edit]()
    for each in edits:
        names = [name for file in whole(each["file"]) for name, module in modules(file).items()
                 if module == "numpy"]  # fmt: skip
        numpy = next(iter(names), "__import__('numpy')")
        new = {**each, "text": re.sub(r"\bnp\.", f"{numpy}.", each["text"])}
        if new not in found:
            found.append(new)
    return found


def site_of(finding: Finding, roles: Roles) -> Site | None:
    """Return where the script makes what a finding is about."""
    where, layers = finding.where.split(", "), roles.layers
    made = roles.step.updates[0].operation
    if "targets" in where[0] and roles.targets:
        made = roles.targets[0].made_by or roles.error or made
    elif re.search("input|feature", where[0]) and layers:
        made = layers[0].inputs.made_by or layers[0].product
    elif "layer" in where[0] and layers:
        number = int((re.findall(r"\d+", where[0]) or [1])[0])
        made = layers[min(number, len(layers)) - 1].product
    elif where[0] in roles.names:
        own = roles.updates_of(roles.names.index(where[0]))
        update = next(iter(own), roles.step.updates[0])
        drawn = "init" in (finding.repair or {}) and sizes.drawn_by(update.old)
        made = drawn or update.gradient.made_by or update.operation
    elif {"predictions", "loss"} & {*where}:
        made = roles.error
    return made.site if made else None
