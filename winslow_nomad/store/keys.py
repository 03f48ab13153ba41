"""All key names, in one place. Everything of an installation starts with its prefix."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """`prefix` keeps installations apart that share a server."""

    prefix: str = "winslow"

    def project(self, project: str) -> str:
        """Hash: format, version, head (JSON), pipeline (digest), log (the last commits), marks, summary."""
        return f"{self.prefix}:p:{project}"

    def stages(self, project: str) -> str:
        """Hash: number of an open stage -> its record."""
        return f"{self.prefix}:p:{project}:stages"

    def sealing(self, project: str) -> str:
        """Hash: number of an ended stage whose stage.json is not on the share yet -> its record."""
        return f"{self.prefix}:p:{project}:sealing"

    def ended(self, project: str) -> str:
        """Hash: number of an ended stage -> its summary, never rewritten."""
        return f"{self.prefix}:p:{project}:ended"

    def lock(self, project: str) -> str:
        return f"{self.prefix}:p:{project}:lock"

    def pipeline(self, digest: str) -> str:
        """Text of a pipeline by the SHA-256 of that text."""
        return f"{self.prefix}:pipeline:{digest}"

    def idempotency(self, actor: str, key: str) -> str:
        return f"{self.prefix}:idem:{actor}:{key}"

    def term(self, term: str) -> str:
        """Sorted set: project -> time of its last change, in milliseconds. A term is what projects can be found by:
        `state:running`, `tag:x`, `author:ann`, `pipeline:traffic`, `who:@group`."""
        return f"{self.prefix}:idx:by:{term}"

    @property
    def created(self) -> str:
        """Sorted set: project -> when it was made, in milliseconds."""
        return f"{self.prefix}:idx:created"

    @property
    def priority(self) -> str:
        """Sorted set: project -> its priority, then the time of its last change."""
        return f"{self.prefix}:idx:priority"

    @property
    def named(self) -> str:
        """Sorted set without scores: `<name in one case>\\0<project>`."""
        return f"{self.prefix}:idx:named"

    @property
    def folded(self) -> str:
        """Hash: project -> what is looked at for a text."""
        return f"{self.prefix}:idx:folded"

    @property
    def asking(self) -> str:
        """Sorted set: project that waits for a person -> since when, in milliseconds."""
        return f"{self.prefix}:idx:asking"

    @property
    def counts(self) -> str:
        """Hash: `<state>|<audience>` -> number of projects."""
        return f"{self.prefix}:idx:counts"

    @property
    def audiences(self) -> str:
        """Hash: audience -> author and names that see its projects, as JSON."""
        return f"{self.prefix}:idx:audiences"

    @property
    def used(self) -> str:
        """Hash: `<audience>|pipeline:<name>` or `<audience>|tag:<tag>` -> number of projects that have it."""
        return f"{self.prefix}:idx:used"

    @property
    def updated(self) -> str:
        """Sorted set of all projects: id -> time of the last change, in milliseconds."""
        return f"{self.prefix}:idx:updated"

    def waiting(self, driver: str) -> str:
        """Hash: <project>/<stage> -> core.admit.Waiting."""
        return f"{self.prefix}:waiting:{driver}"

    def at_driver(self, driver: str) -> str:
        """Hash: <project>/<stage> -> 1 or 0 (it runs), then core.admit.Waiting."""
        return f"{self.prefix}:at:{driver}"

    def edition(self, key: str) -> str:
        """How often the list under `key` has changed."""
        return f"{key}:edition"

    @property
    def open(self) -> str:
        """Set of the projects a sweep has to look at."""
        return f"{self.prefix}:open"

    @property
    def dirty(self) -> str:
        """Sorted set: project with outstanding effects -> when it was last rung, in seconds."""
        return f"{self.prefix}:dirty"

    @property
    def dirty_since(self) -> str:
        """Sorted set: project with outstanding effects -> since when, in seconds."""
        return f"{self.prefix}:dirty:since"

    @property
    def timers(self) -> str:
        """Sorted set: project -> when it is due, in seconds."""
        return f"{self.prefix}:timers"

    @property
    def live(self) -> str:
        """Stream of what changed, trimmed."""
        return f"{self.prefix}:ev"

    @property
    def progress(self) -> str:
        """Hash: <project>/<stage> that runs -> core.progress.Told."""
        return f"{self.prefix}:progress"

    @property
    def journal(self) -> str:
        """Stream of what the mirror has not written yet."""
        return f"{self.prefix}:journal"

    def samples(self, node: str, kind: str) -> str:
        """Sorted set: core.nodes.Sample -> start of its minute or quarter of an hour, in seconds."""
        return f"{self.prefix}:node:{kind}:{node}"

    @property
    def nodes_used(self) -> str:
        """Hash: node -> when something worked on it last, in seconds."""
        return f"{self.prefix}:node-used"

    @property
    def settings(self) -> str:
        """Hash: name -> value as JSON, of what was changed while everything ran."""
        return f"{self.prefix}:settings"

    @property
    def library(self) -> str:
        """Hash: name of a pipeline -> core.library.Shelf."""
        return f"{self.prefix}:library"

    def versions(self, name: str) -> str:
        """Hash: number -> core.library.Version, never rewritten."""
        return f"{self.prefix}:library:{name}"

    @property
    def unmirrored(self) -> str:
        """Set of the names whose newest state the share does not have yet."""
        return f"{self.prefix}:library-mirror"

    def source(self, digest: str) -> str:
        """The text that a pipeline was read from, by the digest of what was read."""
        return f"{self.prefix}:source:{digest}"

    def statistics(self, month: str) -> str:
        """Hash of counters of one month (`2025-03`)."""
        return f"{self.prefix}:stat:{month}"

    @property
    def sampled(self) -> str:
        """When figures of nodes were added to the counters last, in seconds."""
        return f"{self.prefix}:stat:sampled"

    def history(self, pipeline: str) -> str:
        """Hash of counters of all runs of a pipeline: `<stage>|<what>`, see core.durations."""
        return f"{self.prefix}:stat:of:{pipeline}"

    def lease(self, name: str) -> str:
        return f"{self.prefix}:lease:{name}"

    def epoch(self, name: str) -> str:
        """How many holders a lease has had; it only grows."""
        return f"{self.prefix}:epoch:{name}"

    def breaker(self, name: str) -> str:
        return f"{self.prefix}:breaker:{name}"

    def parked(self, name: str) -> str:
        """Set of projects whose effects wait for this breaker to close."""
        return f"{self.prefix}:parked:{name}"

    @property
    def breakers(self) -> str:
        """Set of the names of all breakers there have been."""
        return f"{self.prefix}:breakers"

    def operation(self, operation: str) -> str:
        return f"{self.prefix}:op:{operation}"

    @property
    def operations_open(self) -> str:
        """Sorted set of ids by the time they were made."""
        return f"{self.prefix}:ops:open"

    @property
    def operations_ended(self) -> str:
        return f"{self.prefix}:ops:ended"

    @property
    def operations_bell(self) -> str:
        """A list that gets an element whenever an operation may be taken."""
        return f"{self.prefix}:ops:bell"

    @property
    def secrets(self) -> str:
        return f"{self.prefix}:secrets"

    @property
    def registries(self) -> str:
        """Hash: host of a registry of images -> store.registries.Stored."""
        return f"{self.prefix}:registries"

    @property
    def people(self) -> str:
        """Hash: name of a person -> store.directory.Account."""
        return f"{self.prefix}:people"

    @property
    def groups(self) -> str:
        return f"{self.prefix}:groups"

    @property
    def groups_gone(self) -> str:
        """Set of the names of removed groups."""
        return f"{self.prefix}:groups:gone"

    @property
    def people_edition(self) -> str:
        """How often people or groups have changed."""
        return f"{self.prefix}:people:edition"

    @property
    def tokens(self) -> str:
        """Hash: id of a token -> its record, with the hash of its secret."""
        return f"{self.prefix}:tokens"

    @property
    def tokens_used(self) -> str:
        """Hash: id of a token -> when it was last used, in seconds."""
        return f"{self.prefix}:tokens:used"

    @property
    def audit(self) -> str:
        """Stream of who did what, trimmed by age."""
        return f"{self.prefix}:audit"

    def link(self, digest: str) -> str:
        """By the hash of its secret: who may come in by it, once."""
        return f"{self.prefix}:link:{digest}"

    def limit(self, what: str) -> str:
        """Counts attempts, for minutes."""
        return f"{self.prefix}:limit:{what}"

    def session(self, digest: str) -> str:
        """By the hash of its secret; goes by itself when it is not used."""
        return f"{self.prefix}:session:{digest}"

    @property
    def outbox(self) -> str:
        """Stream of core.notices.Notice that nobody has made into messages yet."""
        return f"{self.prefix}:outbox"

    @property
    def messages(self) -> str:
        """Hash: id -> core.notices.Message that was not sent yet."""
        return f"{self.prefix}:messages"

    @property
    def messages_due(self) -> str:
        """Sorted set: id of a message -> when it is tried next, in seconds."""
        return f"{self.prefix}:messages:due"

    @property
    def messages_open(self) -> str:
        """Hash: `<person>|<channel>` -> id of the message that takes what comes."""
        return f"{self.prefix}:messages:open"

    @property
    def messages_last(self) -> str:
        """Hash: `<person>|<channel>` -> when something was sent there last, in seconds."""
        return f"{self.prefix}:messages:last"

    def message_test(self, test: str) -> str:
        """core.notices.Tried, for minutes."""
        return f"{self.prefix}:messages:test:{test}"

    @property
    def nodes_down(self) -> str:
        """Hash: node -> since when it is not ready in seconds, and whether people were told."""
        return f"{self.prefix}:messages:nodes"

    @property
    def rules(self) -> str:
        """Hash: person -> core.notices.Rules."""
        return f"{self.prefix}:rules"

    def rules_of(self, project: str) -> str:
        """Hash: person -> what the person wants to be told of this project."""
        return f"{self.prefix}:rules:{project}"

    @property
    def totals(self) -> str:
        """Hash of counters that only grow, for graphs of the installation: `<what>|<label>`."""
        return f"{self.prefix}:totals"

    @property
    def schema(self) -> str:
        return f"{self.prefix}:schema"
