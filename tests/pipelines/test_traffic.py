"""The traffic pipeline, stage by stage as processes, over made-up streets."""

from __future__ import annotations

import csv
import re
import wave
from pathlib import Path

import av
import pytest
import yaml

from .street import PIPELINES, TRAFFIC, Car, Done, Run, film, traffic

# Three come: two from the left (one slow, one fast behind it, in another lane), one from the right behind a post.
CARS = [
    Car(-30, 50, 110, ends=4),
    Car(-30, 95, 160, starts=0.8),
    Car(350, 140, -120, starts=0.4),
]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    folder = tmp_path_factory.mktemp("street")
    video = film(folder / "street.mp4", CARS, seconds=4.0, post=(200, 214), shake=3.0)
    return traffic(folder, video, METRES_PER_PIXEL="0.05", MIN_AREA="150")


def rows(done: Done, name: str) -> list[dict[str, str]]:
    with open(done.output / name, newline="") as file:
        return list(csv.DictReader(file))


def test_three_that_pass_are_three_road_users_though_a_post_hides_them(street: dict[str, Done]) -> None:
    assert street["analyse"].results["road_users"] == "3"
    assert sorted(r["direction"] for r in rows(street["analyse"], "tracks.csv")) == [
        "to the left", "to the right", "to the right",
    ]  # fmt: skip


def test_each_crosses_the_line_once(street: dict[str, Done]) -> None:
    assert street["analyse"].results["crossings"] == "3"
    assert rows(street["analyse"], "counts.csv")[-1]["cumulative"] == "3"


def test_speeds_are_right_though_the_camera_shakes(street: dict[str, Done]) -> None:
    speeds = sorted(float(r["speed_px_s"]) for r in rows(street["analyse"], "tracks.csv"))
    assert speeds == pytest.approx([110, 120, 160], rel=0.1)
    kmh = sorted(float(r["speed_km_h"]) for r in rows(street["analyse"], "tracks.csv"))
    assert kmh == pytest.approx([s * 0.05 * 3.6 for s in speeds], abs=0.1)


def test_all_stages_end_at_a_hundred_percent_and_report_what_the_file_declares(street: dict[str, Done]) -> None:
    declared = yaml.safe_load((PIPELINES / "traffic" / "pipeline.yaml").read_text())
    for definition in declared["stages"]:
        done = street[definition["id"]]
        assert done.progress == "100"
        assert set(done.results) == set(definition["results"])
        for key, kind in definition["results"].items():
            assert re.fullmatch(r"-?\d+" if kind == "integer" else r"-?\d+(\.\d+)?", done.results[key]), key


def test_charts_and_gates_name_files_and_columns_that_exist(street: dict[str, Done]) -> None:
    declared = yaml.safe_load((PIPELINES / "traffic" / "pipeline.yaml").read_text())
    for definition in declared["stages"]:
        for chart in definition.get("charts", []):
            assert {chart["x"], *chart["y"]} <= set(rows(street[definition["id"]], chart["file"])[0])
        for shown in definition.get("confirm", {}).get("show", []):
            stage, _, name = shown.partition("/")
            assert (street[stage].output / name).stat().st_size > 0


def test_the_script_of_every_stage_exists() -> None:
    declared = yaml.safe_load((PIPELINES / "traffic" / "pipeline.yaml").read_text())
    assert [(s["id"], s["command"][1].removeprefix("${WINSLOW_PIPELINE}/")) for s in declared["stages"]] == list(
        TRAFFIC
    )


def test_the_annotated_video_plays_in_every_browser(street: dict[str, Done]) -> None:
    path = street["analyse"].output / "annotated.mp4"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        frames = list(container.decode(stream))
        assert len(frames) == 100
        assert float(frames[-1].time) == pytest.approx(99 / 25, abs=0.001)
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_the_report_is_one_page_that_needs_only_the_video(street: dict[str, Done]) -> None:
    page = (street["analyse"].output / "report.html").read_text()
    assert [s for s in re.findall(r'src="([^"]+)"', page) if not s.startswith("data:")] == ["annotated.mp4"]
    assert "http" not in page
    assert "3 road users" in page or "<b>3</b><span>road users" in page
    for name in ("heatmap.png", "thumbnail.jpg"):
        assert (street["analyse"].output / name).stat().st_size > 1000


