"""The parameter study, with its sweep, gathering and branches played by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from .street import PIPELINES, Done, Run


def study(folder: Path, thresholds: list[str], noise: str) -> tuple[Run, Done]:
    run = Run(folder, "parameter-study", {"NOISE": noise, "FRAMES": "20", "SPOTS": "8"})
    assert run.stage("prepare", "prepare.py").code == 0
    index = []
    for number, threshold in enumerate(thresholds, 2):
        member = f"{number:04d}"
        done = run.stage("measure", "measure.py", output=f"measure/{member}", THRESHOLD=threshold)
        index.append(
            {
                "stage": number,
                "state": "failed" if done.code else "succeeded",
                "values": {"THRESHOLD": threshold},
                "results": done.results,
                "output": member,
            }
        )
    (folder / "stages" / "measure" / "index.json").write_text(json.dumps(index))
    return run, run.stage("choose", "choose.py", fresh=True)


def test_the_best_threshold_lies_between_noise_and_contrast(tmp_path: Path) -> None:
    run, chosen = study(tmp_path, ["5", "40", "150"], "12")
    assert chosen.results["best"] == "40"
    assert float(chosen.results["best_score"]) >= 0.8
    assert run.stage("publish", "publish.py").code == 0
    report = run.stage("report", "report.py")
    assert report.results == {"published": "true"}
    assert "THRESHOLD=40" in (report.output / "report.html").read_text()


def test_no_threshold_is_good_in_heavy_noise_and_the_report_warns(tmp_path: Path) -> None:
    run, chosen = study(tmp_path, ["20", "60"], "80")
    assert float(chosen.results["best_score"]) < 0.8
    assert run.stage("warn", "warn.py").code == 0
    report = run.stage("report", "report.py")
    assert report.results == {"published": "false"}
    assert "No threshold is good" in (report.output / "report.html").read_text()


def test_a_failed_member_does_not_spoil_the_sweep(tmp_path: Path) -> None:
    _, chosen = study(tmp_path, ["-10", "40"], "12")
    assert (chosen.code, chosen.results["members"]) == (0, "1")
    with open(chosen.output / "table.csv", newline="") as file:
        assert [row["stage"] for row in csv.DictReader(file)] == ["3"]


def test_a_sweep_in_which_all_failed_is_one_sentence(tmp_path: Path) -> None:
    _, chosen = study(tmp_path, ["-10", "-5"], "12")
    assert chosen.code == 1
    assert chosen.errors.startswith("error: no member")
    assert "Traceback" not in chosen.errors


def test_a_single_measurement_without_a_sweep_is_chosen(tmp_path: Path) -> None:
    run = Run(tmp_path, "parameter-study", {"FRAMES": "5", "SPOTS": "3"})
    for name in ("prepare", "measure"):
        assert run.stage(name, f"{name}.py").code == 0
    assert run.stage("choose", "choose.py").results["best"] == "40"


@pytest.mark.parametrize("pipeline", ["traffic", "parameter-study"])
def test_every_script_that_the_file_names_exists(pipeline: str) -> None:
    declared = yaml.safe_load((PIPELINES / pipeline / "pipeline.yaml").read_text())
    for definition in declared["stages"]:
        script = definition["command"][1].removeprefix("${WINSLOW_PIPELINE}/")
        assert (PIPELINES / pipeline / script).is_file()
