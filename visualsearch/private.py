"""Folders and files that only their owner may read, whatever the umask of the process."""

from pathlib import Path

FOLDER, FILE = 0o700, 0o600


def make_folder(folder: Path) -> None:
    """Make a folder, and its parents where missing. One that is there keeps its mode.

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
        folder.chmod(FOLDER)  # the umask may have taken some of it


def hide(file: Path) -> None:
    """Let only the owner read and write a file. Raises OSError."""
    file.chmod(FILE)