def test_the_preview_tells_what_another_min_area_would_keep(street: dict[str, Done]) -> None:
    table = rows(street["inspect"], "min_area.csv")
    now = next(r for r in table if r["min_area"] == "150")
    assert now["detections"] == street["detect"].results["detections"]
    counts = [int(r["detections"]) for r in table]
    assert counts == sorted(counts, reverse=True)


def test_nobody_is_followed_across_a_cut(tmp_path: Path) -> None:
    cars = [Car(60, 60, 80, ends=1.96), Car(60, 60, 80, starts=2.0)]
    done = traffic(tmp_path, film(tmp_path / "cut.mp4", cars, seconds=4.0, cut_at=2.0), MIN_AREA="150")
    assert done["detect"].results["shots"] == "2"
    assert [r["shot"] for r in rows(done["analyse"], "tracks.csv")] == ["1", "2"]


def test_an_empty_street_gives_a_report_about_nobody(tmp_path: Path) -> None:
    done = traffic(tmp_path, film(tmp_path / "empty.mp4", [], seconds=1.5, size=(161 * 2, 90)))
    assert done["analyse"].results["road_users"] == "0"
    assert (done["analyse"].output / "report.html").exists()


def one_sentence(done: Done) -> str:
    assert done.code == 1
    assert "Traceback" not in done.errors
    lines = done.errors.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize("content", [b"", b"no video at all\n" * 50, b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 500])
def test_what_is_no_video_fails_with_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.mp4").write_bytes(content)
    done = Run(tmp_path, "traffic", {"VIDEO": str(tmp_path / "bad.mp4")}).stage("detect", "detect.py")
    assert "bad.mp4" in one_sentence(done)


def test_a_sound_file_fails_with_one_sentence(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "sound.mp4"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\x00\x10" * 8000)
    done = Run(tmp_path, "traffic", {"VIDEO": str(tmp_path / "sound.mp4")}).stage("detect", "detect.py")
    assert "no video" in one_sentence(done)


def test_a_video_without_a_single_frame_fails_with_one_sentence(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "none.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    done = Run(tmp_path, "traffic", {"VIDEO": str(tmp_path / "none.mkv")}).stage("detect", "detect.py")
    assert "none.mkv" in (sentence := one_sentence(done))
    assert "no frames" in sentence or "before its first frame" in sentence


@pytest.mark.parametrize(
    ("name", "value"), [("VIDEO", "/nowhere/x.mp4"), ("MIN_AREA", "many"), ("REGION", "0,0 1,1"), ("METHOD", "magic")]
)
def test_a_wrong_value_is_named(tmp_path: Path, name: str, value: str) -> None:
    video = film(tmp_path / "v.mp4", [], seconds=0.2)
    done = Run(tmp_path, "traffic", {"VIDEO": str(video), name: value}).stage("detect", "detect.py")
    assert name in one_sentence(done)


def test_a_video_that_breaks_off_is_counted_as_far_as_it_goes(tmp_path: Path) -> None:
    video = film(tmp_path / "v.mkv", CARS[:1], seconds=3.0)
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 2 // 3])
    done = Run(tmp_path, "traffic", {"VIDEO": str(video)}).stage("detect", "detect.py")
    assert done.code == 0
    assert 20 < int(done.results["frames"]) < 75


def test_a_region_hides_what_lies_outside_it(tmp_path: Path) -> None:
    video = film(tmp_path / "v.mp4", [Car(-20, 40, 150)], seconds=2.0)
    run = Run(tmp_path, "traffic", {"VIDEO": str(video)})
    seen = run.stage("detect", "detect.py", fresh=True)
    below = run.stage("detect", "detect.py", fresh=True, output="below", REGION="0,0.5 1,0.5 1,1 0,1")
    assert int(seen.results["detections"]) > 20
    assert below.results["detections"] == "0"


def test_stages_write_nothing_into_the_pipeline_folder(street: dict[str, Done]) -> None:
    left = [p for p in (PIPELINES / "traffic").rglob("*") if p.suffix in (".csv", ".json", ".mp4", ".png")]
    assert left == []
