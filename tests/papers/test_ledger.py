"""The ledger: complete, sealed, consistent with the papers' numbers and with the records; tolerances do not move."""

import re
import subprocess
from dataclasses import replace

import pytest

from codec_lib.errors import UsageError
from codec_lib.experiments import ledger, ledger_history, papers
from codec_lib.experiments.ledger import CLAIMS, Interval, load_claims
from codec_lib.experiments.records import Results, all_values

CLAIM = {c.id: c for c in load_claims()}
SAMPLE = """# header stays
- id: diffvc.one
  paper: diffvc
  location: Table 1
  mark: P
  statement: "It saves a tenth: 10 %."
  measure: percent saved
  paper_value: 10
  unit: "%"
  reproduced: [8, 12]
  trend: [1, null]
  why: because
  experiment: one
  chapter: 6
  scale: lab
  decided_on: 2026-11-21
  seal: new
  value: null
  record: null
  verdict: open
  reason: null

"""


def test_at_least_twelve_claims_a_paper():
    for paper in ("diffvc", "gnvc_vd", "givic"):
        assert sum(c.paper == paper for c in CLAIM.values()) >= 12
    assert {c.paper for c in CLAIM.values()} < set(papers.papers())


@pytest.mark.parametrize("claim", CLAIM.values(), ids=lambda c: c.id)
def test_claim_is_sound(claim):
    assert claim.problems({i: v.value for i, v in all_values().items()}) == []
    assert claim.id.startswith(claim.paper + ".") and claim.id == claim.id.lower()
    assert len(claim.statement) > 20 and len(claim.measure) > 15 and len(claim.why) > 5 and claim.location
    assert re.fullmatch(r"[a-z_]+", claim.experiment) and 1 <= claim.chapter <= 17
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", claim.decided_on)


@pytest.mark.parametrize("claim", [c for c in CLAIM.values() if isinstance(c.paper_value, int | float)], ids=lambda c: c.id)
def test_the_papers_own_value_would_count_as_reproduced(claim):
    """A tolerance that the paper itself would miss tests nothing. An order of magnitude more is no reproduction."""
    assert claim.judge(claim.paper_value) == "reproduced"
    far = 20 * abs(claim.paper_value) + 100
    assert "not reproduced" in (claim.judge(far), claim.judge(-far))


@pytest.mark.parametrize("claim", [c for c in CLAIM.values() if c.unit == "%" and c.scale == "lab"], ids=lambda c: c.id)
def test_no_effect_at_all_is_never_a_reproduction_of_an_effect(claim):
    if claim.id not in ("diffvc.tdir-loss", "givic.as-good-as-softmax"):  # these two claim that nothing is lost
        assert claim.judge(0.0) == "not reproduced"


def test_no_trend_where_a_number_is_counted():
    assert CLAIM["gnvc_vd.velocity"].trend is None
    assert CLAIM["gnvc_vd.velocity"].judge(1e-6) == "not reproduced"


def make(tmp_path, text=SAMPLE):
    path = tmp_path / "claims.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_verdict_follows_from_value_and_intervals():
    claim = next(c for c in CLAIM.values() if c.id == "diffvc.tdir-time")
    assert [claim.judge(v) for v in (47, 42, 41.99, 60, 60.1, -3)] == [
        "reproduced", "reproduced", "trend reproduced", "trend reproduced", "not reproduced", "not reproduced"]
    assert str(Interval(None, -5)) == "≤ −5" and str(Interval(1, None)) == "≥ 1" and str(Interval(1, 2)) == "1 … 2"


def test_a_verdict_needs_a_record_and_must_be_the_one_earned():
    claim = CLAIM["diffvc.tdir-time"]
    good = replace(claim, verdict="reproduced", value=46.0, record="r")
    assert good.problems({"r": 46.0}) == []
    assert "without a value and the record" in replace(good, record=None).problems()[0]
    assert "means 'trend reproduced'" in replace(good, value=30.0).problems()[0]
    assert "holds 45" in good.problems({"r": 45.0})[0]
    assert "holds None" in good.problems({})[0]
    assert "no verdict" in replace(good, verdict="open").problems()[0]
    assert "needs a reason" in replace(claim, verdict="not attempted", value=None, record=None, reason=None).problems()[0]
    assert "needs a reason" in replace(good, verdict="not reproduced", value=0.0).problems({"r": 0.0})[0]


@pytest.mark.parametrize("field, value", [("statement", "It saves something."), ("trend", Interval(0, None)), ("unit", "dB"),
                                          ("reproduced", Interval(5, 100)), ("paper_value", 20), ("measure", "else")])
def test_the_seal_breaks_when_a_decided_field_changes(field, value):
    claim = CLAIM["diffvc.tdir-time"]
    changed = replace(claim, **{field: value})
    assert any("sealed" in p for p in changed.problems())


