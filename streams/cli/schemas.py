"""`visualsearch schemas`: the JSON Schemas and the AsyncAPI document of all messages."""

import json
from pathlib import Path

import click


@click.command()
@click.argument("name", required=False)
@click.option("--folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
              help="Write all documents to this folder.")  # fmt: skip
@click.option("--check", metavar="DIR",
              type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Compare a folder's documents with the types; fail if one differs.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON, the AsyncAPI document too.")
def schemas(name: str | None, folder: Path | None, check: Path | None, *, as_json: bool) -> None:
    """Print the document NAME, or list the documents.

    They are the JSON Schemas of events, requests, results and heartbeats, and `asyncapi`, which
    describes topics, keys and headers as well. Code generators read both.
    """
    given = [option for option in (name, folder, check) if option is not None]
    if len(given) > 1:
        raise click.UsageError("give one of NAME, --folder and --check")
    if folder is not None:
        _write(folder, as_json=as_json)
    elif check is not None:
        _check(check, as_json=as_json)
    elif name is not None:
        _print(name, as_json=as_json)
    else:
        _list(as_json=as_json)


def _list(*, as_json: bool) -> None:
    from streams.tools.schemas.generate import NAMES, file_name, summary

    rows = [{"name": each, "file": file_name(each), "about": summary(each)} for each in NAMES]
    if as_json:
        click.echo(json.dumps({"schemas": rows}, indent=2))
        return
    width = max(map(len, NAMES))
    for row in rows:
        click.echo(f"{row['name']:<{width}}  {row['about']}")


def _print(name: str, *, as_json: bool) -> None:
    from streams.tools.schemas.generate import NAMES, document_text

    if name not in NAMES:
        raise click.UsageError(f"{name!r} is no document; give one of {', '.join(NAMES)}")
    click.echo(document_text(name, as_json=as_json), nl=False)


def _write(folder: Path, *, as_json: bool) -> None:
    from streams.tools.schemas.generate import file_name, write_documents

    try:
        written = [str(folder / file_name(name)) for name in write_documents(folder)]
    except OSError as error:
        raise click.ClickException(f"{error}; give a folder that can be written to") from None
    if as_json:
        click.echo(json.dumps({"written": written}))
        return
    for file in written:
        click.echo(f"wrote {file}")


def _check(folder: Path, *, as_json: bool) -> None:
    from streams.tools.schemas.generate import drifted, file_name

    stale = [str(folder / file_name(name)) for name in drifted(folder)]
    if as_json:
        click.echo(json.dumps({"stale": stale}))
    if stale:
        files = "".join(f"{file} does not fit the types\n" for file in stale)
        raise click.ClickException(f"{files}run: visualsearch schemas --folder {folder}")
