"""What did (or will) training this model really cost, and how sure can we be?

The public names, in the order of the journey. Each name is imported on first use, so that a question imports only the code that it needs.
"""

from functools import partial as _partial
from importlib import import_module as _import_module
from pkgutil import iter_modules as _iter_modules
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from .core.lazy import make_lazy as _make_lazy
from .core.registry import register_attribute as _extends
from .core.registry import register_lookup as _resolves
from .core.version import __version__ as __version__

if _TYPE_CHECKING:
    # parts of every spec and answer
    from .core.errors import TrainsimError as TrainsimError
    from .core.errors import TrainsimWarning as TrainsimWarning
    from .core.ledger import Ledger as Ledger
    from .core.batch import Batch as Batch
    from .core.spec import Spec as Spec
    from .core.units import Num as Num
    from .core.units import Unit as Unit

    # the trained model
    from .model.attention.base import Attention as Attention
    from .model.attention.cross import CrossAttention as CrossAttention
    from .model.attention.grouped_query import GroupedQueryAttention as GroupedQueryAttention
    from .model.attention.compressed import CompressedAttention as CompressedAttention
    from .model.attention.compressed import EntryIndexer as EntryIndexer
    from .model.attention.latent import Indexer as Indexer
    from .model.attention.latent import LatentAttention as LatentAttention
    from .model.attention.linear import LightningAttention as LightningAttention
    from .model.attention.routed import RoutedAttention as RoutedAttention
    from .model.conventions import CONVENTIONS as CONVENTIONS
    from .model.counting import count_active_params as count_active_params
    from .model.counting import count_params as count_params
    from .model.counting import flops_per_token as flops_per_token
    from .model.documents import Documents as Documents
    from .model.feedforward import FeedForward as FeedForward
    from .model.feedforward import GatedMLP as GatedMLP
    from .model.feedforward import MixtureOfExperts as MixtureOfExperts
    from .model.feedforward import NoFeedForward as NoFeedForward
    from .model.feedforward import PlainMLP as PlainMLP
    from .model.huggingface.reader import from_hf as from_hf
    from .model.mixers.delta import GatedDeltaNet as GatedDeltaNet
    from .model.mixers.delta import KimiDeltaAttention as KimiDeltaAttention
    from .model.mixers.gated_recurrence import GatedLinearRecurrence as GatedLinearRecurrence
    from .model.mixers.matrix_lstm import MatrixLSTM as MatrixLSTM
    from .model.mixers.parallel import NoMixer as NoMixer
    from .model.mixers.parallel import ParallelMixers as ParallelMixers
    from .model.mixers.shared import SharedTransformer as SharedTransformer
    from .model.mixers.short_convolution import ShortConvolution as ShortConvolution
    from .model.mixers.state_space import Mamba as Mamba
    from .model.mixers.state_space import Mamba2 as Mamba2
    from .model.mixers.time_mixing import ChannelMixing as ChannelMixing
    from .model.mixers.time_mixing import TimeMixing as TimeMixing
    from .model.ops import Attend as Attend
    from .model.ops import Convolve as Convolve
    from .model.ops import Lookup as Lookup
    from .model.ops import MatMul as MatMul
    from .model.ops import Scan as Scan
    from .model.ops import Stream as Stream
    from .model.release import explain_release as explain_release
    from .model.residual import AlternatingUpdates as AlternatingUpdates
    from .model.residual import HyperConnections as HyperConnections
    from .model.residual import LearnedResidual as LearnedResidual
    from .model.residual import PerLayerInput as PerLayerInput
    from .model.layers import Block as Block
    from .model.towers import Tower as Tower
    from .model.transformer import Embedding as Embedding
    from .model.transformer import Head as Head
    from .model.layers import Layers as Layers
    from .model.transformer import Model as Model
    from .model.transformer import MultiTokenPrediction as MultiTokenPrediction

    # the cluster
    from .cluster.hardware import Chip as Chip
    from .cluster.hardware import Cluster as Cluster
    from .cluster.hardware import Host as Host
    from .cluster.hardware import Link as Link
    from .cluster.hardware import Peak as Peak

    # phases, layout and efficiency
    from .training.efficiency import HFU as HFU
    from .training.efficiency import MFU as MFU
    from .training.efficiency import BusyHours as BusyHours
    from .training.efficiency import StepTime as StepTime
    from .training.efficiency import Throughput as Throughput
    from .parallelism.schedules.schedule import Schedule as Schedule
    from .parallelism.offload import Offload as Offload
    from .parallelism.optimizer import AdamW as AdamW
    from .parallelism.optimizer import AdamW8bit as AdamW8bit
    from .parallelism.optimizer import Muon as Muon
    from .training.fine_tuning import Frozen as Frozen
    from .training.fine_tuning import LoRA as LoRA
    from .training.phases import Phase as Phase
    from .parallelism.plan import Plan as Plan
    from .parallelism.precision import Precision as Precision
    from .training.reliability import Failures as Failures
    from .training.reliability import Goodput as Goodput

    # the price of an hour
    from .cost.energy import Embodied as Embodied
    from .cost.energy import Grid as Grid
    from .cost.ownership import Ownership as Ownership
    from .cost.quote import Quote as Quote
    from .cost.rental import Rental as Rental
    from .cost.ownership import Site as Site

    # a run and its estimate
    from .run.memory import fits as fits
    from .run.memory import memory as memory
    from .run.memory_over_step import memory_over_step as memory_over_step
    from .run.run import Run as Run
    from .run.run import load as load
    from .run.estimate import Estimate as Estimate
    from .run.estimate import estimate as estimate
    from .run.explain import explain as explain

    # claims
    from .claims.claim import Claim as Claim
    from .claims.scope import Scope as Scope

    # uncertainty
    from .uncertainty.beliefs.beliefs import Beliefs as Beliefs
    from .uncertainty.distributions.parametric import beta as beta
    from .uncertainty.distributions.interval import ci90 as ci90
    from .uncertainty.distributions.composed import empirical as empirical
    from .uncertainty.distributions.composed import joint as joint
    from .uncertainty.beliefs.correlation import linear_correlation as linear_correlation
    from .uncertainty.distributions.parametric import lognormal as lognormal
    from .uncertainty.distributions.composed import mixture as mixture
    from .uncertainty.distributions.parametric import normal as normal
    from .uncertainty.distributions.parametric import pert as pert
    from .uncertainty.sampling.progress import progress_bar as progress_bar
    from .uncertainty.beliefs.correlation import rank_correlation as rank_correlation
    from .uncertainty.distributions.parametric import triangular as triangular
    from .uncertainty.distributions.parametric import uniform as uniform
    from .inference import simulate as simulate
    from .uncertainty.analysis.condition import measured as measured
    from .inference import condition as condition
    from .inference import sensitivity as sensitivity
    from .inference import tornado as tornado
    from .inference import disclosure as disclosure
    from .inference import region as region
    from .inference import what_must_be_true as what_must_be_true
    from .inference import compare as compare
    from .inference import compare_beliefs as compare_beliefs

    # modelled and measured step time
    from .training.modelled import Modelled as Modelled
    from .cluster.stack import Stack as Stack
    from .parallelism.schedules.events import Times as Times
    from .parallelism.schedules.bubble import pipeline_timeline as pipeline_timeline
    from .run.step_time import step_time as step_time
    from .run.roofline import roofline as roofline
    from .calibration.readers.traces import read_trace as read_trace
    from .calibration.update import calibrate as calibrate
    from .calibration.diagnose import diagnose as diagnose
    from .validation.run_hindcast import backtest as backtest

    # search of layouts, and limits
    from .planning.search import PlanSearch as PlanSearch
    from .planning.solution import Solution as Solution
    from .planning.default_layout import laid_out as laid_out
    from .planning.default_layout import with_layout as with_layout
    from .planning.quick_reinforcement import quick_reinforcement as quick_reinforcement
    from .planning.quick_run import quick as quick
    from .planning.search import search_plans as search_plans
    from .planning.solve import solve_for as solve_for

    # development and fleet
    from .training.rollouts import Rollouts as Rollouts
    from .training.reinforcement import Reinforcement as Reinforcement
    from .training.reinforcement import Responses as Responses
    from .training.decoding import Engine as Engine
    from .training.reinforcement import estimate_reinforcement as estimate_reinforcement
    from .run.development import Development as Development
    from .run.development import Line as Line
    from .run.development import Data as Data
    from .run.development import People as People
    from .run.development import estimate_development as estimate_development
    from .run.fleet import Fleet as Fleet
    from .run.fleet import Holding as Holding
    from .run.fleet import estimate_fleet as estimate_fleet
    from .training.reliability import YoungDaly as YoungDaly

    # catalogue, verdicts, pictures, reports and testing
    from . import catalog as catalog
    from . import testing as testing
    from .auditing.verdict import Verdict as Verdict
    from .auditing.audit import audit as audit
    from .auditing.contradiction import compare_claims as compare_claims
    from .auditing.scope_words import read_scope as read_scope
    from .validation.run_hindcast import hindcasts as hindcasts
    from .report.draw import draw as draw
    from .report.html_report import write_report as write_report
    from .report.pictures.pipeline import draw_timelines as draw_timelines
    from .monitor.watch import watch_steps as watch_steps
    from .monitor.trainer_callback import trainer_callback as trainer_callback

