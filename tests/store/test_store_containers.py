"""Files of many images, .nd2, .czi and .lif: their scenes as fields, by packages that need not be there."""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray

from hcs.errors import ConfigError, PlateError
from hcs.plate.keys import FieldKey
from hcs.store.files import containers
from hcs.store.files.convert import convert_plate
from hcs.store.files.images import read_header, read_plane
from hcs.store.plate.reader import open_plate, read_field, read_info


@pytest.fixture(autouse=True)
def nothing_open() -> Any:
    yield
    containers._opened.cache_clear()


def stack(seed: int) -> NDArray[np.uint16]:
    """Two channels of two planes, (C, Z, Y, X)."""
    return np.random.default_rng(seed).integers(0, 4000, (2, 2, 64, 80)).astype("<u2")


def write_lif(path: Path, images: dict[str, NDArray[np.uint16]]) -> None:
    """A Leica file of images by their paths in it: header, XML in UTF-16, and a block of pixels for each image."""

    def element(name: str, data: str = "<Data/>", memory: str = "", children: str = "") -> str:
        memory = memory or '<Memory Size="0" MemoryBlockID="none"/>'
        inner = f"{data}{memory}<Children>{children}</Children>"
        return f'<Element Name="{name}" Visibility="1" UniqueID="{name}">{inner}</Element>'

    tree: dict[str, Any] = {}
    blocks = []
    for i, (where, pixels) in enumerate(images.items()):
        channels, depth, height, width = pixels.shape
        data = np.ascontiguousarray(pixels.transpose(1, 0, 2, 3)).tobytes()
        sizes = [(1, width, 0.5e-6, 2), (2, height, 0.5e-6, 2 * width), (3, depth, 2e-6, 2 * width * height * channels)]
        dimensions = "".join(
            f'<DimensionDescription DimID="{axis}" NumberOfElements="{n}" Origin="0" Length="{(n - 1) * step}" '
            f'Unit="m" BitInc="0" BytesInc="{nbytes}"/>'
            for axis, n, step, nbytes in sizes
        )
        described = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" Min="0" '
            f'Max="65535" Unit="" LUTName="" IsLUTInverted="0" BytesInc="{2 * c * width * height}" BitInc="0"/>'
            for c in range(channels)
        )
        node = tree
        *folders, last = where.split("/")
        for name in folders:
            node = node.setdefault(name, {})
        node[last] = (
            f"<Data><Image><ImageDescription><Channels>{described}</Channels><Dimensions>{dimensions}</Dimensions>"
            "</ImageDescription></Image></Data>",
            f'<Memory Size="{len(data)}" MemoryBlockID="Block{i}"/>',
        )
        blocks.append((f"Block{i}", data))

    def rendered(name: str, node: Any) -> str:
        if isinstance(node, tuple):
            return element(name, *node)
        return element(name, children="".join(rendered(key, value) for key, value in node.items()))

    text = f'<LMSDataContainerHeader Version="2">{rendered(path.name, tree)}</LMSDataContainerHeader>'
    encoded = text.encode("utf-16-le")
    out = struct.pack("<iiBi", 0x70, 5 + len(encoded), 0x2A, len(text)) + encoded
    for name, data in blocks:
        encoded = name.encode("utf-16-le")
        out += struct.pack("<iiBqBi", 0x70, 14 + len(encoded), 0x2A, len(data), 0x2A, len(name)) + encoded + data
    path.write_bytes(out)


@pytest.mark.skipif(find_spec("liffile") is None, reason="needs liffile, of the extra vendors")
def test_a_lif_file_of_wells_becomes_a_plate(tmp_path: Path) -> None:
    source, images = (
        tmp_path / "exp.lif",
        {f"TileScan 1/{at}": stack(i) for i, at in enumerate(("B/3/R1", "B/3/R2", "C/4/R1"))},
    )
    write_lif(source, images)
    summary = convert_plate(source, tmp_path / "p.zarr", z="keep", channels=("DNA", "CDK2"))
    plate = open_plate(str(tmp_path / "p.zarr"))
    assert [str(entry.key) for entry in plate.fields] == ["B03/0", "B03/1", "C04/0"]
    info = read_info(plate, FieldKey.parse("C04/0"))
    assert (info.channels, info.z_size, info.pixel_size_um) == (("DNA", "CDK2"), 2, 0.5)
    for key, pixels in zip(("B03/0", "B03/1", "C04/0"), images.values(), strict=True):
        projected = read_field(plate, FieldKey.parse(key), channels=(0, 1), z="max")
        assert (projected == pixels.max(axis=1)).all()
    assert summary.left_out == ()


@pytest.mark.skipif(find_spec("liffile") is None, reason="needs liffile, of the extra vendors")
def test_of_several_files_a_damaged_one_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    for i, name in enumerate(("exp_B03.lif", "exp_C04.lif")):
        write_lif(tmp_path / name, {"Series1": stack(i)})
    (tmp_path / "exp_D05.lif").write_bytes(b"")
    summary = convert_plate(tmp_path, tmp_path / "p.zarr")
    assert (summary.wells, summary.fields) == (2, 2)
    assert "exp_D05.lif cannot be read" in summary.left_out[0]
    (tmp_path / "exp_B03.lif").unlink()
    (tmp_path / "exp_C04.lif").unlink()
    with pytest.raises(PlateError, match=r"exp_D05\.lif cannot be read"):
        convert_plate(tmp_path, tmp_path / "q.zarr")


