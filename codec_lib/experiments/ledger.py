"""The ledger of claims: what each paper says, what we would accept as a reproduction, what we found.

``data/papers/claims.yaml`` holds the claims; its header explains how tolerances are kept from moving. A verdict is never
chosen: it follows from the measured value and the two intervals that were decided before measuring,

    value in ``reproduced``   ->  reproduced
    value in ``trend``        ->  trend reproduced
    otherwise                 ->  not reproduced

and there is no verdict without the id of the record that holds the value. ``not attempted`` needs a reason instead.

    python -m codec_lib.experiments.ledger                    # print the ledger
    python -m codec_lib.experiments.ledger seal               # seal claims whose seal is still 'new'
    python -m codec_lib.experiments.ledger settle ID RECORD   # take the value of a saved record and write the verdict
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from codec_lib.errors import UsageError
from codec_lib.experiments import papers
from codec_lib.files import write_bytes
from codec_lib.paths import PAPERS

CLAIMS = PAPERS / "claims.yaml"
VERDICTS = ("open", "reproduced", "trend reproduced", "not reproduced", "not attempted")
SEALED = ("id", "paper", "statement", "measure", "paper_value", "unit", "reproduced", "trend", "scale", "decided_on")


@dataclass(frozen=True)
class Interval:
    """Closed interval; None is an open end."""

    low: float | None
    high: float | None

    def __contains__(self, value: float) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def __str__(self) -> str:
        if self.low is None:
            return f"≤ {_short(self.high)}"
        if self.high is None:
            return f"≥ {_short(self.low)}"
        return _short(self.low) if self.low == self.high else f"{_short(self.low)} … {_short(self.high)}"


@dataclass(frozen=True)
class Claim:
    """One entry of the ledger.

    statement: what the paper claims, in our words. measure: the number that we compute to test it.
    paper_value: the paper's number in ``unit``, or a word where it prints none; ``cells`` are the entries of the papers'
    tables it comes from and ``formula`` combines them (a, b, c in order).
    reproduced, trend: intervals for our value. trend is None where there is no halfway (an identity holds or does not).
    scale: "lab", "paper", or "any" where the scale does not matter. chapter: number of the chapter that shows it.
    """

    id: str
    paper: str
    location: str
    mark: str
    statement: str
    measure: str
    paper_value: float | str
    unit: str
    cells: tuple[str, ...]
    formula: str
    reproduced: Interval
    trend: Interval | None
    why: str
    experiment: str
    chapter: int
    scale: str
    decided_on: str
    seal: str
    revisions: tuple[dict, ...]
    value: float | None
    record: str | None
    verdict: str
    reason: str | None

    def judge(self, value: float) -> str:
        """The verdict that ``value`` earns."""
        if value in self.reproduced:
            return "reproduced"
        return "trend reproduced" if self.trend is not None and value in self.trend else "not reproduced"

    def problems(self, known: dict[str, float] | None = None) -> list[str]:
        """What is wrong with this entry: seal, intervals, paper's value, verdict. ``known``: record id -> value."""
        found = []
        if self.seal != seal(self):
            found.append("the sealed fields were changed after the tolerance was decided (or the claim is not sealed yet)")
        for interval in filter(None, (self.reproduced, self.trend)):
            low, high = interval.low, interval.high
            if (low is None and high is None) or (None not in (low, high) and low > high):
                found.append(f"interval [{low}, {high}] is empty or holds everything")
        if self.trend is not None and not _inside(self.reproduced, self.trend):
            found.append("'reproduced' does not lie inside 'trend'")
        if self.mark not in papers.MARKS or self.scale not in ("lab", "paper", "any") or self.verdict not in VERDICTS:
            found.append(f"mark '{self.mark}', scale '{self.scale}' or verdict '{self.verdict}' is not known")
        if self.cells:
            stated = _combine(self.formula, self.cells)
            if not isinstance(self.paper_value, int | float) or abs(stated - self.paper_value) > 0.005 * abs(stated):
                found.append(f"paper_value {self.paper_value} is not {self.formula} = {stated:g} of {', '.join(self.cells)}")
        return found + self._verdict_problems(known)

    def _verdict_problems(self, known: dict[str, float] | None) -> list[str]:
        if self.verdict in ("open", "not attempted"):
            found = ["a value or record, but no verdict"] if self.value is not None or self.record else []
            if self.verdict == "not attempted" and not self.reason:
                found.append("'not attempted' needs a reason")
            return found
        if self.value is None or not self.record:
            return [f"verdict '{self.verdict}' without a value and the record that holds it"]
        found = []
        if self.verdict != self.judge(self.value):
            found.append(f"verdict '{self.verdict}', but {self.value:g} means '{self.judge(self.value)}'")
        if known is not None and known.get(self.record) != self.value:
            found.append(f"value {self.value:g}, but record {self.record} holds {known.get(self.record)}")
        if self.verdict == "not reproduced" and not self.reason:
            found.append("'not reproduced' needs a reason")
        return found


def load_claims(path: Path = CLAIMS) -> list[Claim]:
    """All claims in file order. Raises UsageError for an entry with missing or unknown fields, or an id given twice."""
    return parse_claims(papers.read_yaml(path))


