"""Folders of every vendor into the common table: real ones where they are there, and small ones of their kind."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from hcs.errors import ConfigError, PlateError
from hcs.store.microscopes.folder import Folder, open_folder
from hcs.store.microscopes.layouts import LAYOUTS, described, read_table, recognise
from hcs.store.microscopes.table import PROJECTION, PlaneTable, step
from hcs.store.microscopes.xml import length_um


def folder(
    *images: str, files: Mapping[str, str | bytes] | None = None, texts: Mapping[str, str] | None = None
) -> Folder:
    """A folder in memory: images by name, files with their text, and the text of the images' pages."""
    content = {name: text if isinstance(text, bytes) else text.encode() for name, text in (files or {}).items()}
    said = texts or {}
    return Folder(
        [*images, *content], read=content.__getitem__, texts=lambda name: (said[name],) if name in said else ()
    )


def wells(table: PlaneTable) -> list[str]:
    return sorted({str(place.well) for place in table.planes})


def values(table: PlaneTable, what: str) -> list[str]:
    return sorted({getattr(place, what) for place in table.planes})


def names(table: PlaneTable) -> list[str]:
    return [channel.name for channel in table.channels.values()]


HARMONY = """<?xml version="1.0"?><EvaluationInputData xmlns="{space}"><InstrumentType>Phenix</InstrumentType>
<Maps><Map><Entry ChannelID="1"><ChannelName>DAPI</ChannelName><ImageResolutionX Unit="{unit}">{size}</ImageResolutionX>
<ImageResolutionY Unit="{unit}">{size}</ImageResolutionY><MainEmissionWavelength Unit="nm">456</MainEmissionWavelength>
</Entry></Map></Maps><Images>{images}</Images></EvaluationInputData>"""
HARMONY_IMAGE = """<Image><State>{state}</State><URL>{url}</URL><Row>2</Row><Col>3</Col><FieldID>{field}</FieldID>
<PlaneID>{z}</PlaneID><TimepointID>{t}</TimepointID><ChannelID>1</ChannelID>
<PositionX Unit="m">0.0002</PositionX><PositionY Unit="m">-1E-04</PositionY>
<PositionZ Unit="m">{height}</PositionZ></Image>"""


def harmony_index(*, space: str = "43B2A954/HarmonyV7", unit: str = "m", size: str = "3E-07", **last: str) -> str:
    """An index of well B03, field 1, planes 1 to 3; ``last`` changes the last image."""
    usual = {"state": "Ok", "field": "1", "t": "0"}
    planes = [usual | {"z": str(z), "url": f"a{z}.tiff", "height": f"{z}E-06"} for z in (1, 2, 3)]
    planes[-1] |= last
    return HARMONY.format(
        space=space, unit=unit, size=size, images="".join(HARMONY_IMAGE.format(**plane) for plane in planes)
    )


def test_harmony_tells_when_every_time_point_was_taken() -> None:
    """Of the first field, and no interval of frames that are not evenly apart."""
    image = {"state": "Ok", "field": "1", "z": "1", "height": "0"}
    planes = [
        HARMONY_IMAGE.format(**image, t=t, url=f"a{t}.tiff").replace(
            "</Image>", f'<MeasurementTimeOffset Unit="s">{s}</MeasurementTimeOffset></Image>'
        )
        for t, s in ((0, 2.5), (1, 602.5), (2, 2402.5))
    ]
    index = HARMONY.format(space="urn:x", unit="m", size="3E-07", images="".join(planes))
    table = read_table(folder(files={"Index.xml": index.encode()}))
    assert table.times_s == {"0": 2.5, "1": 602.5, "2": 2402.5}


@pytest.mark.parametrize("space", ["http://www.perkinelmer.com/PEHH/HarmonyV5", "43B2A954/HarmonyV7", "urn:x", ""])
@pytest.mark.parametrize("name", ["Images/Index.idx.xml", "Images/Index.xml", "ImageIndex.ColumbusIDX.xml"])
def test_harmony_whatever_the_namespace(space: str, name: str) -> None:
    around = name.rpartition("/")[0]
    images = [f"{around}/A{z}.TIFF".lstrip("/") for z in (1, 2, 3)]
    table = read_table(folder(*images, files={name: b"\xef\xbb\xbf" + harmony_index(space=space).encode()}))
    assert wells(table) == ["B03"]
    assert values(table, "z") == ["1", "2", "3"]
    assert sorted(source.name for source in table.planes.values()) == images
    assert (names(table), table.channels["1"].emission_nm) == (["DAPI"], 456)
    assert table.pixel_size_um == pytest.approx(0.3)
    assert table.z_step_um == pytest.approx(1)
    (centre,) = table.centres_um.values()
    assert centre == pytest.approx((100, 200))  # Harmony's y grows upwards


