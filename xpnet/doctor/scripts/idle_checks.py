"""Why a script updates nothing, though it seems to: checks, as those of `checks.py`."""

import ast
import re
from collections.abc import Iterator

from xpnet.doctor.rules.rule import NIELSEN
from xpnet.doctor.run import Run
from xpnet.doctor.scripts.checks import Seen, check
from xpnet.doctor.scripts.gradients.variants import is_known
from xpnet.doctor.scripts.mapping import LOSS, Layer, Roles, in_source
from xpnet.doctor.scripts.observe import Observer
from xpnet.doctor.scripts.recording.instrument import Site
from xpnet.doctor.scripts.recording.source import tree
from xpnet.doctor.scripts.recording.steps import NOTHING
from xpnet.doctor.scripts.recording.updates import maker
from xpnet.doctor.scripts.repairs.edits import around, changed, edit, statement_of

PRODUCT = re.compile(r"^[\w.]*\b(dot|matmul|inner|einsum)\(")
UPDATE = re.compile(r"(.+?)\s*(?:[-+]=|=\s*\1\s*[-+]).*\*")  # W -= rate * gradient


@check("no-update", NIELSEN, "see why the script never comes there, such as a return in a loop",
       needs=())  # fmt: skip
def never_run(seen: Observer, roles: Roles, run: Run) -> Seen:
    """The weights stay as they were drawn."""
    recorder = seen.recorder
    reached, (unmoved, replaced) = recorder.reached, recorder.unmoved
    if roles or recorder.error or replaced:
        return
    sites = recorder.sites
    ran = [s for place, s in enumerate(sites) if place in reached]
    weights = {text for s in ran if s.operator is ast.MatMult or PRODUCT.search(s.text)
               for text in s.operands}  # fmt: skip
    updates = [(place, s, found[1]) for place, s in enumerate(sites) if s.kind == "statement"
               if (found := UPDATE.match(s.text)) and not LOSS.match(found[1])]  # fmt: skip
    if any(place in reached and name in weights for place, _, name in updates):
        return
    for _, site, name in (each for each in updates if each[0] not in reached):
        tests, called = _conditions(site)
        meant = not tests or _vary(site.file, tests)  # or a choice that the script has made
        if meant and (unmoved or (called and name in weights)):
            known = [f"{key} is {value}" for each in recorder.modules
                     for key, value in each.items() if isinstance(value, int | float)
                     and any(re.search(rf"\b{key}\b", text) for text in tests)]  # fmt: skip
            now = f" (at the end {', '.join(known)})" if known else ""
            said = f"; {' and '.join(tests)}: never true{now}" if tests else ""
            remedy = "make this true in each step, or in every few steps" if tests else ""
            yield NOTHING, name, f"{site}: this update is never run{said}", remedy


def _vary(file: str, tests: list[str]) -> bool:
    """Return whether conditions read what a loop changes, or what is counted."""
    changed_ones = set[str]()
    for each in ast.walk(tree(file)):
        loops = isinstance(each, ast.For | ast.While)
        inside = [n for n in ast.walk(each) if isinstance(n, ast.Assign)] if loops else []
        targets = [target for n in inside for target in n.targets]
        if isinstance(each, ast.For | ast.AugAssign):
            targets.append(each.target)
        changed_ones |= {ast.unparse(n) for target in targets for n in ast.walk(target)
                         if isinstance(n, ast.Name | ast.Attribute)}  # fmt: skip
    return any(re.search(rf"\b{re.escape(name)}\b", text)
               for name in changed_ones for text in tests)  # fmt: skip


def _conditions(site: Site) -> tuple[list[str], bool]:
    """Return the conditions of a place, after those of its function's calls; and if it has any."""
    names = {each.name for each in around(site.file, site.line, (ast.FunctionDef,))[-1:]}
    calls = (n for n in ast.walk(tree(site.file)) if isinstance(n, ast.Call))
    ways = [_branches(site.file, n.lineno) for n in calls
            if ast.unparse(n.func).rpartition(".")[2] in names]  # fmt: skip
    common = [each for each in next(iter(ways), []) if all(each in way for way in ways)]
    return common + _branches(site.file, site.line), bool(ways or not names)