@pytest.mark.skipif(find_spec("pylibCZIrw") is None, reason="needs pylibCZIrw, of the extra vendors")
def test_a_czi_files_scenes_are_fields(tmp_path: Path) -> None:
    from pylibCZIrw import czi

    with czi.create_czi(str(tmp_path / "exp.czi")) as document:
        for scene in range(2):
            for c, z in np.ndindex(2, 2):
                plane = stack(scene)[c, z][..., None]
                document.write(plane, location=(500 * scene, 0), plane={"C": c, "Z": z, "T": 0}, scene=scene)
        document.write_metadata("exp", {0: "DAPI", 1: "GFP"}, scale_x=0.325e-6, scale_y=0.325e-6, scale_z=1e-6)
    first, second = containers.scenes(tmp_path / "exp.czi")
    assert (first.shape, first.sizes, first.pixel_size_um) == ((64, 80), (1, 2, 2), 0.325)
    assert [name for name, _, _ in first.channels] == ["DAPI", "GFP"]
    plane = read_plane(tmp_path / "exp.czi#1", second.page(0, 1, 1)).pixels
    assert (plane == stack(1)[1, 1]).all()


CZI_SCENES = """<Scenes><Scene Index="0" Name="P1-B4"><ArrayName>B4</ArrayName><CenterPosition>3644.5,2175.25
</CenterPosition></Scene><Scene Index="1" Name="P1"><Shape Name="Circle"><RowIndex>3</RowIndex><ColumnIndex>12
</ColumnIndex></Shape></Scene><Scene Index="2" Name="ScanRegion0"/></Scenes>"""


def test_wells_of_czi_scenes() -> None:
    told = list(ElementTree.fromstring(CZI_SCENES))
    assert [containers._czi_well(scene) for scene in told] == ["B04", "3,12", ""]
    assert [containers._czi_centre(scene) for scene in told] == [(2175.25, 3644.5), None, None]


@pytest.mark.parametrize(
    ("name", "well"),
    [
        ("B3", "B03"),
        ("B03_0001", "B03"),
        ("exp_Well C-12 pos 2", "C12"),
        ("H12-Site_1", "H12"),
        ("Position 7", ""),
        ("TileScan 1", ""),
        ("C200", ""),
    ],
)
def test_wells_in_names(name: str, well: str) -> None:
    assert containers.well_of(name) == well


@dataclass
class Nd2File:
    """What `hcs` uses of the package nd2, over two positions of two time points and two channels."""

    path: str

    def __post_init__(self) -> None:
        points = [
            SimpleNamespace(name=name, stagePositionUm=SimpleNamespace(x=x, y=0.0))
            for name, x in (("B2", 1.0), ("B3", 9.0))
        ]
        self.sizes = {"P": 2, "T": 2, "C": 2, "Y": 64, "X": 80}
        self.loop_indices = [{"P": p, "T": t} for t in range(2) for p in range(2)]
        self.dtype = np.dtype(np.uint16)
        self.experiment = [
            SimpleNamespace(type="TimeLoop", parameters=SimpleNamespace(periodMs=60_000.0)),
            SimpleNamespace(type="XYPosLoop", parameters=SimpleNamespace(points=points)),
        ]
        channels = [
            SimpleNamespace(channel=SimpleNamespace(name=name, excitationLambdaNm=None, emissionLambdaNm=nm))
            for name, nm in (("DAPI", 460.0), ("GFP", 520.0))
        ]
        self.metadata = SimpleNamespace(channels=channels)

    def close(self) -> None:
        """Nothing is open."""

    def voxel_size(self) -> SimpleNamespace:
        return SimpleNamespace(x=0.65, y=0.65, z=1.0)

    def read_frame(self, number: int) -> NDArray[np.uint16]:
        return stack(number)[:, 0]


def test_positions_of_an_nd2_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("nd2")
    package.ND2File = Nd2File  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nd2", package)
    (tmp_path / "exp.nd2").write_bytes(b"nd2")
    convert_plate(tmp_path / "exp.nd2", tmp_path / "p.zarr")
    plate = open_plate(str(tmp_path / "p.zarr"))
    assert [str(entry.key) for entry in plate.fields] == ["B02/0", "B03/0"]
    info = read_info(plate, plate.fields[1].key)
    assert (info.channels, info.t_size, info.pixel_size_um) == (("DAPI", "GFP"), 2, 0.65)
    assert (info.interval_min, info.origin_um) == (1.0, (-31.5 * 0.65, 9.0 - 39.5 * 0.65))
    frame = read_field(plate, plate.fields[1].key.at(1), channels=(0, 1))
    assert (frame == stack(3)[:, 0]).all()


@pytest.mark.parametrize("name", ["exp.nd2", "exp.czi", "exp.lif"])
def test_a_missing_package_is_named_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for package in ("nd2", "pylibCZIrw", "pylibCZIrw.czi", "liffile"):
        monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ConfigError, match=rf"{name} needs the package .* `pip install 'hcs-plates\[vendors\]'`"):
        convert_plate(tmp_path / name, tmp_path / "p.zarr")


def test_a_file_whose_name_has_a_number_sign_is_itself(tmp_path: Path) -> None:
    assert containers.container_of(tmp_path / "exp.czi#3") == (tmp_path / "exp.czi", 3)
    assert containers.container_of(tmp_path / "exp#3.tif") is None
    (tmp_path / "exp.czi#3").write_bytes(b"")
    assert containers.container_of(tmp_path / "exp.czi#3") is None
    with pytest.raises(Exception, match="is empty"):
        read_header(tmp_path / "exp.czi#3")