@pytest.mark.parametrize(
    ("unit", "size", "um"), [("m", "3E-07", 0.3), ("µm", "0.3", 0.3), ("um", "0.3", 0.3), ("nm", "300", 0.3)]
)
def test_lengths_in_any_unit(unit: str, size: str, um: float) -> None:
    assert read_table(folder(files={"Index.xml": harmony_index(unit=unit, size=size)})).pixel_size_um == pytest.approx(
        um
    )
    assert length_um(size, unit) == pytest.approx(um)


def test_harmony_says_what_the_microscope_lost_and_what_is_not_there() -> None:
    table = read_table(folder("a1.tiff", "a3.tiff", files={"Index.xml": harmony_index(state="Aborted")}))
    by_plane = {place.z: source for place, source in table.planes.items()}
    assert by_plane["3"].fault == "the microscope recorded it as Aborted"
    assert by_plane["2"].name == "a2.tiff"  # named, so that reading it says that it is not there


def test_harmony_time_points_and_damaged_indexes() -> None:
    assert values(read_table(folder(files={"Index.xml": harmony_index(t="1")})), "t") == ["0", "1"]
    with pytest.raises(PlateError, match=r"Index.xml is no valid XML"):
        read_table(folder(files={"Index.xml": harmony_index()[:-9]}))
    with pytest.raises(PlateError, match=r"Index.xml lists no image"):
        read_table(folder(files={"Index.xml": HARMONY.format(space="", unit="m", size="1", images="")}))


def test_two_measurements_are_no_plate() -> None:
    both = {"p1/Images/Index.xml": harmony_index(), "p2/Images/Index.xml": harmony_index()}
    with pytest.raises(PlateError, match=r"2 measurements \(p1/Images, p2/Images\); convert each by itself"):
        read_table(folder(files=both))
    same = {"p/Index.xml": harmony_index(), "p/Index.idx.xml": harmony_index()}
    assert wells(read_table(folder(files=same))) == ["B03"]


GUID = "5B71AE91C-75E6-426C-8B41-71A5693784E3"
META = (
    '<MetaData><prop id="spatial-calibration-state" type="bool" value="on"/>'
    '<prop id="spatial-calibration-x" type="float" value="{size}"/><prop id="spatial-calibration-y" type="float" '
    'value="{size}"/><prop id="spatial-calibration-units" type="string" value="um"/>'
    '<prop id="stage-position-x" type="float" value="{x}"/><prop id="stage-position-y" type="float" value="{y}"/>'
    '<prop id="wavelength" type="float" value="447"/><prop id="_IllumSetting_" type="string" value="DAPI"/></MetaData>'
)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        (f"p_A01_s1_w{GUID}.tif", ("A01", "1", "5", "", "")),
        ("ABCD_A01_s1_w5b71ae91c-75e6-426c-8b41-71a5693784e3.tif", ("A01", "1", "5", "", "")),
        ("ABCD_A01_w5b71ae91c-75e6-426c-8b41-71a5693784e3.tif", ("A01", "1", "5", "", "")),
        ("ABCD_A01_s1b71ae91c-75e6-426c-8b41-71a5693784e3.tif", ("A01", "1", "1", "", "")),
        ("p_P24_s12_w2.TIF", ("P24", "12", "2", "", "")),
        ("p_AF48.tif", ("AF48", "1", "1", "", "")),
        ("TimePoint_3/p_B02_w1.tif", ("B02", "1", "1", "", "3")),
        ("2024-01-01/1697/TimePoint_2/ZStep_4/p_B02_s2_w1.tif", ("B02", "2", "1", "4", "2")),
        ("timepoint1/p_b02_s2_w1.tif", ("B02", "2", "1", "", "1")),
    ],
)
def test_metaxpress_names(name: str, place: tuple[str, ...]) -> None:
    table = read_table(folder(name))
    (found,) = table.planes
    assert (str(found.well), found.field, found.channel, found.z, found.t) == place


def test_metaxpress_passes_thumbnails_over_and_knows_its_projections() -> None:
    names_of = [f"{z}p_B02_s1_w1{thumb}.tif" for z in ("", "ZStep_1/", "ZStep_2/") for thumb in ("", "_thumb")]
    table = read_table(folder(*names_of))
    assert values(table, "z") == ["1", "2", PROJECTION]
    assert table.notes == ("3 thumbnails are passed over.",)
    assert values(read_table(folder("ZStep_0/p_B02.tif", "ZStep_1/p_B02.tif")), "z") == ["1", PROJECTION]


HTD = """"HTSInfoFile", Version 1.0
"TimePoints", 1
"WellsSelection1", TRUE, TRUE, FALSE
"Sites", TRUE
"XSites", 2
"YSites", 1
"SiteSelection1", TRUE, TRUE
"NWavelengths", 2
"WaveName1", "Hoechst"
"WaveName2", "GFP"
"EndFile"
"""


