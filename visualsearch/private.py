"""Folders and files that only their owner may read, whatever the umask of the process.

On a mount without permissions, such as vfat and some FUSE mounts, its mount options decide.
"""

import errno
import logging
from pathlib import Path

log = logging.getLogger(__name__)
FOLDER, FILE = 0o700, 0o600
_REFUSED = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_warned: set[int] = set()  # devices


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, mode 0700. An existing folder keeps its mode.

    Raises OSError.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(FOLDER)
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        _restrict(folder, FOLDER)  # the umask may have removed bits of the mode


def restrict_to_owner(file: Path) -> None:
    """Set a file's mode to 0600. Raises OSError."""
    _restrict(file, FILE)


def _restrict(path: Path, mode: int) -> None:
    """Set a mode; log a warning if the mount has no permissions. Raises OSError."""
    try:
        path.chmod(mode)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        _warn_once(path, error)


def _warn_once(path: Path, error: OSError) -> None:
    """Log a warning for the first file of a mount only."""
    if (device := path.stat().st_dev) not in _warned:
        _warned.add(device)
        log.warning("%s: its mount refuses permissions, so others may read it: %s", path, error)
