"""Where the project's own data lies."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
PAPERS = DATA / "papers"
RESULTS = DATA / "results"
CHECKPOINTS = DATA / "checkpoints"
BITSTREAMS = DATA / "bitstreams"
CHAPTERS = ROOT / "chapters"
