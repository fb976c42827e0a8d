"""Measured numbers as data: records with provenance, kept as JSON under data/results/.

A `Record` is one rate point: a codec on a clip at a quality, with its bytes, times and metrics, as `eval` writes it.
A `Value` is one measured number of any experiment. Every number that a page shows has the id of one of them:

    anchors/x265:ld/carphone/q3/psnr          experiment / codec / clip / quality / metric
    entropy/range-coder/-/-/encode_msym_s     "-" where an experiment has no clip or quality
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from codec_lib.errors import MissingData, UsageError
from codec_lib.files import write_bytes
from codec_lib.paths import RESULTS

# The unit of whatever a rate point carries besides the metrics; a metric's own unit comes from the metrics registry.
UNITS = {"bpp": "bit/pixel", "bytes": "byte", "encode_s": "s", "decode_s": "s"}


def results_dir() -> Path:
    """Folder of saved results: $CODEC_LIB_RESULTS, else data/results of the checkout the library runs from."""
    return Path(os.environ.get("CODEC_LIB_RESULTS") or RESULTS)


def label(codec: str, profile: str | None) -> str:
    """A codec as records name it: "intra@lab"; conventional codecs, whose profile is "system", keep the bare name."""
    return codec if profile in (None, "system") else f"{codec}@{profile}"


@dataclass(frozen=True)
class Value:
    """One measured number.

    metric: what was measured ("psnr", "encode_msym_s"); unit: "" for a plain ratio or count.
    provenance: as `provenance.provenance` returns it; shared by all values of one run.
    """

    experiment: str
    metric: str
    value: float
    unit: str
    codec: str | None = None
    clip: str | None = None
    quality: int | None = None
    provenance: dict = field(default_factory=dict, compare=False, repr=False)

    @property
    def id(self) -> str:
        quality = "-" if self.quality is None else f"q{self.quality}"
        return "/".join((self.experiment, self.codec or "-", self.clip or "-", quality, self.metric))


@dataclass(frozen=True)
class Record:
    """One rate point.

    bytes: size of the file on disk; bpp: 8 * bytes / (frames * width * height).
    encode_s, decode_s: wall seconds, loading of the model not counted.
    metrics: name -> finite number. absent: name -> why a metric that was asked for has no number.
    symbols_sha256: digest over all decoded symbols, equal on both sides; None for conventional codecs.
    """

    codec: str
    profile: str
    clip: str
    frames: int
    width: int
    height: int
    quality: int
    bytes: int
    bpp: float
    encode_s: float
    decode_s: float
    metrics: dict[str, float]
    symbols_sha256: str | None = None
    absent: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        where = f"record {self.key}"
        for name in ("frames", "width", "height", "bytes"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise UsageError(f"{where}: {name} must be a whole number above 0, not {getattr(self, name)!r}")
        rate = 8 * self.bytes / (self.frames * self.width * self.height)
        if not math.isclose(self.bpp, rate, rel_tol=1e-6):
            raise UsageError(f"{where}: bpp {self.bpp} is not 8*bytes/pixels = {rate:.6g}")
        for name, value in self.metrics.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise UsageError(f"{where}: {name} must be a finite number, not {value!r}: list it under absent")

    @property
    def label(self) -> str:
        return label(self.codec, self.profile)

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes a rate point unique inside one file of results: codec, clip, quality."""
        return self.label, self.clip, self.quality

    def number(self, name: str) -> float | None:
        """A metric, or "bpp", "bytes", "encode_s", "decode_s"; None where it is absent."""
        return getattr(self, name) if name in UNITS else self.metrics.get(name)


