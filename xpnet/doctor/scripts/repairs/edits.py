"""Changes of a script's text: what stands at a place of the source becomes another text.

Or what stands as in a pattern, where `_a` is any expression; `_x` and `_y` are no constants.
"""

import ast
import linecache
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from xpnet.doctor.scripts.mapping import in_source
from xpnet.doctor.scripts.recording.instrument import Site
from xpnet.doctor.scripts.recording.source import tree, whole
from xpnet.doctor.scripts.recording.steps import Operation

Edit = dict[str, Any]
ALONE = ("zeros", "zeros_like", "ones", "ones_like", "empty", "empty_like", "array")
MAKERS = {**dict.fromkeys(ALONE, 1), "full": 2, "full_like": 2}  # arguments ahead of their dtype
LOOPS = (ast.For, ast.While)
# Of an operation's statement, see `at_sites`.
IN_PLACE = [(f"_x = _x {op} _a", f"_x {op}= _a") for op in "-+"]
NOT_IN_PLACE = [(f"_x {op}= _a", f"_x = _x {op} _a") for op in "*+-/"]
OWNED = re.compile(r"[^\W\d][\w.]*(\[[^]]*\])*")  # what can be assigned to


def edit(site: Site, text: str) -> Edit:
    """Change a whole operation."""
    return {"file": site.file, "line": site.line, "column": site.column,
            "end_line": site.end_line, "end_column": site.end_column, "text": text}  # fmt: skip


def as_floats(site: Site) -> Edit:
    """Make an array of floats where one of whole numbers is made."""
    made = ast.parse(site.text, mode="eval").body
    name = ast.unparse(made.func).rpartition(".")[2] if isinstance(made, ast.Call) else ""
    if isinstance(made, ast.Call) and len(made.args) == MAKERS.get(name):
        other = [each for each in made.keywords if each.arg != "dtype"]
        made.keywords = [*other, ast.keyword("dtype", ast.Name("float"))]
        return edit(site, ast.unparse(made))
    return edit(site, f"{site.text}.astype(float)")


def operand_edit(operation: Operation, slot: int, form: str) -> Edit:
    """Change an operation's first or second operand; {} stands for what it is now."""
    site, old = operation.site, in_source(operation, slot)
    new, cut = form.replace("{}", old), str.rpartition if slot else str.partition
    before, _, after = cut(site.text, old)
    if f"{before[-1:]}{after[:1]}" == f"{new[:1]}{new[-1:]}" == "()":
        new = new[1:-1]
    if site.end_line != site.line:  # whose text is not as the source has it
        return edit(site, f"{before}{new}{after}")
    start = site.column + len(before.encode())
    return {**edit(site, new), "column": start, "end_column": start + len(old.encode())}


def changed(file: str, node: Any, text: str) -> Edit:
    """Change what a node of a file's tree stands for."""
    return {"file": file, "line": node.lineno, "column": node.col_offset,
            "end_line": node.end_lineno, "end_column": node.end_col_offset,
            "text": text}  # fmt: skip


def written(file: str, node: ast.AST) -> str:
    """Return a node's text as it stands in its file."""
    return ast.get_source_segment("".join(linecache.getlines(file)), node) or ast.unparse(node)


def after(file: str, statement: ast.stmt, *texts: str) -> Edit:
    """Add statements after another one, on lines of their own where that one has one."""
    where, joint = changed(file, statement, ""), _joint(file, statement)
    number, column = where["end_line"], where["end_column"]
    last = linecache.getline(file, number).rstrip().encode()
    if joint != "; " and last[column:].lstrip().startswith(b"#"):
        column = len(last)  # the line keeps its comment
    return {**where, "line": number, "column": column, "end_column": column,
            "text": joint.join(["", *texts])}  # fmt: skip


def ahead(file: str, statement: ast.stmt, *texts: str) -> Edit:
    """Add statements ahead of another one."""
    start = {"end_line": statement.lineno, "end_column": statement.col_offset}
    new = _joint(file, statement).join([*texts, ""])
    return {**changed(file, statement, new), **start}


def _joint(file: str, statement: ast.stmt) -> str:
    """Return what parts a statement from one that is added: its indent, if it has its own line."""
    before = linecache.getline(file, statement.lineno).encode()[: statement.col_offset]
    return f"\n{before.decode()}" if not before.strip() else "; "


