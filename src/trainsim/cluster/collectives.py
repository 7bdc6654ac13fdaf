"""Message → seconds: collectives and expert exchanges by latency and bandwidth.

Every function is pure and broadcasts over all its numbers. A group is described by how many members it has and how many of
them share a scale-up domain (``members_per_domain``), so one expression serves groups inside a domain and groups that span
many. A group of one sends nothing and takes no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import binom, gammaln, ndtri

from ..core.units import Num, choose, larger, smaller

BLOM = 0.375
"""Plotting position of the expected largest of n normal draws (Blom 1958, Statistical Estimates and Transformed Beta-Variables)."""


@dataclass(frozen=True, slots=True)
class Fabric:
    """The network of a cluster as numbers: a fast scale-up domain, and a scale-out network behind each accelerator.

    Args:
        domain: accelerators of one scale-up domain, number or array.
        inside, outside: bandwidth of one accelerator, one direction, inside its domain and out of it [B/s].
        inside_latency, outside_latency: of one hop [s].
    """

    domain: Num
    inside: Num
    outside: Num
    inside_latency: Num
    outside_latency: Num


def members_per_domain(group: Num, stride: Num, domain: Num) -> Num:
    """How many members of a group share a scale-up domain when neighbours in the group stand ``stride`` ranks apart.

    ``min(group, max(1, ⌊domain / stride⌋))``

    Args:
        group: members [1].
        stride: ranks from one member to the next: the product of the degrees that vary faster [1].
        domain: accelerators of a domain [1].

    >>> float(members_per_domain(64, 1, 8)), float(members_per_domain(64, 4, 8)), float(members_per_domain(64, 16, 8))
    (8.0, 2.0, 1.0)
    """
    return smaller(group, larger(1.0, np.floor(domain / stride)))


def _domains(group: Num, per_domain: Num) -> Num:
    """Domains a group touches; the last may be part filled."""
    touched: Num = np.ceil(group / per_domain)
    return touched


def _bandwidth(group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """What one member of a ring or tree sends: its domain's members share the rings that leave it, each through its own card."""
    return choose(group > per_domain, smaller(fabric.inside, per_domain * fabric.outside), fabric.inside)


def largest_of(members: Num) -> Num:
    """The largest of n normal draws, in standard deviations above their mean: ``Φ⁻¹((n − 3/8)/(n + 1/4))``, 0 of one.

    Source: Blom 1958, Statistical Estimates and Transformed Beta-Variables, section 6.9.

    >>> [round(float(largest_of(n)), 2) for n in (1, 2, 8)]
    [0.0, 0.59, 1.43]
    """
    n = np.asarray(members, dtype=np.float64)
    largest: Num = ndtri((n - BLOM) / (n - 2 * BLOM + 1))
    return largest


# rings ---------------------------------------------------------------------------------------------------------------


