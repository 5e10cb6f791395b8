"""Invented words stay out of names and prose: what is left of them may only become less.

`words.json` allows counts per package and word. `python -m tests.unit.house.test_words` counts
again, after words have gone. `visualsearch/index` is not looked at.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
ALLOWED = Path(__file__).with_name("words.json")
BRITISH = (
    r"catalogues?|colou(?:rs?|red)|neighbours?|behaviours?|favours?|(?:normal|recogn|initial)is"
    r"(?:e[ds]?|ing|ation)|centres?|centred|labelled|misspelt|spelt|learnt"
)
PARTICIPLES = "asked|begun|given|held|likened|named|said|sent|spoken|told"
WORDS = {  # the word to use: those that are banned in names, comments, docstrings and strings
    "US spelling": BRITISH,
    "anti-correlated": "averse",
    "category, lazy store": "shel(?:f|ves)",
    "dataset, local index": "shops?|goods",
    "dead letter": "letters?(?! of)",
    "image": "pictures?|pictured",
    "low-recall": "astray",
    "maintenance": "upkeep",
    "pipeline": "lanes?",
    "request": "spellings?",
    "retry tier": "patient|patience",
    "scheduler": "keepers?",
    "similarity": "likeness(?:es)?",
    "skip": "stepp(?:ed|ing) over",
    "stale": "outdated",
}
BANNED = {use: re.compile(rf"(?<![a-z])(?:{words})(?![a-z])") for use, words in WORDS.items()} | {
    "a noun as a name": re.compile(
        rf"(?m)(?:^ *|\bself\._?|\b(?:for|as|def) _?)(?:{PARTICIPLES})(?=:? .*=|\(| in |:$)"
    )
}
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def package_of(file: Path) -> str:
    """Return `streams/kafka`, `streams/tools/dlq` or `visualsearch/engine.py` of a file there."""
    parts = file.relative_to(ROOT).parts
    return "/".join(parts[: 3 if parts[1] == "tools" else 2])


def offenses(text: str) -> Iterator[tuple[str, int, str]]:
    """Yield (the word to use, line number, line) for each banned word in a Python text."""
    lines = text.splitlines()
    lowered = CAMEL.sub("_", text).lower()
    lowered = re.sub(r"dead([ _-]|_-_)letter", "deadletter", lowered)
    for use, banned in BANNED.items():
        for match in banned.finditer(lowered):
            number = lowered.count("\n", 0, match.end())
            yield use, number + 1, lines[number].strip()


def found() -> dict[str, dict[str, list[str]]]:
    """Return package → the word to use → its offenders, as `file:line: text`."""
    by_package: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    files = [*ROOT.glob("streams/**/*.py"), *ROOT.glob("visualsearch/**/*.py")]
    for file in sorted(files):
        if (package := package_of(file)) != "visualsearch/index":
            for use, number, line in offenses(file.read_text(encoding="utf-8")):
                place = f"{file.relative_to(ROOT)}:{number}"
                by_package[package][use].append(f"{place}: {line[:80]}")
    return by_package


def test_invented_words_become_fewer() -> None:
    """A new one is named with its place; one that went must leave the allowance as well."""
    allowed = json.loads(ALLOWED.read_text(encoding="utf-8"))
    now = found()
    wrong = []
    for package in sorted(allowed.keys() | now.keys()):
        for use in WORDS.keys() | {"a noun as a name"}:
            places = now.get(package, {}).get(use, [])
            limit = allowed.get(package, {}).get(use, 0)
            if len(places) > limit:
                wrong += [f"{package}: use {use!r} ({limit} allowed):", *places]
            elif len(places) < limit:
                wrong.append(f"{ALLOWED.name}: lower {package} {use!r} from {limit}: {len(places)}")
    assert not wrong, "\n".join(wrong)


def test_a_planted_word_is_found() -> None:
    """In a name, in CamelCase and in prose; not in a longer word, nor after `dead`."""
    text = "x = 1\nlane_of = PictureStore()  # a shop\n\ndef told(dead_letter): ...\n# a planet\n"
    assert sorted((use, number) for use, number, _ in offenses(text)) == [
        ("a noun as a name", 4),
        ("dataset, local index", 2),
        ("image", 2),
        ("pipeline", 2),
    ]


def write() -> None:
    """Write what is found as what is allowed, a line per package."""
    lines = [
        f"  {json.dumps(package)}: {json.dumps({use: len(uses[use]) for use in sorted(uses)})}"
        for package, uses in sorted(found().items())
    ]
    ALLOWED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
