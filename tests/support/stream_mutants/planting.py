"""How a bug is planted: one function of the product is replaced by a wrong one."""

import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any
from unittest.mock import patch

Build = Callable[[Any], Callable[..., Any]]
"""Returns the wrong function; it is given the right one, as a plain function."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted bug: the dotted path of a function, and the check that finds the bug."""

    name: str
    target: str
    check: str
    build: Build

    def place(self) -> tuple[Any, str, Any]:
        """Return the owner of the function, its name, and the function as the owner holds it.

        Raises an error if nothing, nothing of the owner's own, or no function has this path.
        """
        owner_name, _, name = self.target.rpartition(".")
        owner = pkgutil.resolve_name(owner_name)
        held = vars(owner)[name]
        if not isinstance(_plain(held), FunctionType):
            raise TypeError(f"{self.target} is no function")
        return owner, name, held

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Replace the function for a while."""
        owner, name, held = self.place()
        wrong: Any = self.build(_plain(held))
        if isinstance(held, staticmethod):
            wrong = staticmethod(wrong)
        with patch.object(owner, name, wrong):
            yield


class Mutants(list[Mutant]):
    """Planted bugs, registered by a decorator."""

    def plant(self, target: str, check: str) -> Callable[[Build], Build]:
        """Register a bug in the function of this path, to be found by this check."""

        def register(build: Build) -> Build:
            self.append(Mutant(build.__name__, target, check, build))
            return build

        return register


def _plain(held: Any) -> Any:
    return held.__func__ if isinstance(held, staticmethod) else held