def test_metaxpress_htd_and_tags() -> None:
    images = [f"p_A0{well}_s{site}_w1.TIF" for well in (1, 2) for site in (1, 2)]
    texts = {name: META.format(size=0.65, x=1000 * i, y=50) for i, name in enumerate(images)}
    table = read_table(folder(*images[:3], files={"p.HTD": HTD}, texts=texts))
    assert (names(table), table.channels["1"].emission_nm, table.pixel_size_um) == (["Hoechst"], 447, 0.65)
    assert table.missing == ("well A02, field 2 has no file, though the .HTD file lists the field",)
    assert table.notes == ("The .HTD file lists wavelengths of which there is no file: w2 (GFP).",)
    assert [x for _, x in table.centres_um.values()] == [0, 1000, 2000]
    mixed = dict(zip(images, [META.format(size=s, x=0, y=0) for s in (0.65, 0.65, 1.3, 1.3)], strict=True))
    table = read_table(folder(*images, files={"p.HTD": HTD}, texts=mixed))
    assert table.pixel_size_um is None
    assert "pixel sizes from 0.65 to 1.3" in table.notes[0]


def test_metaxpress_turns_the_stage_with_the_wells() -> None:
    images = ["p_A01_s1_w1.tif", "p_B01_s1_w1.tif"]
    texts = {name: META.format(size=1, x=5, y=-9000 * i) for i, name in enumerate(images)}
    assert sorted(read_table(folder(*images, texts=texts)).centres_um.values()) == [(0, 5), (9000, 5)]


def test_metaxpress_plates_side_by_side_are_refused() -> None:
    with pytest.raises(PlateError, match=r"2 plates \(p1, p2\)"):
        read_table(folder("p1/a_B02_s1_w1.tif", "p2/b_B03_s1_w1.tif"))
    with pytest.raises(PlateError, match=r"are both well B02, field 1, channel 1"):
        read_table(folder("p1/a_B02_s1_w1.tif", "p2/a_B02_s1_w1.tif"))


BTS = "http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"


def record(name: str, **attributes: object) -> str:
    usual = {"Type": "IMG", "Row": 2, "Column": 3, "TimePoint": 2, "FieldIndex": 1, "ZIndex": 1, "ActionIndex": 1}
    told = usual | {"X": "-10.0", "Y": "20.0", "Z": "1.0", "Ch": 1} | attributes
    attributes_text = " ".join(f'bts:{key}="{value}"' for key, value in told.items())
    return f"<bts:MeasurementRecord {attributes_text}>{name}</bts:MeasurementRecord>"


def mlf(*records: str) -> str:
    return f'<?xml version="1.0"?><bts:MeasurementData xmlns:bts="{BTS}">{"".join(records)}</bts:MeasurementData>'


MRF = (
    f'<bts:MeasurementDetail xmlns:bts="{BTS}" bts:TargetSystem="CV8000 X" bts:MeasurementSettingFileName="s.mes">'
    '<bts:MeasurementChannel bts:Ch="1" bts:HorizontalPixelDimension="0.325" bts:VerticalPixelDimension="0.325"/>'
    "</bts:MeasurementDetail>"
)
MES = (
    f'<bts:MeasurementSetting xmlns:bts="{BTS}"><bts:ChannelList><bts:Channel bts:Ch="1" bts:Target="405" '
    'bts:Acquisition="BP445/45" bts:Fluorophore="Hoechst"/></bts:ChannelList></bts:MeasurementSetting>'
)


def test_yokogawa_with_and_without_mrf() -> None:
    listed = mlf(record("a.tif"), record("b.tif", FieldIndex=2, X="5"), record("c.tif", Row=3, TimePoint=1))
    table = read_table(folder("M/A.TIF", "M/SC_x.tif", files={"M/D.mlf": listed, "M/D.mrf": MRF, "M/s.mes": MES}))
    assert (table.title, table.pixel_size_um, names(table)) == ("Yokogawa CV8000", 0.325, ["Hoechst"])
    assert (table.channels["1"].excitation_nm, table.channels["1"].emission_nm) == (405, 445)
    assert (wells(table), values(table, "t"), values(table, "field")) == (["B03", "C03"], [""], ["1", "2"])
    assert (-20.0, -10.0) in table.centres_um.values()  # Yokogawa's y grows upwards
    assert next(iter(table.planes.values())).name == "M/A.TIF"
    assert table.notes == ("1 images for dark and shading correction are passed over.",)
    table = read_table(folder(files={"D.mlf": listed}))
    assert (table.pixel_size_um, names(table)) == (None, ["C1"])
    assert "no .mrf file" in table.notes[0]


def test_yokogawa_errors_projections_actions_and_times() -> None:
    error = record("Focus lost", Type="ERR", FieldIndex=2)
    assert read_table(folder(files={"D.mlf": mlf(record("a.tif"), error)})).missing == (
        "well B03, field 2: the microscope recorded an error (Focus lost)",
    )
    projected = mlf(record("a.tif"), record("b.tif", ZIndex=2), record("m.tif", ZImageProcessing="Maximum"))
    assert values(read_table(folder(files={"D.mlf": projected})), "z") == ["1", "2", PROJECTION]
    twice = mlf(record("a.tif"), record("b.tif", ActionIndex=2), record("c.tif", Ch=2))
    assert values(read_table(folder(files={"D.mlf": twice})), "channel") == ["1 action 1", "1 action 2", "2"]
    in_time = mlf(record("a.tif"), record("b.tif", TimePoint=3))
    assert values(read_table(folder(files={"D.mlf": in_time})), "t") == ["2", "3"]
    with pytest.raises(PlateError, match="lists no image"):
        read_table(folder(files={"D.mlf": mlf(error)}))