def ring_all_gather(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """Seconds of a ring all-gather; a ring reduce-scatter takes the same.

    ``t = (n − 1)/n · size / bandwidth + (n − D)·λ_in + (D − 1)·λ_out``, ``D`` domains.

    Args:
        size: the whole vector, all shards together [B].
        group, per_domain: members, and members that share a domain [1].
        fabric: the network.

    Returns:
        seconds [s], broadcast over all arguments.

    Source: Thakur, Rabenseifner, Gropp 2005 (Int. J. High Perform. Comput. Appl. 19:49), section 4.1; steps inside and between
    nodes as counted in NCCL ``src/graph/tuning.cc``.

    >>> float(ring_all_gather(8e9, 8, 8, Fabric(8, 200e9, 50e9, 0.0, 0.0)))
    0.035
    """
    domains = _domains(group, per_domain)
    latency = (group - domains) * fabric.inside_latency + (domains - 1) * fabric.outside_latency
    return (group - 1) / group * size / _bandwidth(group, per_domain, fabric) + latency


def ring_reduce_scatter(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """Seconds of a ring reduce-scatter: an all-gather run backwards (Thakur et al. 2005, section 4.2) [s].

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
    """Seconds of a double-binary-tree all-reduce: chains inside the domains, two trees between them, half the vector each.

    ``t = 2·size / bandwidth + 2·[(m − 1)·λ_in + ⌈log₂ D⌉·λ_out]``, ``m`` members per domain.

    Source: Sanders, Speck, Träff 2009 (Parallel Computing 35:581); latency as counted in NCCL ``src/graph/tuning.cc``.

    >>> round(float(tree_all_reduce(0.0, 64, 8, Fabric(8, 200e9, 50e9, 1e-6, 5e-6))), 9)
    4.4e-05
    """
    hops = np.ceil(np.log2(_domains(group, per_domain)))
    latency = (per_domain - 1) * fabric.inside_latency + hops * fabric.outside_latency
    return (group > 1) * 2.0 * (size / _bandwidth(group, per_domain, fabric) + latency)


def hierarchical_all_reduce(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """Seconds of an all-reduce in three steps: reduce-scatter inside, all-reduce of a shard between domains, all-gather inside.

    Source: Mikami et al. 2018 (arXiv:1811.05233), section 3.2, the two-dimensional torus.

    >>> round(float(hierarchical_all_reduce(8e9, 16, 8, Fabric(8, 200e9, 50e9, 0.0, 0.0))), 6)
    0.09
    """
    return 2.0 * _hierarchical_half(size, group, per_domain, fabric)


def _hierarchical_half(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    m, domains = per_domain, _domains(group, per_domain)
    inside = (m - 1) * (size / m / fabric.inside + fabric.inside_latency)
    return inside + (domains - 1) * (size / m / domains / fabric.outside + fabric.outside_latency)


# what a library picks ------------------------------------------------------------------------------------------------


def all_reduce(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """Seconds of the fastest of ring, tree and hierarchical all-reduce, as communication libraries choose by size.

    Args:
        size: vector that every member holds [B].
        group, per_domain: members, and members that share a domain [1].
        fabric: the network.

    Returns:
        seconds [s], broadcast over all arguments; 0 for a group of one.

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
    return smaller(ring_all_gather(size, group, per_domain, fabric), _hierarchical_half(size, group, per_domain, fabric))


def reduce_scatter(size: Num, group: Num, per_domain: Num, fabric: Fabric) -> Num:
    """Seconds of a reduce-scatter: as long as an all-gather of the same vector [s].

    >>> float(reduce_scatter(8e9, 8, 8, Fabric(8, 200e9, 50e9, 0.0, 0.0)))
    0.035
    """
    return all_gather(size, group, per_domain, fabric)


def point_to_point(size: Num, distance: Num, fabric: Fabric) -> Num:
    """Seconds to send a message to the accelerator ``distance`` ranks further on.

    ``t = size / bandwidth + latency``; inside the domain where ``distance < domain``, nothing at distance 0.

    Args:
        size: message [B].
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
    """Seconds of an even all-to-all: every member sends ``size / n`` to each, itself included.

    Both networks run at once: ``t = max((m − 1)/n · size / B_in, (n − m)/n · size / B_out) + latency of the farthest hop``.

    Args:
        size: bytes that one member holds for all [B].
        group, per_domain: members, and members that share a domain [1].
        fabric: the network.

    >>> float(all_to_all(64e6, 64, 8, Fabric(8, 200e9, 50e9, 0.0, 0.0)))
    0.00112
    """
    n = np.asarray(group, dtype=np.float64)
    return exchange(size, (per_domain - 1) / n, (n - per_domain) / n, fabric)


def exchange(size: Num, inside_copies: Num, outside_copies: Num, fabric: Fabric, imbalance: Num = 1.0) -> Num:
    """Seconds for a member to send its tokens to their experts, or to get them back.

    ``t = imbalance · max(copies_in · size / B_in, copies_out · size / B_out) + latency of the farthest hop``

    Args:
        size: one copy of all tokens of a member [B].
        inside_copies, outside_copies: expected copies of a token sent over each network, from :func:`token_copies` [1].
        fabric: the network.
        imbalance: load of the busiest member over the mean [1].

    >>> float(exchange(1e9, 2.0, 1.0, Fabric(8, 200e9, 50e9, 0.0, 0.0)))
    0.02
    """
    inside, outside = inside_copies * size / np.asarray(fabric.inside), outside_copies * size / np.asarray(fabric.outside)
    near, far = fabric.inside_latency * (np.asarray(inside_copies) > 0), fabric.outside_latency * (np.asarray(outside_copies) > 0)
    seconds: Num = imbalance * np.maximum(inside, outside) + np.maximum(near, far)
    return seconds


# where tokens go -----------------------------------------------------------------------------------------------------

Deduplication = Literal["none", "rank", "domain"]
"""What is sent once however many of a token's experts stand there: nothing; an accelerator; a domain, which forwards inside."""


def expected_distinct(bins: Num, experts: Num, top_k: Num, limit: Num = np.inf) -> Num:
    """Expected number of bins (domains, accelerators) that hold at least one of a token's ``top_k`` distinct experts.

    Unlimited, ``E[X] = D·[1 − C(E − e, k) / C(E, k)]`` with ``e = E / D`` experts to a bin. With a limit ``M`` the ``M`` bins that
    hold the best experts are kept, so that a token reaches ``min(M, X)``: ``E[min(M, X)] = Σ_{j < M} P(X > j)``, where
    ``P(X ≤ j) = Σ_{l ≤ j} (−1)^{j−l} C(D−l−1, j−l) C(D, l) C(l·e, k) / C(E, k)``. Exact for exchangeable affinities.

    Args:
        bins: bins the experts are spread over evenly [1].
        experts, top_k: experts in all, and experts a token meets [1].
        limit: bins a token may reach; infinite for all of them [1].

    Returns:
        expected bins [1].

    Source: inclusion and exclusion; device-limited routing of DeepSeek-V2 (arXiv:2405.04434), section 2.2.2. DeepSeek-V3
    (arXiv:2412.19437, section 2.1.2) ranks bins by the sum of their best affinities instead, within 0.5 % of this.

    >>> round(float(expected_distinct(8, 256, 8)), 3), round(float(expected_distinct(8, 256, 8, limit=4)), 3)
    (5.295, 3.983)
    """
    d, e, k = np.asarray(bins, dtype=np.float64), np.asarray(experts, dtype=np.float64) / bins, np.asarray(top_k, dtype=np.float64)
    everywhere = d * (1.0 - _ratio(d * e - e, d * e, k))
    most = np.minimum(d, k)
    limited = np.where(np.asarray(limit) < most, limit, 0.0)
    reached = np.zeros(np.broadcast_shapes(d.shape, e.shape, k.shape, limited.shape))
    for j in range(int(np.max(limited))):
        reached = reached + (j < limited) * (1.0 - _at_most(j, d, e, k))
    found: Num = np.where(limited > 0, reached, everywhere)
    return found


def _at_most(j: int, d: NDArray[np.float64], e: NDArray[np.float64], k: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that ``k`` experts stand in at most ``j`` of ``d`` bins of ``e``; 0 bins hold none."""
    terms = [(-1.0) ** (j - l) * binom(d - l - 1, j - l) * binom(d, l) * _ratio(l * e, d * e, k) for l in range(1, j + 1)]
    total: NDArray[np.float64] = np.sum(terms, axis=0) if terms else np.zeros(())
    return total


def _ratio(some: NDArray[np.float64], whole: NDArray[np.float64], k: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that ``k`` drawn from ``whole`` all fall among ``some`` of them: ``C(some, k) / C(whole, k)``."""
    enough = some >= k
    n = np.where(enough, some, k)  # keeps gammaln off its poles where the answer is 0 anyway
    logarithm = gammaln(n + 1) - gammaln(n - k + 1) - gammaln(whole + 1) + gammaln(np.maximum(whole - k, 0.0) + 1)
    probability: NDArray[np.float64] = np.where(enough, np.exp(logarithm), 0.0)
    return probability


def token_copies(
    deduplication: Deduplication, experts: Num, top_k: Num, group: Num, per_domain: Num, *, limit: Num = np.inf
) -> tuple[Num, Num]:
    """Expected copies of a token that one exchange sends inside a domain and out of it; its own accelerator is free.

    Args:
        deduplication: what receives one copy however many of the token's experts stand there.
        experts, top_k: experts in all, and experts a token meets [1].
        group, per_domain: accelerators the experts are spread over, and how many of them share a domain [1].
        limit: domains a token may reach; infinite for all [1]. Domains reached are exact; accelerators reached take experts as even
            among those in the domains allowed: 2 % below what the gate of DeepSeek-V3 reaches.

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
    allowed = np.minimum(limit / domains, 1.0)  # share of the experts that stand where the token may go
    match deduplication:
        case "none":
            return top_k * (m - 1) / n, top_k * (n - m) / n
        case "rank":
            reached = expected_distinct(n * allowed, experts * allowed, top_k)
            return reached * (m - 1) / n, reached * (n - m) / n
        case "domain":
            forwarded = expected_distinct(n * allowed, experts * allowed, top_k) * (m - 1) / m
            return forwarded, expected_distinct(domains, experts, top_k, limit) * (1 - 1 / domains)


def random_imbalance(tokens: Num, experts: Num, top_k: Num, group: Num) -> Num:
    """Expected load of the busiest of ``group`` accelerators over the mean, when a perfect balancer leaves only chance.

    ``1 + z_n·√(var / tokens) / mean``: each token adds a hypergeometric number of copies to an accelerator, with
    ``mean = k/n`` and ``var = k/n·(1 − 1/n)·(E − k)/(E − 1)``; ``z_n`` is the expected largest of ``n`` normal draws.

    Args:
        tokens: tokens routed together, all members' [token].
        experts, top_k, group: as for :func:`token_copies`.

    Source: Blom 1958 for ``z_n``; trained routers are less even, which a measured factor replaces.

    >>> round(float(random_imbalance(64 * 4096, 256, 8, 64)), 4)
    1.0126
    """
    n, e, k = (np.asarray(x, dtype=np.float64) for x in (group, experts, top_k))
    mean = k / n
    variance = mean * (1 - 1 / n) * (e - k) / np.maximum(e - 1, 1.0)
    factor: Num = 1.0 + largest_of(n) * np.sqrt(variance / np.asarray(tokens, dtype=np.float64)) / mean
    return factor
