"""PostgreSQL refuses to run as root: another user, and places this user can reach."""

import hashlib
import logging
import os
import pwd
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

logger = logging.getLogger(__name__)

USER_NAME = "nobody"
ORIGINAL_NAME = "stands-in-for"
FALLBACK_ROOT = Path("/var/tmp")  # noqa: S108 - ownership and mode are checked before use


class UnsafeFolderError(RuntimeError):
    """A shared folder that should be ours belongs to somebody else."""


def unprivileged_user() -> tuple[int, int] | None:
    """Return uid and gid to run a server under, or None when we are not root and keep our own.

    Raises:
        KeyError: we are root and the machine has no such user.
    """
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(USER_NAME)
    return entry.pw_uid, entry.pw_gid


def reachable_folder(wanted: Path, user: tuple[int, int] | None) -> Path:
    """Return `wanted` if the user can enter it, otherwise a folder of our own outside of it.

    The other folder is the same every time for the same `wanted`, and is removed by `forget_folder`.

    Raises:
        UnsafeFolderError: the folder outside exists and belongs to somebody else.
    """
    if user is None or can_enter(wanted, user):
        return wanted
    fallback = _make_stand_in(wanted)
    logger.warning("%s cannot be entered by uid %d; using %s instead", wanted, user[0], fallback)
    return fallback


def forget_folder(wanted: Path) -> None:
    """Remove `wanted` and the folder that stood in for it."""
    shutil.rmtree(wanted, ignore_errors=True)
    shutil.rmtree(_fallback_for(wanted), ignore_errors=True)


def can_enter(folder: Path, user: tuple[int, int]) -> bool:
    """Tell whether the user may traverse every folder down to and including this one, as far as it exists."""
    user_id, group_id = user
    resolved = folder.resolve()
    for place in (resolved, *resolved.parents):
        try:
            status = place.stat()
        except FileNotFoundError:
            continue
        if status.st_uid == user_id:
            needed = stat.S_IXUSR
        elif status.st_gid == group_id:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not status.st_mode & needed:
            return False
    return True


def reachable_copy(base: Path, parts: Sequence[str], user: tuple[int, int] | None) -> Path:
    """Return a folder from which the user can execute programs: the given one, or a copy where it cannot.

    Args:
        base: the folder the programs find each other from.
        parts: folders below it that are needed.
        user: uid and gid, None for our own.

    Raises:
        UnsafeFolderError: the place for the copy belongs to somebody else.
    """
    if user is None or can_enter(base, user):
        return base
    fallback = _make_stand_in(base)
    copy = fallback / "copy"
    if not copy.exists():
        unfinished = fallback / f"unfinished-{os.getpid()}"
        for part in parts:
            shutil.copytree(base / part, unfinished / part, symlinks=True)
        try:
            unfinished.rename(copy)
        except OSError:  # another process was faster
            shutil.rmtree(unfinished)
        logger.warning("%s cannot be entered by uid %d; programs copied to %s", base, user[0], copy)
    return copy


def _fallback_for(wanted: Path) -> Path:
    digest = hashlib.sha256(str(wanted.resolve()).encode()).hexdigest()[:16]
    return FALLBACK_ROOT / f"snowrail-{os.geteuid()}-{digest}"


def _make_stand_in(wanted: Path) -> Path:
    folder = _fallback_for(wanted)
    folder.mkdir(mode=0o711, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise UnsafeFolderError(f"{folder} belongs to uid {status.st_uid}; remove it and start again")
    folder.chmod(0o711)
    (folder / ORIGINAL_NAME).write_text(str(wanted.resolve()))
    _remove_abandoned()
    return folder


def _remove_abandoned() -> None:
    """Remove what stands in for folders that are gone, such as those of tests, unless a server may run."""
    for folder in FALLBACK_ROOT.glob(f"snowrail-{os.geteuid()}-*"):
        try:
            original = Path((folder / ORIGINAL_NAME).read_text())
        except OSError:
            continue
        if not original.exists() and not (folder / "data" / "postmaster.pid").exists():
            shutil.rmtree(folder, ignore_errors=True)