def test_scanr_and_embl_names() -> None:
    table = read_table(
        folder("A1--W00001--P00002--Z00000--T00000--GFP.tif", "B1--W00013--P00002--Z00000--T00000--405 nm #1.tif")
    )
    assert (wells(table), values(table, "channel")) == (["A01", "B01"], ["405 nm #1", "GFP"])
    table = read_table(folder("W0021--B9--P001--Z000--T00000--C01.tif", "W0021--B9--P001--Z000--T00000--C02.tif"))
    assert (wells(table), values(table, "field"), values(table, "channel")) == (["B09"], ["001"], ["01", "02"])


def test_scanr_wells_without_a_letter_need_the_size_of_the_plate() -> None:
    named = ["A1--W00001--P00001--GFP.tif", "B1--W00013--P00001--GFP.tif"]
    lone = folder("--W00014--P00001--Z00000--T00000--GFP.tif")
    with pytest.raises(PlateError, match=r"well number 00014 has no name.*--plate-format"):
        read_table(lone)
    assert wells(read_table(lone, plate_format=96)) == ["B02"]
    assert wells(read_table(folder(*named, "--W00014--P00001--GFP.tif"))) == ["A01", "B01", "B02"]
    xml = (
        '<OME xmlns="x"><Image Name="Well 14, Position 1 (B2)"><Pixels PhysicalSizeX="0.325"><TiffData><UUID '
        'FileName="--W00014--P00001--GFP.tif"/></TiffData><Plane PositionX="7" PositionY="3"/></Pixels></Image></OME>'
    )
    table = read_table(folder("data/--W00014--P00001--GFP.tif", files={"data/metadata.ome.xml": xml}))
    assert (wells(table), table.pixel_size_um, [*table.centres_um.values()]) == (["B02"], 0.325, [(-3.0, 7.0)])
    with pytest.raises(PlateError, match=r"well number 00001 is called A01 and A02"):
        read_table(folder("A1--W00001--P00001--GFP.tif", "A2--W00001--P00002--GFP.tif"))


@pytest.mark.parametrize(
    ("layout", "images", "place"),
    [
        ("cellomics", ["AS_09125_050116030001_D03f00d0.TIF"], ("D03", "00", "0", "", "")),
        ("harmony-names", ["r02c03f05p04-ch1sk2fk1fl1.tiff"], ("B03", "05", "1", "04", "2")),
        ("harmony-names", ["r02c03f05-ch1sk2fk1fl1.tiff"], ("B03", "05", "1", "", "2")),
        ("harmony-names", ["r02c03f05p04-ch02t01.tiff"], ("B03", "05", "02", "04", "01")),
        ("operetta-names", ["Images/002003-5-004001002.tif"], ("B03", "5", "002", "004", "001")),
        ("metaxpress", ["exp_Q25_s1_w2.tif"], ("Q25", "1", "2", "", "")),
        ("yokogawa-names", ["x_B03_T0001F002L01A01Z03C02.tif"], ("B03", "002", "02", "03", "0001")),
        ("incell-names", ["B - 03(fld 2 wv UV - DAPI z 3 time 2 - 2636ms).tif"], ("B03", "2", "UV - DAPI", "3", "2")),
        ("incell-names", ["x/A - 13(fld 2).tif"], ("A13", "2", "", "", "")),
        ("incell-names", ["A - 01(fld 1 wv Blue - FITC).tif"], ("A01", "1", "Blue - FITC", "", "")),
        ("incell-names", ["A_01_f2_c1_xUV_mDAPI_z3_t2.tif"], ("A01", "2", "xUV_mDAPI", "3", "2")),
        ("cytation", ["B2_01_1_3_DAPI_001.tif"], ("B02", "3", "DAPI", "", "001")),
        ("cytation", ["A1_01_2_1_Phase Contrast_004.tif"], ("A01", "1", "Phase Contrast", "", "004")),
        ("cytation", ["P24_1_Bright Field_1_001_02.tif"], ("P24", "1", "Bright Field", "", "001")),
        ("cytation", ["A1_1Z3_DAPI_1_001_.tif"], ("A01", "1", "DAPI", "3", "001")),
        ("cytation", ["A1ROI2_01_1_1Z0_Confocal DAPI_001.tif"], ("A01", "2_1", "Confocal DAPI", "0", "001")),
        ("cytation", ["A1_-2_1_1_Tsf[Stitched[Channel1 300,400]]_001.tif"], ("A01", "1", "Channel1", "", "001")),
        ("incucyte", ["HC_G_B2_1_00d02h30m.tif"], ("B02", "1", "G", "", "00d02h30m")),
        ("incucyte", ["VID12_C10_4_2023y04m01d_12h30m.tif"], ("C10", "4", "", "", "2023y04m01d_12h30m")),
    ],
)
def test_names_of_other_vendors(layout: str, images: list[str], place: tuple[str, ...]) -> None:
    given = folder(*images)
    assert recognise(given)[0].name == layout
    (found,) = read_table(given).planes
    assert (str(found.well), found.field, found.channel, found.z, found.t) == place


