"""Private folders and files on any fsspec file system.

On a disk of this host only their owner may read them, whatever the umask, if its mount has
permissions. In a bucket its own policy decides.
"""

from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from visualsearch import private


def make_folder(fs: Any, path: str) -> None:
    """Make a folder that is missing. Raises what the file system raises."""
    if isinstance(fs, LocalFileSystem):
        private.make_folder(Path(path))
    else:
        fs.makedirs(path, exist_ok=True)


def restrict_to_owner(fs: Any, path: str) -> None:
    """Let only the owner read a file. Raises OSError."""
    if isinstance(fs, LocalFileSystem):
        private.restrict_to_owner(Path(path))
