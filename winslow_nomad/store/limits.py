"""How often somebody may try to log in: counted in the store, so that neither a restart nor another process forgets.

Counted before the password is looked at, and alike for names that do not exist. Three counts: one name from one
address; one address; one name from addresses from which it never logged in. What the first stops is not counted by
the others, so that nobody can lock another one out from a single address."""

from __future__ import annotations

import hashlib
import ipaddress
import math
from dataclasses import dataclass

from redis import Redis

from winslow_nomad.core.errors import TooMany
from winslow_nomad.store.commit import Command
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import ask

KNOWN_FOR = 90 * 24 * 3600  # seconds that an address stays known for a name

# One count after another, the narrowest first; a full one stops. Answers the milliseconds to wait.
COUNT = """
for i = 1, #KEYS do
  local count = redis.call('INCR', KEYS[i])
  if count == 1 or redis.call('PTTL', KEYS[i]) < 0 then redis.call('PEXPIRE', KEYS[i], ARGV[2 * i]) end
  if count > tonumber(ARGV[2 * i - 1]) then return redis.call('PTTL', KEYS[i]) end
end
return 0
"""
# An attempt that was right is taken back from the wider counts.
TAKE_BACK = """
for i = 1, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('DECR', KEYS[i]) end
end
"""


@dataclass(frozen=True, slots=True)
class Limit:
    attempts: int
    seconds: int


PAIR = Limit(5, 300)
ADDRESS = Limit(30, 300)
NAME = Limit(50, 900)


class LoginLimits:
    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def attempt(self, user: str, address: str) -> None:
        """Count one. Raises TooMany, StoreUnavailable."""
        pair, place, name, known = self._places(user, address)
        is_known = bool(ask(self._client, ("EXISTS", known))[0])
        counts = [(pair, PAIR), (place, ADDRESS), *([] if is_known else [(name, NAME)])]
        limits = [x for _, limit in counts for x in (limit.attempts, limit.seconds * 1000)]
        wait = int(ask(self._client, ("EVAL", COUNT, len(counts), *(k for k, _ in counts), *limits))[0])
        if wait > 0:
            raise TooMany(
                "There were too many attempts to log in; this one was not looked at.",
                retry_after=math.ceil(wait / 1000),
                hint=f"Try again in {math.ceil(wait / 60000)} minutes.",
                code="session.too_many",
            )

    def succeeded(self, user: str, address: str) -> None:
        pair, place, name, known = self._places(user, address)
        commands: list[Command] = [
            ("DEL", pair),
            ("EVAL", TAKE_BACK, 2, place, name),
            ("SET", known, 1, "EX", KNOWN_FOR),
        ]
        ask(self._client, *commands)

    def _places(self, user: str, address: str) -> tuple[str, str, str, str]:
        name, place = _short(user), _short(network(address))
        key = self._keys.limit
        return key(f"pair:{name}:{place}"), key(f"place:{place}"), key(f"name:{name}"), key(f"known:{name}:{place}")


def network(address: str) -> str:
    """Whoever has an IPv6 address has 2^64 of them."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _short(text: str) -> str:
    """Of a length and of characters that a key may have, whatever was typed."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
