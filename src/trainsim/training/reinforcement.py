"""Reinforcement learning with rollouts: time of generation, scoring and learning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Annotated

import numpy as np
from scipy import special

from ..cluster.hardware import Cluster
from ..core.answer import Answer, AnswerRow, Summary
from ..core.errors import EstimateError, SpecError
from ..core.ledger import Ledger
from ..core.quantities import BINARY_THOUSAND
from ..core.spec import Count, Spec
from ..core.units import HOURS_PER_DAY, SECONDS_PER_HOUR, Num, Unit
from ..cost.price import Price
from ..model.counting import flops_per_token
from ..model.transformer import Model
from .decoding import Engine, concurrent_responses, decode_step

TRAINING_POINTS = 5
"""Gauss points over the progress of the run."""
LENGTH_POINTS = 48
"""Gauss points over the position in a response."""
PROBABILITY_GAP = 1e-12
MIN_SPEEDUP = 1.1
"""Ratio of speeds from which a faster engine is named."""

Length = Annotated[Num, Unit("token", "mean length of a response or prompt", ge=1, thousand=BINARY_THOUSAND)]


class Responses(Spec):
    """Lengths of responses: log-normal, with a mean that grows linearly over the run, truncated at a maximum.

    Args:
        prompt: mean length of a prompt [token].
        start, end: mean length of a response at the start and at the end of the run, before truncation [token].
        spread: standard deviation of the log length within one step [1].
        maximum: length at which generation stops [token].

    >>> Responses(prompt=200, start=600, end=9000, spread=0.8, maximum=32768).maximum
    32768.0
    """

    prompt: Length
    start: Length
    end: Length
    spread: Annotated[Num, Unit("", "standard deviation of the log length", gt=0, le=3)]
    maximum: Length

    def mean_before_stop(self, progress: float) -> Num:
        """Mean length before truncation at a progress of the run [token]."""
        return self.start + (self.end - self.start) * progress

    def survival(self, position: Num, progress: float) -> Num:
        """Share of responses that are longer than a position below the maximum [1]."""
        centre = np.log(self.mean_before_stop(progress)) - self.spread**2 / 2.0
        kept: Num = special.ndtr((centre - np.log(position)) / self.spread)
        return kept

    def mean(self, progress: float) -> Num:
        """Mean generated length, truncation included: ``m Φ((ln M/m − σ²/2)/σ) + M S(M)`` [token]."""
        m = self.mean_before_stop(progress)
        below: Num = special.ndtr((np.log(self.maximum / m) - self.spread**2 / 2.0) / self.spread)
        return m * below + self.maximum * self.survival(self.maximum, progress)


class Reinforcement(Spec):
    """Recipe of a reinforcement-learning phase.

    Args:
        steps: optimizer steps [step].
        prompts: prompts per step [prompt].
        samples: responses per prompt, the group size of GRPO [response/prompt].
        steps_per_rollout: optimizer steps per round of generation [step].
        responses: lengths of the responses.
        engine: the inference engine.
        rollout_gpus: accelerators that generate; None if all accelerators alternate between generating and learning.
        prefill_mfu: model FLOPs over peak while reading prompts [1].
        learning_mfu: model FLOPs over peak while learning and scoring; usually below that of pre-training [1].
        epochs: number of times each response is learned from [1].
        scoring_passes: forward passes of frozen models over each response; reference and previous policy are two [1].
        discarded: share of responses discarded before learning, such as groups without a signal [1].
        sync_seconds: time per round to transfer weights from learner to engine, including sleep and wake-up of engines [s].
        reward_seconds: exposed time per round to compute rewards [s].
        overlap: share of the shorter of generation and learning that overlaps with the other [1].
        peak: number format of the dense peak to which the utilisations refer.

    Raises:
        SpecError: a required utilisation is missing.

    Source: Shao et al. 2024 (arXiv:2402.03300), section 4, for GRPO; the timing is arithmetic on its loop.

    >>> Reinforcement(
    ...     steps=100, prompts=128, samples=8, prefill_mfu=0.4, learning_mfu=0.25, sync_seconds=20,
    ...     responses=Responses(prompt=150, start=600, end=1200, spread=0.8, maximum=8192),
    ...     engine=Engine(gpus=2, bandwidth_share=0.6, compute_share=0.4, step_overhead_seconds=0.005, max_batch=256),
    ... ).rounds
    100.0
    """

    steps: Annotated[Num, Unit("step", "optimizer steps", gt=0)]
    prompts: Annotated[Num, Unit("prompt", "prompts per step", gt=0)]
    samples: Annotated[Num, Unit("response/prompt", "responses per prompt", ge=1)]
    steps_per_rollout: Annotated[Num, Unit("step", "optimizer steps per round of generation", ge=1)] = 1.0
    responses: Responses
    engine: Engine
    rollout_gpus: Count | None = None
    prefill_mfu: Annotated[Num, Unit("", "model FLOPs over peak while reading prompts", gt=0, le=1)]
    learning_mfu: Annotated[Num, Unit("", "model FLOPs over peak while learning", gt=0, le=1)]
    epochs: Annotated[Num, Unit("", "number of times each response is learned from", gt=0)] = 1.0
    scoring_passes: Annotated[Num, Unit("", "forward passes of frozen copies", ge=0)] = 2.0
    discarded: Annotated[Num, Unit("", "share of responses discarded", ge=0, lt=1)] = 0.0
    sync_seconds: Annotated[Num, Unit("s", "time per round to send weights to the engines", ge=0)]
    reward_seconds: Annotated[Num, Unit("s", "exposed time per round to compute rewards", ge=0)] = 0.0
    overlap: Annotated[Num, Unit("", "overlapped share of the shorter of generation and learning", ge=0, le=1)] = 0.0
    peak: str = "bf16"

    @property
    def rounds(self) -> Num:
        """Rounds of generation."""
        return self.steps / self.steps_per_rollout

    @property
    def learned_per_round(self) -> Num:
        """Responses that one round learns from."""
        return self.prompts * self.samples * self.steps_per_rollout

    @property
    def generated_per_round(self) -> Num:
        """Responses generated in one round."""
        return self.learned_per_round / (1.0 - self.discarded)


@dataclass(frozen=True, repr=False)
class ReinforcementEstimate(Answer):
    """Point estimate of a reinforcement-learning phase.

    Args:
        seconds: wall-clock time by part; overlap is a negative line [s].
        flops: useful model FLOPs by part [FLOP].
        response_tokens: tokens generated over the phase [token].
        gpus: number of accelerators.
        peak: their dense peak [FLOP/s].
        price: price of an accelerator-hour by part [USD/GPU-h]; None if not given.
        other_engines: function that gives the time with other engines: accelerators per engine → time [s].
    """

    seconds: Ledger
    flops: Ledger
    response_tokens: Num
    gpus: int
    peak: Num
    price: Ledger | None = None
    other_engines: Callable[[], Mapping[int, float]] = field(repr=False, compare=False, default=dict)

    @cached_property
    def cost(self) -> Ledger:
        """Dollars of the accelerator-hours, by part [USD].

        Raises:
            EstimateError: no price was given.
        """
        if self.price is None:
            raise EstimateError("price", None, "is not given", "give price=ts.Rental(usd_per_gpu_hour=2.0)", "missing")
        return self.gpu_hours.scaled(self.price.total, "USD").of_kind("run")

    @cached_property
    def faster_engine(self) -> tuple[int, float] | None:
        """Accelerators per engine with which the phase is fastest, and its time [s]; None if the recipe's engine is as fast."""
        own = float(np.mean(self.seconds.total))
        size, seconds = min(self.other_engines().items(), key=lambda each: each[1], default=(0, own))
        return (size, seconds) if seconds * MIN_SPEEDUP < own else None

    @cached_property
    def gpu_hours(self) -> Ledger:
        """Accelerator-hours, by part [GPU-h]."""
        return self.seconds.scaled(self.gpus / SECONDS_PER_HOUR, "GPU-h")

    @cached_property
    def days(self) -> Num:
        """Wall-clock time [day]."""
        return self.seconds.total / (SECONDS_PER_HOUR * HOURS_PER_DAY)

    @cached_property
    def mfu(self) -> Num:
        """Useful FLOPs over peak times wall-clock time; not comparable with the MFU of pre-training [1]."""
        return self.flops.total / (self.seconds.total * self.gpus * self.peak)

    def summary(self) -> Summary:
        """Hours, days, utilisation and tokens; then hours by part."""
        dollars = [] if self.price is None else [AnswerRow("cost", "cost", self.cost.total, "USD")]
        rows = [
            *dollars,
            AnswerRow("gpu_hours", "GPU-hours", self.gpu_hours.total, "GPU-h"),
            AnswerRow("days", "time on the clock", self.days, "day"),
            AnswerRow("mfu", "MFU, generating included", self.mfu),
            AnswerRow("response_tokens", "response tokens", self.response_tokens, "token"),
        ]
        rows += [AnswerRow(f"gpu_hours.{path}", path, hours, "GPU-h", group="GPU-hours by part") for path, hours in self.gpu_hours.lines()]
        notes = ["A point estimate: ts.simulate over a run with ts.Rollouts(recipe=…) gives an interval."]
        if self.faster_engine is not None:
            size, seconds = self.faster_engine
            times = float(np.mean(self.seconds.total)) / seconds
            notes.append(f"An engine of {size} GPUs would be {times:.1f} times as fast: engine.gpus={size}.")
        return Summary(f"reinforcement learning on {self.gpus:,} GPUs", tuple(rows), tuple(notes))


