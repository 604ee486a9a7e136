"""Which mender belongs to which finding: each finding gets the edits that may mend it.

What was measured brings its own edits; for what rules and checks find they are made here.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from xpnet.doctor.findings import Finding
from xpnet.doctor.scripts.mapping import Roles
from xpnet.doctor.scripts.recording.instrument import Site
from xpnet.doctor.scripts.recording.source import modules, whole
from xpnet.doctor.scripts.repairs import data, menders, patterns, sizes
from xpnet.doctor.scripts.repairs.edits import Edit

Mender = Callable[[Finding, Roles], list[Edit]]
# By a finding's code, or by a change that it asks for.
MENDERS: dict[str, Mender] = {
    "integer-parameters": menders.floats,
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
    "constant-feature": patterns.fractions,
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
    "first_layer_first": menders.first_layer_first,
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
            new for mend in (patterns.rewritten, *mends) for new in made_by(mend, each, roles)
        ]
        yield replace(each, repair={**known, "edits": edits}) if edits else each


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
        numpy = [*names, "__import__('numpy')"][0]
        new = {**each, "text": re.sub(r"\bnp\.", f"{numpy}.", each["text"])}
        found += [new] * (new not in found)
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
        update = [*roles.updates_of(roles.names.index(where[0])), roles.step.updates[0]][0]
        drawn = "init" in (finding.repair or {}) and sizes.drawn_by(update.old)
        made = drawn or update.gradient.made_by or update.operation
    elif {"predictions", "loss"} & {*where}:
        return roles.error.site
    return made.site
