"""Settings of registries: read, checked, wrong ones named."""

from __future__ import annotations

from pathlib import Path

import pytest

from winslow_nomad import config
from winslow_nomad.config import Settings
from winslow_nomad.config_registries import RegistrySettings
from winslow_nomad.core.errors import Invalid


def loaded(home: Path, file: str = "", **environ: str) -> Settings:
    home.mkdir(exist_ok=True)
    (home / "winslow.toml").write_text(file)
    return config.load({"WINSLOW_HOME": str(home), "USER": "ann", **environ})


def test_registries_are_read_from_the_file_and_variables_win(tmp_path: Path) -> None:
    file = '[registries]\ninsecure = ["10.0.0.7:5000"]\nunasked = ["inside.example.org"]\nca_cert = "/ca.pem"\n'
    read = RegistrySettings(insecure=("10.0.0.7:5000",), unasked=("inside.example.org",), ca_cert="/ca.pem")
    assert loaded(tmp_path, file).registries == read
    found = loaded(tmp_path, file, WINSLOW_REGISTRIES_INSECURE="a.b:1, localhost,", WINSLOW_REGISTRIES_CACERT="/x.pem")
    assert found.registries == RegistrySettings(("a.b:1", "localhost"), ("inside.example.org",), "/x.pem")
    assert loaded(tmp_path).registries == RegistrySettings()


@pytest.mark.parametrize(
    ("file", "code", "said"),
    [
        ("registries = 7", "settings.invalid", "[registries]"),
        ("[registries]\ninsecur = []", "settings.unknown", "registries.insecur"),
        ('[registries]\ninsecure = "a.b"', "settings.invalid", "registries.insecure"),
        ('[registries]\nunasked = ["https://a.b"]', "settings.invalid", "'https://a.b'"),
        ('[registries]\nunasked = ["a"]', "settings.invalid", "registries.unasked"),
        ("[registries]\nca_cert = 7", "settings.invalid", "registries.ca_cert"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, file: str, code: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        loaded(tmp_path, file)
    assert refused.value.code == code and said in refused.value.message
