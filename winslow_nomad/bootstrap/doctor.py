"""What `winslow doctor` looks at: settings, store, share, runner, driver, and what waits too long."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from winslow_nomad import __version__, runner
from winslow_nomad.bootstrap.certificate import examine_certificate
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.core.access import Role
from winslow_nomad.core.client import Finding
from winslow_nomad.core.errors import WinslowError
from winslow_nomad.core.said import count
from winslow_nomad.driver.nomad.driver import NomadDriver
from winslow_nomad.resources import probe
from winslow_nomad.resources.space import size
from winslow_nomad.store.check import check_server
from winslow_nomad.store.notices import Outbox
from winslow_nomad.store.people import RedisPeople


def examine(installation: Installation) -> list[Finding]:
    """Every check runs, whatever the others find; none where even looking would leave files of ours among another's."""
    checks: list[tuple[str, Callable[[Installation], Iterator[Finding]]]] = [
        ("settings", settings),
        ("store", store),
        ("share", share),
        ("runner", the_runner),
        ("driver", driver),
        ("registries", registries),
        ("work", work),
        ("tls", tls),
        ("people", people),
        ("notifications", notifications),
    ]
    findings: list[Finding] = []
    for subject, check in checks:
        try:
            findings += list(check(installation))
        except (WinslowError, OSError, RuntimeError) as error:
            text, hint = (error.message, error.hint) if isinstance(error, WinslowError) else (str(error), "")
            if not any(f.text == text for f in findings):  # several checks may fail on the same
                findings.append(Finding(severity="problem", subject=subject, text=text, fix=hint))
            if isinstance(error, WinslowError) and error.code == "store.owner":
                break
    return findings


def tls(installation: Installation) -> Iterator[Finding]:
    yield from examine_certificate(installation.settings, installation.clock.now())


def people(installation: Installation) -> Iterator[Finding]:
    known = RedisPeople(installation.state, installation.clock, installation.keys).persons()
    active = [p for p in known if p.active]
    admins = [p.name for p in active if p.role is Role.ADMIN]
    if known and not any(p.password for p in active if p.role is Role.ADMIN):
        text = f"no administrator has a password ({', '.join(admins)})"
        fix = "The link that `winslow serve` shows at its start lets one in."
        yield Finding(severity="note", subject="people", text=text, fix=fix)
    elif known:
        text = f"{len(active)} active, administrators: {', '.join(admins)}"
        yield Finding(severity="ok", subject="people", text=text)
    else:
        text = "nobody can log in yet; the first `winslow serve` or `winslow up` makes an administrator"
        yield Finding(severity="ok", subject="people", text=text)


def notifications(installation: Installation) -> Iterator[Finding]:
    now = installation.choices.now()
    known = RedisPeople(installation.state, installation.clock, installation.keys).persons()
    reachable = [p for p in known if p.active and p.email]
    if reachable and not now.smtp_url:
        text, fix = f"no mail server is set; {len(reachable)} people have an address", "Set smtp_url and public_url."
        yield Finding(severity="note", subject="notifications", text=text, fix=fix)
    dead = [m for m in Outbox(installation.state, installation.keys).all() if m.dead is not None]
    if dead:
        newest = max(dead, key=lambda m: m.dead or m.opened)
        text = f"{len(dead)} could not be delivered in the last 30 days; the newest: {newest.error}"
        fix = "Whoever they are for sees them in the settings, and may have them sent again."
        yield Finding(severity="warning", subject="notifications", text=text, fix=fix)
    elif now.smtp_url:
        yield Finding(severity="ok", subject="notifications", text="mail is set, and everything was delivered")


def settings(installation: Installation) -> Iterator[Finding]:
    found = installation.settings
    yield Finding(severity="ok", subject="winslow", text=f"version {__version__}")
    for name in ("home", "share", "driver", "redis_url", "user"):
        value = getattr(found, name)
        if value:
            shown = "set" if name == "redis_url" else str(value)
            yield Finding(severity="ok", subject=name, text=f"{shown} ({found.origins.get(name, 'default')})")


