"""The snapshot store: a folder or bucket of any fsspec file system.

Its credentials come from the environment (for S3: AWS_ACCESS_KEY_ID and the like, AWS_ENDPOINT_URL
for what speaks S3 elsewhere). Large files go up in parts, several at a time.
"""

import contextlib
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec

from streams.config.private_files import make_folder, restrict_to_owner
from visualsearch import private
from visualsearch.errors import VisualSearchError
from visualsearch.snapshot import folder as local
from visualsearch.snapshot.errors import SnapshotError
from visualsearch.snapshot.manifest import NAME as MANIFEST
from visualsearch.snapshot.manifest import Manifest, decode_manifest, read_manifest

STRAY_S = 24 * 3600.0  # an upload is dead if it has no manifest after that time
Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""


class StoreError(VisualSearchError):
    """A failure of the store; `code` is `store_unreachable` or `store_foreign`."""

    code = "store_unreachable"


@contextlib.contextmanager
def _store_errors(what: str) -> Iterator[None]:
    """Turn whatever a file system raises into StoreError; its clients know no common error."""
    try:
        yield
    except VisualSearchError:
        raise
    except Exception as error:
        raise StoreError(f"{what}: {type(error).__name__}: {error}") from error


class SnapshotStore:
    """A folder of snapshots at an fsspec URL. Whatever fails raises StoreError."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        with _store_errors(url):
            try:
                self._fs, self._root = fsspec.core.url_to_fs(self.url)
            except ImportError as error:
                text = f"{url} needs a package: {error} (extra `s3` for s3://)"
                raise StoreError(text, code="store_foreign") from None

    def listed(self) -> list[str]:
        """Return the names of the complete snapshots, newest first."""
        with _store_errors(f"{self.url} cannot be listed"):
            self._fs.invalidate_cache()
            found = self._fs.glob(f"{self._root}/{local.PREFIX}*/{MANIFEST}")
        return sorted((Path(path).parent.name for path in found), reverse=True)

    def manifest(self, name: str) -> Manifest:
        """Return a snapshot's manifest. Raises SnapshotError too, for one that is damaged."""
        with _store_errors(f"{self.url}/{name}"):
            try:
                data: bytes = self._fs.cat_file(self._path(name, MANIFEST))
            except FileNotFoundError:
                text = f"{name} has no {MANIFEST} in the store"
                raise SnapshotError(text, code="file_missing") from None
        return decode_manifest(data)

    def upload(self, snapshot: Path, progress: Progress = lambda _, __: None) -> bool:
        """Copy a local snapshot; return False if the store has it already.

        The manifest goes last: a snapshot without one is not listed.
        """
        manifest = read_manifest(snapshot)
        if snapshot.name in self.listed():
            return False
        done = 0
        with _store_errors(f"{snapshot.name} cannot be uploaded to {self.url}"):
            make_folder(self._fs, f"{self._root}/{snapshot.name}")
            for name, file in manifest.files.items():
                self._put(snapshot / name, snapshot.name)
                done += file.bytes
                progress(done, manifest.bytes)
            self._put(snapshot / MANIFEST, snapshot.name)
        return True

    def download(self, name: str, folder: Path, progress: Progress = lambda _, __: None) -> Path:
        """Copy a snapshot into a local folder, where it appears whole; return its path.

        A damaged local one of this name is replaced. Raises SnapshotError if it is incomplete,
        OSError if the disk is full.
        """
        manifest = self.manifest(name)
        private.make_folder(folder)
        partial = folder / f"{local.WRITING}{name}.{uuid.uuid4().hex[:8]}"
        private.make_folder(partial)
        try:
            with local.locked(partial):  # or another process would clean it away
                self._get_all(manifest, name, partial, progress)
                target = folder / name
                if target.exists():
                    local.remove(target)
                partial.rename(target)
                local.sync(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return target

    def prune(self, *, keep: int, max_age_s: float | None, now: float) -> list[str]:
        """Remove old snapshots and all but the newest `keep`; return their names.

        The newest one always stays. Leftovers of a dead upload are removed after a day.
        """
        names = self.listed()
        oldest = None if max_age_s is None else local.snapshot_name(now - max_age_s)
        gone = [
            name
            for number, name in enumerate(names)
            if number and (number >= keep or (oldest is not None and name < oldest))
        ]
        for name in [*gone, *self._abandoned_uploads(names, now)]:
            self._remove(name)
        return gone

    def _abandoned_uploads(self, complete: list[str], now: float) -> list[str]:
        with _store_errors(f"{self.url} cannot be listed"):
            paths = self._fs.ls(self._root, detail=False) if self._fs.exists(self._root) else []
        names = {Path(path).name for path in paths}
        latest = local.snapshot_name(now - STRAY_S)
        return [n for n in names - set(complete) if n.startswith(local.PREFIX) and n < latest]

    def _remove(self, name: str) -> None:
        """Remove a snapshot, its manifest first: from then on it is not listed."""
        with _store_errors(f"{self.url}/{name} cannot be removed"):
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(self._path(name, MANIFEST))
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm(f"{self._root}/{name}", recursive=True)

    def _put(self, file: Path, name: str) -> None:
        path = self._path(name, file.name)
        self._fs.put_file(str(file), path)
        restrict_to_owner(self._fs, path)

    def _get_all(self, manifest: Manifest, name: str, target: Path, progress: Progress) -> None:
        done = 0
        for file, entry in (*manifest.files.items(), (MANIFEST, None)):
            path = target / file
            self._get(self._path(name, file), path)
            private.restrict_to_owner(path)
            local.sync(path)
            if entry is not None:
                done += entry.bytes
                progress(done, manifest.bytes)

    def _get(self, remote: str, path: Path) -> None:
        with _store_errors(f"{self.url} cannot be read"):
            try:
                self._fs.get_file(remote, str(path))
            except FileNotFoundError:
                text = f"{path.name} is missing in the store"
                raise SnapshotError(text, code="file_missing") from None

    def _path(self, name: str, file: str) -> str:
        return f"{self._root}/{name}/{file}"
