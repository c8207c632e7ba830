"""XML of microscopes: elements by their plain names, whatever the namespace, and lengths in µm, whatever the unit.

A file by itself because five vendors write XML, each with other namespaces and units.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from hcs.errors import PlateError

_UM = {
    "": 1.0,
    "m": 1e6,
    "mm": 1e3,
    "cm": 1e4,
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "nm": 1e-3,
    "å": 1e-4,
}


class DamagedXml(PlateError):
    """XML that ends too early, or is none."""


def parse_xml(data: bytes | str, name: str) -> Element:
    """The root element, tags and attributes without namespaces; DamagedXml, naming the file, where it is damaged."""
    try:
        if isinstance(data, bytes) and data.startswith(b"\xef\xbb\xbf"):
            data = data[3:]
        root = ElementTree.fromstring(data.lstrip())
    except (ElementTree.ParseError, ValueError) as error:
        raise DamagedXml(f"{name} is no valid XML ({error}); copy it from the microscope again") from error
    for element in root.iter():
        element.tag = plain(element.tag)
        if any(key.startswith("{") for key in element.attrib):
            element.attrib = {plain(key): value for key, value in element.attrib.items()}
    return root


def plain(tag: object) -> str:
    """A name without its namespace; empty for comments."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def text(element: Element | None, path: str) -> str:
    """The text at ``path`` below an element; empty where there is none."""
    found = None if element is None else element.find(path)
    return (found.text or "").strip() if found is not None else ""


def number(text_of_it: str | None) -> float | None:
    """A finite number; None for anything else."""
    try:
        value = float((text_of_it or "").strip())
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def length_um(value: str | None, unit: str | None) -> float | None:
    """A length in µm; None where there is no number or the unit is none of length."""
    found, factor = number(value), _UM.get((unit or "").strip().lower())
    return None if found is None or factor is None else found * factor


def child_um(element: Element | None, path: str, unit: str) -> float | None:
    """The length in µm at ``path``, in the unit of its attribute ``Unit``, or in ``unit`` where it has none."""
    found = None if element is None else element.find(path)
    return None if found is None else length_um(found.text, found.get("Unit") or found.get("unit") or unit)


def children(element: Element | None, path: str) -> Iterator[Element]:
    """Elements at ``path``; none below None."""
    return iter(()) if element is None else element.iterfind(path)
