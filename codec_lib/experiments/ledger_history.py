"""Tolerances cannot move unseen: the ledger compared with every version of itself that was committed.

A seal stored beside a claim catches an edit by accident. Someone who widens a tolerance and seals it anew is caught
here, because the commits remember the seal that stood while the claim was still open.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from codec_lib.experiments.ledger import CLAIMS

State = tuple[str, str, frozenset[str]]
"""Seal, verdict, and the earlier seals that the claim owns up to."""


def moved(path: Path = CLAIMS) -> list[str] | None:
    """What happened to claims after they were decided that should not have: one line each.

    A seal may change only while the claim is open before and after, and only if its old seal is listed under
    ``revisions`` with a date and a reason; a claim may not disappear. None when there is no history to compare with.
    """
    versions = _versions(path)
    if versions is None:
        return None
    found = []
    for (when, before), (_, after) in zip(versions, versions[1:], strict=False):
        for claim, (seal, verdict, _) in before.items():
            if claim not in after:
                found.append(f"{claim} was dropped after {when}")
                continue
            new_seal, new_verdict, owned = after[claim]
            if new_seal == seal or seal == "new":
                continue
            if verdict != "open" or new_verdict != "open":
                found.append(f"{claim}: the tolerance was changed after {when}, when it had been measured")
            elif seal not in owned:
                found.append(f"{claim}: the tolerance was changed after {when} without an entry under revisions")
    return found


def states(text: str) -> dict[str, State]:
    """Claim id -> state, read line by line so that versions of any age can be compared quickly."""
    found = {}
    for block in re.split(r"^- id: ", text, flags=re.M)[1:]:
        claim, _, rest = block.partition("\n")
        seal = re.search(r"^  seal: (\S+)", rest, re.M)
        verdict = re.search(r"^  verdict: (.+)$", rest, re.M)
        owned = frozenset(re.findall(r"was: ([0-9a-f]{16})", rest))
        found[claim.strip()] = (seal[1] if seal else "", verdict[1].strip() if verdict else "", owned)
    return found


def _versions(path: Path) -> list[tuple[str, dict[str, State]]] | None:
    """Committed versions, oldest first, and then the file as it is."""
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=path.parent, capture_output=True, text=True, check=True)
        return done.stdout

    try:
        commits = git("log", "--reverse", "--format=%H %cs", "--", path.name).split("\n")
        committed = []
        for commit, day in (line.split() for line in commits if line):
            try:
                committed.append((f"{commit[:8]} ({day})", states(git("show", f"{commit}:./{path.name}"))))
            except subprocess.CalledProcessError:  # the file was away in this commit
                committed.append((f"{commit[:8]} ({day})", {}))
    except (OSError, subprocess.CalledProcessError):
        return None
    return [*committed, ("now", states(path.read_text(encoding="utf-8")))] if committed else None
