"""Record parameters and FLOPs of the transformers classes, so that the tests can compare without torch.

    python tests/peers/record.py

One row for each covering config: parameters, forward FLOPs, forward + backward FLOPs, and each softmax layer's pairs, of one sequence
of 24 tokens. Parameters that a stand-in class lacks are added, as in the comparison.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import transformers_truth as truth

from trainsim.testing.families import FAMILIES
from trainsim.testing.models import covering_configs

LENGTH = 24
WHERE = Path(__file__).parents[1] / "model" / "measured.json"


def row(config: dict[str, object]) -> list[object]:
    measured = truth.measure(config, LENGTH)
    parameters = measured.parameters + truth.stated_difference(config)
    return [parameters, measured.forward, measured.both + truth.unread_states(config, LENGTH), measured.pairs]


if __name__ == "__main__":
    rows = {family: [row(config) for config in covering_configs(family)] for family in FAMILIES}
    lines = [f'"{family}": [' + ",".join("\n" + json.dumps(r) for r in found) + "]" for family, found in rows.items()]
    WHERE.write_text("{" + ",\n".join(lines) + "}\n")
