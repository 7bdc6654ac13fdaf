"""Seconds of collectives and expert exchanges, from message size, latency and bandwidth.

Every function broadcasts over all its arguments. A group is described by its number of members and the number that share a scale-up domain
(``members_per_domain``), so that one formula covers groups inside one domain and across several. A group of one sends nothing and takes no
time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import binom, gammaln, ndtri

from ..core.units import Num, choose, larger, smaller

BLOM = 0.375
"""Constant of Blom's approximation to the expected largest of n normal draws (Blom 1958, section 6.9)."""


@dataclass(frozen=True, slots=True)
class Fabric:
    """Bandwidth and latency of a cluster's network: a fast scale-up domain, and a scale-out network between domains.

    Args:
        domain: accelerators in one scale-up domain, number or array [1].
        inside, outside: one-directional bandwidth of one accelerator, inside its domain and between domains [B/s].
        inside_latency, outside_latency: latency of one hop inside a domain and between domains [s].
    """

    domain: Num
    inside: Num
    outside: Num
    inside_latency: Num
    outside_latency: Num


def members_per_domain(group: Num, stride: Num, domain: Num) -> Num:
    """Members of a group that share a scale-up domain, when neighbours in the group are ``stride`` ranks apart.

    ``min(group, max(1, ⌊domain / stride⌋))``

    Args:
        group: members of the group [1].
        stride: ranks between neighbouring members: the product of the degrees that vary faster [1].
        domain: accelerators in a domain [1].

    >>> float(members_per_domain(64, 1, 8)), float(members_per_domain(64, 4, 8)), float(members_per_domain(64, 16, 8))
    (8.0, 2.0, 1.0)
    """
    return smaller(group, larger(1.0, np.floor(domain / stride)))


def _domain_count(group: Num, per_domain: Num) -> Num:
    """Number of domains that a group spans; the last may be partly filled."""
    domains: Num = np.ceil(group / per_domain)
    return domains


