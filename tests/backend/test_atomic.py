import contextlib
import errno
import io
import os
from pathlib import Path

import pytest
from atomic_writes import NEW, OLD, names, run_python, write
from crash_runs import kill_saves

from xpnet.backend import files as atomic
from xpnet.backend.files import atomic_write
from xpnet.errors import SaveError


def error_of(function, *arguments):
    """Return the text of the SaveError, or None."""
    try:
        function(*arguments)
    except SaveError as error:
        return str(error)
    return None


class FaultyRaw(io.RawIOBase):
    def __init__(self, system, descriptor):
        self.system, self.descriptor = system, descriptor

    def writable(self):
        return True

    def fileno(self):
        return self.descriptor

    def write(self, data):
        self.system.call("write", bytes(data))
        return os.write(self.descriptor, data)

    def close(self):
        if not self.closed:
            os.close(self.descriptor)
        super().close()


class FaultySystem:
    """The `os` module, except that the Nth call that matters fails, and all are recorded."""

    FAILING = ("open", "fchown", "fchmod", "fsync", "replace")

    def __init__(self, fail_at=None, code=errno.EIO):
        self.fail_at, self.code, self.calls, self.paths = fail_at, code, [], {}

    def __getattr__(self, name):
        function = getattr(os, name)
        if name not in self.FAILING:
            return function

        def called(*arguments, **options):
            seen = [self.paths[arguments[0]]] if name == "fsync" else arguments
            self.call(name, *seen)
            result = function(*arguments, **options)
            if name == "open":
                self.paths[result] = Path(arguments[0])
            return result

        return called

    def fdopen(self, descriptor, mode):
        assert mode == "wb"
        return io.BufferedWriter(FaultyRaw(self, descriptor))

    def call(self, *event):
        self.calls.append(event)
        if len(self.calls) == self.fail_at:
            raise OSError(self.code, os.strerror(self.code))


def test_a_new_file_is_written_and_nothing_else(tmp_path):
    write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == NEW
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EACCES, errno.EINTR])
@pytest.mark.parametrize("exists", [True, False])
def test_an_error_at_any_call_leaves_the_old_file_and_no_temporary(
    tmp_path, monkeypatch, code, exists
):
    path, failures = tmp_path / "a", 0
    for fail_at in range(1, 100):
        if exists:
            path.write_bytes(OLD)
        else:
            path.unlink(missing_ok=True)
        system = FaultySystem(fail_at, code)
        monkeypatch.setattr(atomic, "os", system)
        message = error_of(write, path)
        monkeypatch.undo()
        if message:
            failures += 1
            assert os.strerror(code) in message
            assert str(path) in message
            renamed = any(name == "replace" for name, *_ in system.calls[:-1])
            assert ("might not survive a power failure" in message) == renamed
            assert (path.read_bytes() if path.exists() else None) == (
                NEW if renamed else OLD if exists else None
            )
        else:
            assert path.read_bytes() == NEW
        assert names(tmp_path) in ([], ["a"])
        if len(system.calls) < fail_at:
            break
    # open, fsync, replace, open and fsync of the directory; fchown and fchmod; 3 writes, which
    # Python itself repeats after EINTR
    assert failures == 5 + 2 * exists - (code == errno.EACCES and exists) + 3 * (
        code != errno.EINTR
    )


def test_no_file_descriptor_leaks_when_writing_fails(tmp_path, monkeypatch):
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else None
    if before is None:
        pytest.skip("needs /proc")
    for fail_at in range(1, 12):
        monkeypatch.setattr(atomic, "os", FaultySystem(fail_at))
        with contextlib.suppress(SaveError):
            write(tmp_path / "a")
        monkeypatch.undo()
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_order_is_write_fsync_rename_fsync_of_the_directory(tmp_path, monkeypatch):
    system = FaultySystem()
    monkeypatch.setattr(atomic, "os", system)
    write(tmp_path / "a")
    order = []
    for name, *arguments in system.calls:
        if name == "fsync":
            order.append(f"fsync {arguments[0].suffix or 'directory'}")
        elif not order or order[-1] != name:
            order.append(name)
    assert order == ["open", "write", "fsync .tmp", "replace", "open", "fsync directory"]
    assert system.calls[-1][1] == tmp_path


def test_power_failure_at_any_point_leaves_the_old_or_the_new_version(tmp_path, monkeypatch):
    """Replay the recorded calls on a disk that keeps only what was flushed, and tears the rest."""
    system = FaultySystem()
    monkeypatch.setattr(atomic, "os", system)
    write(tmp_path / "a")
    states = 0
    for cut in range(len(system.calls) + 1):
        written, flushed, renamed, settled = b"", 0, False, False
        for name, *arguments in system.calls[:cut]:
            if name == "write":
                written += arguments[0]
            elif name == "fsync" and renamed:
                settled = True
            elif name == "fsync":
                flushed = len(written)
            elif name == "replace":
                renamed = True
        # The disk may hold any part of what was not flushed, and either name before the last fsync.
        for kept in {flushed, (flushed + len(written)) // 2, len(written)}:
            for has_name in {renamed, settled}:
                states += 1
                assert (written[:kept] if has_name else OLD) in (OLD, NEW)
    assert states > 12


@pytest.mark.parametrize("limit", [0, 1, 4096, 20_000, len(NEW) - 1])
def test_a_full_disk_keeps_the_old_file(tmp_path, limit):
    path = tmp_path / "a"
    path.write_bytes(OLD)
    out = run_python(
        """
        import resource, sys
        from xpnet.backend.files import atomic_write, probe_writable
        from xpnet.errors import SaveError
        path, limit, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        for attempt in ("probe", "write"):
            try:
                if attempt == "probe":
                    probe_writable(path, size)
                else:
                    with atomic_write(path) as file:
                        file.write(b"x" * size)
            except SaveError as error:
                print(error)
        """,
        path,
        limit,
        len(NEW),
    )
    probe, saved = out.splitlines()
    for line in (probe, saved):
        assert "File too large" in line
        assert "bytes free" in line
        assert "ulimit -f" in line
    assert f"{len(NEW):,} bytes needed" in probe
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["a"]


def test_an_exception_in_the_block_is_passed_on_and_nothing_is_written(tmp_path):
    (tmp_path / "a").write_bytes(OLD)

    def interrupted():
        with atomic_write(tmp_path / "a") as file:
            file.write(NEW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "a").read_bytes() == OLD
    assert names(tmp_path) == ["a"]


def test_a_network_file_system_that_cannot_flush_directories_is_no_error(tmp_path, monkeypatch):
    calls = FaultySystem()
    monkeypatch.setattr(atomic, "os", calls)
    write(tmp_path / "a")
    assert calls.calls[-1][0] == "fsync"
    monkeypatch.setattr(atomic, "os", FaultySystem(len(calls.calls), errno.EINVAL))
    write(tmp_path / "b")


def test_kill_9_in_a_tight_save_loop_loses_nothing(tmp_path):
    counts = kill_saves(20, tmp_path)
    assert counts["kills"] == 20
    assert counts["lost"] == counts["torn"] == counts["temporaries left"] == 0
