"""`visualsearch attributes train|show`: train and show the attribute classifiers."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.cli.options import settings_from_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.config.settings import Settings
    from streams.tools.evaluation.training import LearnedAttribute
    from visualsearch.attributes.guesser import Guesser, Head

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SOURCE = click.Path(exists=True, path_type=Path)


@click.group()
def attributes() -> None:
    """Guess color, pattern, material and the like from images."""


@attributes.command()
@click.option("--from", "source", type=SOURCE, required=True, metavar="CATALOG",
              help="The labels: a catalog's attributes and categories.")  # fmt: skip
@click.option("--test", "test", type=SOURCE, metavar="CATALOG",
              help="Measure on these products instead of by cross-validation.")  # fmt: skip
@click.option("--group-by", metavar="ATTRIBUTE",
              help="Attribute shared by products of a style; no fold splits a style.")  # fmt: skip
@click.option("--taxonomy", type=FILE, help="Attributes, values and prompts (JSON) of your own.")
@click.option("--encoder", help="lite, or open_clip:ARCH/TAG. Default: as in the settings.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True,
              metavar="FILE.npz", help="File for the trained classifiers.")  # fmt: skip
@click.option("--config", type=FILE, help="Settings as TOML or JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def train(
    source: Path,
    test: Path | None,
    group_by: str | None,
    taxonomy: Path | None,
    encoder: str | None,
    out: Path,
    config: Path | None,
    *,
    as_json: bool,
) -> None:
    """Learn attributes from a catalog's own labels. Needs no Kafka.

    An attribute needs two values with five products each. Its trained classifier is kept unless
    zero-shot prompts are more accurate. Confidences are calibrated on held-out products, and the
    calibration error is printed. A worker loads the file by VISUALSEARCH_ATTRIBUTES=FILE. It fits
    only the encoder that it was trained with.
    """
    settings = settings_from_options(
        None, None, config, encoder=encoder, attribute_taxonomy=taxonomy
    )
    guesser, learnt = asyncio.run(_train(settings, source, test, group_by))
    from visualsearch.attributes.store import save

    save(out, guesser)
    click.echo(f"{out} written; use it with VISUALSEARCH_ATTRIBUTES={out}", err=True)
    if as_json:
        found = {"model": guesser.model, "attributes": [_plain(one) for one in learnt]}
        click.echo(json.dumps(found))
    else:
        _print(guesser.heads, learnt)


@attributes.command()
@click.option("--encoder", help="lite, or open_clip:ARCH/TAG. Default: as in the settings.")
@click.option("--config", type=FILE, help="Settings as TOML or JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(encoder: str | None, config: Path | None, *, as_json: bool) -> None:
    """Show which attributes a worker with these settings guesses, how, and how accurately."""
    from streams.model.attribute_guesses import build_guesser
    from visualsearch import load_encoder

    settings = settings_from_options(None, None, config, encoder=encoder)
    model = load_encoder(settings.encoder, settings.device, prompts=settings.prompts)
    guesser = build_guesser(settings, model)
    heads: Sequence[Head] = () if guesser is None else guesser.heads
    if as_json:
        click.echo(json.dumps({"model": model.model_id, "attributes": [_head(h) for h in heads]}))
    elif guesser is None:
        click.echo(
            f"no attributes are guessed with {model.model_id} and attributes={settings.attributes}"
        )
    else:
        _print(heads, [])


async def _train(
    settings: "Settings", source: Path, test: Path | None, group_by: str | None
) -> tuple["Guesser", list["LearnedAttribute"]]:
    from streams.cli.progress import progress_bar
    from streams.tools.evaluation.local_index import open_local_index
    from streams.tools.evaluation.training import labeled_products, learn
    from visualsearch import load_encoder
    from visualsearch.attributes.taxonomy import DEFAULT, read_attribute_taxonomy

    taxonomy = read_attribute_taxonomy(settings.attribute_taxonomy or DEFAULT)
    encoder = load_encoder(settings.encoder, settings.device, prompts=settings.prompts)
    quiet = settings.model_copy(update={"attributes": "off"})
    found = []
    with progress_bar(transient=True) as bar:
        for path in (source, test):
            if path is None:
                continue
            task = bar.add_task(f"{path.name}: images", total=None)
            async with open_local_index(encoder, quiet) as local_index:
                await local_index.load_catalog(
                    path,
                    lambda done, of, task=task: bar.update(task, completed=done, total=of),  # type: ignore[misc]
                )
                found.append(labeled_products(local_index, group_by))
        task = bar.add_task("attributes", total=None)
        others = found[1] if test is not None else ()
        return await asyncio.to_thread(
            learn, encoder, found[0], taxonomy, others,
            lambda done, of: bar.update(task, completed=done, total=of),
        )  # fmt: skip


def _plain(one: "LearnedAttribute") -> dict[str, Any]:
    return {"name": one.kept.name, "kept": one.kept.source, "values": list(one.kept.values),
            "trained": _head(one.trained), "zero_shot": _head(one.zero_shot)}  # fmt: skip


def _head(head: "Head") -> dict[str, Any]:
    return {"name": head.name, "source": head.source, "values": list(head.values),
            "accuracy": head.accuracy, "calibration_error": head.error,
            "products": head.products, "temperature": head.temperature}  # fmt: skip


def _print(heads: "Sequence[Head]", learnt: "Sequence[LearnedAttribute]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="dim")
    for name in ("attribute", "values", "method", "accuracy", "calibration error", "products",
                 "accuracy of the other method"):  # fmt: skip
        table.add_column(name, justify="left" if name in {"attribute", "method"} else "right")
    others = {
        one.kept.name: one.zero_shot if one.kept is one.trained else one.trained for one in learnt
    }
    for head in heads:
        other = others.get(head.name)
        table.add_row(
            head.name, str(len(head.values)), head.source, _figure(head.accuracy),
            _figure(head.error), f"{head.products:,}" if head.products else "no labels",
            "" if other is None else _figure(other.accuracy),
        )  # fmt: skip
    Console(highlight=False).print(table)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
