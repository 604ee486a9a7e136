"""Files: written in one atomic step, locked against a second run, checked before they are read.

After any crash either the old or the new version is intact: write, fsync, rename, fsync of the
directory (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014).
"""

import errno
import hashlib
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from xpnet.errors import FileError, SaveError

MEGABYTE = 1 << 20
STRAY_SECONDS = 3600.0  # no save takes so long: a temporary file of this age has lost its writer
_REMEDIES = {
    errno.ENOSPC: "free some space or choose another directory",
    errno.EACCES: "choose a place that you may write to",
    errno.EPERM: "choose a place that you may write to",
    errno.ENOENT: "create the directory first or correct the path",
    errno.ENOTDIR: "correct the path: one of its parts is a file",
}

quietly: Callable[[], AbstractContextManager[None]] = nullcontext
"""Around other libraries' reading: a command hides what they print beside their errors."""


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `path` if the block succeeds, and is removed otherwise.

    A symbolic link is followed; an existing file keeps its mode. A process killed while it writes
    leaves ``.xpnet-*.tmp``, which a later save in that directory removes after an hour. Any
    `OSError`, also one of the block, becomes a `SaveError`, and the previous file is intact, unless
    the message says that only the last flush of the directory failed.
    """
    with saving_to(path):
        target = _resolve(path)
        with _temporary(target.parent) as file:
            if target.exists():
                os.chmod(file.name, stat.S_IMODE(target.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
            file.close()  # Windows renames no open file
            os.replace(file.name, target)
    with saving_to(path, "it is written, but might not survive a power failure"):
        _sync_directory(target.parent)


def probe_writable(path: str | os.PathLike[str], bytes_needed: int = 0) -> None:
    """Raise `SaveError` if `path` cannot be written, before hours are spent on its content."""
    with saving_to(path):
        target = _resolve(path)
        free = shutil.disk_usage(target.parent).free
        with _temporary(target.parent):
            if free < bytes_needed:
                found = f"{bytes_needed:,} bytes needed, {free:,} bytes free"
                raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({found})")


@contextmanager
def lock(path: str | os.PathLike[str]) -> Iterator[None]:
    """Lock `path` for this run: a second run on the same output is refused at once.

    The lock is the file `path` + ".lock", which is removed at the end; one left by a dead process
    is taken over. On file systems without locks a second run can begin. Raises `SaveError` if
    another run holds the lock, or it cannot be written.
    """
    from filelock import FileLock, Timeout

    target = Path(os.path.realpath(path))
    name = target.with_name(target.name + ".lock")
    with saving_to(path):
        os.stat(target.parent)  # which the library would make
        held = FileLock(name, timeout=0, fallback_to_soft=False)
        try:
            held.acquire()
        except Timeout as error:
            raise SaveError(
                f"{os.fspath(path)}: another run is writing here; wait for it, stop it, or choose"
                " another output."
            ) from error
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                raise
    try:
        yield
    finally:
        with suppress(OSError):  # while it is held: whoever opened it meanwhile notices
            name.unlink()
        held.release()


def require_ordinary(path: str | os.PathLike[str]) -> None:
    """Refuse a directory, device or pipe, before it is opened: a pipe would wait for ever.

    Raises `OSError` if there is nothing of this name.
    """
    name, mode = os.fspath(path), os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise FileError(f"{name}: this is a directory; name the file inside it.")
    if not stat.S_ISREG(mode):
        raise FileError(f"{name}: this is a device or pipe; name an ordinary file.")


def fingerprint(path: str | os.PathLike[str]) -> str:
    """Return a SHA-256 over a file's size and its first and last megabyte; "" if it is no file."""
    if not os.path.isfile(path):  # standard input, or a folder
        return ""
    size = os.path.getsize(path)
    sha256 = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        sha256.update(file.read(MEGABYTE))
        file.seek(max(0, size - MEGABYTE))
        sha256.update(file.read(MEGABYTE))
    return sha256.hexdigest()


@contextmanager
def saving_to(
    path: str | os.PathLike[str], state: str = "what was there before is unchanged"
) -> Iterator[None]:
    """Turn an `OSError` of the block into a `SaveError` with the path, the reason and a remedy."""
    try:
        yield
    except SaveError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0, "check path and disk, or choose another place")
        raise SaveError(f"{os.fspath(path)}: cannot save: {reason}; {state}; {remedy}.") from error


def _resolve(path: str | os.PathLike[str]) -> Path:
    """Return the file behind symbolic links; raise OSError if it cannot be written."""
    if "\0" in os.fspath(path):
        raise SaveError(f"{os.fspath(path)!r}: cannot save: not a file name; correct the path.")
    target = Path(os.path.realpath(path))
    try:
        require_ordinary(target)  # renaming over /dev/null would, for root, remove the device
    except FileNotFoundError:
        return target
    except FileError as error:
        raise SaveError(str(error)) from error
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is write-protected")
    return target


@contextmanager
def _temporary(directory: Path) -> Iterator[BinaryIO]:
    """Create a temporary file in `directory`; remove it unless it was renamed."""
    for stray in directory.glob(".xpnet-*.tmp"):
        with suppress(OSError):  # another's file, or gone meanwhile: the write itself decides
            if time.time() - stray.stat().st_mtime > STRAY_SECONDS:
                stray.unlink()
    # Short, and without the target's name, which may already have the greatest length.
    name = directory / f".xpnet-{os.urandom(8).hex()}.tmp"
    try:
        with open(name, "xb") as file:
            yield file
    finally:
        with suppress(OSError):
            name.unlink()


def _sync_directory(directory: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems know no such flush
            raise
    finally:
        os.close(descriptor)