def estimate_reinforcement(model: Model, cluster: Cluster, recipe: Reinforcement, price: Price | None = None) -> ReinforcementEstimate:
    """Estimate the time of reinforcement learning by part.

    ``round = prefill + decode + sync + reward + scoring + update − overlap · min(generate, learn)``, averaged over the progress of the
    run and multiplied by the number of rounds. :func:`decode_seconds` gives the largest part.

    Args:
        model: the trained policy.
        cluster: the cluster.
        recipe: steps, lengths, engine and utilisations; numbers may be arrays ``(n,)`` inside a batch.
        price: price of an accelerator-hour, ``ts.Rental(…)``; None for no dollars.

    Returns:
        time by part [s], accelerator-hours [GPU-h], days [day], MFU [1] and dollars [USD].

    Raises:
        EstimateError: the engine can't hold the model.
        SpecError: ``rollout_gpus`` exceeds the cluster, or leaves no accelerators for learning.

    Source: arithmetic on the loop of GRPO (arXiv:2402.03300, algorithm 1); roofline decoding after arXiv:2211.05102.

    >>> import trainsim as ts
    >>> recipe = Reinforcement(
    ...     steps=200, prompts=128, samples=8, prefill_mfu=0.4, learning_mfu=0.25, sync_seconds=20,
    ...     responses=Responses(prompt=150, start=600, end=1500, spread=0.8, maximum=8192),
    ...     engine=Engine(gpus=1, bandwidth_share=0.55, compute_share=0.3, step_overhead_seconds=0.008, max_batch=256),
    ... )
    >>> est = estimate_reinforcement(ts.catalog.model("llama3-8b"), ts.catalog.cluster("hgx-h100", gpus=8), recipe)
    >>> print(est.seconds)
    total                    40.6K s   100.0%
      rollout                31.1K s    76.7%
        prefill               18.3 s     0.0%
        decode               27.1K s    66.8%
        reward                   0 s     0.0%
        sync                 4.00K s     9.8%
      learning               9.48K s    23.3%
        scoring              3.79K s     9.3%
        update               5.69K s    14.0%
      hidden by overlap          0 s     0.0%
    """
    rollout_gpus, learn_gpus = _split_accelerators(cluster, recipe)
    nodes, weights = _gauss_legendre(TRAINING_POINTS)
    rounds = [_round(model, cluster, recipe, float(u), (rollout_gpus, learn_gpus)) for u in nodes]
    seconds, flops, tokens = (_average(parts, weights) * recipe.rounds for parts in zip(*rounds, strict=True))
    rate = None if price is None else price.rate()
    others = partial(_other_engines, model, cluster, recipe)
    return ReinforcementEstimate(seconds, flops, tokens.total, cluster.gpus, cluster.chip.peak_of(recipe.peak), rate, others)


