"""The one way xpnet writes a file: after any crash, either the old or the new version is intact.

The order is write, fsync, rename, fsync of the directory (Pillai et al., "All File Systems Are Not
Created Equal", OSDI 2014). A temporary file is locked while its writer lives, and the kernel drops
the lock of a dead process, so strays can be told from live ones even across containers.
Where a file system or platform has no ``flock``, strays stay and `lock` cannot refuse.
"""

import errno
import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from xpnet.errors import FileError, SaveError

if sys.platform != "win32":
    import fcntl

# What Windows lacks is 0 there; O_BINARY is what only Windows has.
_OPEN = os.O_RDWR | sum(getattr(os, f, 0) for f in ("O_CLOEXEC", "O_NOFOLLOW", "O_BINARY"))

_REMEDIES = {
    errno.ENOSPC: "free some space or choose another directory",
    errno.EDQUOT: "free some of your quota or choose another directory",
    errno.EFBIG: "raise the file size limit (ulimit -f) or choose another file system",
    errno.EACCES: "choose a place that you may write to",
    errno.EPERM: "choose a place that you may write to",
    errno.EROFS: "choose a place that is not mounted read-only",
    errno.ENOENT: "create the directory first or correct the path",
    errno.ENOTDIR: "correct the path: one of its parts is a file",
    errno.EISDIR: "name a file inside that directory",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "correct the symbolic link: it points at itself",
    errno.EMFILE: "close other files or raise the limit on open files (ulimit -n)",
}


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `path` when the block ends well, and vanishes otherwise.

    A symbolic link is followed; an existing file keeps its mode, a new one gets what the umask
    leaves of 0666.

    Raises
    ------
    SaveError
        On any `OSError`, including one raised inside the block. The previous file is then intact
        (unless only the last flush of the directory failed, in which case the message says so).
    """
    with _as_save_error(path):
        target = _resolve(path)
        directory = target.parent
        _remove_strays(directory)
        with _temporary(directory) as (file, name):
            _copy_mode(target, file)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if sys.platform == "win32":
                file.close()  # Windows renames no open file
            # Still open, hence still locked: nobody takes it for a stray before it has its name.
            os.replace(name, target)
    with _as_save_error(path, "it is written, but might not survive a power failure"):
        _sync_directory(directory)


def probe_writable(path: str | os.PathLike[str], bytes_needed: int = 0) -> None:
    """Check that `path` could be written now, before hours are spent on what goes there.

    Nothing is left behind; the space is requested from the file system itself, which knows quotas.

    Raises
    ------
    SaveError
        If the directory is missing, not writable or too full, or `path` is not an ordinary file.
    """
    with _as_save_error(path, bytes_needed=bytes_needed):
        target = _resolve(path)
        _remove_strays(target.parent)
        with _temporary(target.parent) as (file, _name):
            _reserve(target.parent, file, bytes_needed)


@contextmanager
def lock(path: str | os.PathLike[str]) -> Iterator[None]:
    """Hold `path` for this run: a second run on the same output is refused at once.

    The lock is the file `path` + ".lock", removed at the end; one left by a dead process is
    taken over.

    Raises
    ------
    SaveError
        If another run holds it (the message says which), or the lock cannot be written.
    """
    with _as_save_error(path):
        target = Path(os.path.realpath(path))
        name = target.with_name(target.name + ".lock")
        descriptor = _open_locked(name, os.O_CREAT)
        if descriptor is None:
            raise SaveError(_held_message(path, name))
    try:
        with _as_save_error(path):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode())
        yield
    finally:
        with suppress(OSError):  # the work is done; a lock that stays is taken over anyway
            os.unlink(name)
        os.close(descriptor)


def require_ordinary(path: str | os.PathLike[str]) -> None:
    """Refuse what is not a file, before it is opened: a pipe would wait for ever.

    Raises
    ------
    FileError
        If it is a directory, a device or a pipe.
    OSError
        If there is nothing of this name.
    """
    name, mode = os.fspath(path), os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise FileError(f"{name}: this is a directory; name the file inside it.")
    if not stat.S_ISREG(mode):
        raise FileError(f"{name}: this is a device or pipe; name an ordinary file.")


def quoted(value: object) -> str:
    """Show a value found in a file, in at most 80 printable ASCII characters."""
    text = ascii(value) if not isinstance(value, list | dict) else ascii(value)[:200]
    return text if len(text) <= 80 else text[:77] + "..."


@contextmanager
def _as_save_error(
    path: str | os.PathLike[str], state: str = "", bytes_needed: int = 0
) -> Iterator[None]:
    try:
        yield
    except SaveError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            reason += _space(path, bytes_needed)
        remedy = _REMEDIES.get(error.errno or 0, "check the disk, or choose another place")
        state = state or "what was there before is unchanged"
        raise SaveError(f"{os.fspath(path)}: cannot save: {reason}; {state}; {remedy}.") from error


def _space(path: str | os.PathLike[str], bytes_needed: int) -> str:
    needed = f"{bytes_needed:,} bytes needed, " if bytes_needed else ""
    try:
        free = shutil.disk_usage(os.path.dirname(os.path.realpath(path))).free
    except OSError:
        return ""
    return f" ({needed}{free:,} bytes free)"


def _resolve(path: str | os.PathLike[str]) -> Path:
    """Return the file that `path` means, following symbolic links; raise OSError if unusable."""
    if "\0" in os.fspath(path) or not os.fspath(path):
        raise SaveError(
            f"{os.fspath(path)!r}: cannot save: this is not a file name; correct the path."
        )
    target = Path(os.path.realpath(path))
    try:
        status = target.stat()
    except FileNotFoundError:
        return target
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        # Renaming over /dev/null would, for root, remove the device.
        raise SaveError(
            f"{os.fspath(path)}: cannot save: this is a device or pipe, which cannot be replaced"
            " in one step; name an ordinary file."
        )
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is write-protected")
    return target


@contextmanager
def _temporary(directory: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Create a locked temporary file in `directory`; remove it unless it was renamed."""
    descriptor = None
    while descriptor is None:  # again only where a cleaner was faster than the lock
        # Short, and without the target's name, which may already have the greatest length.
        name = directory / f".xpnet-{os.getpid()}-{os.urandom(4).hex()}.tmp"
        descriptor = _open_locked(name, os.O_CREAT | os.O_EXCL)
    file = os.fdopen(descriptor, "wb")
    try:
        yield file, name
    finally:
        with suppress(OSError):  # a failed flush was reported already
            file.close()
        with suppress(OSError):  # the rename took it; or else the next write removes it
            os.unlink(name)


