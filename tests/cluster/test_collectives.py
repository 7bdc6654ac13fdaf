from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainsim.cluster import collectives as c
from trainsim.cluster.collectives import Fabric

FABRIC = Fabric(8, 200e9, 50e9, 1e-6, 5e-6)
GROUPED = [
    c.ring_all_gather, c.ring_reduce_scatter, c.ring_all_reduce, c.tree_all_reduce, c.hierarchical_all_reduce,
    c.all_reduce, c.all_gather, c.reduce_scatter, c.all_to_all,
]  # fmt: skip
sizes = st.one_of(st.just(0.0), st.floats(1e-6, 1e12))  # so many bytes that times keep their relative accuracy
rates = st.floats(1e6, 1e13)
latencies = st.floats(0, 1e-3)
fabrics = st.builds(Fabric, st.integers(1, 72), rates, rates, latencies, latencies)
groups = st.integers(1, 4096)


@st.composite
def placed(draw: Any) -> Any:
    fabric, group = draw(fabrics), draw(groups)
    return group, float(c.members_per_domain(group, draw(st.sampled_from([1, 2, 8, 64])), fabric.domain)), fabric


@pytest.mark.parametrize("function", GROUPED)
@given(sizes, fabrics)
def test_a_group_of_one_sends_nothing(function: Any, size: Any, fabric: Any) -> None:
    assert float(function(size, 1, 1.0, fabric)) == 0.0


@pytest.mark.parametrize("function", GROUPED)
@given(sizes, placed(), st.floats(1, 10), st.floats(1, 10))
def test_more_bandwidth_never_slows(function: Any, size: Any, where: Any, up: Any, out: Any) -> None:
    group, per_domain, f = where
    faster = Fabric(f.domain, f.inside * up, f.outside * out, f.inside_latency, f.outside_latency)
    assert float(function(size, group, per_domain, faster)) <= float(function(size, group, per_domain, f)) * (1 + 1e-12)


@pytest.mark.parametrize("function", GROUPED)
@given(sizes, placed(), st.floats(0, 1e9))
def test_a_longer_message_never_takes_less(function: Any, size: Any, where: Any, more: Any) -> None:
    assert float(function(size + more, *where)) >= float(function(size, *where)) * (1 - 1e-12)


@pytest.mark.parametrize("function", GROUPED)
@given(st.lists(st.tuples(sizes, groups, rates), min_size=1, max_size=5))
def test_arrays_are_elementwise(function: Any, rows: Any) -> None:
    size, group, rate = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    fabric = Fabric(8, rate * 4, rate, 1e-6, 5e-6)
    together = function(size, group, c.members_per_domain(group, 1, 8), fabric)
    for i in range(len(rows)):
        alone = Fabric(8, rate[i] * 4, rate[i], 1e-6, 5e-6)
        np.testing.assert_allclose(together[i], function(size[i], group[i], c.members_per_domain(group[i], 1, 8), alone), rtol=1e-14)


@given(sizes, placed())
def test_no_all_reduce_beats_the_bytes_every_member_must_send(size: Any, where: Any) -> None:
    group, per_domain, fabric = where
    fastest = max(fabric.inside, per_domain * fabric.outside)  # all network cards of its domain, or its own link
    assert float(c.all_reduce(size, *where)) >= 2 * (group - 1) / group * size / fastest * (1 - 1e-12)
    assert float(c.all_reduce(size, *where)) <= float(c.ring_all_reduce(size, *where))


@given(sizes, st.integers(0, 1000), fabrics)
def test_point_to_point_is_inside_or_outside(size: Any, distance: Any, fabric: Any) -> None:
    seconds = float(c.point_to_point(size, distance, fabric))
    near = distance < fabric.domain
    rate, latency = (fabric.inside, fabric.inside_latency) if near else (fabric.outside, fabric.outside_latency)
    assert seconds == pytest.approx(0.0 if distance == 0 else size / rate + latency)


def _routed(bins: Any, each: Any, top_k: Any, limit: Any) -> Any:
    """Mean number of distinct bins over all rankings of the experts, with the bins of the best experts kept, by enumeration."""

    # only the sequence of bins matters, so the tree of "the next expert is in bin b" is walked with its probabilities
    def walk(left: Any, taken: Any, kept: Any) -> Any:
        if taken == top_k:
            return len({b for b in range(bins) if left[b] < each and b in kept})
        open_bins = [b for b in range(bins) if left[b] and (len(kept) < limit or b in kept)]
        total = sum(left[b] for b in open_bins)
        return sum(left[b] / total * walk(tuple(n - (i == b) for i, n in enumerate(left)), taken + 1, kept | {b}) for b in open_bins)

    return walk((each,) * bins, 0, frozenset())


@pytest.mark.parametrize(
    ("bins", "each", "top_k", "limit"), [(2, 3, 2, 1), (4, 2, 3, 2), (3, 4, 4, 2), (4, 3, 3, 3), (5, 2, 2, 4), (4, 2, 2, 9)]
)
def test_limited_routing_equals_enumeration(bins: Any, each: Any, top_k: Any, limit: Any) -> None:
    assert float(c.expected_distinct(bins, bins * each, top_k, limit)) == pytest.approx(_routed(bins, each, top_k, limit), rel=1e-12)