def parse_claims(raw: list[dict]) -> list[Claim]:
    """Claims from parsed YAML."""
    names = list(Claim.__dataclass_fields__)
    optional = {"cells": (), "formula": "a", "revisions": (), "reason": None}
    claims, ids = [], set()
    for entry in raw:
        where = f"claim '{entry.get('id', '?')}'"
        if missing := [n for n in names if n not in entry and n not in optional]:
            raise UsageError(f"{where}: {', '.join(missing)} missing")
        if unknown := [n for n in entry if n not in names]:
            raise UsageError(f"{where}: unknown field {', '.join(unknown)}")
        if entry["id"] in ids:
            raise UsageError(f"{where} is given twice")
        ids.add(entry["id"])
        fields = {**optional, **entry}
        fields["decided_on"] = str(entry["decided_on"])
        fields["cells"], fields["revisions"] = tuple(fields["cells"]), tuple(fields["revisions"])
        fields["reproduced"] = Interval(*entry["reproduced"])
        fields["trend"] = None if entry["trend"] is None else Interval(*entry["trend"])
        claims.append(Claim(**fields))
    return claims


def seal(claim: Claim) -> str:
    """First 16 hex digits of the SHA-256 over what may not change once decided: statement, measure, value, intervals."""
    def plain(value):
        if isinstance(value, Interval):
            return [plain(value.low), plain(value.high)]
        return float(value) if isinstance(value, int | float) else value

    fields = {name: plain(getattr(claim, name)) for name in SEALED}
    return hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def write_seals(path: Path = CLAIMS) -> list[str]:
    """Seal the claims whose seal is 'new' and return their ids. A seal that is there is never replaced."""
    text = path.read_text(encoding="utf-8")
    new = [c for c in load_claims(path) if c.seal == "new"]
    for claim in new:
        text = _edit(text, claim.id, seal=seal(claim))
    write_bytes(path, text.encode(), force=True)
    return [c.id for c in new]


def settle(claim_id: str, record: str, *, reason: str | None = None, path: Path = CLAIMS) -> str:
    """Write the value of saved record ``record`` and the verdict it earns into the ledger; returns the verdict.

    Raises UsageError for an unknown claim or record, and for a claim that is not reproduced when no ``reason`` is given.
    """
    from codec_lib.experiments.records import all_values

    claim = _find(claim_id, path)
    values = all_values()
    if record not in values:
        raise UsageError(f"no saved record is called '{record}': a verdict needs one")
    value = values[record].value
    verdict = claim.judge(value)
    if verdict == "not reproduced" and not reason:
        raise UsageError(f"{claim_id} is not reproduced ({value:g}): give the reason as far as it is known")
    text = _edit(path.read_text(encoding="utf-8"), claim_id, value=repr(value), record=record, verdict=verdict,
                 reason=json.dumps(reason, ensure_ascii=False))
    write_bytes(path, text.encode(), force=True)
    return verdict


def _edit(text: str, claim_id: str, **fields: str) -> str:
    """``text`` with fields of one claim replaced, line by line, so that comments and order stay."""
    start = re.search(rf"^- id: {re.escape(claim_id)}$", text, re.M)
    if not start:
        raise UsageError(f"no claim is called '{claim_id}'")
    end = re.compile(r"^- id: ", re.M).search(text, start.end())
    stop = end.start() if end else len(text)
    block = text[start.start():stop]
    for name, value in fields.items():
        block, count = re.subn(rf"^  {name}: .*$", lambda _, n=name, v=value: f"  {n}: {v}", block, flags=re.M)
        if count != 1:
            raise UsageError(f"claim '{claim_id}': expected one line '{name}: ...', found {count}")
    return text[: start.start()] + block + text[stop:]


def _find(claim_id: str, path: Path) -> Claim:
    for claim in load_claims(path):
        if claim.id == claim_id:
            return claim
    raise UsageError(f"no claim is called '{claim_id}'")


def _combine(formula: str, cells: tuple[str, ...]) -> float:
    names = {chr(ord("a") + i): papers.cell(key).value for i, key in enumerate(cells)}
    if not re.fullmatch(r"[a-f0-9 .+*/()-]+", formula):
        raise UsageError(f"'{formula}' is no formula of a, b, c with + - * / and brackets")
    return eval(formula, {"__builtins__": {}}, names)


def _inside(inner: Interval, outer: Interval) -> bool:
    low = outer.low is None or (inner.low is not None and inner.low >= outer.low)
    return low and (outer.high is None or (inner.high is not None and inner.high <= outer.high))


def _short(value: float) -> str:
    return f"{value:g}".replace("-", "−", 1) if value < 0 else f"{value:g}"


def main(arguments: list[str]) -> int:
    """Command line of this module; see the top of the file."""
    match arguments:
        case []:
            for c in load_claims():
                ours = "" if c.value is None else f"{c.value:g}"
                print(f"{c.id:34} paper {c.paper_value!s:>10} {c.unit:10} ours {ours:>10}  {c.verdict}")
        case ["seal"]:
            print("\n".join(write_seals()) or "nothing to seal")
        case ["settle", claim_id, record, *reason]:
            print(settle(claim_id, record, reason=" ".join(reason) or None))
        case _:
            raise UsageError(__doc__.split("\n\n")[-1].strip())
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UsageError as error:
        sys.exit(str(error))