def store(installation: Installation) -> Iterator[Finding]:
    yield Finding(
        severity="ok", subject="store", text=f"answers at {installation.address}" if installation.server else "answers"
    )
    if installation.server is None:
        for finding in check_server(installation.state):
            severity = {"refuse": "problem", "warn": "warning"}.get(finding.severity, "note")
            yield Finding.model_validate(
                {"severity": severity, "subject": "store", "text": finding.text, "fix": finding.fix}
            )
    yield mirror(installation)


def mirror(installation: Installation) -> Finding:
    lag = installation.journal.lag()
    if not lag.lines:
        return Finding(severity="ok", subject="mirror", text="mirrored")
    changes = "1 change is" if lag.lines == 1 else f"{lag.lines} changes are"
    text = f"{changes} not on the share yet, the oldest for {lag.seconds:.0f} s"
    if lag.seconds <= 10:
        return Finding(severity="ok", subject="mirror", text=text)
    if not installation.lease("doctor", "mirror").holder():
        fix = "Nothing runs here that writes them: `winslow up` or the next `winslow run` does."
    else:
        fix = "The share does not take them: its own line here, and the log of `winslow up`, say why."
    return Finding(severity="warning", subject="mirror", text=text, fix=fix)


def share(installation: Installation) -> Iterator[Finding]:
    facts = probe.probe(installation.scribe, installation.reader)
    kind = f"{facts.mount.kind}, {size(facts.free)} of {size(facts.total)} free"
    copies = "copies of workspaces share blocks" if facts.reflink else "workspaces are copied whole"
    yield Finding(severity="ok", subject="share", text=f"{installation.settings.share} ({kind}; {copies})")
    if facts.condition:
        yield Finding(severity="problem", subject="share", text=facts.condition, fix="What waits goes on by itself.")
    for text in facts.advice:
        yield Finding(severity="warning", subject="share", text=text)


def the_runner(_: Installation) -> Iterator[Finding]:
    for architecture in runner.ARCHITECTURES:
        yield Finding(severity="ok", subject="runner", text=str(runner.binary(architecture)))


def driver(installation: Installation) -> Iterator[Finding]:
    for name, made in installation.drivers.items():
        if isinstance(made, NomadDriver):
            found = made.findings()
            yield from found
            if any(f.severity == "problem" for f in found):
                continue
        for node in made.inventory().nodes:
            gpus = ", ".join(f"{g.count} {g.model}" for g in node.gpus) or "no GPU"
            text = f"{node.name}: {node.cpu:g} cores, {size(node.memory)}, {gpus}"
            yield Finding(severity="ok" if node.ready else "warning", subject=name, text=text, fix=node.note)
    local = installation.drivers.get("local")
    if local is not None and not getattr(local, "confines", True):
        text = "this kernel has no Landlock: stages can read and write whatever this user can"
        yield Finding(severity="warning", subject="local", text=text, fix="A kernel of 5.13 or later has it.")


def registries(installation: Installation) -> Iterator[Finding]:
    """Those that Winslow has a log-in for."""
    if "nomad" not in installation.drivers:
        return
    for login in installation.registry_logins.all():
        try:
            installation.registries.greet(login.host)
        except WinslowError as error:
            yield Finding(severity="problem", subject=login.host, text=error.message.rstrip("."), fix=error.hint)
        else:
            yield Finding(severity="ok", subject=login.host, text=f"lets {login.user} in")


def work(installation: Installation) -> Iterator[Finding]:
    holder = installation.lease("doctor").holder()
    if holder:
        yield Finding(severity="ok", subject="controller", text=f"active: {holder.partition('@')[0]}")
    dirty = installation.store.dirty()
    if dirty and not holder:
        text = f"work waits in {count(len(dirty), 'project')} and no controller is active"
        yield Finding(severity="warning", subject="controller", text=text, fix="Start `winslow up`.")
    for breaker in installation.breakers.states():
        if breaker.state != "closed":
            text = f"{breaker.name} cannot be reached: {breaker.text}"
            yield Finding(severity="problem", subject=breaker.name, text=text, fix="It is tried again by itself.")
