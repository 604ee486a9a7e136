import contextlib
import errno
import io
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from crash_runs import kill_saves

from xpnet import atomic
from xpnet.atomic import atomic_write, lock, probe_writable
from xpnet.errors import SaveError

OLD, NEW = b"the old version" * 1000, b"the new version" * 2000


def write(path, data=NEW):
    with atomic_write(path) as file:
        for start in range(0, len(data), 10_000):
            file.write(data[start : start + 10_000])


def names(directory):
    return sorted(each.name for each in directory.iterdir())


def error_of(function, *arguments):
    """Return the text of the SaveError, or None."""
    try:
        function(*arguments)
    except SaveError as error:
        return str(error)
    return None


def run_python(script, *arguments):
    """Run a script in a process of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


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
        from xpnet.atomic import atomic_write, probe_writable
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


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_gets_what_the_umask_leaves(tmp_path, umask):
    before = os.umask(umask)
    try:
        write(tmp_path / "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o666 & ~umask


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_an_existing_file_keeps_its_mode(tmp_path, mode):
    (tmp_path / "a").write_bytes(OLD)
    (tmp_path / "a").chmod(mode)
    write(tmp_path / "a")
    assert (tmp_path / "a").stat().st_mode & 0o7777 == mode
    assert (tmp_path / "a").read_bytes() == NEW


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
def test_an_existing_file_keeps_its_owner_where_root_writes_it(tmp_path):
    (tmp_path / "a").write_bytes(OLD)
    os.chown(tmp_path / "a", 65534, 65534)
    write(tmp_path / "a")
    assert (tmp_path / "a").stat().st_uid == 65534


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


def test_a_name_of_the_greatest_length_can_be_written(tmp_path):
    write(tmp_path / ("n" * 255))
    assert names(tmp_path) == ["n" * 255]


IMPOSSIBLE = {
    "missing directory": ("no/a", "No such file or directory", "create the directory first"),
    "directory": (".", "Is a directory", "name a file inside that directory"),
    "through a file": ("file/a", "Not a directory", "one of its parts is a file"),
    "too long": ("n" * 256, "File name too long", "shorter name"),
    "link loop": ("loop", "symbolic links", "points at itself"),
    "pipe": ("pipe", "device or pipe", "name an ordinary file"),
    "null byte": ("a\0b", "no file name", "correct the path"),
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
        attempt(f"{tmp_path}/{name}")
    assert reason in str(caught.value)
    assert remedy in str(caught.value)
    assert names(tmp_path) == before


def test_a_device_is_not_replaced():
    with pytest.raises(SaveError, match="device or pipe"):
        write("/dev/null")
    assert not os.path.isfile("/dev/null")


def test_the_probe_refuses_what_does_not_fit_and_leaves_nothing(tmp_path):
    (tmp_path / "a").write_bytes(OLD)
    with pytest.raises(SaveError, match=r"1,\d{3},.* bytes needed, [\d,]+ bytes free"):
        probe_writable(tmp_path / "a", 2**60)
    probe_writable(tmp_path / "a", 100_000)
    probe_writable(tmp_path / "new")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == OLD


def test_without_permission_nothing_is_touched(tmp_path):
    """Root may write anywhere, so this becomes somebody else first."""
    place = Path(run_python("import tempfile; print(tempfile.mkdtemp())"))
    (place / "a").write_bytes(OLD)
    (place / "open").mkdir()
    (place / "open" / "protected").write_bytes(OLD)
    (place / "open").chmod(0o777)
    (place / "open" / "protected").chmod(0o444)
    place.chmod(0o555)
    out = run_python(
        """
        import os, sys
        from xpnet.atomic import atomic_write, probe_writable
        from xpnet.errors import SaveError
        if os.getuid() == 0:
            os.setuid(65534)
        for name in ("a", "new", "open/protected"):
            path = os.path.join(sys.argv[1], name)
            for attempt in (probe_writable, lambda path: atomic_write(path).__enter__()):
                try:
                    attempt(path)
                    print("written")
                except SaveError as error:
                    print(error)
        """,
        place,
    )
    place.chmod(0o755)
    lines = out.splitlines()
    assert len(lines) == 6
    assert all("Permission denied" in line or "write-protected" in line for line in lines)
    assert all("choose a place that you may write to" in line for line in lines)
    assert (place / "a").read_bytes() == (place / "open" / "protected").read_bytes() == OLD
    assert names(place / "open") == ["protected"]


def test_a_temporary_of_a_dead_process_is_removed_and_a_live_one_is_not(tmp_path):
    (tmp_path / ".xpnet-1-0123abcd.tmp").write_bytes(b"its writer is dead")
    (tmp_path / ".another.tmp").write_bytes(b"not ours")
    with atomic_write(tmp_path / "a") as file:
        file.write(NEW)
        live = [each for each in names(tmp_path) if each.startswith(".xpnet")]
        assert len(live) == 1
        assert f"-{os.getpid()}-" in live[0]
        write(tmp_path / "b")
        probe_writable(tmp_path / "c")
    assert names(tmp_path) == [".another.tmp", "a", "b"]
    assert (tmp_path / "a").read_bytes() == NEW


def test_a_cleaner_never_takes_a_temporary_between_opening_and_locking(tmp_path, monkeypatch):
    """The race, made certain: the file is removed just after it was created."""
    removed, real = [], atomic._try_lock

    def try_lock(descriptor):
        if len(removed) < 3:
            for each in tmp_path.glob(".xpnet-*.tmp"):
                removed.append(each)
                each.unlink()
        return real(descriptor)

    monkeypatch.setattr(atomic, "_try_lock", try_lock)
    write(tmp_path / "a")
    assert len(removed) == 3
    assert (tmp_path / "a").read_bytes() == NEW
    assert names(tmp_path) == ["a"]


def test_file_systems_without_locks_still_save(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_try_lock", lambda descriptor: None)
    (tmp_path / ".xpnet-1-0123abcd.tmp").write_bytes(b"may be alive, who knows")
    write(tmp_path / "a")
    with lock(tmp_path / "a"):
        assert names(tmp_path) == [".xpnet-1-0123abcd.tmp", "a", "a.lock"]
    assert names(tmp_path) == [".xpnet-1-0123abcd.tmp", "a"]


def test_a_network_file_system_that_cannot_flush_directories_is_no_error(tmp_path, monkeypatch):
    calls = FaultySystem()
    monkeypatch.setattr(atomic, "os", calls)
    write(tmp_path / "a")
    assert calls.calls[-1][0] == "fsync"
    monkeypatch.setattr(atomic, "os", FaultySystem(len(calls.calls), errno.EINVAL))
    write(tmp_path / "b")


def test_a_second_run_on_the_same_output_is_refused(tmp_path):
    with lock(tmp_path / "a"):
        out = run_python(
            """
            import sys
            from xpnet.atomic import lock
            from xpnet.errors import SaveError
            try:
                with lock(sys.argv[1]):
                    print("locked")
            except SaveError as error:
                print(error)
            """,
            tmp_path / "a",
        )
        assert f"another run is writing here (process {os.getpid()} on " in out
        assert "choose another output" in out
        with pytest.raises(SaveError, match="another run"), lock(tmp_path / "a"):
            pass
        with lock(tmp_path / "b"):
            pass
    assert names(tmp_path) == []
    with lock(tmp_path / "a"):
        pass


def test_the_lock_of_a_killed_run_is_taken_over(tmp_path):
    run_python(
        """
        import os, sys
        from xpnet.atomic import lock
        if os.fork() == 0:
            with lock(sys.argv[1]):
                os.kill(os.getpid(), 9)
        os.wait()
        """,
        tmp_path / "a",
    )
    assert names(tmp_path) == ["a.lock"]
    with lock(tmp_path / "a"):
        assert str(os.getpid()) in (tmp_path / "a.lock").read_text()
    assert names(tmp_path) == []


def test_errors_of_the_run_pass_through_the_lock_unchanged(tmp_path):
    with pytest.raises(OSError, match="own trouble") as caught, lock(tmp_path / "a"):
        raise OSError("own trouble")
    assert not isinstance(caught.value, SaveError)
    assert names(tmp_path) == []


def test_a_lock_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(SaveError, match="create the directory first"), lock(tmp_path / "no" / "a"):
        pass


def test_kill_9_in_a_tight_save_loop_loses_nothing(tmp_path):
    counts = kill_saves(20, tmp_path)
    assert counts["kills"] == 20
    assert counts["lost"] == counts["torn"] == counts["temporaries left"] == 0
