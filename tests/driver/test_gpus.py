"""GPUs of the local driver, with a stand-in for NVML and with cards made up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.driver_cases import Does, LocalCase
from tests.waiting import until
from winslow_nomad.core.errors import DriverRejected
from winslow_nomad.core.pipeline import GIB, Gpu, Resources
from winslow_nomad.core.ports import AttemptRef
from winslow_nomad.driver.local.gpus import Card, Cards

CARDS = Cards((Card("GPU-1", "NVIDIA GeForce RTX 2080 Ti", 11 * GIB), Card("GPU-2", "NVIDIA RTX A5000", 24 * GIB)))
ASK = """
import json, sys
from winslow_nomad.driver.local.gpus import Nvml
nvml = Nvml()
for line in sys.stdin:
    cards = nvml()
    print(json.dumps([[(c.uuid, c.model, c.memory) for c in cards.found], cards.lost]), flush=True)
"""


@pytest.fixture(scope="module")
def nvml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with libnvidia-ml.so.1."""
    directory = tmp_path_factory.mktemp("nvml")
    own = [sys.executable, "-m", "ziglang", "cc"]
    compiler = [found] if (found := shutil.which("cc")) else own
    source = Path(__file__).parent / "fake_nvml.c"
    subprocess.run([*compiler, "-shared", "-fPIC", "-o", directory / "libnvidia-ml.so.1", source], check=True)
    return directory


def asking(library: Path | None, cards: Path | None) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    environment |= {"LD_LIBRARY_PATH": str(library)} if library else {}
    environment |= {"FAKE_NVML": str(cards)} if cards else {}
    return subprocess.Popen(
        [sys.executable, "-c", ASK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def answer(process: subprocess.Popen[str]) -> list[object]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("?\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def line(number: int, memory: int, broken: int = 0) -> str:
    return f"GPU-{number}|NVIDIA RTX A5000|{memory}|1|0|0|20|230|30|{broken}\n"


def test_gpus_are_seen_with_model_and_memory_and_a_lost_one_is_left_out_until_it_is_back(
    nvml: Path, tmp_path: Path
) -> None:
    cards = tmp_path / "cards"
    cards.write_text(line(1, 24564) + line(2, 24564))
    process = asking(nvml, cards)
    with process:
        both = [[f"GPU-{i}", "NVIDIA RTX A5000", 24564 << 20] for i in (1, 2)]
        assert answer(process) == [both, 0]
        cards.write_text(line(1, 24564, broken=1) + line(2, 24564))
        assert answer(process) == [both[1:], 1]
        cards.write_text(line(1, 24564) + line(2, 24564))
        assert answer(process) == [both, 0]
        process.communicate()


@pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="this machine has NVIDIA's driver")
def test_a_machine_without_nvidias_driver_has_no_gpus() -> None:
    process = asking(None, None)
    with process:
        assert answer(process) == [[], 0]
        process.communicate()


def seen_by(case: LocalCase, number: int, resources: Resources, driver) -> AttemptRef:
    ref = AttemptRef(project=case.project, stage=number, attempt=1)
    shows = "; ".join(
        [
            'echo "$CUDA_VISIBLE_DEVICES|$NVIDIA_VISIBLE_DEVICES"',
            "tr '\\0' '\\n' < /proc/$$/environ | grep -c ^CUDA_VISIBLE_DEVICES=",  # getenv takes the first
            'echo x >> "$WINSLOW_OUTPUT/starts"',
            'read l < "$HOME/go"',
        ]
    )
    spec = case.attempts.make(ref, ("sh", "-c", shows), resources=resources, environment={"CUDA_VISIBLE_DEVICES": "0"})
    os.mkfifo(case.attempts.directory(ref) / "workspace/go")
    case.specs.append(spec)
    driver.submit(spec)
    return ref


def test_each_stage_sees_the_gpus_it_was_given_and_the_next_one_waits_for_its_turn(case: LocalCase) -> None:
    driver = case.restarted(gpus=lambda: CARDS)
    any_gpu, big = Resources(cpu=0.5, memory=1 << 26, gpu=Gpu()), Gpu(memory=16 * GIB)
    first = seen_by(case, 61, any_gpu, driver)
    second = seen_by(case, 62, any_gpu.but(gpu=big), driver)
    none = seen_by(case, 63, any_gpu.but(gpu=None), driver)
    until(lambda: case.runs(first) and case.runs(second) and case.runs(none))
    case.driver = driver
    waiting = case.prepared(Does(), resources=any_gpu.but(gpu=big))
    reason = driver.submit(waiting).reason
    assert reason.text == "waits for a GPU with 16 GiB: the only one is in use"
    assert [(g.count, g.used) for g in driver.inventory().nodes[0].gpus] == [(1, 1), (1, 1)]
    for ref, shown in ((first, "GPU-1|GPU-1"), (second, "GPU-2|GPU-2"), (none, "|void")):
        case.release(ref)
        until(lambda ref=ref: driver.observe([ref])[0].phase == "ended")
        assert case.attempts.output(ref).split() == [shown, "1"]
    until(lambda: driver.observe([waiting.ref])[0].phase == "ended")
    assert case.attempts.end(waiting.ref).succeeded


def test_what_needs_a_lost_gpu_waits_for_it_and_is_not_rejected(case: LocalCase) -> None:
    cards = [Cards(lost=1)]
    driver = case.driver = case.restarted(gpus=lambda: cards[0])
    spec = case.prepared(Does(), resources=Resources(gpu=Gpu()))
    reason = driver.submit(spec).reason
    assert reason.text.endswith("; 1 of this machine's GPUs cannot be reached")
    cards[0] = CARDS
    until(lambda: driver.observe([spec.ref])[0].phase == "ended")
    assert case.attempts.end(spec.ref).succeeded


def test_more_gpus_than_there_are_is_rejected_with_the_nearest_named(case: LocalCase) -> None:
    driver = case.restarted(gpus=lambda: CARDS)
    with pytest.raises(DriverRejected, match="no node has 2 GPUs of one model: the most are 1"):
        driver.submit(case.prepared(Does(), resources=Resources(gpu=Gpu(count=2))))
