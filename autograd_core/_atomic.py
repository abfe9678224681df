"""Writing a file so that readers see all of it or none of it, also after a crash."""

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def write_atomically(path: str | os.PathLike[str], parts: Iterable[Any]) -> None:
    """Write the bytes-like `parts` to `path`, by way of a new file beside it that is flushed to disk and renamed.

    On any failure the old file stays as it was and the new one is removed. What a killed process left behind, the
    next write to the same path removes. Raises OSError.
    """
    target = Path(os.path.realpath(path))  # a symbolic link stays one
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {target}: the folder {target.parent} does not exist; make it first")
    if target.is_dir():
        raise IsADirectoryError(f"cannot write {target}: it is a folder; pass the name of a file")
    if target.exists() and not target.is_file():
        raise OSError(f"cannot write {target}: it is not a regular file, and would be replaced by one")
    _remove_leftovers(target)
    file = _create_beside(target)
    try:
        for part in parts:
            file.write(part)
        file.flush()
        _flush_to_disk(file.fileno())
        if fcntl is None:
            file.close()  # Windows renames no open file; elsewhere the lock is held until the file has its name
        os.replace(file.name, target)
    except BaseException:
        with suppress(OSError):
            file.close()
        with suppress(OSError):
            os.unlink(file.name)
        raise
    file.close()
    _flush_folder(target.parent)


def _create_beside(target: Path) -> IO[bytes]:
    """A new file, locked for as long as it is open: a lock no one holds marks a leftover."""
    while True:
        try:
            file = open(target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp"), "xb")
        except OSError as error:
            raise type(error)(error.errno, f"cannot write a file beside it ({error.strerror})", str(target)) from None
        if fcntl is None or _lock(file) and os.fstat(file.fileno()).st_nlink:
            return file
        # Another writer took it for a leftover, in the moment before it was locked.
        file.close()
        with suppress(OSError):
            os.unlink(file.name)


def _lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # not every file system has locks; leftovers then stay
        pass
    return True


def _remove_leftovers(target: Path) -> None:
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if not (entry.name.startswith(f".{target.name}.") and entry.name.endswith(".tmp")):
                continue
            with suppress(OSError):
                if fcntl is None:
                    os.unlink(entry.path)  # refused while a writer has it open
                    continue
                with open(entry.path, "rb+") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(entry.path)


def _flush_to_disk(descriptor: int) -> None:
    os.fsync(descriptor)
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync alone leaves data in the drive's cache
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)


def _flush_folder(folder: Path) -> None:
    """Make the renaming itself last, where folders can be flushed (not on Windows)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
