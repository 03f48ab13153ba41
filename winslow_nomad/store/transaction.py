"""One watched transaction on one connection: read while watching, then write everything or nothing.

redis-py's own pipeline needs a round trip for every read and reports a lost reply as a conflict; here
reads go out together, and a lost reply is what it is: ConnectionError or TimeoutError."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from redis.client import Pipeline, Redis
from redis.exceptions import ExecAbortError, ResponseError, WatchError

from winslow_nomad.store.commit import Command
from winslow_nomad.store.faults import translated

# Between MULTI and EXEC every command has two replies, which cost Python more than the server needs for the
# whole commit. The script carries out its arguments, each command preceded by its length, and answers once.
APPLY = """
local at = 1
while at <= #ARGV do
  local length = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + length))
  at = at + 1 + length
end
"""
MOST = 4002  # words of one command: Lua unpacks at most some 8,000 at once


class Transaction(Pipeline):
    """Use as a context: leaving it gives the connection back, without any watch."""

    def __enter__(self) -> Self:
        return self

    @classmethod
    def on(cls, client: Redis) -> Transaction:
        return cls(client.connection_pool, client.response_callbacks, True, None)

    def read(self, commands: Sequence[Command], *, watch: Sequence[str] = ()) -> list[Any]:
        """Replies as they come from the wire, in one round trip, watching `watch` from before the first."""
        batch: list[Command] = [("WATCH", *watch)] if watch else []
        batch.extend(commands)
        self.watching = self.watching or bool(watch)
        replies = self._exchange(batch)
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        return replies[1:] if watch else replies

    def commit(self, commands: Sequence[Command]) -> None:
        """All of `commands` or none. WatchError: a watched key changed, none was applied. ResponseError: the
        server refused, none was applied. ConnectionError, TimeoutError: nobody knows."""
        arguments = [a for c in commands for piece in pieces(c) for a in (len(piece), *piece)]
        replies = self._exchange([("MULTI",), ("EVAL", APPLY, 0, *arguments), ("EXEC",)])
        self.watching = False
        result = replies[-1]
        if isinstance(result, ExecAbortError):
            raise next((r for r in replies if isinstance(r, ResponseError)), result)
        if isinstance(result, ResponseError):
            raise result
        if result is None:
            raise WatchError("a watched key changed")
        for reply in result:
            if isinstance(reply, ResponseError):  # a key of another type: the rest was applied
                raise reply

    def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        if self.connection is None:
            self.connection = self.connection_pool.get_connection()
        connection: Any = self.connection
        replies: list[Any] = []
        try:
            connection.send_packed_command(packed(commands))
            for _ in commands:
                try:
                    replies.append(connection.read_response())
                except ResponseError as error:
                    replies.append(error)
        except BaseException:
            connection.disconnect()  # replies that were not read would be taken for those of the next command
            self.watching = False
            raise
        return replies


def pieces(command: Command) -> list[Command]:
    """A command on very many fields of a hash, as several on fewer."""
    if len(command) <= MOST:
        return [command]
    assert command[0] in ("HSET", "HDEL"), command[0]
    return [(*command[:2], *command[at : at + MOST - 2]) for at in range(2, len(command), MOST - 2)]


def packed(commands: Sequence[Command]) -> list[bytes]:
    """The commands as they go over the wire: in a third of the time of the library's own way."""
    parts: list[bytes] = []
    for command in commands:
        parts.append(b"*%d\r\n" % len(command))
        for argument in command:
            if isinstance(argument, str):
                data = argument.encode()  # never str(): of an enumeration's member that is its name
            else:
                data = argument if isinstance(argument, bytes) else str(argument).encode()
            parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return [b"".join(parts)]


def as_dict(reply: dict[bytes, bytes] | Sequence[bytes]) -> dict[bytes, bytes]:
    """A hash, whichever protocol the connection speaks."""
    if isinstance(reply, dict):
        return reply
    return dict(zip(reply[::2], reply[1::2], strict=True))


def ask(client: Redis, *commands: Command) -> list[Any]:
    """Replies as they come from the wire, in one round trip and no transaction: for reads, and for writes that may
    be repeated and may fail half-way. Raises StoreUnavailable."""
    with translated(), Transaction.on(client) as transaction:
        return transaction.read(commands)


def scored(reply: Sequence[Any]) -> list[tuple[str, float]]:
    """Members with scores, whichever protocol the connection speaks."""
    if reply and isinstance(reply[0], list):
        return [(member.decode(), float(score)) for member, score in reply]
    return [(member.decode(), float(score)) for member, score in zip(reply[::2], reply[1::2], strict=True)]


def texts(reply: Sequence[bytes]) -> list[str]:
    return [member.decode() for member in reply]