_WHERE = {
    "core.errors": ("TrainsimError", "TrainsimWarning"),
    "core.ledger": ("Ledger",),
    "core.batch": ("Batch",),
    "core.spec": ("Spec",),
    "core.units": ("Num", "Unit"),
    "model.attention.base": ("Attention",),
    "model.attention.cross": ("CrossAttention",),
    "model.attention.grouped_query": ("GroupedQueryAttention",),
    "model.attention.compressed": ("CompressedAttention", "EntryIndexer"),
    "model.attention.latent": ("Indexer", "LatentAttention"),
    "model.attention.linear": ("LightningAttention",),
    "model.attention.routed": ("RoutedAttention",),
    "model.conventions": ("CONVENTIONS",),
    "model.counting": ("count_active_params", "count_params", "flops_per_token"),
    "model.release": ("explain_release",),
    "model.documents": ("Documents",),
    "model.feedforward": ("FeedForward", "GatedMLP", "MixtureOfExperts", "NoFeedForward", "PlainMLP"),
    "model.huggingface.reader": ("from_hf",),
    "model.mixers.delta": ("GatedDeltaNet", "KimiDeltaAttention"),
    "model.mixers.gated_recurrence": ("GatedLinearRecurrence",),
    "model.residual": ("AlternatingUpdates", "HyperConnections", "LearnedResidual", "PerLayerInput"),
    "model.mixers.matrix_lstm": ("MatrixLSTM",),
    "model.mixers.parallel": ("NoMixer", "ParallelMixers"),
    "model.mixers.shared": ("SharedTransformer",),
    "model.mixers.short_convolution": ("ShortConvolution",),
    "model.mixers.state_space": ("Mamba", "Mamba2"),
    "model.mixers.time_mixing": ("ChannelMixing", "TimeMixing"),
    "model.ops": ("Attend", "Convolve", "Lookup", "MatMul", "Scan", "Stream"),
    "model.layers": ("Block", "Layers"),
    "model.towers": ("Tower",),
    "model.transformer": ("Embedding", "Head", "Model", "MultiTokenPrediction"),
    "cluster.hardware": ("Chip", "Cluster", "Host", "Link", "Peak"),
    "training.efficiency": ("HFU", "MFU", "BusyHours", "StepTime", "Throughput"),
    "parallelism.schedules.schedule": ("Schedule",),
    "parallelism.offload": ("Offload",),
    "parallelism.optimizer": ("AdamW", "AdamW8bit", "Muon"),
    "training.fine_tuning": ("Frozen", "LoRA"),
    "training.phases": ("Phase",),
    "parallelism.plan": ("Plan",),
    "parallelism.precision": ("Precision",),
    "training.reliability": ("Failures", "Goodput", "YoungDaly"),
    "cost.energy": ("Embodied", "Grid"),
    "cost.ownership": ("Ownership", "Site"),
    "cost.quote": ("Quote",),
    "cost.rental": ("Rental",),
    "run.memory": ("fits", "memory"),
    "run.run": ("Run", "load"),
    "run.estimate": ("Estimate", "estimate"),
    "run.explain": ("explain",),
    "run.memory_over_step": ("memory_over_step",),
    "claims.claim": ("Claim",),
    "claims.scope": ("Scope",),
    "uncertainty.beliefs.beliefs": ("Beliefs",),
    "uncertainty.distributions.parametric": ("beta", "lognormal", "normal", "pert", "triangular", "uniform"),
    "uncertainty.distributions.interval": ("ci90",),
    "uncertainty.distributions.composed": ("empirical", "joint", "mixture"),
    "uncertainty.beliefs.correlation": ("linear_correlation", "rank_correlation"),
    "uncertainty.sampling.progress": ("progress_bar",),
    "inference": (
        "simulate",
        "condition",
        "sensitivity",
        "tornado",
        "disclosure",
        "region",
        "what_must_be_true",
        "compare",
        "compare_beliefs",
    ),
    "uncertainty.analysis.condition": ("measured",),
    "training.modelled": ("Modelled",),
    "cluster.stack": ("Stack",),
    "parallelism.schedules.events": ("Times",),
    "parallelism.schedules.bubble": ("pipeline_timeline",),
    "run.roofline": ("roofline",),
    "run.step_time": ("step_time",),
    "calibration.readers.traces": ("read_trace",),
    "calibration.update": ("calibrate",),
    "calibration.diagnose": ("diagnose",),
    "validation.run_hindcast": ("backtest", "hindcasts"),
    "planning.default_layout": ("laid_out", "with_layout"),
    "planning.quick_reinforcement": ("quick_reinforcement",),
    "planning.quick_run": ("quick",),
    "planning.search": ("PlanSearch", "search_plans"),
    "planning.solution": ("Solution",),
    "planning.solve": ("solve_for",),
    "training.rollouts": ("Rollouts",),
    "training.reinforcement": ("Reinforcement", "Responses", "estimate_reinforcement"),
    "training.decoding": ("Engine",),
    "run.development": ("Development", "Line", "Data", "People", "estimate_development"),
    "run.fleet": ("Fleet", "Holding", "estimate_fleet"),
    "auditing.verdict": ("Verdict",),
    "auditing.audit": ("audit",),
    "auditing.contradiction": ("compare_claims",),
    "auditing.scope_words": ("read_scope",),
    "report.draw": ("draw",),
    "report.html_report": ("write_report",),
    "report.pictures.pipeline": ("draw_timelines",),
    "monitor.watch": ("watch_steps",),
    "monitor.trainer_callback": ("trainer_callback",),
}
"""File → the public names that it defines."""
_make_lazy(__name__, _WHERE, packages=("catalog", "testing"))


