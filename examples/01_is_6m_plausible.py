"""Is "$6M" plausible for DeepSeek-V3? And as what?"""

import trainsim as ts

claim = ts.catalog.claim("deepseek-v3-6m")
verdict = ts.audit(claim)
print(verdict)