def _branches(file: str, line: int) -> list[str]:
    """Return the conditions under which a line is run, the innermost last."""
    tests = ((n, ast.unparse(n.test)) for n in around(file, line, (ast.If,)))
    return [f"line {n.lineno}, {text if line <= n.body[-1].end_lineno else f'not ({text})'}"
            for n, text in tests if "__name__" not in text]  # fmt: skip


@check("no-update", "NumPy manual, Copies and views", needs=())
def in_their_place(seen: Observer, roles: Roles, run: Run) -> Seen:
    """What was handed on before weights were drawn anew is no part of the network any more."""
    use, update = seen.recorder.unmoved
    if roles or not update:
        return
    for slot, value in enumerate(use.operands):
        if value.shape == update.result.shape:
            weights, made = in_source(use, slot), maker(value).site
            yield (update, update.site.operands[0], f"{weights}, {use.site.place}, is another "
                   f"array: {made} makes it anew after the first one was handed on",
                   f"draw the weights before that, or put them there: {weights}[:] = ..."
                   )  # fmt: skip


@check("gradient-zero", "Karpathy, micrograd, 2020", needs=())
def cut_off(seen: Observer, roles: Roles, run: Run) -> Seen:
    """No error comes back to the weights: somewhere between them and the loss, the way ends."""
    updates = seen.recorder.zeros
    if roles or not updates or not all(updates):
        return
    update = updates[-1]
    cuts = [f"; {site}: what this makes has no parents" for site in _orphans(seen)]
    yield (update, in_source(update, 0), f"{in_source(update, 1)} is 0 in every step"
           f"{''.join(cuts)}", "give the result its parents and their derivative" if cuts
           else "follow the error back from the loss, to where it is lost")  # fmt: skip


@check("no-bias", NIELSEN)
def never_added(seen: Observer, roles: Roles, run: Run) -> Seen:
    """What is taught has no effect as long as nothing uses it."""
    without = [layer for layer in roles.layers if layer.biases is None]
    for each in (e for e in roles.step.operations if e.name == "subtract" and e.operands[1:]):
        own, name = each.operands[0], in_source(each, 0)
        vector = own.size == max(own.shape, default=0) > 1
        sites = [layer.product.site for layer in without if vector and own.size == _units(layer)]
        if sites and _is_only_changed(name, each.site):
            new = f"({sites[0].text} + {name})"
            edits = [edit(sites[0], new)] if is_known(name, sites[0]) else []
            yield each, "the network", f"{name} is updated, but added to nothing", new, edits


def _units(layer: Layer) -> int:
    """Return how many sums a layer makes for each sample."""
    shape = layer.pre_activations.shape or (0,)
    return shape[-1 if layer.product.operands[0] is layer.inputs else 0]


def _is_only_changed(name: str, site: Site) -> bool:
    """Return whether a script reads a name nowhere but where this place changes it."""
    if not re.fullmatch(r"[\w.]+", name) or not (own := statement_of(site)):
        return False
    nodes = [*ast.walk(tree(site.file))]
    loops = [n.target for n in nodes if isinstance(n, ast.For | ast.comprehension)]
    target = own.targets[0] if isinstance(own, ast.Assign) else getattr(own, "target", own)
    if ast.unparse(target) != name or any(name in map(ast.unparse, ast.walk(n)) for n in loops):
        return False  # or one that stands for several
    read = [n for n in nodes if isinstance(n, ast.Name | ast.Attribute)
            and isinstance(n.ctx, ast.Load) and ast.unparse(n) == name]  # fmt: skip
    return {*read} <= {*ast.walk(own)}


def _orphans(seen: Observer) -> Iterator[Site]:
    """Yield what an engine's own operation computes for a result that it gives no parents."""
    sites = [seen.recorder.sites[place] for place in sorted(seen.recorder.reached)]
    classes = [(file, n) for file in dict.fromkeys(site.file for site in sites)
               for n in ast.walk(tree(file)) if isinstance(n, ast.ClassDef)]  # fmt: skip
    for file, each in classes:
        made = [n.args for n in ast.walk(each) if isinstance(n, ast.Call)
                and ast.unparse(n.func) == each.name]  # fmt: skip
        alone = [args[0] for args in made if len(args) == 1]
        spots = [changed(file, n, "") for n in alone if len(alone) < len(made)]
        yield from (s for s in sites if edit(s, "") in spots)
