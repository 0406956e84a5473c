"""What commands about rules begin with: a checked file, the processor's surroundings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from headrace.terminal import fail

if TYPE_CHECKING:
    from stream_processor.rules.rule_file import RuleBook, RuleFile
    from stream_processor.settings import Settings


def read_rules(path: Path) -> RuleFile:
    """Return a rule file; end with every error by line when it has some."""
    from stream_processor.rules import rule_file
    from stream_processor.rules.problems import RuleFileError

    try:
        return rule_file.read(path)
    except RuleFileError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except OSError as error:
        raise fail(f"FILE: {escape(str(error))}") from error


def surroundings() -> tuple[Settings, RuleBook]:
    """Return the settings of the processor, and the rules it starts with."""
    from stream_processor.rules.rule_file import RuleBook
    from stream_processor.settings import Settings, SettingsError

    try:
        settings = Settings.from_environment(os.environ)
        return settings, RuleBook.starting(settings.rules_dir)
    except SettingsError as error:
        raise fail(escape(str(error))) from error
