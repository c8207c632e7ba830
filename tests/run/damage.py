"""Damages as disks, synchronisers and people do them to the files of a results folder, drawn from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Damage = Callable[[Path, random.Random], None]

_PASSED_OVER = ("report.html", "figures")
"""Made for people; hcs reads them never."""


@dataclass(frozen=True)
class Case:
    """One file, by its name in the folder, and what is done to it."""

    file: str
    damage: str

    def do(self, out: Path, chance: random.Random) -> None:
        DAMAGES[self.damage](out / self.file, chance)

    def __str__(self) -> str:
        return f"{self.file} {self.damage}"


def cut(path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data))])


def flip(path: Path, chance: random.Random) -> None:
    """One bit; in a text one of a letter or digit, so that it changes more than a blank."""
    data = bytearray(path.read_bytes())
    places = [i for i, byte in enumerate(data) if chr(byte).isalnum()] if path.suffix in (".json", ".csv") else []
    data[chance.choice(places) if places else chance.randrange(len(data))] ^= 1 << chance.randrange(5)
    path.write_bytes(bytes(data))


def binary(path: Path, chance: random.Random) -> None:
    path.write_bytes(chance.randbytes(chance.randrange(1, 5000)))


def another(path: Path, chance: random.Random) -> None:
    """The content of another file of its kind, as of another field or table."""
    root = next(parent for parent in path.parents if (parent / "run.json").exists())
    kin = [p for p in root.rglob(f"*{path.suffix}") if p.is_file() and p.read_bytes() != path.read_bytes()]
    path.write_bytes(chance.choice(sorted(kin)).read_bytes() if kin else b"well,role\nA01,negative\n")


def folder(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.mkdir()
    (path / "x").write_text("x")


def deep(path: Path, chance: random.Random) -> None:
    path.write_text("[" * 10_000)


DAMAGES: dict[str, Damage] = {
    "is cut short": cut,
    "has a bit flipped": flip,
    "is empty": lambda path, _: path.write_bytes(b"") and None,
    "is {}": lambda path, _: path.write_text("{}") and None,
    "is binary": binary,
    "is another's": another,
    "is missing": lambda path, _: path.unlink(),
    "is a folder": folder,
    "is JSON of another shape": lambda path, _: path.write_text(json.dumps([{"identity": 1}])) and None,
    "is nested deep": deep,
}


def cases(out: Path) -> Iterator[Case]:
    """Every file that is read of a results folder with every damage."""
    names = (path.relative_to(out).as_posix() for path in sorted(out.rglob("*")) if path.is_file())
    for name in names:
        if not name.startswith(_PASSED_OVER):
            yield from (Case(name, damage) for damage in DAMAGES)


LITTER = (
    "{stem} 2{suffix}",
    "{stem} (1){suffix}",
    "._{name}",
    ".DS_Store",
    "Thumbs.db",
    "{name}.sync-conflict-1",
    "x.tmp",
)
"""Files that synchronisers and desktops leave beside others."""


def litter(out: Path) -> int:
    """Leave such files beside every file of a results folder, copies of it where the name is like its own; how many."""
    count = 0
    for path in [path for path in out.rglob("*") if path.is_file()]:
        for form in LITTER:
            other = path.with_name(form.format(stem=path.stem, suffix=path.suffix, name=path.name))
            other.write_bytes(path.read_bytes())
            count += 1
    return count
