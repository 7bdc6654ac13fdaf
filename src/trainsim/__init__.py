"""What did (or will) training this model really cost, and how sure can we be?

The public names, in the order of the journey. The engine of doubt and the edges (catalogue, audit, reports) are imported on
first use, so that counting and estimating start at once.
"""

from importlib import import_module as _import_module
from types import ModuleType as _Module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

__version__ = "0.1.0"

# the ground floor: what a spec of one's own is made of
from .errors import TrainsimError as TrainsimError
from .errors import TrainsimWarning as TrainsimWarning
from .ledger import Ledger as Ledger
from .spec import Batch as Batch
from .spec import Spec as Spec
from .units import Num as Num
from .units import Unit as Unit

# WHAT is trained
from .model.attention import Attention as Attention
from .model.attention import GroupedQueryAttention as GroupedQueryAttention
from .model.attention import LatentAttention as LatentAttention
from .model.attention import LightningAttention as LightningAttention
from .model.attention import RoutedAttention as RoutedAttention
from .model.counting import CONVENTIONS as CONVENTIONS
from .model.counting import count_active_params as count_active_params
from .model.counting import count_params as count_params
from .model.counting import explain_release as explain_release
from .model.counting import flops_per_token as flops_per_token
from .model.documents import Documents as Documents
from .model.feedforward import FeedForward as FeedForward
from .model.feedforward import GatedMLP as GatedMLP
from .model.feedforward import MixtureOfExperts as MixtureOfExperts
from .model.feedforward import PlainMLP as PlainMLP
from .model.huggingface import from_hf as from_hf
from .model.ops import Attend as Attend
from .model.ops import Lookup as Lookup
from .model.ops import MatMul as MatMul
from .model.ops import Scan as Scan
from .model.ops import Stream as Stream
from .model.transformer import Block as Block
from .model.transformer import Embedding as Embedding
from .model.transformer import Head as Head
from .model.transformer import Layers as Layers
from .model.transformer import Model as Model
from .model.transformer import MultiTokenPrediction as MultiTokenPrediction

# WHERE it runs
from .cluster.hardware import Chip as Chip
from .cluster.hardware import Cluster as Cluster
from .cluster.hardware import Link as Link
from .cluster.hardware import Peak as Peak

# HOW it runs
from .training.efficiency import HFU as HFU
from .training.efficiency import MFU as MFU
from .training.efficiency import BusyHours as BusyHours
from .training.efficiency import StepTime as StepTime
from .training.efficiency import Throughput as Throughput
from .training.optimizer import AdamW as AdamW
from .training.optimizer import AdamW8bit as AdamW8bit
from .training.optimizer import Muon as Muon
from .training.phases import Phase as Phase
from .training.memory import fits as fits
from .training.plan import Plan as Plan
from .training.precision import Precision as Precision
from .training.reliability import Failures as Failures
from .training.reliability import Goodput as Goodput

# HOW MUCH
from .cost.energy import Embodied as Embodied
from .cost.energy import Grid as Grid
from .cost.pricing import Ownership as Ownership
from .cost.pricing import Quote as Quote
from .cost.pricing import Rental as Rental
from .cost.pricing import Site as Site

# the journey
from .run import Run as Run
from .run import load as load
from .journey import Estimate as Estimate
from .journey import estimate as estimate
from .trace import explain as explain

# IS IT PLAUSIBLE
from .claims.claim import Claim as Claim
from .claims.scope import Scope as Scope

