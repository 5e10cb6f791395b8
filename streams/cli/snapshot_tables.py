"""Tables of snapshots."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from streams.snapshots.download import DownloadedSnapshot
    from streams.snapshots.inventory import SnapshotEntry


def print_snapshots(rows: Sequence["SnapshotEntry"], folder: str, store: str | None) -> None:
    """Print a row per snapshot, then the folder and the store."""
    console = Console(highlight=False)
    table = Table(box=None, header_style="dim")
    for name in ("snapshot", "where", "index"):
        table.add_column(name, no_wrap=True)
    for name in ("products", "vectors", "MB"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("offsets", overflow="fold")
    for row in rows:
        if (manifest := row.manifest) is None:
            table.add_row(row.name, row.where, f"[red]{row.error}[/]")
            continue
        offsets = ", ".join(str(at["offset"]) for at in manifest.source["positions"])
        numbers = (manifest.products, manifest.rows, round(manifest.bytes / 1e6))
        table.add_row(row.name, row.where, manifest.index, *(f"{n:,}" for n in numbers), offsets)
    if rows:
        console.print(table)
    where = f"{folder}, and {store}" if store else f"{folder}; no store is set"
    console.print(f"{len(rows)} snapshots in {where}", style="dim", soft_wrap=True)


def print_verified(summary: Mapping[str, Any]) -> None:
    """Print the result of `snapshot verify`."""
    console = Console(highlight=False)
    recalls = ", ".join(f"{share:.3f} of {k}" for k, share in summary["recall"].items())
    restored_s = sum(summary["restore_seconds"].values())
    searched = f"{summary['queries']} queries of {summary['search_ms']:.1f} ms"
    for line in (
        f"{summary['path']}: intact, {summary['bytes']:,} bytes",
        f"{summary['products']:,} products, {summary['vectors']:,} vectors of {summary['model']}",
        f"restored in {restored_s:.2f} s, then served by {summary['served_by']}",
        f"recall {recalls or 'unknown: nothing to find'}; {searched}",
    ):
        console.print(line, markup=False, soft_wrap=True)


def print_fetched(found: "DownloadedSnapshot") -> None:
    """Print the path of the restored snapshot, and why others could not be used."""
    console = Console(highlight=False)
    for name, code in found.refused.items():
        console.print(f"{name} cannot be used: {code}", markup=False, soft_wrap=True)
    if found.path is None or found.manifest is None:
        console.print("the store has no usable snapshot", soft_wrap=True)
        return
    manifest, seconds = found.manifest, sum(found.seconds.values())
    console.print(
        f"{found.path}: {manifest.products:,} products, {manifest.rows:,} vectors, "
        f"restored in {seconds:.2f} s",
        markup=False,
        soft_wrap=True,
    )
