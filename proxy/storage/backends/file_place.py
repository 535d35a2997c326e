"""Is a directory safe to keep a cache in, and how are private directories and files made?"""

from __future__ import annotations

import os
import stat


def unsafe(location: str) -> str | None:
    """Say in one line what is wrong with this LOCATION, or None; it need not be there yet.

    Whoever may write there, or exchange a directory above it, could put pages into the site.
    """
    if not os.path.isabs(location):
        return f"LOCATION: expected an absolute path, found {location!r}"
    place = os.path.realpath(location)
    return _unsafe_itself(place) or _unsafe_above(place)


def make_private_directories(path: str) -> None:
    """Make the directory and what is missing above it, readable for nobody else whatever the umask."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for directory in reversed(missing):
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            continue
        os.chmod(directory, 0o700)


def open_new(path: str) -> int:
    """Open a file that is not there yet, readable for nobody else whatever the umask."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def open_lock(path: str) -> int:
    """Open a file that serves as a lock; it is made, with its directory, where it is missing."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        make_private_directories(os.path.dirname(path))
        descriptor = os.open(path, flags | os.O_CREAT, 0o600)
        os.fchmod(descriptor, 0o600)
        return descriptor


def _unsafe_itself(place: str) -> str | None:
    status = _status(place)
    if status is None:
        return None
    if not stat.S_ISDIR(status.st_mode):
        return f"LOCATION: expected a directory, found another file at {place!r}"
    if status.st_uid != os.geteuid():
        return f"LOCATION: expected a directory of user {os.geteuid()}, found one of user {status.st_uid}: {place!r}"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"LOCATION: expected a directory that only its owner can write, found {place!r}; run: chmod go-w"
    return None


def _unsafe_above(place: str) -> str | None:
    while place != (above := os.path.dirname(place)):
        place = above
        status = _status(place)
        if status is None:
            continue
        if not stat.S_ISDIR(status.st_mode):
            return f"LOCATION: expected a directory, found another file at {place!r}"
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            return (
                f"LOCATION: expected a path that nobody else can exchange, found {place!r}, which everybody can write"
            )
    return None


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