def test_a_misquoted_paper_value_is_found():
    claim = replace(CLAIM["diffvc.tdir-time"], paper_value=74)
    assert any("is not a = 47" in p for p in replace(claim, seal=ledger.seal(claim)).problems())


def test_reproduced_must_lie_inside_trend():
    claim = replace(CLAIM["diffvc.tdir-time"], trend=Interval(45, 50))
    assert any("does not lie inside" in p for p in claim.problems())


def test_unknown_and_missing_fields_are_refused(tmp_path):
    with pytest.raises(UsageError, match="colour"):
        load_claims(make(tmp_path, SAMPLE.rstrip() + "\n  colour: red\n"))
    with pytest.raises(UsageError, match="why missing"):
        load_claims(make(tmp_path, SAMPLE.replace("  why: because\n", "")))
    with pytest.raises(UsageError, match="given twice"):
        load_claims(make(tmp_path, SAMPLE + SAMPLE))


def test_settle_writes_value_record_and_verdict(tmp_path, monkeypatch):
    path = make(tmp_path, SAMPLE + SAMPLE.replace("one", "two").replace("# header stays\n", ""))
    assert ledger.write_seals(path) == ["diffvc.one", "diffvc.two"]
    assert ledger.write_seals(path) == []  # a seal is never replaced
    monkeypatch.setenv("CODEC_LIB_RESULTS", str(tmp_path / "results"))
    results = Results("one")
    id_good = results.add_value("saving", 9.25, "%").id
    id_poor = results.add_value("poor", 0.5, "%").id
    results.save()
    with pytest.raises(UsageError, match="no saved record"):
        ledger.settle("diffvc.one", "one/-/-/-/other", path=path)
    assert ledger.settle("diffvc.one", id_good, path=path) == "reproduced"
    with pytest.raises(UsageError, match="give the reason"):
        ledger.settle("diffvc.two", id_poor, path=path)
    assert ledger.settle("diffvc.two", id_poor, reason='small "lab" model: too small', path=path) == "not reproduced"
    one, two = load_claims(path)
    assert (one.value, one.record, one.verdict) == (9.25, id_good, "reproduced")
    assert two.reason == 'small "lab" model: too small'
    known = {i: v.value for i, v in all_values().items()}
    assert one.problems(known) == two.problems(known) == []
    assert path.read_text().startswith("# header stays")


@pytest.fixture
def repository(tmp_path):
    """A repository with a sealed, open claim committed; returns (path, commit)."""
    path = make(tmp_path)
    ledger.write_seals(path)

    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    def commit():
        git("add", "claims.yaml")
        git("commit", "-q", "-m", "ledger")

    git("init", "-q")
    commit()
    return path, commit


def reseal(path, old, new, was=None):
    """Change a tolerance and seal it anew, as someone would who wants the claim to hold."""
    text = path.read_text().replace(old, new)
    if was:
        text = text.replace("  value:", f"  revisions: [{{on: 2026-12-01, was: {was}, why: unit was wrong}}]\n  value:")
    path.write_text(re.sub("seal: [0-9a-f]{16}", "seal: new", text))
    ledger.write_seals(path)


def settled(path):
    text = path.read_text().replace("value: null", "value: 5").replace("record: null", "record: r")
    path.write_text(text.replace("verdict: open", "verdict: trend reproduced"))


def test_history_accepts_measuring_and_revising_openly(repository):
    path, commit = repository
    was = load_claims(path)[0].seal
    reseal(path, "[8, 12]", "[9, 12]", was=was)
    assert ledger_history.moved(path) == []
    commit()
    settled(path)
    assert ledger_history.moved(path) == []


def test_history_finds_a_silent_change(repository):
    path, _ = repository
    reseal(path, "[8, 12]", "[1, 12]")
    assert "without an entry under revisions" in ledger_history.moved(path)[0]


def test_history_finds_a_tolerance_widened_after_measuring(repository):
    path, commit = repository
    was = load_claims(path)[0].seal
    settled(path)
    commit()
    reseal(path, "[8, 12]", "[4, 12]", was=was)
    assert "when it had been measured" in ledger_history.moved(path)[0]


def test_history_finds_a_tolerance_widened_while_measuring(repository):
    path, _ = repository
    was = load_claims(path)[0].seal
    settled(path)
    reseal(path, "[8, 12]", "[4, 12]", was=was)
    assert ledger_history.moved(path)


def test_history_finds_a_dropped_claim(repository):
    path, _ = repository
    path.write_text("[]\n")
    assert "was dropped" in ledger_history.moved(path)[0]


def test_no_tolerance_of_ours_has_moved():
    found = ledger_history.moved(CLAIMS)
    if found is None:
        pytest.skip("no commits to compare with: this is no git checkout, or the ledger is not committed yet")
    assert found == []
