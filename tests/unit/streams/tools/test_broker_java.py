"""Finding a Java, by what it prints."""

from pathlib import Path

import pytest

from streams.tools.broker.errors import BrokerError
from streams.tools.broker.java import find_java, parse_version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('openjdk version "17.0.15" 2025-04-15', ("17.0.15", 17)),
        ('java version "1.8.0_401"', ("1.8.0_401", 8)),
        ('openjdk version "21" 2023-09-19', ("21", 21)),
        ('openjdk version "25-ea" 2025-09-16', ("25-ea", 25)),
        ("command not found", None),
    ],
)
def test_version_and_feature_release(text: str, expected: tuple[str, int] | None) -> None:
    """Java 8 still calls itself 1.8."""
    assert parse_version(text) == expected


def test_java_home_wins_over_path(tmp_path: Path) -> None:
    """Both are there; JAVA_HOME is the one that was named."""
    for folder, version in (("home/bin", "21.0.1"), ("path", "17.0.1")):
        (tmp_path / folder).mkdir(parents=True)
        java = tmp_path / folder / "java"
        java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
        java.chmod(0o755)
    environ = {"PATH": str(tmp_path / "path")}
    assert find_java(environ).version == "17.0.1"
    environ["JAVA_HOME"] = str(tmp_path / "home")
    assert find_java(environ).version == "21.0.1"


def test_java_that_does_not_run_is_missing(tmp_path: Path) -> None:
    """A JAVA_HOME without a java is said to be that, with the path that was tried."""
    with pytest.raises(BrokerError, match="gone/bin/java") as caught:
        find_java({"PATH": "", "JAVA_HOME": str(tmp_path / "gone")})
    assert caught.value.code == "java_missing"