def test_cytation_takes_raw_images_and_reads_their_xml() -> None:
    raw, made = "B2_01_1_1_DAPI_001.tif", "B2_-1_1_1_Stitched[DAPI 377,447]_001.tif"
    xml = (
        '<BTIImageMetaData><ImageAcquisition><Channel Color="DAPI 377,447"/><PixelWidth>1992</PixelWidth>'
        "<ImageWidthMicrons>1389</ImageWidthMicrons></ImageAcquisition></BTIImageMetaData>"
    )
    table = read_table(folder(raw, made, texts={raw: xml}))
    assert [source.name for source in table.planes.values()] == [raw]
    assert table.pixel_size_um == pytest.approx(0.6973, abs=1e-4)
    assert (table.channels["DAPI"].excitation_nm, table.channels["DAPI"].emission_nm) == (377, 447)
    assert "1 images that Gen5 made of others" in table.notes[0]


def test_incell_xdce() -> None:
    image = (
        '<Image filename="B - 03(fld 1 wv DAPI - DAPI).tif"><Well label="B - 3"><Row name="B" number="2"/>'
        '<Column name="3" number="3"/></Well><EmissionFilter name="DAPI" wavelength="455"/>'
        '<ExcitationFilter name="DAPI" wavelength="390"/>'
        '<Identifier field_index="0" time_index="0" wave_index="0" z_index="0"/>'
        '<OffsetFromWellCenter x="-300.5" y="200"/></Image>'
    )
    xdce = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><ImageStack><AutoLeadAcquisitionProtocol><ObjectiveCalibration '
        'pixel_height="0.37" pixel_width="0.37" unit="µm"/></AutoLeadAcquisitionProtocol>'
        f"<Images>{image}</Images></ImageStack>"
    )
    given = folder("b - 03(fld 1 wv dapi - dapi).tif", files={"x.xdce": xdce.encode("latin-1")})
    table = read_table(given)
    assert (wells(table), values(table, "field"), names(table)) == (["B03"], ["1"], ["DAPI"])
    assert (table.pixel_size_um, table.channels["0"].excitation_nm) == (0.37, 390)
    assert [*table.centres_um.values()] == [(-200.0, -300.5)]
    assert next(iter(table.planes.values())).name == "b - 03(fld 1 wv dapi - dapi).tif"


def ome(
    inner: str, *, order: str = "XYCZT", sizes: str = 'SizeC="2" SizeZ="2" SizeT="1"', plate: str | None = None
) -> str:
    plate = (
        plate
        if plate is not None
        else (
            '<Plate ID="Plate:0"><Well Row="1" Column="2"><WellSample ID="s" Index="0" PositionX="5" PositionY="6">'
            '<ImageRef ID="Image:0"/></WellSample></Well></Plate>'
        )
    )
    return (
        f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{plate}'
        f'<Image ID="Image:0" Name="i"><Pixels DimensionOrder="{order}" {sizes} PhysicalSizeX="0.5" '
        f'PhysicalSizeY="500" PhysicalSizeYUnit="nm"><Channel Name="DAPI"/><Channel Name="GFP"/>{inner}'
        "</Pixels></Image></OME>"
    )


UUID = '<UUID FileName="a.ome.tif">urn:uuid:1</UUID>'


@pytest.mark.parametrize(
    ("inner", "order", "pages"),
    [
        (
            f'<TiffData PlaneCount="4" IFD="0">{UUID}</TiffData>',
            "XYCZT",
            {("0", "0"): 0, ("1", "0"): 1, ("0", "1"): 2, ("1", "1"): 3},
        ),
        (
            f'<TiffData PlaneCount="4" IFD="0">{UUID}</TiffData>',
            "XYZCT",
            {("0", "0"): 0, ("0", "1"): 1, ("1", "0"): 2, ("1", "1"): 3},
        ),
        (f"<TiffData>{UUID}</TiffData>", "XYCZT", {("0", "0"): 0, ("1", "0"): 1, ("0", "1"): 2, ("1", "1"): 3}),
        (f'<TiffData FirstC="1" FirstZ="1" IFD="7">{UUID}</TiffData>', "XYCZT", {("1", "1"): 7}),
    ],
)
def test_ome_pages(inner: str, order: str, pages: dict[tuple[str, str], int]) -> None:
    table = read_table(folder("a.ome.tif", files={"x.companion.ome": ome(inner, order=order)}))
    assert {(place.channel, place.z): source.page for place, source in table.planes.items()} == pages
    assert (wells(table), table.pixel_size_um, [*table.centres_um.values()]) == (["B03"], 0.5, [(6.0, 5.0)])