@dataclass
class Results:
    """What one experiment measured.

    failures: what could not be measured, each {"codec", "clip", "quality", "error"}.
    earlier: provenance of earlier runs whose records a resumed run took over.
    """

    experiment: str
    provenance: dict = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    failures: list[dict] = field(default_factory=list)
    earlier: list[dict] = field(default_factory=list)

    def select(self, **wanted) -> list[Record]:
        """Records whose fields have the wanted values: ``select(codec="intra", clip="carphone")``."""
        return [r for r in self.records if all(getattr(r, name) == value for name, value in wanted.items())]

    def add_value(self, metric: str, value: float, unit: str = "", *, codec: str | None = None,
                  clip: str | None = None, quality: int | None = None) -> Value:
        """Append one measured number and return it."""
        if not math.isfinite(value):
            raise UsageError(f"{self.experiment}: {metric} must be a finite number, not {value!r}")
        made = Value(self.experiment, metric, value, unit, codec, clip, quality, self.provenance)
        self.values.append(made)
        return made

    def flat(self) -> Iterator[Value]:
        """Every number of this file as a `Value`, those of the rate points included."""
        yield from self.values
        for r in self.records:
            for name in (*UNITS, *r.metrics):
                unit = UNITS[name] if name in UNITS else metric_unit(name)
                yield Value(self.experiment, name, r.number(name), unit, r.label, r.clip, r.quality, self.provenance)

    def to_dict(self) -> dict:
        values = [{k: v for k, v in asdict(v).items() if k not in ("provenance", "experiment")} for v in self.values]
        whole = {"experiment": self.experiment, "provenance": self.provenance,
                 "records": [asdict(r) for r in self.records], "values": values,
                 "failures": self.failures, "earlier": self.earlier}
        return {k: v for k, v in whole.items() if v or k in ("experiment", "provenance", "records")}

    def save(self, path: str | Path | None = None, *, force: bool = True) -> Path:
        """Write to ``path``, data/results/<experiment>.json unless named. Keeps nothing half written."""
        if path is None:
            path = results_dir() / f"{self.experiment}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
        check_unique(self)
        write_bytes(path, dump(self.to_dict()).encode(), force=force)
        return Path(path)

    @classmethod
    def from_dict(cls, data: dict, source: str = "results") -> Results:
        """Check and take over what `to_dict` gave; raises UsageError naming ``source`` and the entry at fault."""
        if not isinstance(data, dict) or not isinstance(data.get("records", []), list):
            raise UsageError(f'{source} does not hold results: expected {{"provenance": ..., "records": [...]}}')
        name = data.get("experiment") or "eval"
        provenance = data.get("provenance") or {}
        results = cls(name, provenance, failures=list(data.get("failures", [])), earlier=list(data.get("earlier", [])))
        results.records = [_entry(Record, entry, f"{source}, record {i}") for i, entry in enumerate(data.get("records", []))]
        results.values = [
            _entry(Value, {"experiment": name, "provenance": provenance} | entry, f"{source}, value {i}")
            for i, entry in enumerate(data.get("values", []))
        ]
        check_unique(results, source)
        return results

    @classmethod
    def load(cls, path: str | Path) -> Results:
        """Read a file of results. Raises UsageError when it is missing, not JSON, or holds an entry that cannot be."""
        path = Path(path)
        try:
            data = json.loads(path.read_text())
        except FileNotFoundError:
            raise UsageError(f"no such file: {path}") from None
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be read as a file of results: {error}") from None
        return cls.from_dict(data, str(path))


def load_results(experiment: str) -> Results:
    """Saved results of an experiment. Raises MissingData with the command that makes them."""
    path = results_dir() / f"{experiment}.json"
    if not path.exists():
        raise MissingData(f"no saved results for '{experiment}': make them with: "
                          f"python -m codec_lib table {experiment} --recompute")
    return Results.load(path)


def all_values(folder: str | Path | None = None) -> dict[str, Value]:
    """Every saved number by its id: what the check of the chapters looks numbers up in."""
    files = sorted(Path(folder or results_dir()).glob("*.json"))
    return {value.id: value for path in files for value in Results.load(path).flat()}


def dump(data) -> str:
    """JSON as the repository keeps it: one record a line, so that a change to one number changes one line."""
    if isinstance(data, dict) and any(isinstance(v, list) for v in data.values()):
        parts = []
        for key, value in data.items():
            if isinstance(value, list) and value:
                lines = ",\n".join("  " + json.dumps(entry, allow_nan=False) for entry in value)
                parts.append(f"{json.dumps(key)}: [\n{lines}\n]")
            else:
                parts.append(f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}")
        return "{\n" + ",\n".join(parts) + "\n}\n"
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


def check_unique(results: Results, source: str = "results") -> None:
    """Raise UsageError when two entries would have the same id."""
    for keys in ([r.key for r in results.records], [v.id for v in results.values]):
        for key, times in Counter(keys).items():
            if times > 1:
                raise UsageError(f"{source}: {times} records are called {key}")


def merge(files: Iterable[Results]) -> Results:
    """Several files of results as one, for a comparison. Raises UsageError when the same rate point is in two."""
    files = list(files)
    merged = Results(files[0].experiment, files[0].provenance, earlier=[f.provenance for f in files[1:]])
    for results in files:
        merged.records += results.records
    check_unique(merged)
    return merged


def metric_unit(name: str) -> str:
    """Unit of a metric ("dB", "" where it has none)."""
    from codec_lib.metrics import metric

    try:
        return metric(name).unit
    except UsageError:
        return ""


def _entry(kind: type, data: dict, where: str):
    known = {f.name for f in fields(kind)}
    if not isinstance(data, dict):
        raise UsageError(f"{where}: expected an object, not {type(data).__name__}")
    try:
        return kind(**{k: v for k, v in data.items() if k in known})
    except TypeError:
        lacking = sorted(f.name for f in fields(kind) if f.name not in data and f.name not in ("absent", "symbols_sha256"))
        raise UsageError(f"{where}: lacks {', '.join(lacking) or 'a field, or has one of the wrong type'}") from None
