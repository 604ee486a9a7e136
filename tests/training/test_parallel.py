"""One network on several processes: here threads with a communicator of their own, and mpiexec."""

import pickle
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from command_line import BANKNOTE
from lazily import polars

import xpnet
from xpnet.cli import ranks
from xpnet.cli.main import main
from xpnet.errors import InputError
from xpnet.training import parallel

ROWS = np.random.default_rng(0)
X = ROWS.normal(size=(103, 5)).astype("float32")
Y = (X[:, 0] * X[:, 1] > 0).astype(float)


class Threads:
    """What `ParallelTraining` needs of a communicator, between threads of one process."""

    def __init__(self, size: int) -> None:
        self.size, self._barrier = size, threading.Barrier(size, timeout=120)
        self._sent = [None] * size
        self.mail = [queue.Queue() for _ in range(size)]

    def of(self, rank: int) -> "Rank":
        return Rank(self, rank)

    def exchange(self, rank, what):
        self._sent[rank] = what
        self._barrier.wait()
        every = list(self._sent)
        self._barrier.wait()
        return every


class Rank:
    def __init__(self, threads: Threads, rank: int) -> None:
        self._threads, self.rank, self.size = threads, rank, threads.size

    def bcast(self, what):
        return pickle.loads(self._threads.exchange(self.rank, pickle.dumps(what))[0])  # noqa: S301

    def scatter(self, parts):
        return self._threads.exchange(self.rank, parts)[0][self.rank]

    def allgather(self, what):
        return self._threads.exchange(self.rank, what)

    def Iallgather(self, in_place, every):  # noqa: N802  # mpi4py's names
        assert in_place is None
        every[...] = self._threads.exchange(self.rank, every[self.rank].copy())
        return self

    def Iallgatherv(self, own, given):  # noqa: N802
        every, counts = given
        sent = self._threads.exchange(self.rank, own.copy())
        assert [each.size for each in sent] == counts
        every[...] = np.concatenate(sent)
        return self

    def Ialltoallv(self, own, given):  # noqa: N802
        numbers, counts = own
        pieces = np.split(numbers.copy(), np.cumsum(counts)[:-1])
        given[0][...] = [each[self.rank] for each in self._threads.exchange(self.rank, pieces)]
        return self

    def Iallreduce(self, own, total):  # noqa: N802
        total[...] = sum(self._threads.exchange(self.rank, own.copy()))
        return self

    def isend(self, what, rank):
        self._threads.mail[rank].put(what)

    def iprobe(self, _):
        return not self._threads.mail[self.rank].empty()

    def Test(self) -> bool:  # noqa: N802
        return True


def train(size, sent=False, dropout=0.2, device="cpu", **options):
    """Train on so many threads; return the networks and histories.

    With `sent`, the first one alone has the inputs.
    """
    kind = {"output": "sigmoid", "dropout": dropout, "dtype": "float64", "device": device}
    comm, nets, histories, errors = Threads(size), [None] * size, [None] * size, []

    def run(rank):
        own, x = comm.of(rank), X
        nets[rank] = xpnet.MLP([5, 8, 1], seed=3, **kind)
        try:
            if sent:
                x = parallel.SentRows(own, None if rank else X)
            histories[rank] = xpnet.fit(nets[rank], x, Y, progress=False, parallel=own, **options)
        except BaseException as error:  # noqa: BLE001  # looked at below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return nets, histories, errors


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adam", "epochs": 4, "batch_size": 10, "validation": 0.2, "l2": 1e-3},
        {"epochs": 3, "batch_size": 200, "class_weight": "balanced", "clip_norm": 0.1},
        {"epochs": 5, "batch_size": 8, "steps_per_epoch": 4, "schedule": "cosine", "l1": 1e-3},
        {"epochs": 30, "batch_size": 16, "validation": 0.3, "early_stopping": 2},
        {
            "epochs": 2,
            "batch_size": 16,
            "sample_weight": np.arange(103) % 7 * (np.arange(103) > 40),
        },
        {"epochs": 2, "chunks": 7, "sent": True, "validation": (X[:9], Y[:9])},
    ],
)
@pytest.mark.parametrize("sliced", [1, 1000])
def test_any_number_of_processes_gives_the_same_bits(monkeypatch, options, sliced):
    monkeypatch.setattr(parallel, "SLICED", sliced)  # both ways to add gradients
    monkeypatch.setattr(parallel, "SENT_BYTES", 700)
    nets, histories, errors = train(1, **options)
    assert not errors
    for size in (2, 3, 4):
        others, curves, errors = train(size, **options)
        assert not errors
        for net, history in zip(others, curves, strict=True):
            assert net.flat.tobytes() == nets[0].flat.tobytes()
            assert history.loss == histories[0].loss
            assert history.validation_loss == histories[0].validation_loss