def _open_locked(name: Path, flags: int) -> int | None:
    """Open and lock `name`; None where another process holds it."""
    while True:
        descriptor = os.open(name, _OPEN | flags, 0o666)
        try:
            if _try_lock(descriptor) is False:
                os.close(descriptor)
                return None
            if _is_at(descriptor, name):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # it was removed between opening and locking


def _try_lock(descriptor: int) -> bool | None:
    """Lock an open file: True if done, False if another holds it, None if there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(descriptor: int, name: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(name))
    except FileNotFoundError:
        return False


def _remove_strays(directory: Path) -> None:
    """Remove temporary files whose writer is dead: those whose lock can be had."""
    for name in directory.glob(".xpnet-*.tmp"):
        with suppress(OSError):  # another's file, or gone meanwhile: the write itself decides
            descriptor = os.open(name, _OPEN)
            try:
                if _try_lock(descriptor):
                    os.unlink(name)
            finally:
                os.close(descriptor)


def _copy_mode(target: Path, file: BinaryIO) -> None:
    if sys.platform == "win32" or not target.exists():
        return
    status = target.stat()
    with suppress(PermissionError):  # only root may give files away
        os.fchown(file.fileno(), status.st_uid, status.st_gid)
    os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))


def _reserve(directory: Path, file: BinaryIO, bytes_needed: int) -> None:
    """Raise OSError if `bytes_needed` do not fit: free space, quota or file size limit."""
    if shutil.disk_usage(directory).free < bytes_needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if sys.platform == "linux" and bytes_needed > 0:
        try:
            os.posix_fallocate(file.fileno(), 0, bytes_needed)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # it cannot tell
                raise


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


def _held_message(path: str | os.PathLike[str], name: Path) -> str:
    try:
        holder = name.read_text(encoding="utf-8", errors="replace").strip()[:100]
    except OSError:
        holder = ""
    return (
        f"{os.fspath(path)}: another run is writing here ({holder or 'unknown process'});"
        " wait for it, stop it, or choose another output."
    )
