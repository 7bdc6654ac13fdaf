"""A ``config.json`` under examination: every key is asked for, harmless by name, or an error."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import ConfigError

# Keys that say nothing about shapes, in any family. A key that is neither asked for by its family nor found here is an
# error if its value could change the shape.
_HARMLESS = re.compile(
    r"""
    _.*|architectures|auto_map|transformers_version|torch_dtype|dtype|model_type|name_or_path|id2label|label2id|problem_type|
    .*_token_id|.*_token_ids|.*_token_index|.*dropout.*|.*dropout|.*_pdrop|.*_eps|.*_epsilon|.*epsilon|initializer_.*|init_.*|.*_std|.*_range|.*_method|
    rope_theta|rope_scaling|rope_parameters|rope_.*|rotary_.*|.*_rope_.*|partial_rotary_factor|.*theta.*|.*_rotary_.*|mscale.*|
    use_cache|pretraining_tp|output_.*|return_dict|torchscript|pruned_heads|is_decoder|is_encoder_decoder|add_cross_attention|
    .*_act|.*activation.*|hidden_act|mlp_hidden_act|act_fn|afn|
    .*_aux_loss.*|aux_loss_.*|.*_loss_coef.*|router_z_loss.*|.*jitter.*|norm_topk_prob|scoring_func|score_function|.*routed_scaling_factor|
    .*softcap.*|.*_softcapping|query_pre_attn_scalar|.*_multiplier|.*_scaling|logit_scale|logits_scaling|.*_scale|
    max_position_embeddings|max_seq_len|max_sequence_length|seq_length|model_max_length|original_max_position_embeddings|initial_context_length|
    gradient_checkpointing|tie_encoder_decoder|chunk_size_feed_forward|finetuning_task|tokenizer_class|prefix|task_specific_params|
    temperature|top_p|typical_p|repetition_penalty|length_penalty|no_repeat_ngram_size|num_beams.*|num_return_sequences|early_stopping|
    max_length|min_length|do_sample|diversity_penalty|bad_words_ids|forced_.*|suppress_tokens|begin_suppress_tokens|remove_invalid_values|
    exponential_decay_length_penalty|encoder_no_repeat_ngram_size|sep_token_id|decoder_start_token_id|cross_attention_hidden_size|
    attn_implementation|flash_attn.*|use_flash.*|.*flash_attention.*|ep_size|ep_group|moe_group|n_group|topk_group|num_expert_group|topk_method|num_limited_groups|seq_aux|
    expert_capacity.*|capacity_factor|.*_capacity|.*token_drop.*|drop_tokens|quantization_config|compression_config|
    use_bfloat16|fp32_.*|.*_in_fp32|scale_attn_.*|reorder_and_upcast_attn|summary_.*|attention_softmax_in_fp32|scale_attention_softmax_in_fp32|
    bos|eos|pad|unk_token_id|.*_tokens?_ids?|special_tokens.*|chat_template|vision_.*|image_.*|video_.*|audio_.*|freeze_.*|unsloth.*|
    use_logits_.*|z_loss.*|moe_aux.*|moe_z.*|attention_type|cache_implementation|hybrid_cache|for_llm_compressor|sm_scale|alibi_.*
    """.replace("\n", "").replace(" ", ""),
)


class Config:
    """Reads keys of a config, remembering which were asked for and which defaults were taken.

    Args:
        data: the config as a dict.
        path: where it came from, for errors.
    """

    def __init__(self, data: Mapping[str, Any], path: str = "config") -> None:
        self.data, self.path = data, path
        self.asked: set[str] = set()
        self.notes: list[str] = []

    def has(self, key: str) -> bool:
        """Whether a key is there with a value."""
        self.asked.add(key)
        return self.data.get(key) is not None

    def fail(self, key: str, rule: str, remedy: str) -> ConfigError:
        """The error for a key."""
        return ConfigError(f"{self.path}.{key}", self.data.get(key), rule, remedy)

    def size(self, *keys: str) -> int:
        """A size that must be given, under the first of its names that is there.

        Raises:
            ConfigError: missing, or no positive integer.
        """
        self.asked.update(keys)
        for key in keys:
            if self.data.get(key) is not None:
                return self._positive(key, self.data[key])
        near = [k for k in self.data if k not in self.asked and difflib.SequenceMatcher(None, k, keys[0]).ratio() > 0.75]
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{self.path}.{keys[0]}", None, "is missing", f"give {keys[0]} as a positive integer{meant}")

    def optional(self, key: str, default: int, *, why: str = "class default") -> int:
        """A size that may be left out; the default taken is noted."""
        if not self.has(key):
            self.note(f"{key} not given: {default} ({why})")
            return default
        return self._positive(key, self.data[key])

    def size_or_none(self, *keys: str) -> int | None:
        """A size that may be absent or null for "has none"."""
        for key in keys:
            if self.has(key):
                return self._positive(key, self.data[key])
        return None

    def count(self, key: str, default: int = 0) -> int:
        """A number of things that may be zero."""
        if not self.has(key):
            return default
        value = self.data[key]
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10**9:
            raise self.fail(key, "must be an integer >= 0", "give how many there are")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false; the default taken is noted."""
        if not self.has(key):
            self.note(f"{key} not given: {str(default).lower()} (class default)")
            return default
        if not isinstance(self.data[key], bool):
            raise self.fail(key, "must be true or false", "write it without quotes")
        return bool(self.data[key])

    def words(self, key: str, known: Sequence[str]) -> list[str] | None:
        """A list of words out of a known few, or None if absent."""
        if not self.has(key):
            return None
        value = self.data[key]
        if not isinstance(value, (list, tuple)) or any(word not in known for word in value):
            odd = next((w for w in value if w not in known), value) if isinstance(value, (list, tuple)) else value
            raise self.fail(key, f"holds {odd!r}", f"known: {', '.join(known)}")
        return list(value)

    def ignore(self, *keys: str) -> None:
        """Keys this family reads but which leave the shape alone."""
        self.asked.update(keys)

    def note(self, text: str) -> None:
        """Remember an assumption."""
        self.notes.append(text)

    def at_most(self, key: str, value: int, other: str, bound: int) -> None:
        """Refuse a value above another key's."""
        if value > bound:
            raise self.fail(key, f"is above {other}={bound}", f"give at most {bound}")

    def divides(self, key: str, value: int, other: str, whole: int) -> None:
        """Refuse a value that doesn't divide another key's."""
        if whole % value:
            near = [d for d in range(1, min(whole, 4096) + 1) if whole % d == 0]
            near.sort(key=lambda d: abs(d - value))
            raise self.fail(key, f"does not divide {other}={whole}", f"nearest divisors: {', '.join(map(str, sorted(near[:4])))}")

    def close(self, ignore: Sequence[str] = ()) -> None:
        """Refuse keys nobody asked for whose value could change the shape.

        Raises:
            ConfigError: names the key and what to do.
        """
        for key, value in self.data.items():
            inert = value is None or value is False or isinstance(value, str) or value in ([], {})
            if key in self.asked or key in ignore or inert or _HARMLESS.fullmatch(key):
                continue
            near = difflib.get_close_matches(key, self.asked, n=1, cutoff=0.8)
            meant = f"did you mean {near[0]!r}? Otherwise " if near else ""
            raise self.fail(
                key,
                f"is not mapped for model_type {self.data.get('model_type')!r} and may change the shape",
                f"{meant}pass ignore=({key!r},) if it doesn't",
            )

    def _positive(self, key: str, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1 or value > 10**9:
            raise self.fail(key, "must be a positive integer up to 1e9", f"give {key} as a plain number")
        return value
