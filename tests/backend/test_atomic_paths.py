import os
from pathlib import Path

import pytest
from atomic_writes import NEW, OLD, names, run_python, write

from xpnet.backend.files import probe_writable
from xpnet.errors import SaveError


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
        from xpnet.backend.files import atomic_write, probe_writable
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