def test_ome_in_the_tiff_acquisitions_and_several_plates() -> None:
    inside = ome('<TiffData IFD="0" PlaneCount="1"/>', sizes='SizeC="1" SizeZ="1" SizeT="1"')
    table = read_table(folder("a.ome.tif", texts={"a.ome.tif": inside}))
    assert [(source.name, source.page) for source in table.planes.values()] == [("a.ome.tif", 0)]
    samples = "".join(f'<WellSample ID="s{i}" Index="{i}"><ImageRef ID="Image:0"/></WellSample>' for i in (0, 1))
    taken = "".join(f'<PlateAcquisition><WellSampleRef ID="s{i}"/></PlateAcquisition>' for i in (0, 1))
    plate = f'<Plate><Well Row="0" Column="0">{samples}</Well>{taken}</Plate>'
    table = read_table(folder(files={"x.ome.xml": ome(f"<TiffData>{UUID}</TiffData>", plate=plate)}))
    assert [*table.acquisitions.values()] == [0, 1]
    with pytest.raises(PlateError, match=r"x.ome.xml holds 2 plates \(P, Q\)"):
        read_table(folder(files={"x.ome.xml": ome("", plate='<Plate Name="P"/><Plate Name="Q"/>')}))
    with pytest.raises(PlateError, match="lists no plane in a TIFF file"):
        read_table(folder(files={"x.ome.xml": ome("<BinData/>")}))


LOAD = (
    "FileName_OrigDNA,PathName_OrigDNA,FileName_OrigER,PathName_OrigER,Metadata_Plate,Metadata_Well,Metadata_Site,"
    "FileName_IllumDNA,Metadata_ImageResolutionX,Metadata_PositionX,Metadata_PositionY,Metadata_MainExcitationWavelength_OrigDNA\n"
    "a1.tiff,/far/away/Images,a2.tiff,/far/away/Images,P1,b3,2,P1_IllumDNA.npy,5.98E-07,0.0001,0.0002,405\n"
)


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
def test_load_data(codec: str) -> None:
    given = folder("plate/images/a1.tiff", "plate/images/a2.tiff", files={"load_data.csv": LOAD.encode(codec)})
    table = read_table(given)
    assert (wells(table), values(table, "field"), names(table)) == (["B03"], ["2"], ["DNA", "ER"])
    assert table.channels["OrigDNA"].excitation_nm == 405
    assert table.pixel_size_um == pytest.approx(0.598)
    assert [*table.centres_um.values()] == [pytest.approx((-200, 100))]
    assert sorted(source.name for source in table.planes.values()) == ["plate/images/a1.tiff", "plate/images/a2.tiff"]


def test_load_data_of_two_plates_is_refused() -> None:
    other = LOAD.splitlines()[1].replace(",P1,", ",P2,")
    with pytest.raises(PlateError, match=r"lists 2 plates \(P1, P2, …\)"):
        read_table(folder("a1.tiff", files={"load_data.csv": f"{LOAD}{other}\n"}))


def ndtiff_index(*axes: dict[str, object]) -> bytes:
    found = b""
    for i, each in enumerate(axes):
        text, name = json.dumps(each).encode(), b"d_NDTiffStack.tif"
        found += struct.pack("<I", len(text)) + text + struct.pack("<I", len(name)) + name
        found += struct.pack("<8I", 1000 * (len(axes) - i), 4, 4, 1, 0, 0, 0, 0)
    return found


def test_ndtiff_positions_called_after_wells_and_others() -> None:
    index = ndtiff_index({"position": "B3-Site_1", "channel": "DAPI"}, {"position": "B3-Site_0", "channel": "DAPI"})
    table = read_table(folder("d/d_NDTiffStack.tif", files={"d/NDTiff.index": index}))
    assert (wells(table), values(table, "field"), names(table)) == (["B03"], ["Site_0", "Site_1"], ["DAPI"])
    assert {place.field: source.page for place, source in table.planes.items()} == {"Site_1": 1, "Site_0": 0}
    table = read_table(
        folder(files={"NDTiff.index": ndtiff_index({"position": "Pos1", "time": 0}, {"position": "Pos2", "time": 1})})
    )
    assert wells(table) == ["A01"]
    assert "all 2 are fields of well A01" in table.notes[0]
    with pytest.raises(PlateError, match="is no index of NDTiff"):
        read_table(folder(files={"NDTiff.index": index[:-5]}))


