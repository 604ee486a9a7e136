"""Runs that end badly on purpose: kills, mutations. A few in the tests, many in benchmarks/.

As a program it is the process that gets killed: ``python crash_runs.py save FILE``.
"""

import itertools
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from xpnet.errors import FileError
from xpnet.model_file import Model, load_model, save_model
from xpnet.network import MLP


def numbered_network(number: int) -> MLP:
    """Return a network whose every parameter is `number`, so that a torn file would show."""
    net = MLP([8, 64, 4], hidden="tanh", output="softmax", init="zeros")
    for each in net.parameters:
        each += number
    return net


def save_for_ever(path: str) -> None:
    for number in itertools.count(1):
        save_model(path, numbered_network(number % 1000), training={"number": number % 1000})
        if number == 1:
            print("saving", flush=True)


def start(*arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])


def kill_saves(kills: int, directory: Path, seed: int = 0) -> Counter[str]:
    """Kill -9 a process that does nothing but save, at random instants; count what was found."""
    chance, counts, path = random.Random(seed), Counter(), directory / "model.safetensors"
    for _ in range(kills):
        with start("save", path) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.03))
            process.send_signal(signal.SIGKILL)
        counts["kills"] += 1
        counts["temporaries found"] += len(list(directory.glob(".xpnet-*.tmp")))
        try:
            model = load_model(path)
        except FileError:
            counts["lost"] += 1
            continue
        values = {float(v) for each in model.net.parameters for v in np.unique(each)}
        counts["torn"] += values != {float((model.training or {})["number"])}
        save_model(path, model.net, training=model.training)
        counts["temporaries left"] += len(list(directory.iterdir())) - 1
    return counts


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return `data` after one flip of a bit, new byte, truncation, insertion, deletion or swap."""
    at = chance.randrange(len(data))
    if chance.random() < 0.5:  # half of them in the header, which is where meaning is
        at = chance.randrange(min(len(data), 8 + int.from_bytes(data[:8], "little")))
    length = chance.choice([1, 1, 2, 4, 8, 64])
    kind = chance.randrange(6)
    if kind == 0:
        return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
    if kind == 1:
        return data[:at] + chance.randbytes(length) + data[at + length :]
    if kind == 2:
        return data[:at]
    if kind == 3:
        return data[:at] + chance.randbytes(length) + data[at:]
    if kind == 4:
        return data[:at] + data[at + length :]
    other = chance.randrange(len(data))
    return data[:at] + data[other : other + length] + data[at + length :]


def same_content(one: Model, other: Model) -> bool:
    kept = [
        (
            model.net.config(),
            [(each.dtype, each.tobytes()) for each in model.net.parameters],
            model.preprocessing and model.preprocessing.to_dict(),
            model.training,
            model.library_version,
        )
        for model in (one, other)
    ]
    return kept[0] == kept[1]


def mutate_model(path: Path, count: int, directory: Path, seed: int = 0) -> Counter[str]:
    """Load `count` mutations of a model file: each must be refused, or mean exactly the same."""
    data, original = path.read_bytes(), load_model(path)
    chance, counts, victim = random.Random(seed), Counter(), directory / "mutated.safetensors"
    while counts["mutations"] < count:
        changed = mutated(data, chance)
        if changed == data:
            continue
        counts["mutations"] += 1
        victim.write_bytes(changed)
        try:
            model = load_model(victim)
        except FileError as error:
            counts["refused"] += 1
            counts["refused without the file's name"] += str(victim) not in str(error)
        except Exception as error:  # noqa: BLE001  what else it could be is the question
            counts[f"crashes: {error!r}"[:200]] += 1
        else:
            counts["same content" if same_content(model, original) else "silent changes"] += 1
    return counts


if __name__ == "__main__":
    {"save": save_for_ever}[sys.argv[1]](*sys.argv[2:])
