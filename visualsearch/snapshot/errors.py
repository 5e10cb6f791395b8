"""Why a snapshot cannot be written or used."""

from visualsearch.errors import VisualSearchError


class SnapshotError(VisualSearchError):
    """A snapshot that cannot be written or used; `code` says why.

    Reading raises `format_newer`, `file_missing`, `checksum_wrong`, `model_foreign` and
    `unreadable`. Writing raises `exists`, `disk_full` and `unwritable`.
    """

    code = "unreadable"