def caught(site: Site) -> list[Edit]:
    """Assign what the function of a place returns to what it was given, where calls drop that."""
    edits = list[Edit]()
    scopes = around(site.file, site.line, (ast.FunctionDef,))
    if not scopes:
        return edits
    own = scopes[-1]
    returned = [n.value for n in ast.walk(own) if isinstance(n, ast.Return) and n.value]
    if not returned:
        return edits
    parts = returned[-1].elts if isinstance(returned[-1], ast.Tuple) else [returned[-1]]
    for each in statements(tree(site.file)):
        match each:
            case ast.Expr(ast.Call(ast.Name(own.name), [*given])):
                known = dict(zip((n.arg for n in own.args.args), given, strict=False))
                pairs = zip(parts, given, strict=False)
                same = [ast.unparse(known.get(ast.unparse(e), x)) for e, x in pairs]
                if len(same) == len(parts) and all(map(OWNED.fullmatch, same)):
                    new = f"{', '.join(same)} = {ast.unparse(each)}"
                    edits.append(changed(site.file, each, new))
    return edits


def moved(first: Site, last: Site) -> list[Edit]:
    """Move a statement behind another one of its block, if it still reads the same there."""
    early, late = statement_of(first), statement_of(last)
    among = block(first.file, early) if early else []
    if early is None or late not in among:
        return []
    passed = among[among.index(early) + 1 : among.index(late) + 1]
    changes = {text for each in passed for text in _accessed(each, (ast.Store, ast.Del))}
    if not passed or any(_overlap(a, b) for a in _accessed(early) for b in changes):
        return []
    return [changed(first.file, early, "pass"), after(first.file, late, ast.unparse(early))]


def _accessed(statement: ast.stmt, how: tuple[type, ...] = (ast.expr_context,)) -> set[str]:
    """Return what a statement reads or sets: names, attributes, items; ``a`` for ``a[i]``."""
    kinds = ast.Name | ast.Attribute | ast.Subscript
    nodes = [n for n in ast.walk(statement) if isinstance(n, kinds)]
    owners = {n.value for n in nodes if not isinstance(n, ast.Name)}
    texts = {ast.unparse(n) for n in nodes if isinstance(n.ctx, how) and n not in owners}
    return {re.sub(r"\[(?!(-?\d+|'[^']*')\]).*", "", each) for each in texts}


def _overlap(one: str, other: str) -> bool:
    """Return whether one of two is the other, or a part of it: ``a`` and ``a[0].T``."""
    short, long = sorted((one, other), key=len)
    return long.startswith(short) and long[len(short) :][:1] in ("", ".", "[")


def statements(scope: ast.AST) -> Iterator[ast.stmt]:
    """Yield all simple statements in a file's tree, or in a part of it."""
    for node in ast.walk(scope):
        if isinstance(node, ast.stmt) and not {"body", "cases"} & {*node._fields}:
            yield node


def statement_of(site: Site) -> ast.stmt | None:
    """Return the simple statement that an operation stands in."""
    return at(site.file, site.line, site.column)


def at(file: str, line: int, column: int) -> ast.stmt | None:
    """Return the simple statement at a place."""
    spans = ((n, (n.lineno, n.col_offset), (n.end_lineno or 0, n.end_col_offset or 0))
             for n in statements(tree(file)))  # fmt: skip
    return next((n for n, start, end in spans if start <= (line, column) < end), None)


def around(file: str, line: int, kinds: tuple[type, ...]) -> list[Any]:
    """Return the nodes of some kinds that a line is in, the innermost last."""
    nodes: Iterator[Any] = (n for n in ast.walk(tree(file)) if isinstance(n, kinds))
    inside = [n for n in nodes if n.lineno <= line <= n.end_lineno]
    return sorted(inside, key=lambda n: n.lineno)


def block(file: str, statement: ast.stmt) -> list[ast.stmt]:
    """Return the statements among which one stands."""
    for node in ast.walk(tree(file)):
        for name in ("body", "orelse", "finalbody"):
            found = getattr(node, name, None)
            if isinstance(found, list) and statement in found:
                return found
    return []


def assignments(file: str) -> list[ast.Assign]:
    """Return the statements of a file that give something a name."""
    return [each for each in statements(tree(file)) if isinstance(each, ast.Assign)]


def assigned(file: str, name: str) -> list[ast.Assign]:
    """Return the statements that give a name its value, outside loops; the script's own first."""
    found = [n for n in assignments(file) if not around(file, n.lineno, LOOPS)
             and name in {ast.unparse(each) for target in n.targets for each in ast.walk(target)}
             ]  # fmt: skip
    top = [n for n in found if n in tree(file).body]
    return top or found


