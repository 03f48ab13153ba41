"""Settings of the driver nomad: as everybody knows them, wrong ones named, and the token shown nowhere."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from winslow_nomad import config
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.nomad import access_of, site_of
from winslow_nomad.config import Settings
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.ports import AttemptRef
from winslow_nomad.driver.nomad.job import job_id
from winslow_nomad.store.embedded import Embedded

TOKEN = "7e57c0de-0000-4000-8000-5ec2e7000000"


def loaded(home: Path, file: str = "", **environ: str) -> Settings:
    home.mkdir(exist_ok=True)
    (home / "winslow.toml").write_text(file)
    return config.load({"WINSLOW_HOME": str(home), "USER": "ann", **environ})


def test_the_variables_are_those_of_nomads_own_programs(tmp_path: Path) -> None:
    variables = {
        "NOMAD_ADDR": "https://nomad.example.org:4646/",
        "NOMAD_TOKEN": f"{TOKEN}\n",
        "NOMAD_NAMESPACE": "video",
        "NOMAD_REGION": "eu",
        "NOMAD_CACERT": "/ca.pem",
        "NOMAD_CLIENT_CERT": "/cert.pem",
        "NOMAD_CLIENT_KEY": "/key.pem",
        "NOMAD_TLS_SERVER_NAME": "server.eu.nomad",
        "NOMAD_SKIP_VERIFY": "true",
    }
    access = access_of(loaded(tmp_path, **variables))
    assert (access.address, access.token, access.namespace) == ("https://nomad.example.org:4646", TOKEN, "video")
    assert (access.region, access.ca, access.server_name) == ("eu", "/ca.pem", "server.eu.nomad")
    assert (access.client_certificate, access.verify) == (("/cert.pem", "/key.pem"), False)


def test_without_any_it_is_the_agent_on_this_machine_and_winslows_own_user(tmp_path: Path) -> None:
    settings = loaded(tmp_path, 'share = "/data/winslow"')
    access, site = access_of(settings), site_of(settings)
    assert (access.address, access.namespace, access.token, access.verify) == (
        "http://127.0.0.1:4646", "winslow", "", True,
    )  # fmt: skip
    assert (site.uid, site.gid) == (os.getuid(), os.getgid())
    assert (site.share_root("default"), site.share_root("gpu")) == ("/data/winslow", "/data/winslow")


FILE = """
share = "/mnt/winslow"
[roots]
recordings = "/data/recordings"
[nomad]
address = "http://10.0.0.1:4646"
namespace = "from-file"
uid = 4242
gid = 0
datacenters = ["dc1"]
network = "none"
whole_cores = true
oversubscription = true
share_volume = "other"
[nomad.share_roots]
gpu = "/fast/winslow/"
[nomad.pools]
big = "gpu"
"""


def test_the_table_says_the_rest_and_a_variable_wins_over_it(tmp_path: Path) -> None:
    settings = loaded(tmp_path, FILE, NOMAD_NAMESPACE="from-variable")
    access, site = access_of(settings), site_of(settings)
    assert (access.address, access.namespace, site.namespace) == (
        "http://10.0.0.1:4646", "from-variable", "from-variable",
    )  # fmt: skip
    assert (site.uid, site.gid, site.datacenters, site.network) == (4242, 0, ("dc1",), "none")
    assert (site.whole_cores, site.oversubscription, site.share_volume) == (True, True, "other")
    assert (site.share_root(site.node_pool("big")), site.share_root("default")) == ("/fast/winslow", "/mnt/winslow")
    assert site.mapped == {"recordings": "/data/recordings"}


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("[nomad]\naddres = 'x'", "nomad.addres is not a setting"),
        ("[nomad]\ntoken = 'x'", "Give it as NOMAD_TOKEN"),
        ("nomad = 3", r"nomad is a table, \[nomad\]"),
        ("[nomad]\naddress = 'nomad:4646'", "an address is like https://"),
        ("[nomad]\naddress = 'http://host/path'", "an address is like https://"),
        ("[nomad]\nnamespace = '*'", "letters, digits and -"),
        ("[nomad]\nuid = '0'", "it is a number"),
        ("[nomad]\nuid = true", "it is a number"),
        ("[nomad]\nskip_verify = 2", "true or false"),
        ("[nomad]\ndatacenters = 'dc1'", r'written \["dc1", "dc2"\]'),
        ("[nomad.share_roots]\ngpu = 'relative'", "each is an absolute path"),
        ("[nomad.share_roots]\ngpu = '/a/../b'", "each is an absolute path"),
        ("[nomad]\npools = ['gpu']", "one for each pool"),
        ("[nomad]\nregion = 3", "it is not a text"),
    ],
)
def test_what_cannot_be_is_refused_with_its_key_and_place(tmp_path: Path, file: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as refused:
        loaded(tmp_path, file)
    assert "winslow.toml" in str(refused.value) or "nomad" in str(refused.value)


@pytest.mark.parametrize(("name", "value"), [("NOMAD_ADDR", "4646"), ("NOMAD_SKIP_VERIFY", "perhaps")])
def test_a_variable_that_cannot_be_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(Invalid, match=name):
        loaded(tmp_path, **{name: value})


def test_a_token_stands_in_a_file_that_may_change_or_in_its_variable(tmp_path: Path) -> None:
    file = "[nomad]\ntoken_file = '/etc/winslow/nomad-token'"
    assert access_of(loaded(tmp_path, file)).token_file == "/etc/winslow/nomad-token"
    assert access_of(loaded(tmp_path, file, NOMAD_TOKEN_FILE="/run/token")).token_file == "/run/token"
    by_variable = access_of(loaded(tmp_path, file, NOMAD_TOKEN=TOKEN))
    assert (by_variable.secret(), by_variable.token_file) == (TOKEN, "")
    with pytest.raises(Invalid, match="both given"):
        loaded(tmp_path, NOMAD_TOKEN=TOKEN, NOMAD_TOKEN_FILE="/run/token")


@pytest.mark.parametrize("name", ["NOMAD_CLIENT_CERT", "NOMAD_CLIENT_KEY"])
def test_half_of_a_certificate_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="of no use without"):
        loaded(tmp_path, **{name: "/x.pem"})


def test_a_network_that_would_open_the_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be the network of stages"):
        site_of(loaded(tmp_path, "[nomad]\nnetwork = 'host'"))


def test_the_token_is_in_nothing_that_is_shown(tmp_path: Path) -> None:
    settings = loaded(tmp_path, NOMAD_TOKEN=TOKEN)
    assert TOKEN not in repr(settings) + repr(access_of(settings)) + repr(settings.nomad)
    with pytest.raises(Invalid) as refused:
        loaded(tmp_path, NOMAD_TOKEN=f"{TOKEN} and more")
    assert TOKEN not in str(refused.value)


def test_an_attempt_is_found_among_nomads_own_pages(tmp_path: Path, running_server: Embedded) -> None:
    store = f"unix://:{running_server.address.password}@{running_server.address.socket}"
    file = 'driver = "nomad"\n[nomad]\naddress = "http://10.0.0.7:4646"\nregion = "eu"\n'
    attempt = AttemptRef(project="pk3m8x2w9q4r", stage=4, attempt=2)
    job = job_id("winslow", attempt)
    with closing(Installation(loaded(tmp_path, file, REDIS_URL=store))) as installation:
        assert installation.choices.nomad_ui == "http://10.0.0.7:4646/ui"
        assert installation.choices.nomad_job(attempt) == f"http://10.0.0.7:4646/ui/jobs/{job}@winslow?region=eu"
    file += 'ui = "https://nomad.example.org/"\n'
    with closing(Installation(loaded(tmp_path, file, REDIS_URL=store))) as installation:
        assert installation.choices.nomad_job(attempt).startswith(f"https://nomad.example.org/ui/jobs/{job}@")
    with closing(Installation(loaded(tmp_path, REDIS_URL=store))) as installation:
        assert (installation.choices.nomad_ui, installation.choices.nomad_job(attempt)) == ("", "")
    with pytest.raises(Invalid, match=r"nomad\.ui"):
        loaded(tmp_path, '[nomad]\nui = "nomad.example.org"\n')
