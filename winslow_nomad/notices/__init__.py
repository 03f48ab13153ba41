"""Telling people: by mail, webhook and chat. Reads an outbox; must never hold up who writes it."""
