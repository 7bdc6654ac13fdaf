"""Is "$6M" plausible for DeepSeek-V3? And as what?

An article compared DeepSeek's $6M with $100M for GPT-4. The claim and the run are rows of the catalogue, each figure with its
source; the answer is computed: work counted from the architecture, hours compared with other labs' runs, dollars at dated rents.
"""

import sys
from importlib.util import find_spec

import trainsim as ts

verdict = ts.audit(ts.catalog.claim("deepseek-v3-6m"))
print(verdict)

# the same claim on inputs of one's own: what if an hour had been billed at $20?
dear = ts.catalog.run("deepseek-v3").replace({"price.usd_per_gpu_hour": 20.0})
print(f"\nat $20 an hour the number: {ts.audit(verdict.claim, dear).number}", file=sys.stderr)

if find_spec("matplotlib"):
    print(f"picture: {ts.draw(verdict, 'is_6m_plausible.png')}", file=sys.stderr)
else:
    print("picture: pip install 'trainsim[plots]'", file=sys.stderr)
