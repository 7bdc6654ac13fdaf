"""Pages of claims in docs/claims: a changed verdict shows up as a difference to review.

``python tests/auditing/test_pages.py`` regenerates the pages.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import trainsim as ts

NUMBER = re.compile(r"(\d+(?:\.\d+)?)")
FOLDER = Path(__file__).parents[2] / "docs" / "claims"


def index(verdicts: dict[str, ts.Verdict]) -> str:
    """Table of verdicts: words and scopes, which do not depend on the last digit of a quantile."""
    again = "regenerate with `python tests/auditing/test_pages.py`"
    head = f"# Claims and their verdicts\n\nOne page per claim, judged by trainsim {ts.__version__}; {again}.\n\n"
    lines = ["| claim | statement | number | words | inside the 90 % interval of |", "|---|---|---|---|---|"]
    for name, verdict in verdicts.items():
        said = verdict.claim.statement
        lines.append(f"| [{name}]({name}.md) | {said} | {verdict.number} | {verdict.words} | {'; '.join(verdict.scopes) or '—'} |")
    return head + "\n".join(lines) + "\n"


def page(name: str, verdict: ts.Verdict) -> str:
    """Page of one claim: the screen, what the claim leaves out, and its sources."""
    claim = verdict.claim
    left = "".join(f"- {item}\n" for item in claim.leaves_out)
    leaves = f"\nLeft out:\n\n{left}" if left else ""
    primary = f"\nPrimary source: {claim.primary.statement}\n" if claim.primary is not None else ""
    print_ = f"\nFaithful: {verdict.quote}\n\nMisleading: {verdict.misquote}\n"
    return f"# {name}\n\n{claim.statement}\n\n```\n{verdict}\n```\n{print_}{leaves}{primary}\nSource of the claim: {claim.source}\n"


def judged() -> dict[str, ts.Verdict]:
    return {name: ts.audit(claim) for name, claim in ts.catalog.claims().items()}


@pytest.fixture(scope="module")
def verdicts() -> dict[str, ts.Verdict]:
    return judged()


def test_the_verdicts_are_those_on_the_page(verdicts: dict[str, ts.Verdict]) -> None:
    written = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert index(verdicts) == written, "a verdict changed: python tests/auditing/test_pages.py, and look at the difference"


def test_every_claim_has_its_page() -> None:
    assert {p.stem for p in FOLDER.glob("*.md")} - {"README"} == set(ts.catalog.claims())


def test_every_page_is_what_is_computed(verdicts: dict[str, ts.Verdict]) -> None:
    """Words are equal; numbers may differ by one in the last printed digit, because machines round differently."""
    for name, verdict in verdicts.items():
        written = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
        ours, theirs = (NUMBER.split(text) for text in (page(name, verdict), written))
        assert [w.split() for w in ours[::2]] == [w.split() for w in theirs[::2]], f"{name}: python tests/auditing/test_pages.py"
        off = [(a, b) for a, b in zip(ours[1::2], theirs[1::2], strict=True) if abs(float(a) - float(b)) > last_digit(b)]
        assert not off, f"{name}: {off}; python tests/auditing/test_pages.py, and look at the difference"


def last_digit(number: str) -> float:
    return 1.01 * 10.0 ** -len(number.partition(".")[2])


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    found = judged()
    (FOLDER / "README.md").write_text(index(found), encoding="utf-8")
    for claim_name, verdict in found.items():
        (FOLDER / f"{claim_name}.md").write_text(page(claim_name, verdict), encoding="utf-8")