def _other_engines(model: Model, cluster: Cluster, recipe: Reinforcement) -> dict[int, float]:
    """Accelerators per engine → time [s], for the powers of two within a scale-up domain on which the model fits."""
    found: dict[int, float] = {}
    size = 1
    while size <= min(cluster.domain, cluster.gpus, recipe.rollout_gpus or cluster.gpus):
        try:
            other = recipe.replace({"engine.gpus": size})
            found[size] = float(np.mean(estimate_reinforcement(model, cluster, other).seconds.total))
        except EstimateError:  # the model does not fit this engine
            pass
        size *= 2
    return found


def _round(model: Model, cluster: Cluster, recipe: Reinforcement, progress: float, split: tuple[int, int]) -> tuple[Ledger, Ledger, Ledger]:
    """Time, FLOPs (at the mean length) and response tokens of one round at a progress of the run."""
    rollout_gpus, learn_gpus = split
    answers, peak = recipe.responses, cluster.chip.peak_of(recipe.peak)
    read = recipe.prompts * recipe.steps_per_rollout * answers.prompt
    length = answers.mean(progress)
    whole = answers.prompt + length
    forward = flops_per_token(model, whole).part("forward").total
    flops = {
        "prefill": read * flops_per_token(model, answers.prompt).part("forward").total,
        "decode": recipe.generated_per_round * length * forward,
        "scoring": recipe.learned_per_round * whole * recipe.scoring_passes * forward,
        "update": recipe.learned_per_round * whole * recipe.epochs * flops_per_token(model, whole).total,
    }
    decode = decode_seconds(model, cluster, recipe, progress, rollout_gpus)
    prefill = flops["prefill"] / (rollout_gpus * peak * recipe.prefill_mfu)
    scoring, update = (flops[part] / (learn_gpus * peak * recipe.learning_mfu) for part in ("scoring", "update"))
    hidden = recipe.overlap * np.minimum(prefill + decode, scoring + update)
    seconds = Ledger(
        "s",
        {
            "rollout": {"prefill": prefill, "decode": decode, "reward": recipe.reward_seconds, "sync": recipe.sync_seconds},
            "learning": {"scoring": scoring, "update": update},
            "hidden by overlap": -hidden,
        },
    )
    return seconds, Ledger("FLOP", flops), Ledger("token", {"responses": recipe.generated_per_round * length})


