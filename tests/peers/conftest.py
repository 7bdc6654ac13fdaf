"""The truth module stands beside the tests that read it, and what is excepted is said aloud."""

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
collect_ignore = [f"{name}.py" for name in SCRIPTS]  # no tests in them, and they need torch

STATED = """\
deepseek, grok-1, kimi_k2, minimax_text_01 and minimax_m1 are not in transformers: glm4_moe, mixtral, deepseek_v3 and minimax stand in
grok-1 holds 2 · layers · hidden parameters more than its stand-in: two more norms a layer
minimax: an unrolled backward leaves out 2(first + 2 · last chunk)d² FLOPs a head, for states that nobody reads; compared exactly with it
llama4_text runs all experts on every token; the top-k of them are compared
jetmoe routes by data: at its class defaults all rows go through the first expert
longcat_flash sends tokens to experts that do nothing as data has it, and stores matrices for them; the mean is compared, without these"""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    compared = [int(n) for report in terminalreporter.stats.get("passed", ()) for what, n in report.user_properties if what == "configs"]
    if compared:
        terminalreporter.section("the comparison with transformers, and its stated exceptions")
        terminalreporter.write_line(f"{sum(compared)} configs agree to the last digit: parameters, FLOPs, attention pairs")
        terminalreporter.write_line(STATED)