@pytest.mark.parametrize(("bins", "each", "top_k"), [(1, 4, 2), (2, 3, 2), (4, 2, 3), (3, 4, 4), (6, 2, 5), (4, 1, 4)])
def test_expected_distinct_equals_enumeration(bins: Any, each: Any, top_k: Any) -> None:
    every = [len({e // each for e in chosen}) for chosen in combinations(range(bins * each), top_k)]
    assert float(c.expected_distinct(bins, bins * each, top_k)) == pytest.approx(np.mean(every), rel=1e-12)


@given(st.integers(1, 64), st.integers(1, 16), st.integers(1, 16), st.integers(1, 64))
def test_distinct_bins_stay_within_what_can_be_reached(bins: Any, each: Any, top_k: Any, limit: Any) -> None:
    top_k = min(top_k, each * min(bins, limit))
    limited, free = c.expected_distinct(bins, bins * each, top_k, limit), c.expected_distinct(bins, bins * each, top_k)
    assert 1 - 1e-9 <= limited <= min(bins, limit, top_k) * (1 + 1e-9)
    assert limited <= free * (1 + 1e-9)


def _gate(tokens: int, experts: int, top_k: int, groups: int, limit: int) -> Any:
    """DeepSeek-V3's gate on random affinities: groups by the sum of their two best, then the best experts inside them."""
    affinity = np.random.default_rng(3).normal(size=(tokens, groups, experts // groups))
    kept = np.argsort(-np.sort(affinity, axis=2)[:, :, -2:].sum(axis=2), axis=1)[:, :limit]
    shut = np.full((tokens, groups, 1), -np.inf)
    np.put_along_axis(shut, kept[:, :, None], 0.0, axis=1)
    return np.argpartition(-(affinity + shut).reshape(tokens, experts), top_k, axis=1)[:, :top_k]


def test_deepseek_gate_by_sampling() -> None:
    chosen = _gate(20_000, 256, 8, 8, 4)
    ranks, domains = chosen // 4, chosen // 32
    distinct_domains = np.mean([len(set(row)) for row in domains])
    distinct_ranks = np.mean([len(set(row)) for row in ranks])
    assert float(c.expected_distinct(8, 256, 8, 4)) == pytest.approx(distinct_domains, rel=0.005)
    inside, outside = c.token_copies("domain", 256, 8, 64, 8, limit=4)
    assert float(outside) == pytest.approx(distinct_domains * 7 / 8, rel=0.005)
    assert float(inside) == pytest.approx(distinct_ranks * 7 / 8, rel=0.02)
    own = np.array([len(set(row) - {5}) for row in ranks])  # copies that leave accelerator 5, one per other accelerator
    both = c.token_copies("rank", 256, 8, 64, 8, limit=4)
    assert float(sum(both)) == pytest.approx(own.mean(), rel=0.02)


@given(st.sampled_from([(8, 8), (16, 8), (64, 8), (64, 1), (1, 1), (72, 72)]), st.integers(1, 8))
def test_copies_are_conserved_and_merging_never_adds(where: Any, top_k: Any) -> None:
    group, per_domain = where
    plain, merged, relayed = (tuple(map(float, c.token_copies(kind, 576, top_k, group, per_domain))) for kind in ("none", "rank", "domain"))
    assert sum(plain) == pytest.approx(top_k * (1 - 1 / group))
    assert merged[0] <= plain[0] + 1e-9
    assert merged[1] <= plain[1] + 1e-9
    assert relayed[1] <= merged[1] + 1e-9
    if group == 1:
        assert plain == merged == relayed == (0.0, 0.0)


@pytest.mark.parametrize(("group", "spread"), [(8, 0.0), (8, 0.3), (4, 0.3), (64, 0.2), (16, 0.05)])
def test_imbalance_of_a_router_by_sampling(group: int, spread: float) -> None:
    """Tokens choose 4 of 64 experts by popularity (Gumbel top-k); experts are placed on accelerators in random order."""
    rng = np.random.default_rng(5)
    worst, found = [], []
    for _ in range(200):
        popularity = np.maximum(1.0 + spread * rng.standard_normal(64), 0.01)
        keys = np.log(popularity) + rng.gumbel(size=(512, 64))
        chosen = np.argpartition(-keys, 4, axis=1)[:, :4]
        load = np.bincount(chosen.ravel() // (64 // group), minlength=group)
        worst.append(load.max() / load.mean())
        each = np.bincount(chosen.ravel(), minlength=64)
        found.append(each.var() / each.mean() ** 2 - (64 - 4) / (4 * 512))
    seen = float(np.sqrt(max(np.mean(found), 0.0)))
    assert float(c.routing_imbalance(512, 64, 4, group, seen)) - 1.0 == pytest.approx(np.mean(worst) - 1.0, rel=0.08)


def test_even_experts_and_one_accelerator_have_no_imbalance() -> None:
    assert float(c.routing_imbalance(512, 64, 4, 1, 0.5)) == pytest.approx(1.0)
    assert float(c.routing_imbalance(1e12, 64, 64, 8)) == 1.0


@given(groups, sizes, st.floats(1, 4))
def test_imbalance_only_slows(group: Any, size: Any, factor: Any) -> None:
    inside, outside = c.token_copies("none", 4096, 4, group, c.members_per_domain(group, 1, 8))
    assert c.exchange(size, inside, outside, FABRIC, factor) >= c.exchange(size, inside, outside, FABRIC)
    assert c.routing_imbalance(4096, 4096, 4, group) >= 1 - 1e-12


def _copies(deduplication: str, experts: int, top_k: int, group: int, per_domain: int) -> tuple[float, float]:
    """Messages that leave accelerator 0 for one token, counted over every choice of experts."""
    each = experts // group
    inside = outside = chosen_count = 0
    for chosen in combinations(range(experts), top_k):
        ranks = [e // each for e in chosen]
        there = set(ranks) if deduplication != "none" else ranks
        chosen_count += 1
        if deduplication == "domain":
            domains = {r // per_domain for r in ranks}
            outside += len(domains - {0})
            # the accelerator of the token's own index in each domain forwards; it keeps its own copy
            inside += sum(r % per_domain != 0 for r in set(ranks))
        else:
            inside += sum(r != 0 and r // per_domain == 0 for r in there)
            outside += sum(r // per_domain != 0 for r in there)
    return inside / chosen_count, outside / chosen_count


@pytest.mark.parametrize("deduplication", ["none", "rank", "domain"])
@pytest.mark.parametrize(
    ("experts", "top_k", "group", "per_domain"),
    [(8, 2, 4, 2), (8, 3, 8, 4), (12, 2, 6, 2), (12, 4, 6, 3), (9, 3, 3, 1), (8, 3, 4, 4), (6, 2, 1, 1)],
)
def test_copies_equal_enumeration_of_every_choice(deduplication: Any, experts: Any, top_k: Any, group: Any, per_domain: Any) -> None:
    modelled = tuple(map(float, c.token_copies(deduplication, experts, top_k, group, per_domain)))
    assert modelled == pytest.approx(_copies(deduplication, experts, top_k, group, per_domain), rel=1e-12, abs=1e-15)


@given(sizes, fabrics)
def test_an_exchange_without_copies_takes_no_time(size: Any, fabric: Any) -> None:
    assert float(c.exchange(size, 0.0, 0.0, fabric)) == 0.0
    assert float(c.exchange(size, *c.token_copies("domain", 64, 4, 1, 1), fabric)) == 0.0


@given(sizes, st.floats(0, 8), st.floats(0, 8), fabrics, st.floats(1, 10), st.floats(1, 10))
def test_an_exchange_takes_at_least_its_bytes_and_no_longer_on_faster_links(
    size: Any, inside: Any, outside: Any, f: Any, up: Any, out: Any
) -> None:
    seconds = float(c.exchange(size, inside, outside, f))
    assert seconds >= max(inside * size / f.inside, outside * size / f.outside) * (1 - 1e-12)
    faster = Fabric(f.domain, f.inside * up, f.outside * out, f.inside_latency, f.outside_latency)
    assert float(c.exchange(size, inside, outside, faster)) <= seconds * (1 + 1e-12)


@given(st.integers(2, 8), st.integers(1, 8), st.integers(2, 8), st.integers(1, 8))
def test_more_experts_a_token_and_more_domains_allowed_never_send_less(bins: Any, each: Any, top_k: Any, limit: Any) -> None:
    top_k = min(top_k, each * min(bins, limit))
    fewer = float(c.expected_distinct(bins, bins * each, max(top_k - 1, 1), limit))
    here = float(c.expected_distinct(bins, bins * each, top_k, limit))
    assert fewer <= here * (1 + 1e-9)
    assert here <= float(c.expected_distinct(bins, bins * each, top_k, limit + 1)) * (1 + 1e-9)


@pytest.mark.parametrize("function", [c.all_gather, c.reduce_scatter])
@given(sizes, placed())
def test_no_gather_beats_the_bytes_every_member_must_receive(function: Any, size: Any, where: Any) -> None:
    group, per_domain, fabric = where
    fastest = max(fabric.inside, per_domain * fabric.outside)
    assert float(function(size, *where)) >= (group - 1) / group * size / fastest * (1 - 1e-12)


@given(sizes, placed())
def test_an_even_all_to_all_takes_at_least_what_leaves_a_domain(size: Any, where: Any) -> None:
    group, per_domain, fabric = where
    assert float(c.all_to_all(size, *where)) >= (group - per_domain) / group * size / fabric.outside * (1 - 1e-12)


@given(groups, st.integers(1, 4096), st.integers(1, 576))
def test_members_of_a_domain_are_at_least_one_and_fit(group: Any, stride: Any, domain: Any) -> None:
    inside = float(c.members_per_domain(group, stride, domain))
    assert 1 <= inside <= group
    assert inside == 1 or inside * stride <= domain
