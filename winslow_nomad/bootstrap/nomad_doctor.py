"""`winslow doctor --nomad`: what each node lacks for stages, and how the share is seen from it.

The share is tried by a short job on each node, in an image that the caller names: as Winslow's own user, with the
mounts of a stage. Leaves nothing on the share and no job at Nomad."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from winslow_nomad import runner
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.config import Settings
from winslow_nomad.core.client import Finding
from winslow_nomad.core.errors import Refused, ShareUnavailable, WinslowError
from winslow_nomad.driver.nomad.nodes import NodeDetail
from winslow_nomad.driver.nomad.pulls import explained
from winslow_nomad.resources import probe, scribe
from winslow_nomad.resources.child import Child
from winslow_nomad.resources.space import size

TELLS = 3.0  # so many times faster than through the node, a copy was not made by it
COPY_FIX = "Mount it with vers=4.2, from a server that copies by itself: copies of workspaces take less time then."
SLOW = 0.25  # seconds for a small durable write, from which on a stage's log lags visibly
CLOCK = 5.0  # seconds that clocks may differ
SCRIPT = """
set -e
cd /probe
echo "clock=$(date +%s)"
echo "uid=$(id -u)"
echo "sees=$(stat -c %u here)"
echo "runner=$(wc -c < /winslow-run)"
cat /proc/self/mountinfo > mountinfo
/winslow-run --probe . || true
: > there
echo whole=yes
"""


def examine_nomad(settings: Settings, image: str) -> list[Finding]:
    """Whatever goes wrong is one of the findings. `image`: has a shell; empty: the share is not tried."""
    if settings.driver != "nomad":
        raise Refused(
            "This installation does not use Nomad. Nothing was examined.",
            hint="Set WINSLOW_DRIVER=nomad.",
            code="driver.not_nomad",
        )
    installation = Installation(settings)
    try:
        return list(_findings(installation, image))
    except WinslowError as error:
        return [Finding(severity="problem", subject="nomad", text=error.message, fix=error.hint)]
    finally:
        installation.close()


def _findings(installation: Installation, image: str) -> Iterator[Finding]:
    driver = installation.nomad
    found = driver.findings()
    yield from found
    if any(f.severity == "problem" for f in found):
        return
    yield from driver.examine()
    if not image:
        fix = "Name an image that has a shell: winslow doctor --nomad --image busybox"
        yield Finding(severity="note", subject="share", text="the share was not tried on the nodes", fix=fix)
        return
    folder = f"trash/doctor-{secrets.token_hex(6)}"
    nodes = driver.nodes()
    places = [f"{folder}/{node.id}" for node in nodes]
    steps = [scribe.mkdir("trash"), scribe.mkdir(folder), *(scribe.mkdir(place, mode=0o777) for place in places)]
    steps += [scribe.write(f"{place}/here", "") for place in places]
    installation.scribe.perform(steps, "the share was not tried on the nodes")
    try:
        script = f"{{ {SCRIPT} }} > /probe/told"
        begun = time.time()
        said = driver.try_share(image=image, folder=folder, script=script)
        meanwhile = begun, time.time()
        for node in nodes:
            if node.node.name in said:
                yield from _clock(installation, node.node.name, f"{folder}/{node.id}", meanwhile)
                yield from _of_node(installation, node, f"{folder}/{node.id}", said[node.node.name])
    finally:
        _clean_up(installation.settings.share / folder)


def _clean_up(folder: Path) -> None:
    """By a process of its own: the share may hang."""
    deadline = time.monotonic() + 10

    def look() -> None:
        if time.monotonic() > deadline:
            raise ShareUnavailable(f"The share does not answer; {folder} stays on it.", code="share.stalled")

    Child(["rm", "-rf", "--", str(folder)]).wait(look)


def _of_node(installation: Installation, node: NodeDetail, place: str, wrong: str) -> Iterator[Finding]:
    name = node.node.name
    raw = installation.reader.read(f"{place}/told") or b""
    told = dict(line.partition("=")[::2] for line in raw.decode(errors="replace").splitlines())
    pull = explained(wrong, name)
    if pull is not None:
        text = f"the image could not be fetched there: {pull.text}; docker says: {pull.said}"
        yield Finding(severity="problem", subject=name, text=text, fix=pull.fix)
        return
    if wrong or told.get("whole") != "yes":
        text = f"the share could not be used there: {wrong or 'the trial ended early'}"
        if not wrong and not raw:
            text = "what is written on the share there is not seen here: it is another directory"
        fix = "Mount the same share, at the path of the settings, writable for Winslow's user; see docs/cluster.md."
        yield Finding(severity="problem", subject=name, text=text, fix=fix)
        return
    mount = probe.mount_of(
        Path("/probe"), (installation.reader.read(f"{place}/mountinfo") or b"").decode(errors="replace")
    )
    yield from _owners(installation, name, place, told)
    expected = runner.binary(node.architecture).stat().st_size
    if told.get("runner") != str(expected):
        fix = "Start `winslow up` once: it puts the runner of its version onto the share."
        yield Finding(severity="problem", subject=name, text="the runner on the share is another one", fix=fix)
    for text in probe.advice(mount):
        yield Finding(severity="warning", subject=name, text="how it mounts the share", fix=text)
    if "free" not in told:
        fix = "Look at its free space and at the file server; then try again."
        text = "files could not be written and copied on the share"
        yield Finding(severity="problem", subject=name, text=text, fix=fix)
        return
    each = float(told["write_us"]) / 1e6
    copying = copies(told, mount)
    free = f"{size(int(told['free']))} free of {size(int(told['total']))}"
    facts = f"{mount.kind}, {free}, {each * 1000:.0f} ms for a small durable write, {copying.text}"
    fixes = [*(["Look at the network and the file server's disks."] if each > SLOW else []), *copying.fixes]
    severity = "warning" if fixes else "ok"
    yield Finding.model_validate(
        {"severity": severity, "subject": name, "text": f"sees the share ({facts})", "fix": " ".join(fixes)}
    )


def _clock(installation: Installation, name: str, place: str, meanwhile: tuple[float, float]) -> Iterator[Finding]:
    """`meanwhile`: when the trial was begun and had ended, by the clock here; in seconds since 1970."""
    raw = (installation.reader.read(f"{place}/told") or b"").decode(errors="replace")
    told = re.search(r"^clock=(\d+)$", raw, re.MULTILINE)
    if told is None:
        return
    ahead = int(told[1]) - meanwhile[1]
    behind = meanwhile[0] - int(told[1])
    if max(ahead, behind) > CLOCK:
        which = f"{ahead:.0f} s ahead of" if ahead > 0 else f"{behind:.0f} s behind"
        text = f"its clock is {which} this machine's, or more"
        fix = "Let NTP set the clocks of both (timedatectl); until then times in its logs are wrong."
        yield Finding(severity="warning", subject=name, text=text, fix=fix)


@dataclass(frozen=True)
class Copies:
    text: str
    fixes: tuple[str, ...] = ()


def copies(told: Mapping[str, str], mount: probe.Mount) -> Copies:
    """Who makes a copy of a file there: nobody (blocks are shared), the file server, or the machine that asks. By what
    was tried: `clone_us`, `range_us`, `through_us` of the runner's probe, and how often an NFS server copied."""
    amount = size(int(told["copied"]))
    if "clone_us" in told:
        return Copies(f"copies share blocks ({amount} in {shown(told['clone_us'])})")
    if "range_us" not in told:
        return Copies(f"copies pass through the node ({amount} in {shown(told['through_us'])})", (COPY_FIX,))
    ways = f"{amount} in {shown(told['range_us'])}, through the node {shown(told['through_us'])}"
    if int(told.get("by_server", "0")) > 0:
        return Copies(f"copies are made by the file server ({ways})")
    if not mount.network:
        return Copies(f"copies are made by its kernel ({ways})")
    if "by_server" not in told and float(told["range_us"]) * TELLS < float(told["through_us"]):
        return Copies(f"copies seem to be made by the file server ({ways})")
    return Copies(f"copies pass through the node ({ways})", (COPY_FIX,))


def shown(microseconds: str) -> str:
    return f"{float(microseconds) / 1e6:.2g} s"


def _owners(installation: Installation, name: str, place: str, told: dict[str, str]) -> Iterator[Finding]:
    """Files belong to the same user on both sides, or stages cannot write, and Winslow cannot delete."""
    root = installation.reader.root
    ours = installation.reader.call(lambda: (root / place / "here").stat().st_uid, "an owner")
    theirs = installation.reader.call(lambda: (root / place / "there").stat().st_uid, "an owner")
    if told.get("sees") != str(ours) or told.get("uid") != str(theirs):
        text = (
            f"owners of files differ: {ours} made one here, which is {told.get('sees')}'s there; "
            f"{told.get('uid')} made one there, which is {theirs}'s here"
        )
        fix = "One user, one uid, everywhere: run Winslow as that user, with nomad.uid and nomad.gid as theirs."
        yield Finding(severity="problem", subject=name, text=text, fix=fix)
