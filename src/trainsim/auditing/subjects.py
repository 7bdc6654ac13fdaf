"""Find the measure of a claim: its quantity, for the given subject or the catalogue's."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import get_args

from ..catalog.models import model as catalogue_model
from ..catalog.models import model_of as model_of_row
from ..catalog.rows import find, rows
from ..catalog.runs import published
from ..claims.claim import Claim
from ..claims.scope import FINAL_RUN
from ..core.errors import CatalogError, ClaimError, EstimateError
from ..core.units import human
from ..model.transformer import Model
from ..run.development import Development
from ..run.fleet import Fleet
from ..run.run import Run
from ..uncertainty.beliefs.beliefs import Beliefs
from .measure import ARCHITECTURE, FLEET, Clock, Measure, Unknown
from .relatives import disclosed_of, estimates_of, of_run_row, relatives_of, title
from .run_measures import RunCost, RunCount, RunHours, RunLine, RunMfu
from .run_view import RunView
from .verdict import Subject

SIZE_UNKNOWN = 2048
"""Number of accelerators assumed if it was never published; reported hours and their cost do not depend on it."""
MISSPELT = 0.85
"""Smallest similarity (difflib ratio) of a misspelt name: gpt-4o is not taken for gpt2."""
HOURS = ("gpu_hours", "busy_gpu_hours", "wall_days")
COUNTS = ("tokens", "flops", "gpus")
_SIZED = re.compile(r"(.+)-\d+(?:\.\d+)?[bmt]")
"""Id of a model that ends in its number of parameters."""
REFUSED = ("carbon",)
"""Quantities that the library computes but does not judge."""


@dataclass(frozen=True)
class Asked:
    """A claim with the other arguments of an audit.

    Args:
        claim, subject, clock, beliefs, seed: as for :func:`trainsim.audit`.
    """

    claim: Claim
    subject: Subject | None
    clock: Clock
    beliefs: Beliefs
    seed: int


def with_known_names(claim: Claim) -> Claim:
    """Replace the names of a claim's subjects by catalogue ids: "DeepSeek V3" becomes ``deepseek-v3``."""
    meant = {field: known_name(name) for field in ("subject", "versus") if (name := getattr(claim, field))}
    changed = {field: name for field, name in meant.items() if name != getattr(claim, field)}
    return claim.replace(changed) if changed else claim


def known_name(name: str) -> str:
    """Catalogue id of a subject, ignoring capitals, hyphens and spaces; the name itself if it is unknown.

    The number of parameters may be left out if the catalogue has one size of that name.

    >>> known_name("DeepSeek V3"), known_name("Llama 3.1 405B"), known_name("BLOOM"), known_name("our-model")
    ('deepseek-v3', 'llama3.1-405b', 'bloom-176b', 'our-model')
    >>> known_name("pythia")
    'pythia'
    """
    runs, models, disclosures = rows("runs"), rows("models"), rows("disclosures")
    if name in runs or name in models:
        return name
    labs = [str(row["lab"]) for row in rows("fleets").values()]
    others = [str(one) for row in disclosures.values() for one in (row["subject"], *row.get("kin", ()))]
    if name in labs or name in others:
        return name
    ids = {_spelt(one): one for one in (*others, *labs, *models, *runs)}
    titles = {_spelt(title(one)): one for one in (*models, *runs)}
    return ids.get(_spelt(name)) or titles.get(_spelt(name)) or _of_one_size(name, {*models, *runs}) or name


def _of_one_size(name: str, ids: Iterable[str]) -> str | None:
    """The one id that is this name and a number of parameters; None if there are several sizes, or none."""
    sizes = [one for one in ids if (sized := _SIZED.fullmatch(one)) and _spelt(sized[1]) == _spelt(name)]
    return sizes[0] if len(sizes) == 1 else None


def _spelt(name: str) -> str:
    """A name in lower case, without spaces, hyphens and dots."""
    return "".join(c for c in name.casefold() if c.isalnum())


