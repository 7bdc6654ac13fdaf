"""Put the truth modules on the import path, and report exceptions of the comparison."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
SCRIPTS = (
    "transformers_truth",
    "recurrent_truth",
    "causal_truth",
    "comparison",
    "record",
    "record_classes",
    "record_conventions",
    "table",
    "drawing",
    "ours",
    "every_config",
)
collect_ignore = [f"{name}.py" for name in SCRIPTS]  # these files have no tests and need torch

STATED = """\
deepseek, grok-1, kimi_k2, minimax_text_01 and minimax_m1 are not in transformers; glm4_moe, mixtral, deepseek_v3 and minimax are used
grok-1 has 2 · layers · hidden parameters more than its stand-in class: two more norms per layer
minimax: an unrolled backward omits 2(first + 2 · last chunk)d² FLOPs per head, for states that nothing reads; the rest is compared exactly
llama4_text runs all experts on every token; only the top-k of them are compared
jetmoe routes by data: at its class defaults all rows go through the first expert
longcat_flash routes tokens to identity experts by data and stores matrices for them; the mean is compared, without these matrices"""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    compared = [int(n) for report in terminalreporter.stats.get("passed", ()) for what, n in report.user_properties if what == "configs"]
    if compared:
        terminalreporter.section("the comparison with transformers, and its stated exceptions")
        terminalreporter.write_line(f"{sum(compared)} configs agree to the last digit: parameters, FLOPs, attention pairs")
        terminalreporter.write_line(STATED)
