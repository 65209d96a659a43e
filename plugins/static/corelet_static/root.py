"""The root of static files: a directory that nothing below it leads out of.

A path is taken apart before it is decoded, once, into the names of its segments. A name is refused that could be more
than a name: ``..``, one with a slash, a backslash or a NUL in it. The rest is walked from directory to directory, each
opened relative to the one before and without following a symbolic link, so that nothing can be swapped in between.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

from .opened_file import OPEN_FLAGS, OpenedFile, open_file

_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
#: A directory is walked through without being read: O_PATH asks for no right to do so.
_DIRECTORY_FLAGS: Final = (
    getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
)
_CAN_WALK: Final = os.open in os.supports_dir_fd and bool(_NO_FOLLOW)
#: Signs that separate directories, drives or streams somewhere.
_SEPARATORS: Final = "/\\\0" if os.name == "posix" else "/\\\0:"
#: Entries of a listing.
MAX_ENTRIES: Final = 10_000


class Entry:
    """An entry of a directory.

    Args:
        name: as the system has it.
        is_directory: whether it is one.
    """

    __slots__ = ("is_directory", "name")

    def __init__(self, name: str, is_directory: bool) -> None:
        self.name = name
        self.is_directory = is_directory


def split_path(tail: str) -> list[str] | None:
    """Take the part of a path behind the prefix apart into names.

    Args:
        tail: percent-encoded, without the slash at its front; "" for the root.

    Returns:
        The names; an empty last one where the path ends by a slash. None where a segment is no name.
    """
    names = [os.fsdecode(unquote_to_bytes(segment)) for segment in tail.split("/")]
    if any(name in (".", "..") or any(sign in name for sign in _SEPARATORS) for name in names):
        return None
    # Between two slashes is no name; and a path can't begin by one.
    return None if "" in names[:-1] else names


class Root:
    """A directory whose files can be opened by names from below it.

    Args:
        directory: has to exist.
        follow_symlinks: follow symbolic links, wherever they lead.

    Raises:
        ValueError: there is no such directory.
    """

    def __init__(self, directory: str | os.PathLike[str], *, follow_symlinks: bool = False) -> None:
        try:
            self.path = Path(directory).expanduser().resolve(strict=True)
        except OSError as exc:
            raise ValueError(
                f"{os.fspath(directory)!r} is no directory that static files can come from: {exc}"
            ) from exc
        if not self.path.is_dir():
            raise ValueError(f"{os.fspath(directory)!r} is no directory that static files can come from")
        self._follows = follow_symlinks

    def open_file(self, names: Sequence[str], accept: str, *, reads_small: bool) -> OpenedFile:
        """Open a file, or a precompressed sibling; waits for the disk.

        Args:
            names: from the root, as :func:`split_path` gives them.
            accept: the value of Accept-Encoding.
            reads_small: read it, if it is small.

        Raises:
            NotRegularError: it is no plain file.
            OSError: it can't be opened; one that a link leads to is not there.
        """
        *directories, name = names
        if not directories and name and _NO_FOLLOW and not self._follows:
            # Right below the root no directory can be swapped.
            return open_file(_Place(self, name, self.path), name, accept, reads_small=reads_small)
        parent = self._enter(directories)
        try:
            if not name:
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            return open_file(_Place(self, name, parent), name, accept, reads_small=reads_small)
        finally:
            os.close(parent) if isinstance(parent, int) else None

    def list_directory(self, names: Sequence[str]) -> list[Entry]:
        """List a directory, by names; at most ``MAX_ENTRIES``, and nothing that couldn't be opened from there.

        Raises:
            OSError: it is none, or can't be read.
        """
        parent = self._enter([name for name in names if name])
        entries: list[Entry] = []
        try:
            readable = parent if isinstance(parent, Path) else os.open(".", os.O_RDONLY, dir_fd=parent)
            try:
                with os.scandir(readable) as found:
                    for each in found:
                        if len(entries) == MAX_ENTRIES:
                            break
                        entry = self._look_at(each)
                        if entry is not None:
                            entries.append(entry)
            finally:
                os.close(readable) if isinstance(readable, int) else None
        finally:
            os.close(parent) if isinstance(parent, int) else None
        return sorted(entries, key=lambda entry: (not entry.is_directory, entry.name))

    def _look_at(self, entry: os.DirEntry[str]) -> Entry | None:
        try:
            mode = entry.stat(follow_symlinks=self._follows).st_mode
        except OSError:  # gone, or a link to nowhere
            return None
        if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
            return Entry(entry.name, stat.S_ISDIR(mode))
        return None

    def _enter(self, names: Sequence[str]) -> int | Path:
        """Go to a directory: a descriptor to close, or where nothing has to be watched its path."""
        if self._follows or not _CAN_WALK:
            return self._enter_by_path(names)
        current = os.open(self.path, _DIRECTORY_FLAGS)
        for name in names:
            try:
                following = os.open(name, _DIRECTORY_FLAGS | _NO_FOLLOW, dir_fd=current)
            finally:
                os.close(current)
            current = following
        return current

    def _enter_by_path(self, names: Sequence[str]) -> Path:
        path = self.path.joinpath(*names)
        if not self._follows and path.resolve() != path:
            _refuse_link()
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return path

    def open_below(self, name: str, parent: int | Path) -> int:
        """Open what has a name in a directory that was entered; a descriptor."""
        if isinstance(parent, int):
            return os.open(name, OPEN_FLAGS | _NO_FOLLOW, dir_fd=parent)
        path = f"{parent}{os.sep}{name}"
        if self._follows:
            return os.open(path, OPEN_FLAGS)
        if not _NO_FOLLOW and os.path.islink(path):
            _refuse_link()
        return os.open(path, OPEN_FLAGS | _NO_FOLLOW)


class _Place:
    """A name in a directory that was entered."""

    __slots__ = ("_name", "_parent", "_root")

    def __init__(self, root: Root, name: str, parent: int | Path) -> None:
        self._root = root
        self._name = name
        self._parent = parent

    def open(self, suffix: str) -> int:
        return self._root.open_below(self._name + suffix, self._parent)

    def has(self, suffix: str) -> bool:
        if isinstance(self._parent, int):
            return os.access(self._name + suffix, os.F_OK, dir_fd=self._parent)
        return os.access(f"{self._parent}{os.sep}{self._name}{suffix}", os.F_OK)


def _refuse_link() -> NoReturn:
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