class _Bound:
    """A reader or writer of launch files as an attribute of ``Plan``, imported on first use."""

    def __init__(self, framework: str, name: str) -> None:
        self.framework, self.name = framework, name

    def __get__(self, plan: "Plan | None", _owner: "type[Plan]") -> _Any:
        function = getattr(_import_module(f".frameworks.{self.framework}", __name__), self.name)
        return function if plan is None or self.name.startswith("from_") else _partial(function, plan)


for _module in _iter_modules([f"{__path__[0]}/frameworks"]):
    if not _module.ispkg:
        for _verb in ("from", "to"):
            _extends("Plan", f"{_verb}_{_module.name}", _Bound(_module.name, f"{_verb}_{_module.name}"))


def _plot(answer: _Any, path: _Any = None, **options: _Any) -> _Any:
    """Draw the answer.

    Args:
        path: file to write; None writes no file.
        **options: further options of :func:`trainsim.draw`.

    Raises:
        TrainsimError: the answer has no picture, or matplotlib is not installed.
    """
    return _import_module(".report.draw", __name__).draw(answer, path, **options)


def _card(verdict: _Any, path: _Any = None, **options: _Any) -> _Any:
    """The verdict as a preview image of 1200 by 630 pixels for links.

    Args:
        path: file to write; None writes no file.
        **options: options of :func:`trainsim.report.card.card`: ``theme``.
    """
    return _import_module(".report.card", __name__).card(verdict, path, **options)


_extends("Answer", "plot", _plot)
_extends("Verdict", "card", _card)

# lookups of specs by catalogue id, and of works by the text of a source
_resolves("Stack", lambda name: _import_module(".catalog", __name__).stack(name))
_resolves("ExchangeRate", lambda code: _import_module(".catalog.currencies", __name__).latest_rate(code))
_resolves("Reference", lambda text: _import_module(".catalog.references", __name__).references(text))
