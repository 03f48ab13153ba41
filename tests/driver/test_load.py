"""How busy the GPUs of a machine are, with a stand-in for NVML; and who has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.builders import HandClock
from tests.driver.test_booking import booking
from tests.driver.test_gpus import nvml  # noqa: F401
from winslow_nomad.core.nodes import CardLoad
from winslow_nomad.driver.local.book import Book
from winslow_nomad.driver.local.load import LocalLoads
from winslow_nomad.driver.local.machine import this_machine

ASK = """
from winslow_nomad.driver.local.load import CardReader
import json
print(json.dumps([c.model_dump() for c in CardReader()()]))
"""


def read(library: Path | None, cards: str, tmp_path: Path) -> list[dict[str, object]]:
    (tmp_path / "cards").write_text(cards)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "FAKE_NVML": str(tmp_path / "cards")}
    environment |= {"LD_LIBRARY_PATH": str(library)} if library else {}
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, env=environment, check=True)
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def test_each_gpu_tells_memory_work_heat_and_power(nvml: Path, tmp_path: Path) -> None:  # noqa: F811
    text = "GPU-a|NVIDIA RTX A5000|24564|13100|93|60|218|230|71|0\nGPU-b|NVIDIA T400|2048|1|0|0|20|30|38|0\n"
    first, second = read(nvml, text, tmp_path)
    assert (first["index"], first["uuid"], first["model"]) == (0, "GPU-a", "NVIDIA RTX A5000")
    assert (first["memory"], first["memory_used"]) == (24564 << 20, 13100 << 20)
    assert (first["percent"], first["temperature"], first["watts"]) == (93, 71, 218)
    assert (second["index"], second["percent"]) == (1, 0)


def test_a_lost_gpu_is_left_out_and_a_machine_without_the_library_has_none(
    nvml: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    text = "GPU-a|NVIDIA T400|2048|1|0|0|20|30|38|1\nGPU-b|NVIDIA T400|2048|1|5|0|20|30|38|0\n"
    assert [c["uuid"] for c in read(nvml, text, tmp_path)] == ["GPU-b"]
    assert read(tmp_path / "nothing", "", tmp_path) == []


def test_gpus_name_the_attempts_that_have_them(tmp_path: Path) -> None:
    book = Book(tmp_path / "local")
    holds, over = booking(1, state="launched", held=("GPU-a",)), booking(2, state="ended", held=("GPU-b",))
    book.put(holds)
    book.put(over)
    cards = [CardLoad(index=i, uuid=u, model="T400", memory=1) for i, u in enumerate(("GPU-a", "GPU-b"))]
    loads = LocalLoads(machine=this_machine(), home=tmp_path, disk=tmp_path, clock=HandClock(), cards=lambda: cards)
    found = loads.loads()[this_machine().host]
    assert [c.attempts for c in found.cards] == [(str(holds.spec.ref),), ()]
