"""Check whether a claim drops or changes the terms of its source: how many machines, how many years, stock or flow."""

from __future__ import annotations

from ..claims.claim import Claim
from ..core.units import human
from .comparison import Check

_WORDS = {"gpus": "GPUs", "years": "years", "statistic": "statistic"}


def changed_terms(claim: Claim) -> Check | None:
    """Terms of a claim's nearest source that the claim drops or changes; None if it keeps them all.

    >>> from trainsim.claims.claim import Primary, Terms
    >>> said = Claim("fleet.operating", 944, unit="MUSD", primary=Primary(statement="944M over four years", terms=Terms(years=4)))
    >>> changed_terms(said).finding
    'not faithful to its source: 4 years dropped'
    """
    if claim.primary is None or claim.primary.terms is None:
        return None
    changed = []
    for name, word in _WORDS.items():
        is_, said = getattr(claim.primary.terms, name), None if claim.terms is None else getattr(claim.terms, name)
        if not is_ or is_ == said:
            continue
        if name == "statistic":
            changed.append(f"a {is_} stated as {said!r}" if said else f"a {is_}, which the claim drops")
        else:
            changed.append(f"{_count(is_)} {word} stated as {_count(said)}" if said else f"{_count(is_)} {word} dropped")
    return Check("source", "CANNOT BE JUDGED", f"not faithful to its source: {'; '.join(changed)}") if changed else None


def _count(value: object) -> str:
    number = float(value)  # type: ignore[arg-type]
    return f"{number:,.0f}" if number == round(number) else human(number)
