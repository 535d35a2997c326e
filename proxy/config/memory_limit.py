"""How much memory may the control group of this process use?"""

from __future__ import annotations

from pathlib import Path

_V2 = "memory.max"
_V1 = "memory/memory.limit_in_bytes"
_NO_LIMIT = 2**60
"""What version 1 writes for "none" is near 2^63."""


def memory_limit(root: Path = Path("/")) -> int | None:
    """Give the limit in bytes, the least of the group's and those above it; None where there is none."""
    top = root / "sys/fs/cgroup"
    limits = [_read(folder / _V2) for folder in _groups(root, top)] + [_read(top / _V1)]
    return min((limit for limit in limits if limit is not None and limit < _NO_LIMIT), default=None)


def _groups(root: Path, top: Path) -> list[Path]:
    """Give the folder of our group and of each above it, up to the one this process sees as the top."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    folders = [top]
    for line in lines:
        if line.startswith("0::"):
            for part in line.removeprefix("0::").strip("/").split("/"):
                folders.append(folders[-1] / part)
    return [folder for folder in folders if ".." not in folder.parts]


def _read(path: Path) -> int | None:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdigit() else None
