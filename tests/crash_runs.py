"""Runs that end badly on purpose: kills, mutations. A few in the tests, many in benchmarks/.

As a program it is the process that gets killed: ``python crash_runs.py save FILE`` or
``python crash_runs.py train DIRECTORY RUN``.
"""

import itertools
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import xpnet
from xpnet.backend.signals import Interrupted, interrupt_on_signals
from xpnet.errors import FileError
from xpnet.nn.network import MLP
from xpnet.saving.checkpoint import Checkpoint
from xpnet.saving.container import read_container
from xpnet.saving.model import Model, load_model, save_model


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


def train(*arguments: str) -> None:
    """Train as a command would: a signal ends it with the shell's exit code."""
    for number in (signal.SIGINT, signal.SIGHUP):  # a shell's background job ignores them
        signal.signal(number, signal.SIG_DFL)
    interrupt_on_signals()
    print("training", flush=True)
    try:
        train_to_the_end(*arguments)
    except Interrupted as error:
        sys.exit(error.exit_code)


class Told:
    """Tell the parent process that the training is well under way."""

    def on_batch_end(self, training):
        if training.state.step == 5:
            print("fifth step", flush=True)


def train_to_the_end(
    directory: str, number: str, every: str = "7 steps", epochs: str = "30"
) -> None:
    """Run training number `number` with checkpoints; write its model and history when it ends."""
    chance = random.Random(int(number))
    draw = np.random.default_rng(int(number))
    sizes = [5, chance.randint(3, 17), chance.randint(3, 17), 3]
    x = draw.normal(size=(203, 5))
    y = np.argmax(x @ draw.normal(size=(5, 3)), axis=1)
    net = MLP(
        sizes,
        hidden=chance.choice(["tanh", "relu", "gelu"]),
        output="softmax",
        dtype=chance.choice(["float32", "float64"]),
        dropout=chance.choice([0.0, 0.25]),
        seed=int(number),
    )
    history = xpnet.fit(
        net,
        x,
        y,
        optimizer=chance.choice(
            [xpnet.SGD(0.1, momentum=0.9), xpnet.Adam(0.01), xpnet.AdamW(0.01), xpnet.SGD(0.2)]
        ),
        epochs=int(epochs),
        batch_size=chance.choice([8, 13, 16]),
        schedule=chance.choice([None, "cosine", "plateau", "warmup"]),
        validation=0.2,
        early_stopping=chance.choice([False, 25]),
        l2=chance.choice([0.0, 1e-3]),
        metrics=["accuracy"],
        callbacks=[Checkpoint(directory, every=every, resume=True), Told()],
        progress=False,
    )
    kept = history.to_dict()
    del kept["seconds"]  # wall time differs
    save_model(f"{directory}/model.safetensors", net, training=json.loads(json.dumps(kept)))


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
        try:
            model = load_model(path)
        except FileError:
            counts["lost"] += 1
            continue
        values = {float(v) for each in model.net.parameters for v in np.unique(each)}
        counts["torn"] += values != {float((model.training or {})["number"])}
    counts["temporary files left"] = len(list(directory.iterdir())) - 1
    return counts


def results(directory: Path) -> bytes:
    """Return the final model file, history included."""
    return (directory / "model.safetensors").read_bytes()


def kill_trainings(
    kills: int,
    runs: int,
    directory: Path,
    seed: int = 0,
    signals: Sequence[int] = (signal.SIGKILL,),
) -> Counter[str]:
    """Kill at least `runs` trainings at least `kills` times in all, resume each, and compare.

    Kills, by each of the signals in turn, fall on loading, resuming, training and saving alike,
    since every seventh step is saved.
    """
    chance, counts, turns = random.Random(seed), Counter(), itertools.cycle(signals)
    run = -1
    while (run := run + 1) < runs or (counts["kills"] < kills and run < 10 * runs):
        whole, broken = directory / f"{run}-whole", directory / f"{run}-broken"
        with start("train", whole, run) as process:
            assert process.stdout is not None
            process.stdout.readline()
            began = time.perf_counter()
            process.stdout.read()
        length = time.perf_counter() - began
        assert process.returncode == 0
        left = -(-kills // runs)
        while True:
            number = next(turns)
            with start("train", broken, run) as process:
                assert process.stdout is not None
                process.stdout.readline()
                if left:
                    time.sleep(chance.uniform(0.0, length / left))
                    process.send_signal(number)
                process.stdout.read()
            if process.returncode == 0:
                counts["completed before the signal"] += left > 0
                break
            # Python gives the signals back to the system when it shuts down.
            expected = (-number,) if number == signal.SIGKILL else (128 + number, -number)
            counts["wrong exit codes"] += process.returncode not in expected
            counts["kills"] += 1
            left -= 1
        counts["runs"] += 1
        counts["bit-identical"] += results(whole) == results(broken)
        counts["locks left"] += len(list(broken.glob("*.lock")))
        counts["temporary files left"] += len(list(broken.glob(".xpnet-*")))
        counts["unreadable files"] += sum(not is_readable(each) for each in broken.iterdir())
    return counts


def is_readable(path: Path) -> bool:
    """Whether a model file or checkpoint is intact; a temporary file need not be."""
    kind = "checkpoint" if "checkpoint" in path.name else "model"
    try:
        return path.suffix == ".tmp" or bool(read_container(path, kind, 4))
    except FileError:
        return False


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
    {"save": save_for_ever, "train": train}[sys.argv[1]](*sys.argv[2:])
