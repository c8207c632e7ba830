"""Names that a user gives to the channels of files, and names that look like another channel's.

A file by itself because a channel under a wrong name is the costliest mistake of a conversion, and all guards against
it are here.
"""

from __future__ import annotations

import re

from hcs.errors import ConfigError
from hcs.store.microscopes.table import Channel

_FAMILIES = {
    "a DNA stain": re.compile(r"(?<![a-z])dna(?![a-z])|dapi|hoechst|draq|sytox|nuclei|nuclear", re.IGNORECASE),
    "a green dye": re.compile(r"gfp|fitc|(?<!\d)488(?!\d)|green", re.IGNORECASE),
    "a red dye": re.compile(r"rfp|mcherry|tritc|cy3(?![.\d])|texas ?red|(?<!\d)5(55|61|68|94)(?!\d)", re.IGNORECASE),
    "a far-red dye": re.compile(r"cy5|(?<!\d)6(33|40|47)(?!\d)|far.?red", re.IGNORECASE),
    "transmitted light": re.compile(r"bright ?field|phase|(?<![a-z])(bf|dic|tl)(?![a-z])", re.IGNORECASE),
}


def name_channels(found: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the channels ``found`` in file names: those of ``wanted`` in order, or one by one as ``DAPI=DNA``.

    Channels that are not named keep what the files call them. ConfigError for a number of names that does not fit, a
    name given twice, and a channel that the files do not have.
    """
    plain = tuple(value or str(i) for i, value in enumerate(found))
    if not wanted:
        return plain
    pairs = [entry for entry in wanted if "=" in entry]
    if pairs and len(pairs) < len(wanted):
        raise ConfigError(f"--channels mixes names and FILE=NAME: {','.join(wanted)}; write all as FILE=NAME")
    names = _by_name(plain, pairs) if pairs else wanted
    if len(names) != len(plain):
        raise ConfigError(
            f"--channels gives {len(names)} names; the files have {len(plain)}: {', '.join(plain)}; give one each, in "
            "this order, or FILE=NAME"
        )
    if len(set(names)) != len(names):
        raise ConfigError(f"--channels gives a name twice: {', '.join(names)}")
    if "" in names:
        raise ConfigError(f"--channels gives an empty name: {','.join(wanted)}; name every channel")
    return names


def _by_name(found: tuple[str, ...], pairs: list[str]) -> tuple[str, ...]:
    names = dict(zip(found, found, strict=True))
    given: set[str] = set()
    for pair in pairs:
        value, _, name = (part.strip() for part in pair.partition("="))
        hits = [each for each in found if each == value] or [each for each in found if same_name(each, value)]
        if len(hits) != 1:
            raise ConfigError(f"--channels {pair}: the files have no channel {value!r}; they have {', '.join(found)}")
        if hits[0] in given:
            raise ConfigError(f"--channels names channel {hits[0]} twice; give each one name")
        given.add(hits[0])
        names[hits[0]] = name
    return tuple(names.values())


def same_name(one: str, other: str) -> bool:
    """Whether two names are one, or one number (``01`` and ``1``)."""
    return one == other or (one.isdecimal() and other.isdecimal() and int(one) == int(other))


def doubtful_names(found: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Sentences on channels whose new name looks like another channel's: ``DNA`` for files that say CY5."""
    notes = []
    for value, name in zip(found, names, strict=True):
        was, becomes = _family(value), _family(name)
        if name != value and name in found:
            notes.append(f"Channel {value} is called {name}, which the files call another channel: is the order right?")
        elif becomes is not None and was is not None and was != becomes:
            notes.append(f"Channel {value} is called {name}: the one is {was}, the other {becomes}; {_WAY_OUT}")
        elif was == "a DNA stain" and becomes != was and any(_family(other) == was for other in names):
            notes.append(f"Channel {value}, {was}, is called {name}, and another channel has such a name; {_WAY_OUT}")
    return tuple(notes)


def unstained(names: tuple[str, ...], channels: tuple[Channel, ...]) -> tuple[str, ...]:
    """A sentence where none of several channels is called after a DNA stain: how the run is told which it is, and which
    one has the light of DAPI and Hoechst."""
    if len(names) < 2 or any(_family(name) == "a DNA stain" for name in names):
        return ()
    blue = [
        name
        for name, channel in zip(names, channels, strict=True)
        if (channel.excitation_nm or 0) in _UV or (channel.emission_nm or 0) in _BLUE
    ]
    hint = f"; {blue[0]} has the light of DAPI and Hoechst" if len(blue) == 1 else ""
    return (f"No channel is called after a DNA stain: `hcs run` will want --dna NAME{hint}.",)


_UV, _BLUE = range(340, 411), range(430, 481)
"""Excitation and emission of DAPI and Hoechst, nm."""
_WAY_OUT = "if that is wrong, say --channels FILE=NAME for each."


def _family(name: str) -> str | None:
    return next((family for family, pattern in _FAMILIES.items() if pattern.search(name)), None)
