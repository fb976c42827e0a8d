"""Run chapters from the first cell to the last, save their outputs, and measure minutes and memory.

The measurement is saved to data/results/chapters.json, which the strip under each chapter's title shows. A new figure replaces the
saved one only when it differs by more than a quarter, so that running a chapter again does not change a page for nothing; when it
does, the chapter runs a second time, so that what it shows is what is saved.

    python book/execute.py chapters/00_start_here.ipynb ...
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from codec_lib.experiments.provenance import hardware, provenance  # noqa: E402
from codec_lib.experiments.records import Results, results_dir  # noqa: E402
from codec_lib.files import write_bytes  # noqa: E402


def run(path: Path, timeout: int = 900) -> tuple[float, float]:
    """Execute a notebook in place; returns (minutes, GB): wall time, and peak memory of kernel and its children."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=timeout, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}})
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            manager = client.km
            pid = getattr(getattr(manager, "provisioner", None), "pid", None)
            if pid:
                peak[0] = max(peak[0], resident(pid))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    start = time.perf_counter()
    try:
        client.execute()
    finally:
        done.set()
        watcher.join()
    minutes = (time.perf_counter() - start) / 60
    notebook.metadata.kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}  # no version: it would only change
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    write_bytes(path, nbformat.writes(notebook).encode(), force=True)
    return minutes, peak[0]


def resident(pid: int) -> float:
    """Memory in GB that a process and its children hold, 0 where the system does not say.

    Pages that several processes share, as those of libraries, are counted once in all.
    """
    total = 0
    for process in [pid, *children(pid)]:
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1e9


def children(pid: int) -> list[int]:
    """Process ids below ``pid``."""
    try:
        direct = [int(p) for task in Path(f"/proc/{pid}/task").iterdir() for p in (task / "children").read_text().split()]
    except OSError:
        return []
    return direct + [below for child in direct for below in children(child)]


def save(chapter: str, minutes: float, memory: float) -> bool:
    """Write a measurement to the records of the chapters unless the saved one is close; returns whether it was written.

    Chapters are measured one by one, so each keeps the name of its machine.
    """
    path = results_dir() / "chapters.json"
    results = Results.load(path) if path.exists() else Results("chapters")
    old = {v.metric: v.value for v in results.values if v.clip == chapter}
    new = {"minutes": round(minutes, 2), "memory": round(memory, 2)}
    close = old and all(abs(new[m] - old[m]) <= max(0.25 * old[m], 0.06) for m in new)
    if close:
        return False
    before = results.provenance
    machines = before.get("config", {}).get("machines") or {v.clip: before.get("hardware") for v in results.values}
    results.provenance = provenance({"command": "python book/execute.py", "machines": machines | {chapter: hardware()}})
    results.values = [v for v in results.values if v.clip != chapter]
    results.add_value("minutes", new["minutes"], "min", clip=chapter)
    results.add_value("memory", new["memory"], "GB", clip=chapter)
    results.values.sort(key=lambda v: (v.clip, v.metric))
    path.parent.mkdir(parents=True, exist_ok=True)
    results.save(path)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--no-measure", action="store_true", help="save outputs only")
    options = parser.parse_args()
    for path in options.notebooks:
        minutes, memory = run(path)
        print(f"{path.name}: {minutes:.2f} min, {memory:.2f} GB")
        if not options.no_measure and save(path.stem, minutes, memory):
            run(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