def test_a_folder_of_no_known_microscope() -> None:
    with pytest.raises(ConfigError, match=r"no known microscope; one file is 'a/x.tif'.*--list-layouts.*--pattern"):
        read_table(folder("a/x.tif"))
    with pytest.raises(PlateError, match=r"no TIFF or PNG file, but .vsi files, which are not read"):
        read_table(folder("x.vsi"))
    assert [line.split()[0] for line in described()] == [layout.name for layout in LAYOUTS]


def test_names_of_most_images_decide() -> None:
    mixed = folder("x_O01f00d2.TIF", "x_O02f00d2.TIF", "x_A01_w1.tif", "--W00001--P00001--cherry.tif")
    assert recognise(mixed)[0].name == "cellomics"
    assert len(read_table(mixed).ignored) == 2
    assert wells(read_table(mixed, layout="metaxpress")) == ["A01"]


def test_even_steps() -> None:
    assert step([3.0, 1.0, 2.0, 2.0]) == 1
    assert step([1.0, 2.0, 4.0]) is None
    assert step([1.0]) is None


REAL = {
    "microscopes/operetta-compose": ("harmony", ["C03"], 2, ["Fluorescein (FITC)"], 1.19595),
    "microscopes/pe2loaddata/Version5": ("harmony", ["A01"], 1, None, 0.597976),
    "microscopes/pe2loaddata/Version7": ("harmony", ["A01"], 1, None, 0.296688),
    "microscopes/plateviewer-metaxpress": ("metaxpress", ["A01", "A02"], 2, ["DAPI", "CY5"], 0.645),
    "microscopes/plateviewer-scanr": ("scanr", ["A01", "A02"], 2, [], None),
    "microscopes/uzh-scanr-metadata": ("scanr", ["B02"], 1, [], 0.325),
    "microscopes/cellprofiler-examples/ExampleHuman": ("cellomics", ["D03"], 1, [], None),
    "microscopes/bbbc022-crop": ("metaxpress", ["A02"], 1, ["w1"], None),
    "microscopes/cmso-companion-ome": ("ome", None, 12, ["C0"], 0.322),
    "microscopes/cellvoyager-types/CV7000-example": (
        "yokogawa",
        ["C03", "D03", "E03", "F03"],
        64,
        ["405", "488", "561", "640"],
        0.325,
    ),
    "microscopes/cellvoyager-types/CV7000_z_processed": ("yokogawa", None, 45, ["405", "561", "640"], 0.108333),
    "microscopes/micromanager-ndtiff/v3/labeled_positions_1": ("ndtiff", ["A01"], 3, [""], 1.0),
    "microscopes/micromanager-ndtiff/v2": ("ndtiff", ["A01"], 1, ["Channel 0", "Channel 1"], 1.0),
    "sensor/incucyte-hc01501": ("incucyte", ["B02"], 1, ["Green", "Red"], 1.244),
    "vendor-layouts/CV8000": ("yokogawa", ["D08", "E03", "F08"], 12, ["405", "488"], 0.325),
    "vendor-layouts/ImageXpress/SingleChannel": ("metaxpress", ["E07", "E08"], 4, ["FITC_05"], 1.3668),
    "vendor-layouts/ImageXpress_exported/9987_Plate_3420": ("metaxpress", ["B02"], 1, ["DAPI"], 1.3672),
    "vendor-layouts/ImageXpress_exported/9987_Plate_3434": (
        "metaxpress",
        ["B02", "B03"],
        4,
        ["DAPI", "FITC", "Texas Red"],
        1.3672,
    ),
    "vendor-layouts/ImageXpress_exported/9987_Plate_3435": ("metaxpress", ["B02", "B03"], 4, ["DAPI", "FITC"], 1.3672),
}


@pytest.mark.parametrize("place", REAL)
def test_real_folders(shared_data: Path, place: str) -> None:
    layout, in_wells, fields, channels, size = REAL[place]
    given = open_folder(shared_data / place)
    assert recognise(given)[0].name == layout
    table = read_table(given)
    assert in_wells is None or wells(table) == in_wells
    assert len({(p.well, p.field) for p in table.planes}) == fields
    assert channels is None or names(table) == channels
    assert table.pixel_size_um == (None if size is None else pytest.approx(size, rel=1e-4))


def test_real_positions_and_light(shared_data: Path) -> None:
    table = read_table(open_folder(shared_data / "microscopes" / "operetta-compose"))
    assert [*table.centres_um.values()] == [pytest.approx((-645.814, -645.814)), pytest.approx((-645.814, 645.814))]
    listed = read_table(open_folder(shared_data / "microscopes" / "pe2loaddata" / "Version7"), layout="loaddata")
    index = read_table(open_folder(shared_data / "microscopes" / "pe2loaddata" / "Version7"))
    assert {c.excitation_nm for c in listed.channels.values()} == {c.excitation_nm for c in index.channels.values()}
    assert listed.pixel_size_um == pytest.approx(index.pixel_size_um)
    assert [re.sub("-0.0", "0.0", str(c)) for c in listed.centres_um.values()] == ["(0.0, 0.0)"]


