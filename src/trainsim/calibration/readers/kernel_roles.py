"""Classify GPU kernels by name: their role in a layer, and the pass they belong to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

Role = Literal["exchange", "attention", "product", "cast", "permute", "optimizer", "loss", "elementwise", "copy"]
Direction = Literal["forward", "backward", "weights"]

_PERMUTE = (
    r"permut|expand_to_fused|reduce_fused|index_?select|index_?put|indexing|gather|scatter|top_?k|sort|histogram|scan"
    r"|group_indices|indices_kernel|linearize_index|dense_representation"
    r"|fused_mapping|count_expert|embedding|embs|cub::|compute_num_|aux_fi"
)
_ELEMENTWISE = (
    r"elementwise|norm|rotary|rope|swiglu|gelu|silu|softmax|dropout|reduce|triton_(poi|red|per)|activation"
    r"|bn_(fw|bw)|relu|pool|gammabeta|epilogue|upsample"
    r"|cudnn|distribution|vectorized|foreach"
)
_PRODUCT = (
    r"gemm|gemv|(^|[_: ])bmm_|matmul|nvjet|cijk_|cutlass.*kernel|xmma"
    r"|implicit_convolve|conv2?d|dgrad_engine|wgrad_\w*engine|scudnn|splitk"
)
_ROLES: tuple[tuple[str, Role], ...] = (
    (r"nccl|rccl|nvshmem|deep_?ep|hybrid_?ep|(^|[ :])ep::|all_?reduce|all_?gather|reduce_?scatter|all_?to_?all", "exchange"),
    (r"flash|fmha|attn|sdpa|attention|sage_?(fw|bw)d", "attention"),
    (r"cross_?entropy|nll_loss|log_?softmax", "loss"),
    (r"multi_tensor|adam|\blamb\b|lamb_|adagrad|(^|_)sgd|l2_?norm", "optimizer"),
    (r"(^|[_: ])cast(_|$)|_cast_|quanti|(?<!norm_)quant_|batched_transpose|utils::transpose|amax|scale_swizzle|swizzle_scal", "cast"),
    (_PERMUTE, "permute"),
    (_PRODUCT, "product"),
    (r"memcpy|memset|copy|cat_?array|transpose|fill_?functor|contiguous", "copy"),
    (_ELEMENTWISE, "elementwise"),
)
"""Pattern in a kernel's name → its role; the first match counts."""
_OWN: tuple[tuple[str, Direction], ...] = (
    (r"wgrad|weight_?grad|_acc\b|_acc[:<]", "weights"),
    (r"bwd|backward|dgrad|bn_bw", "backward"),
    (r"fwd|forward|fprop", "forward"),
)
_AROUND: tuple[tuple[str, Direction], ...] = (
    (r"\(W\)|[Ww]grad|[Ww]eight_?[Gg]rad", "weights"),
    (r"\(B\)|[Bb]ackward|bwd|autograd::engine::evaluate_function", "backward"),
    (r"\(F\)|[Ff]orward|fwd", "forward"),
)


@lru_cache(maxsize=4096)
def role_of(name: str) -> Role | None:
    """Role of a kernel by its name; None if no pattern matches.

    >>> role_of("ncclDevKernel_AllGather_RING_LL(ncclDevKernelArgsStorage<4096ul>)"), role_of("nvjet_hsh_128x256_64x4_2x1_v_bz_TNT")
    ('exchange', 'product')
    >>> role_of("my_own_kernel") is None
    True
    """
    return next((role for words, role in _ROLES if re.search(words, name, re.IGNORECASE)), None)


def direction_of(name: str, around: Iterable[str]) -> Direction | None:
    """Pass of a kernel: by its own name, else by the innermost enclosing op or annotation that names a pass.

    Args:
        name: name of the kernel.
        around: names of the ops and annotations open on the host when it was launched, innermost first.

    Returns:
        "forward", "backward" or "weights" (gradients of weights, where they are separate); None if no name indicates it.

    >>> direction_of("sm90_gemm", ["aten::mm", "MmBackward0"]), direction_of("flash_fwd_kernel", [])
    ('backward', 'forward')
    """
    for words, direction in _OWN:
        if re.search(words, name):
            return direction
    for each in around:
        for words, direction in _AROUND:
            if re.search(words, each):
                return direction
    return None
