"""Verdicts on claims: of the catalogue, from options, or from a CSV file."""

from __future__ import annotations

import csv
import io
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import catalog
from ..core.errors import CatalogError, did_you_mean
from .printing import answered, printed
from .terminal import BAD_INPUT, complain, stop, working

if TYPE_CHECKING:
    from ..auditing.verdict import Verdict
    from ..planning.claim_request import ClaimRequest
    from ..planning.requests import RunRequest

COLUMNS = ("line", "claim", "number", "words", "quote")
"""Columns of a table of verdicts."""


def check_one_claim(name: str, figure: str) -> None:
    """Stop unless a claim is given once: by its id or by its figure."""
    if not name and not figure:
        complain("audit needs a claim: an id (trainsim claims), or --model … --claim 4.6M --told-as 'the cost of training it'")
        stop(BAD_INPUT)
    if name and figure:
        complain(f"audit takes a claim of the catalogue ({name}) or --claim {figure}; give one of the two")
        stop(BAD_INPUT)


def audited(name: str, claim: ClaimRequest | None, asked: RunRequest | None, as_of: str) -> Verdict:
    """The verdict on a claim of the catalogue, or on one given by options.

    Args:
        name: id of a claim of the catalogue; empty for a typed one.
        claim: the typed claim; None for one of the catalogue.
        asked: the run that the claim is about; None if the claim names one.
        as_of: use data public by this day.
    """
    figure = "" if claim is None else claim.figure
    with working(f"comparing {name or figure} with disclosures and predictions"):
        return _judged(name, claim, asked, as_of)


def published_subject(asked: RunRequest) -> str:
    """Id of the published run that a request names without changing it; empty if other options change it.

    A published run needs no other option: the audit asks for no more inputs than the claimed quantity needs.
    """
    from ..auditing.subjects import known_name

    changed = any(getattr(asked, field.name) for field in fields(asked) if field.name not in ("target", "as_of"))
    if changed or not isinstance(asked.target, str):
        return ""
    return known if (known := known_name(asked.target)) in catalog.rows("runs") else ""


def unknown_model(name: str) -> CatalogError:
    """The error for a claim about a model that the catalogue lacks: close names, and the options that describe its run."""
    near = did_you_mean(name, [*catalog.rows("runs"), *catalog.rows("models")], "")
    meant = f"{near} Else " if near.startswith("did") else ""
    remedy = f"{meant}describe its run by a config file or a size: --model 70B --chip h100 --gpus 512 --tokens 10T"
    return CatalogError("--model", name, "is not in the catalogue", remedy, "not-found")


def _judged(name: str, claim: ClaimRequest | None, asked: RunRequest | None, as_of: str) -> Verdict:
    from ..auditing.audit import audit

    made, subject = catalog.claim(name) if name else None, None
    if made is None or asked is not None:
        # imported here because only a claim outside the catalogue has to find its model by name or size
        from ..planning.claim_request import claim_of
        from ..planning.requests import run_of

        made = claim_of(claim) if made is None and claim is not None else made
        published = None if asked is None else published_subject(asked)
        try:
            subject = None if asked is None or published else run_of(asked)
        except CatalogError as error:
            raise error if asked is None or error.path != "catalog.models" else unknown_model(str(asked.target)) from None
        made = made.replace({"subject": published}) if made is not None and published else made
    assert made is not None
    return audit(made, subject=subject, as_of=as_of or None)


def typed(*options: Any) -> ClaimRequest:
    """The claim that options give, in the order of the fields of a request."""
    from ..planning.claim_request import ClaimRequest

    return ClaimRequest(*options)


def verdict_text(verdict: Verdict, form: str, *, brief: bool) -> str:
    """A verdict as text, as its faithful sentence, as JSON or as CSV."""
    if brief and form == "text":
        return str(verdict.quote)
    return answered(verdict, form, {"number": verdict.number, "words": verdict.words, "quote": verdict.quote})


def audited_table(path: str, as_of: str) -> str:
    """Verdicts on the claims of a CSV file, one line each. The line of a claim that can't be read has the error.

    Columns are named after the flags: ``model``, ``chip``, ``gpus``, ``tokens``, ``claim``, ``quantity``, ``told_as``, ``scope`` …; a
        column ``id`` names claims of the catalogue.
    """
    from ..core import reading
    from ..core.errors import SpecError, TrainsimError
    from ..planning.claim_request import ClaimRequest
    from ..planning.requests import RunRequest

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows = reading.parse_table(reading.read_text(path, what="table of claims"), Path(path).name)
    runs, claims = ({field.name for field in fields(kind)} for kind in (RunRequest, ClaimRequest))
    known = (runs - {"target", "changes", "beliefs"}) | (claims - {"figure"}) | {"id", "model", "claim"}
    for column in {column for _, row in rows for column in row} - known:
        raise SpecError(
            f"{Path(path).name}.header", column, "is not a column of claims", did_you_mean(column, known, "columns"), "unknown-name"
        )
    with working("auditing claims") as progress:
        for done, (line, row) in enumerate(rows, 1):
            label = row.get("id") or row.get("told_as") or row.get("claim", "")
            try:
                wanted = {name: cell for name, cell in row.items() if name in runs}
                asked = RunRequest(row["model"], **wanted) if row.get("model") else None
                claim: dict[str, Any] = {
                    name: cell.split(",") if name == "includes" else cell for name, cell in row.items() if name in claims
                }
                verdict = _judged(row.get("id", ""), ClaimRequest(row.get("claim", ""), **claim), asked, row.get("as_of", as_of))
                writer.writerow((line, label, verdict.number, verdict.words, verdict.quote))
            except TrainsimError as error:
                writer.writerow((line, label, "", "", f"error: {error}"))
            progress(done, len(rows))
    return out.getvalue().rstrip("\n")


def listed_claims(form: str) -> str:
    """The claims of the catalogue with their statements."""
    from ..catalog.claims import claims

    every = claims()
    text = "\n".join(f"{name:<26}{claim.statement}" for name, claim in every.items())
    return printed(text, lambda: {name: claim.statement for name, claim in every.items()}, form)