if _TYPE_CHECKING:
    # HOW SURE
    from .uncertainty import Beliefs as Beliefs
    from .uncertainty import beta as beta
    from .uncertainty import ci90 as ci90
    from .uncertainty import empirical as empirical
    from .uncertainty import joint as joint
    from .uncertainty import linear_correlation as linear_correlation
    from .uncertainty import lognormal as lognormal
    from .uncertainty import mixture as mixture
    from .uncertainty import normal as normal
    from .uncertainty import pert as pert
    from .uncertainty import progress_bar as progress_bar
    from .uncertainty import rank_correlation as rank_correlation
    from .uncertainty import triangular as triangular
    from .uncertainty import uniform as uniform
    from .doubt import simulate as simulate
    from .uncertainty import measured as measured
    from .doubt import condition as condition
    from .doubt import sensitivity as sensitivity
    from .doubt import tornado as tornado
    from .doubt import disclosure as disclosure
    from .doubt import region as region
    from .doubt import what_must_be_true as what_must_be_true
    from .doubt import compare as compare
    from .doubt import compare_beliefs as compare_beliefs

    # modelled time
    from .training.modelled import Modelled as Modelled
    from .cluster.stack import Stack as Stack
    from .training.schedule import Times as Times
    from .training.schedule import pipeline_timeline as pipeline_timeline
    from .training.timing import step_time as step_time
    from .own_steps import calibrate as calibrate
    from .diagnosis import diagnose as diagnose
    from .claims.backtest import backtest as backtest

    # which plan, and what a budget allows
    from .planning import PlanSearch as PlanSearch
    from .planning import Solution as Solution
    from .planning import search_plans as search_plans
    from .planning import solve_for as solve_for

    # from the run to the model, and to the lab
    from .training.rollouts import Rollouts as Rollouts
    from .training.reinforcement import Reinforcement as Reinforcement
    from .training.reinforcement import Responses as Responses
    from .training.decoding import Engine as Engine
    from .training.reinforcement import estimate_reinforcement as estimate_reinforcement
    from .development import Development as Development
    from .development import Line as Line
    from .development import Data as Data
    from .development import People as People
    from .development import estimate_development as estimate_development
    from .fleet import Fleet as Fleet
    from .fleet import Holding as Holding
    from .fleet import estimate_fleet as estimate_fleet
    from .training.reliability import YoungDaly as YoungDaly

    # the edges
    from . import catalog as catalog
    from . import testing as testing
    from .claims.verdict import Verdict as Verdict
    from .claims.verdict import audit as audit
    from .claims.backtest import hindcasts as hindcasts
    from .report.picture import draw as draw
    from .report.pipeline import draw_timelines as draw_timelines

_LAZY = {
    "Beliefs": ".uncertainty:Beliefs",
    "beta": ".uncertainty:beta",
    "ci90": ".uncertainty:ci90",
    "empirical": ".uncertainty:empirical",
    "joint": ".uncertainty:joint",
    "linear_correlation": ".uncertainty:linear_correlation",
    "lognormal": ".uncertainty:lognormal",
    "mixture": ".uncertainty:mixture",
    "normal": ".uncertainty:normal",
    "pert": ".uncertainty:pert",
    "progress_bar": ".uncertainty:progress_bar",
    "rank_correlation": ".uncertainty:rank_correlation",
    "triangular": ".uncertainty:triangular",
    "uniform": ".uncertainty:uniform",
    "simulate": ".doubt:simulate",
    "measured": ".uncertainty:measured",
    "condition": ".doubt:condition",
    "sensitivity": ".doubt:sensitivity",
    "tornado": ".doubt:tornado",
    "disclosure": ".doubt:disclosure",
    "region": ".doubt:region",
    "what_must_be_true": ".doubt:what_must_be_true",
    "compare": ".doubt:compare",
    "compare_beliefs": ".doubt:compare_beliefs",
    "Modelled": ".training.modelled:Modelled",
    "Stack": ".cluster.stack:Stack",
    "Times": ".training.schedule:Times",
    "pipeline_timeline": ".training.schedule:pipeline_timeline",
    "step_time": ".training.timing:step_time",
    "calibrate": ".own_steps:calibrate",
    "diagnose": ".diagnosis:diagnose",
    "backtest": ".claims.backtest:backtest",
    "PlanSearch": ".planning:PlanSearch",
    "Solution": ".planning:Solution",
    "search_plans": ".planning:search_plans",
    "solve_for": ".planning:solve_for",
    "Rollouts": ".training.rollouts:Rollouts",
    "Reinforcement": ".training.reinforcement:Reinforcement",
    "Responses": ".training.reinforcement:Responses",
    "Engine": ".training.decoding:Engine",
    "estimate_reinforcement": ".training.reinforcement:estimate_reinforcement",
    "Development": ".development:Development",
    "Line": ".development:Line",
    "Data": ".development:Data",
    "People": ".development:People",
    "estimate_development": ".development:estimate_development",
    "Fleet": ".fleet:Fleet",
    "Holding": ".fleet:Holding",
    "estimate_fleet": ".fleet:estimate_fleet",
    "YoungDaly": ".training.reliability:YoungDaly",
    "catalog": ".catalog",
    "testing": ".testing",
    "audit": ".claims.verdict:audit",
    "hindcasts": ".claims.backtest:hindcasts",
    "Verdict": ".claims.verdict:Verdict",
    "draw": ".report.picture:draw",
    "draw_timelines": ".report.pipeline:draw_timelines",
}


def __getattr__(name: str) -> _Any:
    """The engine of doubt and the edges, on first use (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module 'trainsim' has no attribute {name!r}")
    module, _, attribute = _LAZY[name].partition(":")
    found = _import_module(module, __name__)
    globals()[name] = getattr(found, attribute) if attribute else found
    return globals()[name]


def __dir__() -> list[str]:
    """Public names only: rooms that happen to be imported are none."""
    return sorted({n for n, thing in globals().items() if not n.startswith("_") and not isinstance(thing, _Module)} | set(_LAZY))