def measure_of(asked: Asked, versus: Run | None = None) -> Measure:
    """The measure of a claim.

    Raises:
        ClaimError: the quantity is not judged, or the subject has no such quantity.
    """
    claim = asked.claim
    if claim.is_ratio:
        return _ratio(asked, versus)
    head = claim.quantity.split(".")[0]
    if claim.quantity in REFUSED:
        remedy = "ts.estimate(run).model_card(site, grid) computes it from power, PUE and grid"
        raise ClaimError("quantity", claim.quantity, "is not judged: the grid of a run is never published", remedy, "unsupported")
    if claim.quantity in FLEET:
        return _fleet(asked)
    if claim.quantity == "pay":
        from .fleet_measures import PayMeasure  # each kind of claim imports its own measure

        return PayMeasure(claim.subject)
    if claim.quantity in ARCHITECTURE:
        return _architecture(asked)
    if isinstance(asked.subject, Development):
        return _development(asked, asked.subject)
    if head in ("cost", *HOURS, "mfu", "energy", *COUNTS):
        return _of_run(asked, head)
    return unknown(asked)


def _of_run(asked: Asked, head: str) -> Measure:
    claim = asked.claim
    try:
        view = view_of(asked)
        if view is not None and head not in COUNTS:
            _ = view.stated  # raises EstimateError here if the row gives too little for an estimate
    except (CatalogError, EstimateError) as error:
        if asked.subject is not None:
            raise
        return unknown(asked, f"{error.path} {error.rule}: {error.remedy}")
    if view is None:
        return unknown(asked)
    subject = claim.subject or view.given.name
    if "." in claim.quantity:
        return RunLine(view, claim.quantity, subject)
    if head == "energy":
        from .energy_measure import RunEnergy

        return RunEnergy(view, claim.quantity, subject)
    kinds: dict[str, Callable[..., Measure]] = {"cost": RunCost, "mfu": RunMfu}
    kinds |= dict.fromkeys(HOURS, RunHours) | dict.fromkeys(COUNTS, RunCount)
    return kinds[head](view, claim.quantity, subject)


def view_of(asked: Asked) -> RunView | None:
    """The run that a claim is about; None if none was published.

    Raises:
        ClaimError: the given subject is not a run.
        CatalogError: the row states too little to build a run.
    """
    claim, subject = asked.claim, asked.subject
    if subject is None:
        row = rows("runs").get(claim.subject)
        if row is None or row.earliest > asked.clock.known:
            return None
        return RunView(published(claim.subject, gpus=SIZE_UNKNOWN), asked.clock, asked.beliefs, asked.seed)
    if not isinstance(subject, Run):
        raise wrong_subject(claim, subject, f"has no {claim.quantity}", "give subject=a ts.Run, or a quantity that it has")
    return RunView(subject, asked.clock, asked.beliefs, asked.seed)


def model_of(asked: Asked) -> Model | None:
    """The architecture that a claim is about; None if none was published."""
    subject, name = asked.subject, asked.claim.subject
    if isinstance(subject, Model):
        return subject
    if isinstance(subject, Run):
        return subject.model
    if name in rows("models"):
        return catalogue_model(name)
    return model_of_row(find("runs", name)) if name in rows("runs") else None


def _architecture(asked: Asked) -> Measure:
    claim, subject = asked.claim, asked.subject
    if isinstance(subject, (Development, Fleet)) or not isinstance(subject, (*get_args(Subject), type(None))):
        raise wrong_subject(claim, subject, "has no architecture", "give subject=a ts.Model or a ts.Run")
    from .architecture_measure import ArchitectureMeasure  # imported here because it imports every kind of layer, which takes time

    model = model_of(asked)
    if model is None:
        return unknown(asked)
    row = rows("models").get(claim.subject) or rows("models").get(model.name)
    named = claim.scope if isinstance(claim.scope, str) else ""
    if row is None or subject is not None:
        return ArchitectureMeasure(model, claim.quantity, named, sourced=subject is None)
    return ArchitectureMeasure(model, claim.quantity, named, row.cited, row.date)


