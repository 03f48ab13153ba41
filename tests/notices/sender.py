"""The process that tests kill: sends what is due, as the controller does, only at a quicker pace."""

from __future__ import annotations

import os
import threading

from tests.notices.conftest import QUICK
from winslow_nomad import config
from winslow_nomad.bootstrap.installation import Installation
from winslow_nomad.bootstrap.notices import telling
from winslow_nomad.bootstrap.owners import owner

if __name__ == "__main__":
    telling(Installation(config.load(dict(os.environ))), owner(), QUICK).run(threading.Event())
