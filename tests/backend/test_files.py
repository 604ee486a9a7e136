import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from crash_runs import kill_saves

from xpnet.backend import files
from xpnet.backend.files import atomic_write, lock, probe_writable
from xpnet.errors import SaveError

OLD, NEW = b"the old version" * 1000, b"the new version" * 2000


def write(path, data=NEW):
    with atomic_write(path) as file:
        for start in range(0, len(data), 10_000):
            file.write(data[start : start + 10_000])


def error_of(function, *arguments):
    """Return the text of the SaveError, or None."""
    try:
        function(*arguments)
    except SaveError as error:
        return str(error)
    return None


def names(directory):
    return sorted(each.name for each in directory.iterdir())


class FaultySystem:
    """The `os` module, except that the Nth call that matters fails, and all are recorded."""

    def __init__(self, monkeypatch, fail_at=None, code=errno.EIO):
        self.fail_at, self.code, self.calls = fail_at, code, []
        monkeypatch.setattr(files, "os", self)

    def __getattr__(self, name):
        function = getattr(os, name)
        if name not in ("open", "chmod", "fsync", "replace"):
            return function

        def called(*arguments):
            status = os.fstat(arguments[0]) if name == "fsync" else None
            written = status and f" of {status.st_size} bytes" * stat.S_ISREG(status.st_mode)
            self.calls.append(name + (written or ""))
            if len(self.calls) == self.fail_at:
                raise OSError(self.code, os.strerror(self.code))
            return function(*arguments)

        return called


@pytest.mark.parametrize("exists", [True, False])
def test_an_error_at_any_call_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, exists):
    path, failed, code = tmp_path / "a", [], errno.EIO
    descriptors = Path("/proc/self/fd")
    open_files = len(names(descriptors)) if descriptors.exists() else 0
    for fail_at in range(1, 7):  # the sixth call is none
        path.unlink(missing_ok=True)
        if exists:
            path.write_bytes(OLD)
        with monkeypatch.context() as patch:
            system = FaultySystem(patch, fail_at, code)
            message = error_of(write, path)
        renamed = "replace" in system.calls[:-1]
        if message:
            failed.append(system.calls[-1])
            assert os.strerror(code) in message
            assert str(path) in message
            assert ("might not survive a power failure" in message) == renamed
        kept = NEW if renamed else OLD if exists else None
        assert (path.read_bytes() if path.exists() else None) == kept
        assert names(tmp_path) in ([], ["a"])
    assert failed == [*["chmod"] * exists, f"fsync of {len(NEW)} bytes", "replace", "open", "fsync"]
    assert (len(names(descriptors)) if open_files else 0) == open_files