def _bandwidth(group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """Bandwidth of a ring or tree per member [B/s]; traffic that leaves a domain uses the network cards of all members in the domain."""
    return choose(group > per_domain, smaller(fabric.inside, per_domain * fabric.outside), fabric.inside)


def expected_largest_normal(members: Num) -> Num:
    """Expected largest of n standard normal draws: ``Φ⁻¹((n − 3/8)/(n + 1/4))``, 0 for n = 1.

    Source: Blom 1958, Statistical Estimates and Transformed Beta-Variables, section 6.9.

    >>> [round(float(expected_largest_normal(n)), 2) for n in (1, 2, 8)]
    [0.0, 0.59, 1.43]
    """
    n = np.asarray(members, dtype=np.float64)
    largest: Num = ndtri((n - BLOM) / (n - 2 * BLOM + 1))
    return largest


# rings ---------------------------------------------------------------------------------------------------------------


def ring_all_gather(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """Seconds of a ring all-gather; a ring reduce-scatter takes as long.

    ``t = (n − 1)/n · size / bandwidth + (n − D)·λ_in + (D − 1)·λ_out`` with ``D`` domains.

    Args:
        size: the whole vector, all shards together [B].
        group, per_domain: members, and members that share a domain [1].
        fabric: the network.

    Returns:
        time [s], broadcast over all arguments.

    Source: Thakur, Rabenseifner, Gropp 2005 (Int. J. High Perform. Comput. Appl. 19:49), section 4.1; steps inside and between
    nodes as counted in NCCL ``src/graph/tuning.cc``.

    >>> float(ring_all_gather(8e9, 8, 8, Fabric(8, 200e9, 50e9, 0.0, 0.0)))
    0.035
    """
    domains = _domain_count(group, per_domain)
    latency = (group - domains) * fabric.inside_latency + (domains - 1) * fabric.outside_latency
    return (group - 1) / group * size / _bandwidth(group, per_domain, fabric) + latency


def ring_reduce_scatter(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """Seconds of a ring reduce-scatter, equal to an all-gather (Thakur et al. 2005, section 4.2) [s].

    >>> float(ring_reduce_scatter(8e9, 8, 8, Fabric(8, 200e9, 50e9, 0.0, 0.0)))
    0.035
    """
    return ring_all_gather(size, group, per_domain, fabric)


def ring_all_reduce(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """Seconds of a ring all-reduce: reduce-scatter, then all-gather (Thakur et al. 2005, section 4.4) [s].

    >>> float(ring_all_reduce(8e9, 8, 8, Fabric(8, 200e9, 50e9, 0.0, 0.0)))
    0.07
    """
    return 2.0 * ring_all_gather(size, group, per_domain, fabric)


# trees and hierarchies -----------------------------------------------------------------------------------------------


def tree_all_reduce(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """Seconds of a double-binary-tree all-reduce: chains inside the domains, and two trees between them with half the vector each.

    ``t = 2·size / bandwidth + 2·[(m − 1)·λ_in + ⌈log₂ D⌉·λ_out]`` with ``m`` members per domain.

    Source: Sanders, Speck, Träff 2009 (Parallel Computing 35:581); latency as counted in NCCL ``src/graph/tuning.cc``.

    >>> round(float(tree_all_reduce(0.0, 64, 8, Fabric(8, 200e9, 50e9, 1e-6, 5e-6))), 9)
    4.4e-05
    """
    hops = np.ceil(np.log2(_domain_count(group, per_domain)))
    latency = (per_domain - 1) * fabric.inside_latency + hops * fabric.outside_latency
    return (group > 1) * 2.0 * (size / _bandwidth(group, per_domain, fabric) + latency)


def hierarchical_all_reduce(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """Seconds of a three-step all-reduce: reduce-scatter inside, all-reduce of a shard between domains, all-gather inside.

    Source: Mikami et al. 2018 (arXiv:1811.05233), section 3.2, the two-dimensional torus.

    >>> round(float(hierarchical_all_reduce(8e9, 16, 8, Fabric(8, 200e9, 50e9, 0.0, 0.0))), 6)
    0.09
    """
    return 2.0 * _hierarchical_gather(size, group, per_domain, fabric)


def _hierarchical_gather(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    m, domains = per_domain, _domain_count(group, per_domain)
    inside = (m - 1) * (size / m / fabric.inside + fabric.inside_latency)
    return inside + (domains - 1) * (size / m / domains / fabric.outside + fabric.outside_latency)


# the fastest algorithm -----------------------------------------------------------------------------------------------


def all_reduce(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """Seconds of the fastest of ring, tree and hierarchical all-reduce: communication libraries choose by size.

    Args:
        size: the vector that every member holds [B].
        group, per_domain: members, and members that share a domain [1].
        fabric: the network.

    Returns:
        time [s], broadcast over all arguments; 0 for a group of one.

    >>> fabric = Fabric(8, 200e9, 50e9, 1e-6, 5e-6)
    >>> float(all_reduce(1e9, 1, 1, fabric)), float(all_reduce(1e9, 64, 8, fabric)) < float(all_reduce(1e9, 64, 1, fabric))
    (0.0, True)
    """
    arguments = (size, group, per_domain, fabric)
    return smaller(ring_all_reduce(*arguments), smaller(tree_all_reduce(*arguments), hierarchical_all_reduce(*arguments)))


def all_gather(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """Seconds of the faster of a ring and a two-level all-gather; arguments as for :func:`all_reduce` [s].

    >>> float(all_gather(8e9, 1, 1, Fabric(8, 200e9, 50e9, 1e-6, 5e-6)))
    0.0
    """
    return smaller(ring_all_gather(size, group, per_domain, fabric), _hierarchical_gather(size, group, per_domain, fabric))


def reduce_scatter(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """Seconds of a reduce-scatter, equal to an all-gather of the same vector [s].

    >>> float(reduce_scatter(8e9, 8, 8, Fabric(8, 200e9, 50e9, 0.0, 0.0)))
    0.035
    """
    return all_gather(size, group, per_domain, fabric)


def point_to_point(size: Num, distance: Num, fabric: Fabric) -> Num:
    """Seconds to send a message to the accelerator ``distance`` ranks away.

    ``t = size / bandwidth + latency``, inside the domain if ``distance < domain``; 0 at distance 0.

    Args:
        size: size of the message [B].
        distance: ranks between sender and receiver [1].
        fabric: the network.

    Source: Hockney 1994 (Parallel Computing 20:389), eq. 1.

    >>> fabric = Fabric(8, 200e9, 50e9, 1e-6, 5e-6)
    >>> float(point_to_point(1e6, 1, fabric)), float(point_to_point(1e6, 8, fabric)), float(point_to_point(1e6, 0, fabric))
    (6e-06, 2.5e-05, 0.0)
    """
    inside = size / fabric.inside + fabric.inside_latency
    outside = size / fabric.outside + fabric.outside_latency
    seconds: Num = choose(distance > 0, choose(distance < fabric.domain, inside, outside), 0.0)
    return seconds


def all_to_all(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """Seconds of an even all-to-all: every member sends ``size / n`` to each member, itself included.

    Both networks run at once: ``t = max((m − 1)/n · size / B_in, (n − m)/n · size / B_out) + latency of the farthest hop``.

    Args:
        size: bytes that one member holds for all others [B].
        group, per_domain: members, and members that share a domain [1].
        fabric: the network.

    >>> float(all_to_all(64e6, 64, 8, Fabric(8, 200e9, 50e9, 0.0, 0.0)))
    0.00112
    """
    n = np.asarray(group, dtype=np.float64)
    return exchange(size, (per_domain - 1) / n, (n - per_domain) / n, fabric)


def exchange(size: Num, inside_copies: Num, outside_copies: Num, fabric: Fabric, imbalance: Num = 1.0) -> Num:
    """Seconds for a member to send its tokens to their experts, or to receive the results.

    ``t = imbalance · max(copies_in · size / B_in, copies_out · size / B_out) + latency of the farthest hop``

    Args:
        size: one copy of all tokens of the member [B].
        inside_copies, outside_copies: expected copies of a token sent over each network, from :func:`token_copies` [1].
        fabric: the network.
        imbalance: load of the busiest member divided by the mean load [1].

    >>> float(exchange(1e9, 2.0, 1.0, Fabric(8, 200e9, 50e9, 0.0, 0.0)))
    0.02
    """
    inside, outside = inside_copies * size / np.asarray(fabric.inside), outside_copies * size / np.asarray(fabric.outside)
    near, far = fabric.inside_latency * (np.asarray(inside_copies) > 0), fabric.outside_latency * (np.asarray(outside_copies) > 0)
    seconds: Num = imbalance * np.maximum(inside, outside) + np.maximum(near, far)
    return seconds


# routing of tokens ---------------------------------------------------------------------------------------------------

Deduplication = Literal["none", "rank", "domain"]
"""Receiver that gets at most one copy of a token: "none" (one copy per expert), each rank, or each domain, which then forwards the token
inside."""


def expected_distinct(bins: Num, experts: Num, top_k: Num, limit: Num = np.inf) -> Num:
    """Expected number of bins (domains or accelerators) that hold at least one of a token's ``top_k`` distinct experts.

    Without a limit ``E[X] = D·[1 − C(E − e, k) / C(E, k)]`` with ``e = E / D`` experts per bin. With a limit ``M`` the ``M`` bins with
    the best experts are used, so a token reaches ``min(M, X)`` bins: ``E[min(M, X)] = Σ_{j < M} P(X > j)``, where
    ``P(X ≤ j) = Σ_{l ≤ j} (−1)^{j−l} C(D−l−1, j−l) C(D, l) C(l·e, k) / C(E, k)``. Exact for exchangeable affinities.

    Args:
        bins: number of bins, each with the same number of experts [1].
        experts, top_k: total number of experts, and experts per token [1].
        limit: bins that a token may reach; infinite for no limit [1].

    Returns:
        expected number of bins [1].

    Source: inclusion and exclusion; device-limited routing of DeepSeek-V2 (arXiv:2405.04434), section 2.2.2. DeepSeek-V3
    (arXiv:2412.19437, section 2.1.2) ranks bins by the sum of their best affinities instead, within 0.5 % of this.

    >>> round(float(expected_distinct(8, 256, 8)), 3), round(float(expected_distinct(8, 256, 8, limit=4)), 3)
    (5.295, 3.983)
    """
    d, e, k = np.asarray(bins, dtype=np.float64), np.asarray(experts, dtype=np.float64) / bins, np.asarray(top_k, dtype=np.float64)
    everywhere = d * (1.0 - _probability_all_in(d * e - e, d * e, k))
    most = np.minimum(d, k)
    limited = np.where(np.asarray(limit) < most, limit, 0.0)
    reached = np.zeros(np.broadcast_shapes(d.shape, e.shape, k.shape, limited.shape))
    for j in range(int(np.max(limited))):
        reached = reached + (j < limited) * (1.0 - _probability_at_most(j, d, e, k))
    found: Num = np.where(limited > 0, reached, everywhere)
    return found


def _probability_at_most(j: int, d: NDArray[np.float64], e: NDArray[np.float64], k: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that ``k`` experts are in at most ``j`` of ``d`` bins with ``e`` experts each."""
    terms = [(-1.0) ** (j - l) * binom(d - l - 1, j - l) * binom(d, l) * _probability_all_in(l * e, d * e, k) for l in range(1, j + 1)]
    total: NDArray[np.float64] = np.sum(terms, axis=0) if terms else np.zeros(())
    return total


def _probability_all_in(some: NDArray[np.float64], whole: NDArray[np.float64], k: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that ``k`` draws from ``whole`` are all among ``some`` of them: ``C(some, k) / C(whole, k)``."""
    enough = some >= k
    n = np.where(enough, some, k)  # avoids the poles of gammaln at arguments for which the result is 0
    logarithm = gammaln(n + 1) - gammaln(n - k + 1) - gammaln(whole + 1) + gammaln(np.maximum(whole - k, 0.0) + 1)
    probability: NDArray[np.float64] = np.where(enough, np.exp(logarithm), 0.0)
    return probability


def token_copies(
    deduplication: Deduplication, experts: Num, top_k: Num, group: Num, per_domain: Num, *, limit: Num = np.inf
) -> tuple[Num, Num]:
    """Expected copies of a token that one exchange sends inside the sender's domain and to other domains; the sender itself needs no copy.

    Args:
        deduplication: which receiver gets at most one copy of a token.
        experts, top_k: total number of experts, and experts per token [1].
        group, per_domain: accelerators that hold the experts, and how many of them share a domain [1].
        limit: domains that a token may reach; infinite for no limit [1]. The number of domains is exact. The number of accelerators
            assumes that the token's experts are spread evenly over the allowed domains; for the gate of DeepSeek-V3 it is 2 % too low.

    Returns:
        (inside, outside) copies per token [1].

    Source: DeepSeek-V3 (arXiv:2412.19437), section 3.2.2: one copy to each node over InfiniBand, to the accelerator of the same index,
    which forwards over NVLink.

    >>> inside, outside = token_copies("domain", 256, 8, 64, 8, limit=4)
    >>> round(float(inside), 2), round(float(outside), 2)
    (6.44, 3.49)
    """
    n, m = np.asarray(group, dtype=np.float64), np.asarray(per_domain, dtype=np.float64)
    domains = n / m
    allowed = np.minimum(limit / domains, 1.0)  # share of the experts that the token may reach
    match deduplication:
        case "none":
            return top_k * (m - 1) / n, top_k * (n - m) / n
        case "rank":
            reached = expected_distinct(n * allowed, experts * allowed, top_k)
            return reached * (m - 1) / n, reached * (n - m) / n
        case "domain":
            forwarded = expected_distinct(n * allowed, experts * allowed, top_k) * (m - 1) / m
            return forwarded, expected_distinct(domains, experts, top_k, limit) * (1 - 1 / domains)


def routing_imbalance(tokens: Num, experts: Num, top_k: Num, group: Num, spread: Num = 0.0) -> Num:
    """Expected load of the busiest of ``group`` accelerators over the mean load, if tokens choose their experts at random.

    ``1 + z_n·√(n/(E − 1) · ((E − k)/(k·T) + s²))``, with ``z_n`` the expected largest of ``n`` normal draws. The first term is chance: each
    of ``T`` tokens adds a hypergeometric number of copies to an accelerator. The second is the router: an accelerator has ``E/n`` of the
    experts, whose popularity has the coefficient of variation ``s``. Loads that sum to a constant have a factor ``n/(n − 1)`` on their
    variance, which cancels ``1 − 1/n``.

    Args:
        tokens: tokens routed together, from all members [token].
        experts, top_k, group: as for :func:`token_copies`.
        spread: coefficient of variation of the experts' expected loads; 0 for a router that chooses uniformly [1].

    Source: Blom 1958 for ``z_n``; Cochran 1977, Sampling Techniques, section 2.5, for draws without replacement.

    >>> round(float(routing_imbalance(64 * 4096, 256, 8, 64)), 4), round(float(routing_imbalance(64 * 4096, 256, 8, 64, 0.1)), 3)
    (1.0127, 1.118)
    """
    n, e, k = (np.asarray(x, dtype=np.float64) for x in (group, experts, top_k))
    chance = (e - k) / (k * np.asarray(tokens, dtype=np.float64))
    factor: Num = 1.0 + expected_largest_normal(n) * np.sqrt(n / np.maximum(e - 1, 1.0) * (chance + np.square(spread)))
    return factor
