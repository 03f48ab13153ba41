"""What the engine of a foreground command says at the terminal."""

from __future__ import annotations

import logging

import pytest

from winslow_nomad.cli.notices import Notices


def said(at: float, text: str) -> logging.LogRecord:
    record = logging.LogRecord("any", logging.WARNING, "", 0, text, (), None)
    record.created = at
    return record


def test_what_is_tried_again_every_second_is_said_once_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    notices = Notices()
    for second in range(90):
        notices.emit(said(1000.0 + second, "the share is away"))
    notices.emit(said(1090.0, "the share is back"))
    written = ["warning: the share is away"] * 2 + ["warning: the share is back"]
    assert capsys.readouterr().err.splitlines() == written


def test_a_clock_that_is_put_back_silences_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    notices = Notices()
    notices.emit(said(5000.0, "the share is away"))
    notices.emit(said(1000.0, "the share is away"))
    assert len(capsys.readouterr().err.splitlines()) == 2
