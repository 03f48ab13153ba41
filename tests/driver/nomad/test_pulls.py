"""What a person reads where a node could not fetch an image: each error as docker and a real Nomad wrote it."""

from __future__ import annotations

import pytest

from winslow_nomad.core.stage import Cause
from winslow_nomad.driver.nomad.pulls import explained

IMAGE = "hub.example.org:5000/team/tool:1"
PULL = f"Failed to pull `{IMAGE}`: "
DAEMON = f"{PULL}Error response from daemon: "
GET = 'Get "https://hub.example.org:5000/v2/": '


@pytest.mark.parametrize(
    ("error", "cause", "text", "fix"),
    [
        (
            f"{DAEMON}{GET}x509: certificate signed by unknown authority",
            Cause.RUNNER_LOST,
            "n1 does not trust the certificate of the registry hub.example.org:5000",
            "/etc/docker/certs.d/hub.example.org:5000/ca.crt",
        ),
        (
            f"{DAEMON}{GET}http: server gave HTTP response to HTTPS client",
            Cause.RUNNER_LOST,
            "docker on n1 wants TLS of the registry hub.example.org:5000, which speaks none",
            '{"insecure-registries": ["hub.example.org:5000"]} in /etc/docker/daemon.json',
        ),
        (
            f'{DAEMON}Head "https://hub.example.org:5000/v2/team/tool/manifests/1": no basic auth credentials',
            Cause.RUNNER_LOST,
            "n1 may not fetch the image: that node has no log-in for its registry, or a wrong one",
            "log-in for hub.example.org:5000",
        ),
        (
            f"{DAEMON}unauthorized: authentication required",
            Cause.RUNNER_LOST,
            "n1 may not fetch the image: that node has no log-in for its registry, or a wrong one",
            "log-in for hub.example.org:5000",
        ),
        (
            f'Failed to find docker auth for repo "{IMAGE}": Failed to parse auth config file: invalid character',
            Cause.RUNNER_LOST,
            "docker on n1 cannot read its log-ins for registries",
            "the file that `auth` in its docker plugin names",
        ),
        (
            f"{DAEMON}manifest for {IMAGE} not found: manifest unknown: manifest unknown",
            Cause.EXEC_FAILED,
            f"there is no image {IMAGE} at its registry",
            "the name and the tag in the pipeline",
        ),
        (
            f"{PULL}no matching manifest for linux/amd64 in the manifest list entries",
            Cause.EXEC_FAILED,
            f"there is no image {IMAGE} for processors like those of n1",
            "placement: {require: [arch.amd64]}",
        ),
        (
            'Failed to pull `busybox:9`: Error response from daemon: Get "https://registry-1.docker.io/v2/": dial tcp: '
            "lookup registry-1.docker.io on 10.0.0.53:53: dial udp 10.0.0.53:53: connect: network is unreachable",
            Cause.RUNNER_LOST,
            "n1 cannot reach the registry registry-1.docker.io (Docker Hub)",
            "docker pull busybox:9",
        ),
        (
            f"{DAEMON}{GET}dial tcp 10.0.0.1:5000: connect: connection refused",
            Cause.RUNNER_LOST,
            "n1 cannot reach the registry hub.example.org:5000",
            "docker pull",
        ),
        (
            f"{PULL}write /var/lib/docker/tmp/GetImageBlob1905417811: no space left on device",
            Cause.RUNNER_LOST,
            "the disk of docker on n1 is full",
            "docker image prune -a",
        ),
        (
            f"{DAEMON}toomanyrequests: You have reached your pull rate limit.",
            Cause.RUNNER_LOST,
            "the registry hub.example.org:5000 lets n1 fetch no more for now",
            "Give the node a log-in",
        ),
        (
            f"{PULL}something that nobody has seen yet",
            Cause.RUNNER_LOST,
            f"n1 could not fetch the image {IMAGE}",
            f"docker pull {IMAGE}",
        ),
    ],
)
def test_it_says_what_is_wrong_where_and_what_mends_it(error: str, cause: Cause, text: str, fix: str) -> None:
    found = explained(error, "n1")
    assert found is not None
    assert (found.cause, found.text) == (cause, text)
    assert fix in found.fix
    assert "Failed to pull" not in found.message and error.rpartition(": ")[2] in found.message


def test_what_is_about_something_else_is_left_alone() -> None:
    assert explained("failed to create container: bind source path does not exist: /srv/x", "n1") is None