@pytest.mark.parametrize(
    ("size", "chunks", "weights"),
    [(1, 4, None), (5, None, np.arange(103) % 7), (2, 4, X[:, 0] > 0)],
)
def test_a_step_of_several_processes_is_the_step_of_one_network(backend, size, chunks, weights):
    options = {"epochs": 1, "batch_size": 105, "shuffle": False, "optimizer": xpnet.SGD(0.1)}
    options |= {"sample_weight": weights, "dropout": 0.0}
    nets, histories, errors = train(size, chunks=chunks, device=backend.device, **options)
    assert not errors
    del options["dropout"]
    net = xpnet.MLP([5, 8, 1], output="sigmoid", seed=3, dtype="float64")
    history = xpnet.fit(net, X, Y, progress=False, **options)
    flat = backend.device.get(nets[-1].flat)
    np.testing.assert_allclose(flat, net.flat, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(histories[-1].loss, history.loss, rtol=1e-12)


def test_what_interrupts_one_process_ends_all_after_the_same_step():
    def stop(training):
        if training.comm.rank == 1 and training.state.epoch == 2:
            training.stop("interrupted")

    nets, _, errors = train(2, epochs=50, batch_size=16, callbacks=[stop])
    assert [type(each) for each in errors] == [KeyboardInterrupt] * 2
    assert nets[0].flat.tobytes() == nets[1].flat.tobytes()


def test_a_process_that_does_not_answer_ends_the_run_and_is_named(monkeypatch):
    monkeypatch.setattr(Rank, "Test", lambda _: False)
    monkeypatch.setattr(parallel, "MAX_SECONDS", 0.01)
    monkeypatch.setattr(parallel, "SECONDS_TO_SAY_SO", 0.01)
    own = Threads(2).of(0)
    with pytest.raises(InputError, match=r"rank 1 has not answered for 0\.01 seconds"):
        parallel._wait(own, own)


@pytest.mark.parametrize(("size", "rows"), [(5, 103), (2, 3)])
def test_too_many_processes_or_too_few_rows_are_refused(size, rows):
    with pytest.raises(InputError, match="give every process a chunk, and every chunk a row"):
        xpnet.fit(xpnet.MLP([5, 1]), X[:rows], Y[:rows], parallel=Threads(size).of(0), chunks=4)


def test_only_train_runs_under_mpiexec(monkeypatch, capsys):
    monkeypatch.setattr(ranks, "communicator", lambda: Threads(1).of(0))
    assert main(["devices"]) == 2
    assert "mpiexec: it runs xpnet train, not xpnet devices" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size", "chunks", "told"),
    [(2, None, "any number up to 4"), (5, None, "another number gives other bits")],
)
def test_what_depends_on_the_number_of_processes_is_told(monkeypatch, size, chunks, told):
    monkeypatch.setattr(ranks, "communicator", lambda: Threads(size).of(0))
    assert told in ranks.described(chunks)


def test_under_mpiexec_without_mpi4py_one_line_says_what_is_missing(monkeypatch):
    monkeypatch.setenv("PMI_RANK", "1")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    ranks.communicator.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'xpnet\[mpi\]'"):
        ranks.communicator()


MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent))


@pytest.mark.untraced
@pytest.mark.process
@pytest.mark.skipif(not MPIEXEC, reason="mpiexec is not installed: pip install 'xpnet[mpi]'")
def test_two_processes_write_the_model_of_one_and_resume_its_checkpoint(tmp_path):
    def run(count, *words, table=BANKNOTE, status=0):
        command = [MPIEXEC, "-n", str(count), sys.executable, "-m", "xpnet", "train", table,
                   "--target", "class", "--nets", "1", "--hidden", "8", *words]  # fmt: skip
        found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300,
                               check=False)  # fmt: skip
        assert found.returncode == status, found.stderr
        return found

    for count in (1, 2):
        run(count, "--epochs", "4", "--schedule", "constant", "--out", f"{count}.safetensors")
    run(2, "--epochs", "2", "--schedule", "constant", "--out", "a.safetensors", "--checkpoint", "c")
    run(1, "--epochs", "4", "--schedule", "constant", "--out", "3.safetensors", "--checkpoint", "c",
        "--resume")  # fmt: skip
    one, two = (tmp_path.joinpath(f"{i}.safetensors").read_bytes() for i in (1, 2))
    assert one == two
    polars.read_csv(BANKNOTE).write_parquet(tmp_path / "4.parquet")  # each reads its own rows
    told = run(2, "--epochs", "4", "--schedule", "constant", "--stream", table="4.parquet").stdout
    assert "2; any number up to 4 gives the same bits" in told
    flats = [xpnet.load_model(tmp_path / f"{i}.safetensors").net.flat for i in (1, 3, 4)]
    assert len({each.tobytes() for each in flats}) == 1
    wrong = run(2, "--lr", "1e9", "--optimizer", "sgd", "--raw", "--epochs", "9", status=3)
    assert wrong.stderr.count("training diverged") == 1