HCS_AI_LIST = """\ufeffRow,Column,Well,Field,Wavelength,Timepoint,ZIndex,ImageSubFolderPath,ImageFileName,\
PositionXUm,PositionYUm
2,3,B - 3,0,0,0,0,timepoint0,P_t0_B03_s0_w0_z0.tif,9000,-2000
2,3,B - 3,0,1,0,0,timepoint0,P_t0_B03_s0_w1_z0.tif,9000,-2000
3,4,C - 4,0,0,0,0,timepoint0\\zstep0,P_t0_C04_s0_w0_z0.tif,18000,-11000
,,notawell,1,0,0,0,timepoint0,bad.tif,0,0
,,B - 3,,0,0,0,timepoint0,bad.tif,0,0
"""
HCS_AI_JDCE = {
    "Version": "1",
    "ImageStack": {
        "AutoLeadAcquisitionProtocol": {
            "ObjectiveCalibration": {"Unit": "um", "PixelWidth": 0.5817, "PixelHeight": 0.5817},
            "Wavelengths": [
                {
                    "Index": i,
                    "EmissionFilter": {"Name": name, "Wavelength": emission, "Unit": "nm"},
                    "ExcitationFilter": {"Name": "x", "Wavelength": excitation, "Unit": "nm"},
                }
                for i, name, excitation, emission in [(0, "DAPI", 390, 447), (1, "FITC", 475, 520)]
            ],
            "PlateMap": {"ZDimensionParameters": {"Step": 3.0}, "TimeSchedule": {"Times": [{"Ms": 0}, {"Ms": 60000}]}},
        }
    },
}


def test_imagexpress_hcs_ai_takes_the_raw_images_of_a_run() -> None:
    unit = "P_20260804/experiment"
    images = [f"{unit}/timepoint0/P_t0_B03_s0_w{w}_z0.tif" for w in (0, 1)]
    images += [f"{unit}/timepoint0/zstep0/P_t0_C04_s0_w0_z0.tif", "P_20260804/experiment_montage/timepoint0/M.tif"]
    files = {
        f"{unit}/image_metadata_1.csv": HCS_AI_LIST,
        f"{unit}/P.jdce": json.dumps(HCS_AI_JDCE),
        "P_20260804/experiment_montage/image_metadata_1.csv": HCS_AI_LIST,
    }
    table = read_table(folder(*images, files=files))
    assert (wells(table), values(table, "field"), names(table)) == (["B03", "C04"], ["0"], ["DAPI", "FITC"])
    assert sorted(source.name for source in table.planes.values()) == images[:3]
    assert (table.pixel_size_um, table.z_step_um, table.interval_s) == (0.5817, 3.0, 60.0)
    assert table.channels["1"].light == "475 → 520 nm"
    assert {str(well): centre for (well, _), centre in table.centres_um.items()} == {
        "B03": (2000, 9000),  # the stage runs against the rows
        "C04": (11000, 18000),
    }
    assert "experiment_montage is left out" in " ".join(table.notes)
    bare = read_table(folder(*images[:3], "P_20260804/experiment/timepoint1/P_t1_B03_s0_w0_z0.tif"))
    assert (wells(bare), values(bare, "t"), values(bare, "channel")) == (["B03", "C04"], ["0", "1"], ["0", "1"])


def test_a_damaged_index_leaves_the_names() -> None:
    images = ["Images/r02c03f01p01-ch1sk1fk1fl1.tiff", "Images/r02c03f02p01-ch1sk1fk1fl1.tiff"]
    given = folder(*images, files={"Images/Index.idx.xml": harmony_index()[:-40]})
    table = read_table(given)
    assert (wells(table), values(table, "field")) == (["B03"], ["01", "02"])
    assert "Names alone are read, because the folder: Images/Index.idx.xml is no valid XML" in table.notes[0]
    with pytest.raises(PlateError, match=r"^the folder: Images/Index\.idx\.xml is no valid XML"):
        read_table(given, layout="harmony")


def test_ome_tiffs_of_one_well_each_are_told_by_their_names() -> None:
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0" Name="x"><Pixels SizeX="4" '
        'SizeY="4" SizeZ="1" SizeC="1" SizeT="1" DimensionOrder="XYCZT"><TiffData/></Pixels></Image></OME>'
    )
    images = ["exp_A01_1.ome.tif", "exp_A01_2.ome.tif", "exp_B02.ome.tif"]
    table = read_table(folder(*images, texts=dict.fromkeys(images, xml)))
    assert {(str(place.well), place.field): source.name for place, source in table.planes.items()} == {
        ("A01", "0"): images[0],
        ("A01", "1"): images[1],
        ("B02", "0"): images[2],
    }


def test_folders_of_file_servers_and_thumbnails_are_passed_over(tmp_path: Path) -> None:
    for name in ("exp_A01_s1_w1.tif", "@eaDir/exp_A01_s1_w1.tif", "Thumbnails/exp_A01_s1_w1.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert open_folder(tmp_path).names == ("exp_A01_s1_w1.tif",)