def _fleet(asked: Asked) -> Measure:
    claim, subject = asked.claim, asked.subject
    if subject is not None and not isinstance(subject, Fleet):
        remedy = "give subject=a ts.Fleet, or name the lab: Claim(…, subject='deepseek')"
        raise wrong_subject(claim, subject, "owns no fleet", remedy)
    from .fleet_measures import FleetMeasure

    return FleetMeasure(claim.quantity, claim.subject, subject, asked.beliefs, asked.seed)


def _development(asked: Asked, development: Development) -> Measure:
    claim = asked.claim
    if claim.quantity not in ("cost", "gpu_hours"):
        raise wrong_subject(claim, development, f"has no {claim.quantity}", "ask for its cost or gpu_hours, or give subject=a ts.Run")
    from .development_measure import DevelopmentMeasure

    return DevelopmentMeasure(development, "USD" if claim.quantity == "cost" else "GPU-h", asked.beliefs, asked.seed)


def _ratio(asked: Asked, versus: Run | None) -> Measure:
    """Both sides' measures of one quantity."""
    claim = asked.claim
    single = claim.replace(
        {"unit": _UNITS.get(claim.quantity, ""), "versus": "", "versus_value": None, "value": 1.0, "low": None, "high": None}
    )
    mine = measure_of(replace(asked, claim=single))
    other = single.replace({"subject": claim.versus})
    theirs = measure_of(replace(asked, claim=other, subject=versus, beliefs=Beliefs({})))
    why = next((m.reason_unknown for m in (mine, theirs) if isinstance(m, Unknown)), "")
    names = (claim.subject or _name(asked.subject), claim.versus or _name(versus))
    from .ratio_measure import RatioMeasure

    return RatioMeasure(mine, theirs, claim.quantity, *names, why)


_UNITS = {"cost": "USD", "gpu_hours": "GPU-h", "busy_gpu_hours": "GPU-h", "wall_days": "day", "energy": "kWh"}


def _name(subject: object) -> str:
    return str(getattr(subject, "name", ""))


def unknown(asked: Asked, why: str = "") -> Unknown:
    """Measure of an unpublished subject: disclosures about it and about its relatives."""
    claim, day = asked.claim, asked.clock.known
    known = (*disclosed_of(claim.subject, claim.quantity, day), *of_run_row(claim.subject, claim.quantity, day))
    near = relatives_of(claim.subject, claim.quantity, day)
    said = [f"{human(float(r['value']))} {r.get('unit', '')}: {r['label']}" for r in estimates_of(claim.subject, claim.quantity, day)]
    reason = why or undisclosed(claim.subject)
    run = frozenset(FINAL_RUN)
    return Unknown("; ".join([reason, *said]), near, tuple(replace(d, contents=d.contents or run) for d in known))


def undisclosed(subject: str) -> str:
    """Reason that nothing is known about a subject, with similar names."""
    known = {*rows("runs"), *rows("models"), *(str(r["lab"]) for r in rows("fleets").values())}
    near = [] if subject in known else difflib.get_close_matches(subject, sorted(known), n=2, cutoff=MISSPELT)
    meant = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
    return f"there is no public data on {subject or 'its subject'} to check this against{meant}"


def wrong_subject(claim: Claim, subject: object, rule: str, remedy: str) -> ClaimError:
    """The error for a subject that can't have the claim's quantity."""
    if not isinstance(subject, get_args(Subject)):
        rule, remedy = "can't be the subject of a claim", "give subject=a ts.Run, ts.Development, ts.Fleet or ts.Model"
    return ClaimError("subject", type(subject).__name__, f"{rule} (quantity={claim.quantity!r})", remedy, "wrong-type")