def decode_seconds(model: Model, cluster: Cluster, recipe: Reinforcement, progress: float, gpus: int) -> Num:
    """Time to generate one round of responses: full batches while responses are queued, then a tail of ever smaller batches.

    With n responses per copy and b slots: ``(n − b)⁺ · L/b · step(b)`` while the queue lasts, then
    ``∫₀ᴹ P(any left at t) · step(max(min(n, b) S(t), 1), prompt + t) dt`` with ``P = 1 − (1 − S(t))^N`` over all N in flight: the
    round ends with its longest response.

    Args:
        model, cluster, recipe: as for :func:`estimate_reinforcement`.
        progress: progress of the run, from 0 to 1 [1].
        gpus: accelerators that generate.

    Returns:
        time [s].

    Source: fluid limit of continuous batching; checked against a token-by-token simulation.
    """
    answers, engine, chip = recipe.responses, recipe.engine, cluster.chip
    copies = gpus // engine.gpus
    per_copy = recipe.generated_per_round / copies
    length = answers.mean(progress)
    b = np.minimum(concurrent_responses(model, chip, engine, answers.prompt + length), per_copy)
    step: Callable[[Num, Num], Num] = lambda batch, position: decode_step(  # noqa: E731  (three arguments stay the same)
        model, chip, engine, np.maximum(batch, 1.0), answers.prompt + position
    )
    queue = np.maximum(per_copy - b, 0.0) * length / b * step(b, length / 2.0)
    nodes, weights = _gauss_legendre(LENGTH_POINTS)
    tail: Num = 0.0
    for u, w in zip(nodes**2, weights * 2.0 * nodes, strict=True):  # squared nodes put more points at positions that most responses reach
        position = answers.maximum * float(u)
        alive = answers.survival(position, progress)
        any_left = -np.expm1(b * copies * np.log1p(-np.minimum(alive, 1.0 - PROBABILITY_GAP)))
        tail = tail + float(w) * answers.maximum * any_left * step(b * alive, position)
    return (queue + tail) / engine.tokens_per_step


def _split_accelerators(cluster: Cluster, recipe: Reinforcement) -> tuple[int, int]:
    """Number of accelerators that generate, and that learn."""
    if recipe.engine.gpus > cluster.gpus:
        raise SpecError(
            "engine.gpus", recipe.engine.gpus, f"is above cluster.gpus={cluster.gpus}", "give a smaller engine", "out-of-bounds"
        )
    if recipe.rollout_gpus is None:
        return cluster.gpus, cluster.gpus
    left = cluster.gpus - recipe.rollout_gpus
    if left <= 0 or recipe.rollout_gpus < recipe.engine.gpus:
        rule = f"must be below cluster.gpus={cluster.gpus} and at least engine.gpus={recipe.engine.gpus}"
        raise SpecError(
            "rollout_gpus", recipe.rollout_gpus, rule, "give a number in that range, or None if rollouts and training alternate", "conflict"
        )
    return recipe.rollout_gpus, left


def _gauss_legendre(points: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre points and weights on [0, 1]."""
    nodes, weights = special.roots_legendre(points)
    return (nodes + 1.0) / 2.0, weights / 2.0


def _average(parts: tuple[Ledger, ...], weights: np.ndarray) -> Ledger:
    total = parts[0] * float(weights[0])
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total = total + part * float(weight)
    return total
