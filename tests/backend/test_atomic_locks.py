import os

import pytest
from atomic_writes import NEW, names, run_python, write

from xpnet.backend import files as atomic
from xpnet.backend.files import atomic_write, lock, probe_writable
from xpnet.errors import SaveError


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


def test_a_second_run_on_the_same_output_is_refused(tmp_path):
    with lock(tmp_path / "a"):
        out = run_python(
            """
            import sys
            from xpnet.backend.files import lock
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
        from xpnet.backend.files import lock
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