def assigned_by(statement: ast.Assign) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names to which a statement assigns, each with its value."""
    for target in statement.targets:
        match target, statement.value:
            case ast.Tuple(names), ast.Tuple(values):
                yield from zip(map(ast.unparse, names), values, strict=False)
            case _:
                yield ast.unparse(target), statement.value


def unused(file: str, name: str) -> str:
    """Return a name that a file does not have, as near to this one as can be."""
    words = {word for each in whole(file) for line in linecache.getlines(each)
             for word in re.findall(r"\w+", line)}  # fmt: skip
    while name in words:
        name += "_"
    return name


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return a source with its edits; one inside another is made within that one's new text."""
    source, starts = text.encode(), [0]
    starts += [each.end() for each in re.finditer(rb"\n", source)]
    done = list[tuple[int, int, bytes]]()
    spans = [(starts[e["line"] - 1] + e["column"], starts[e["end_line"] - 1] + e["end_column"],
              e["text"].encode()) for e in edits]  # fmt: skip
    for start, end, new in sorted(dict.fromkeys(spans), key=lambda span: span[1] - span[0]):
        inner = [e for e in done if start < e[1] and e[0] < end]
        whole = _find(source[start:end], new)
        found = {whole + e[0] - start if whole >= 0 else _find(source[slice(*e[:2])], new): e
                 for e in inner}  # fmt: skip
        within = all(start <= e[0] < e[1] <= end and e[:2] != (start, end) for e in inner)
        if not within or len(found) < len(inner) or -1 in found:
            continue  # perhaps in the next round
        for place, e in sorted(found.items(), reverse=True):
            new = new[:place] + e[2] + new[place + e[1] - e[0] :]
            done.remove(e)
        done.append((start, end, new))
    for start, end, new in sorted(done, reverse=True):
        source = source[:start] + new + source[end:]
    return source.decode()


def _find(old: bytes, new: bytes) -> int:
    """Return where a text stands in another one, not as a part of a name; -1 unless once."""
    before = rb"(?<![\w.])" if re.match(rb"\w", old) else b""
    after = rb"(?!\w)" if re.match(rb"\w", old[::-1]) else b""
    found = [*re.finditer(before + re.escape(old) + after, new)]
    return found[0].start() if len(found) == 1 else -1


def mended_lines(edits: Sequence[Edit]) -> list[str]:
    """Return each line that edits change, with all its changes."""
    lines = list[str]()
    for file, number in dict.fromkeys((each["file"], each["line"]) for each in edits):
        here = [e for i, e in enumerate(edits)
                if (e["file"], e["line"]) == (file, number) and e not in edits[:i]]  # fmt: skip
        if all(e["line"] == e["end_line"] and e["column"] == e["end_column"] for e in here):
            for e in here:
                where = "ahead of" if e["text"].endswith((" ", "\n")) else "after"
                texts = e["text"].strip("\n; ").splitlines()
                lines += [f"{where} line {number}: {each.strip()}" for each in texts]
            continue
        last = max(e["end_line"] for e in here)
        linecache.checkcache(file)
        old = "".join(linecache.getline(file, n) for n in range(number, last + 1)).rstrip("\n")
        moved = [{**e, "line": 1, "end_line": e["end_line"] - number + 1} for e in here]
        new = apply(old, moved).splitlines() if old else [here[0]["text"]]
        if new == old.splitlines():
            continue
        lines.append(f"line {number}: {new[0].strip()}")
        lines += [f"  then: {each.strip()}" for each in new[1:]]
    return lines


def at_sites(sites: Iterable[Site], patterns: Iterable[tuple[str, str]]) -> list[Edit]:
    """Return the edits of the statements in which operations stand."""
    places = [(site.file, found, pattern) for site in sites for pattern in patterns
             if (found := statement_of(site)) is not None]  # fmt: skip
    return [e for file, node, pair in places for e in rewrite(file, node, *pair)]


def rewrite(file: str, root: ast.AST, old: str, new: str) -> Iterator[Edit]:
    """Yield the edits that make one text of another, in a node and what is in it."""
    pattern: Any = ast.parse(old).body[0]
    pattern = pattern.value if isinstance(pattern, ast.Expr) else pattern
    for node in ast.walk(root):
        known: dict[str, str] = {}
        if isinstance(node, ast.stmt | ast.expr) and matches(pattern, node, known):
            text = re.sub(r"\b_[a-z]\b", lambda m: f"({known[m[0]]})", new)  # noqa: B023
            yield changed(file, node, ast.unparse(ast.parse(text)))


def matches(pattern: Any, node: Any, known: dict[str, str]) -> bool:
    """Return whether a node is as a pattern's; `known` gets what its names stand for."""
    if isinstance(pattern, ast.Name) and re.fullmatch("_[a-z]", pattern.id):
        constant = pattern.id in ("_x", "_y") and isinstance(node, ast.Constant)
        if not isinstance(node, ast.expr) or constant:
            return False
        text = ast.unparse(node)
        return known.setdefault(pattern.id, text) == text
    if type(pattern) is not type(node):
        return False
    if isinstance(pattern, list):
        same = len(pattern) == len(node)
        return same and all(matches(a, b, known) for a, b in zip(pattern, node, strict=True))
    if not isinstance(pattern, ast.AST):
        return bool(pattern == node)
    fields = [name for name in pattern._fields if name not in ("ctx", "type_comment", "kind")]
    return all(matches(getattr(pattern, f), getattr(node, f), known) for f in fields)
