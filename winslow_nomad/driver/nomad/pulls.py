"""Why a node could not fetch an image, in words, with what mends it: docker's own say neither on which machine
something is missing nor what. Only texts that docker and Nomad's driver were seen to write are looked for.

What is wrong with one node is no mistake of the stage: it is tried again, elsewhere if there is another node."""

from __future__ import annotations

import re

from winslow_nomad.core.images import host_of
from winslow_nomad.core.model import Value
from winslow_nomad.core.stage import Cause

PULL = re.compile(r"Failed to pull `([^`]*)`: (?:Error response from daemon: )?(.*)", re.DOTALL)


class Pull(Value):
    """`fix` is for whoever looks after the node; `said`: docker's own words."""

    cause: Cause
    text: str
    fix: str
    said: str

    @property
    def message(self) -> str:
        return f"{self.text}. {self.fix} Docker says: {self.said}"


# what docker says -> whether that is said of every node; what it means; what mends it. The first one counts.
_KNOWN: tuple[tuple[tuple[str, ...], bool, str, str], ...] = (
    (
        ("pull access denied", "manifest unknown", "not found", "name unknown", "invalid reference"),
        True,
        "there is no image {image} at its registry",
        "Look at the name and the tag in the pipeline.",
    ),
    (
        ("no matching manifest",),
        True,
        "there is no image {image} for processors like those of {node}",
        "Push one for them, or ask for others: placement: {{require: [arch.amd64]}}.",
    ),
    (
        ("no basic auth credentials", "unauthorized", "authentication required", "403 Forbidden"),
        False,
        "{node} may not fetch the image: that node has no log-in for its registry, or a wrong one",
        "Put the log-in for {host} into the file of `auth` in its docker plugin (docs/cluster.md, Images).",
    ),
    (
        ("HTTP response to HTTPS client",),
        False,
        "docker on {node} wants TLS of the registry {host}, which speaks none",
        'List it there: {{"insecure-registries": ["{host}"]}} in /etc/docker/daemon.json, and restart docker.',
    ),
    (
        ("x509:", "tls: failed to verify"),
        False,
        "{node} does not trust the certificate of the registry {host}",
        "Put its authority into /etc/docker/certs.d/{host}/ca.crt there; docker needs no restart.",
    ),
    (
        ("no space left on device", "disk quota exceeded"),
        False,
        "the disk of docker on {node} is full",
        "Make room there (docker system df; docker image prune -a), or set gc.image of Nomad's docker plugin.",
    ),
    (
        ("toomanyrequests", "429 Too Many Requests"),
        False,
        "the registry {host} lets {node} fetch no more for now",
        "Give the node a log-in for it, or keep the image in a registry of your own.",
    ),
    (
        ("dial tcp", "lookup ", "i/o timeout", "TLS handshake timeout", "Client.Timeout", "connection reset", "EOF"),
        False,
        "{node} cannot reach the registry {host}",
        "Look at its network and its name server, and try it there: docker pull {image}.",
    ),
)


def explained(error: str, node: str) -> Pull | None:
    """None: it is about something else. `error`: of the driver, as in its event."""
    if "Failed to find docker auth" in error:
        text = f"docker on {node} cannot read its log-ins for registries"
        fix = "Look at the file that `auth` in its docker plugin names (docs/cluster.md, Images)."
        return Pull(cause=Cause.RUNNER_LOST, text=text, fix=fix, said=error)
    found = PULL.search(error)
    if found is None:
        return None
    image, said = found.groups()
    words = {"image": image, "node": node, "host": host_of(image) or "registry-1.docker.io (Docker Hub)"}
    for patterns, everywhere, means, fix in _KNOWN:
        if any(p in said for p in patterns):
            cause = Cause.EXEC_FAILED if everywhere else Cause.RUNNER_LOST
            return Pull(cause=cause, text=means.format(**words), fix=fix.format(**words), said=said)
    text = f"{node} could not fetch the image {image}"
    return Pull(cause=Cause.RUNNER_LOST, text=text, fix=f"Try it there: docker pull {image}.", said=said)