def test_the_order_is_write_fsync_rename_fsync_of_the_directory(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        system = FaultySystem(patch)
        write(tmp_path / "a")
    assert system.calls == [f"fsync of {len(NEW)} bytes", "replace", "open", "fsync"]
    with monkeypatch.context() as patch:  # a network file system that cannot flush directories
        FaultySystem(patch, 4, errno.EINVAL)
        write(tmp_path / "b")
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("limit", [0, 4096])
def test_a_full_disk_keeps_the_old_file(tmp_path, limit):
    path = tmp_path / "a"
    path.write_bytes(OLD)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(SaveError, match=r"File too large.*check path and disk"):
            write(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
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


@pytest.mark.untraced
@pytest.mark.process
def test_kill_9_in_a_tight_save_loop_loses_nothing(tmp_path):
    counts = kill_saves(5, tmp_path)
    assert counts["kills"] == 5
    assert counts["lost"] == counts["torn"] == 0


def test_what_a_killed_save_left_is_removed_an_hour_later(tmp_path):
    for name in (".xpnet-old.tmp", ".another.tmp"):
        (tmp_path / name).write_bytes(b"its writer is dead")
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / ".xpnet-new.tmp").write_bytes(b"its writer may be alive")
    write(tmp_path / "a")
    assert names(tmp_path) == [".another.tmp", ".xpnet-new.tmp", "a"]


HOLD = """
import sys, time
from xpnet.backend.files import lock
with lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.process
def test_a_second_run_is_refused_until_the_first_is_dead(tmp_path):
    path = tmp_path / "a"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as other:
        assert other.stdout.readline() == b"held\n"
        for _ in range(2):
            with pytest.raises(SaveError) as caught, lock(path):
                pass
            assert "another run is writing here; wait for it" in str(caught.value)
        with lock(tmp_path / "b"):
            pass
        other.send_signal(signal.SIGKILL)
    assert names(tmp_path) == ["a.lock"]
    with lock(path), pytest.raises(SaveError, match="another run"), lock(path):
        pass
    assert names(tmp_path) == []


def test_file_systems_without_locks_still_save(tmp_path, monkeypatch):
    import fcntl

    def flock(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with lock(tmp_path / "a"):
        write(tmp_path / "a")
    assert names(tmp_path) == ["a"]


def test_an_existing_file_keeps_its_mode(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(OLD)
    path.chmod(0o640)
    write(path)
    assert path.stat().st_mode & 0o7777 == 0o640
    assert path.read_bytes() == NEW


@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_is_followed(tmp_path, exists):
    (tmp_path / "there").mkdir()
    if exists:
        (tmp_path / "there" / "a").write_bytes(OLD)
    (tmp_path / "link").symlink_to("there/a")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "a").read_bytes() == NEW
    assert names(tmp_path / "there") == ["a"]


IMPOSSIBLE = {
    "missing directory": ("no/a", "No such file or directory", "create the directory first"),
    "directory": (".", "is a directory", "name the file inside it"),
    "through a file": ("file/a", "Not a directory", "one of its parts is a file"),
    "link loop": ("loop", "symbolic links", "check path and disk"),
    "pipe": ("pipe", "device or pipe", "name an ordinary file"),
    "device": ("/dev/null", "device or pipe", "name an ordinary file"),
    "null byte": ("a\0b", "not a file name", "correct the path"),
}


@pytest.mark.parametrize("attempt", [write, probe_writable])
@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_an_impossible_path_is_refused_with_its_remedy(tmp_path, case, attempt):
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    before = names(tmp_path)
    name, reason, remedy = IMPOSSIBLE[case]
    with pytest.raises(SaveError) as caught:
        attempt(os.path.join(tmp_path, name))
    assert reason in str(caught.value)
    assert remedy in str(caught.value)
    assert names(tmp_path) == before


def test_the_probe_refuses_what_does_not_fit_and_leaves_nothing(tmp_path):
    (tmp_path / "a").write_bytes(OLD)
    with pytest.raises(SaveError, match=r"1,\d{3},.* bytes needed, [\d,]+ bytes free"):
        probe_writable(tmp_path / "a", 2**60)
    probe_writable(tmp_path / "a", 100_000)
    probe_writable(tmp_path / "new")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == OLD


@pytest.mark.parametrize("attempt", [write, probe_writable])
@pytest.mark.parametrize("name", ["a", "new", "open/protected"])
def test_without_permission_nothing_is_touched(name, attempt):
    """Root may write anywhere, so root becomes somebody else for a moment."""
    place = Path(tempfile.mkdtemp())  # not tmp_path, whose parents only its owner may enter
    (place / "open").mkdir(mode=0o777)
    for each in ("a", "open/protected"):
        (place / each).write_bytes(OLD)
        (place / each).chmod(0o444)
    (place / "open").chmod(0o777)
    place.chmod(0o555)
    ids = os.getresuid()
    try:
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 0)
        with pytest.raises(SaveError, match=r"(denied|protected).*place that you may write to"):
            attempt(place / name)
    finally:
        os.setresuid(*ids)
    place.chmod(0o755)
    assert (place / "a").read_bytes() == (place / "open/protected").read_bytes() == OLD
    assert names(place) == ["a", "open"]
    assert names(place / "open") == ["protected"]
