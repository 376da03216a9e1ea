"""Where the project lies, for tests that read its documents or run its commands."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
