"""Why a snapshot cannot be written or used."""

from visualsearch.errors import VisualSearchError


class SnapshotError(VisualSearchError):
    """A snapshot that cannot be written or used; `code` says why.

    `format_newer`, `file_missing`, `checksum_wrong`, `model_foreign`, `unreadable` are of one that
    is there; `exists`, `disk_full`, `unwritable` of one that was to be written.
    """

    code = "unreadable"
