from tests.valkey import directory, running_server, server

__all__ = ["directory", "running_server", "server"]
