"""`visualsearch dlq list|show|replay`: lists, shows and replays dead letters."""

import heapq
import json
import sys
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.cli.options import connection_options, settings_from_options

if TYPE_CHECKING:
    from streams.config.settings import Settings
    from streams.kafka.scan import Scanner
    from streams.tools.dlq.dead_letters import DeadLetter, Selection

REFUSED = 1
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def since_option(command: Any) -> Any:
    """Add --since."""
    return click.option(
        "--since",
        callback=_since,
        metavar="AGE|TIME",
        help="Not older than 30m, 12h, 7d or an ISO 8601 time.",
    )(command)


def _since(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    from streams.kafka.scan import parse_since_ms

    try:
        return None if value is None else parse_since_ms(value, datetime.now(UTC))
    except (ValueError, OverflowError):
        raise click.BadParameter(
            "give an age like 30m, 12h, 7d, or a time like 2026-01-31T12:00"
        ) from None


def selection_options(command: Any) -> Any:
    """Add --code, --product, --topic and --since."""
    for option in (
        since_option,
        click.option("--topic", help="Only events that came from this topic."),
        click.option("--product", metavar="PRODUCT_ID", help="Only events of this product."),
        click.option("--code", help="Only this error code, such as image_http_404."),
    ):
        command = option(command)
    return command


@click.group()
def dlq() -> None:
    """Look at dead letters, or publish their events again.

    Dead letters are events that could not be processed, kept verbatim. Nothing deletes them, not
    even a replay.
    """


@dlq.command("list")
@connection_options
@selection_options
@click.option("--limit", type=click.IntRange(0), default=100, show_default=True,
              help="Show the newest of them only; 0 shows all.")  # fmt: skip
@json_option
def list_(
    bootstrap: str | None, prefix: str | None, config: Path | None, *,
    code: str | None, product: str | None, topic: str | None, since: int | None,
    limit: int, as_json: bool,
) -> None:  # fmt: skip
    """List dead letters, the newest last.

    The JSON object holds `matched`, `by_code` and `dead_letters`.
    """
    from streams.tools.dlq.dead_letters import Selection

    settings = settings_from_options(bootstrap, prefix, config)
    selection = Selection(code, product, topic, since)
    counts: Counter[str] = Counter()

    def rows() -> Iterator[tuple[int, int, int, dict[str, Any]]]:
        with _dead_letters(settings, selection) as letters:
            for letter in letters:
                counts[letter.code] += 1
                at = letter.position
                yield letter.message.timestamp_ms, at.partition, at.offset, letter.as_dict()

    found = heapq.nlargest(limit, rows()) if limit else sorted(rows(), reverse=True)
    shown = [row for *_, row in reversed(found)]
    if as_json:
        by_code = dict(counts.most_common())
        body = {"matched": counts.total(), "by_code": by_code, "dead_letters": shown}
        click.echo(json.dumps(body))
        return
    from streams.tools.dlq.tables import print_dead_letters

    print_dead_letters(shown, counts)


@dlq.command()
@click.argument("letter", metavar="PARTITION@OFFSET|PRODUCT_ID")
@connection_options
@json_option
def show(
    letter: str, bootstrap: str | None, prefix: str | None, config: Path | None, *, as_json: bool
) -> None:
    """Show one dead letter in full: by its position, or the newest of a product."""
    from streams.tools.dlq.dead_letters import DeadLetterError, Selection, parse_position

    settings = settings_from_options(bootstrap, prefix, config)
    position = parse_position(letter)
    if position is not None:
        selection = Selection(positions=frozenset({position}))
    else:
        selection = Selection(product=letter)
    with _dead_letters(settings, selection) as letters:
        newest = deque(letters, maxlen=1)
    if not newest:
        raise DeadLetterError(f"{settings.topics.dead_letters} has no dead letter {letter!r}")
    if as_json:
        click.echo(json.dumps(newest[0].as_dict(whole=True)))
        return
    from streams.tools.dlq.tables import print_dead_letter

    print_dead_letter(newest[0])


@dlq.command()
@click.argument("positions", nargs=-1, metavar="[PARTITION@OFFSET]...")
@connection_options
@selection_options
@click.option("--all", "everything", is_flag=True, help="Replay all dead letters.")
@click.option("--dry-run", is_flag=True, help="Print what would be published; publish nothing.")
@json_option
def replay(
    positions: tuple[str, ...], bootstrap: str | None, prefix: str | None, config: Path | None, *,
    code: str | None, product: str | None, topic: str | None, since: int | None,
    everything: bool, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Publish the events of dead letters again, once their cause is gone.

    Select them by position, by --code, --product, --topic and --since (all must match), or --all.
    An event goes to its original topic and partition and keeps its original order. So a second
    replay, or one after a newer event of the product, changes nothing. The dead letters are kept.
    Exit status 1: one could not be replayed, or none matched.
    """
    from streams.tools.dlq.dead_letters import Selection, parse_position

    wanted = {text: parse_position(text) for text in positions}
    if wrong := [text for text, position in wanted.items() if position is None]:
        raise click.UsageError(f"not PARTITION@OFFSET: {', '.join(wrong)}")
    narrowed = bool(positions or code or product or topic or since is not None)
    if narrowed == everything:
        raise click.UsageError(
            "select by position, --code, --product, --topic or --since; or give --all"
        )
    settings = settings_from_options(bootstrap, prefix, config)
    places = frozenset(position for position in wanted.values() if position is not None)
    selection = Selection(code, product, topic, since, places)
    rows = _replay(settings, selection, dry_run=dry_run)
    found = {row["position"] for row in rows}
    missing = sorted(str(place) for place in places if str(place) not in found)
    counts = Counter(row["outcome"] for row in rows)
    if as_json:
        body = {"dry_run": dry_run, **counts, "not_found": missing, "dead_letters": rows}
        click.echo(json.dumps(body))
    else:
        from streams.tools.dlq.tables import print_replayed

        print_replayed(rows, missing)
    if missing or counts["refused"] or not rows:
        sys.exit(REFUSED)


def _replay(settings: "Settings", selection: "Selection", *, dry_run: bool) -> list[dict[str, Any]]:
    """Publish, unless it is a dry run; return a row for each dead letter."""
    from contextlib import ExitStack

    from streams.kafka.scan import Scanner
    from streams.tools.dlq.replay import ProductTopics, read_original, replay
    from visualsearch.client.producer import Producer, SendError

    with ExitStack() as stack:
        originals = stack.enter_context(Scanner(settings.kafka()))
        letters = stack.enter_context(_dead_letters(settings, selection))
        producer = None if dry_run else stack.enter_context(Producer(settings.kafka()))
        names = settings.topics.product_topics()
        counts = {name: originals.partitions(name) for name in names}
        topics = ProductTopics(
            {name: count for name, count in counts.items() if count},
            lambda letter: read_original(originals, letter),
        )
        try:
            return [row.as_dict() for row in replay(letters, topics, producer)]
        except SendError as error:
            raise ConnectionError(f"Kafka did not accept an event: {error}") from error


@contextmanager
def _dead_letters(settings: "Settings", selection: "Selection") -> "Iterator[Iterator[DeadLetter]]":
    """Yield the selected dead letters, with a progress bar on stderr."""
    from streams.cli.progress import progress_bar
    from streams.kafka.scan import Scanner
    from streams.tools.dlq.dead_letters import read_dead_letters

    topic = settings.topics.dead_letters
    with progress_bar(transient=True) as bar, Scanner(settings.kafka()) as scanner:
        _require_topic(scanner, topic)
        task = bar.add_task(f"reading {topic}", total=None)
        yield read_dead_letters(
            scanner, topic, selection, lambda done, of: bar.update(task, completed=done, total=of)
        )


def _require_topic(scanner: "Scanner", topic: str) -> None:
    """Raise TopicError if the topic does not exist."""
    from streams.kafka.topics import TopicError

    if not scanner.partitions(topic):
        raise TopicError(
            f"topics are missing: {topic}; run `visualsearch topics create`", code="topics_missing"
        )
