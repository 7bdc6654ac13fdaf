"""Which of the article's fifteen claims are true? Each is compared with disclosed figures and with predictions.

"$6M", "$1.6B", "$944M", "$500M" and "$100M" stood side by side in one article. They are a run's rent, a stock, a flow over four years, a
lower bound and a figure about another model. Each gets a verdict on its number, at its own scope, and one on its words.
"""

import sys
from importlib.util import find_spec

import trainsim as ts

verdicts = {name: ts.audit(claim) for name, claim in ts.catalog.claims().items()}

for name, verdict in verdicts.items():
    claim = verdict.claim
    print(f"{name}\n  {claim.statement}")
    print(f"  number: {verdict.number}   words: {verdict.words}")
    print(f"  one may print: {verdict.quote}")
    if verdict.scopes:
        print(f"  inside the 90 % interval of: {', '.join(verdict.scopes)}")
    for check in verdict.checks:
        print(f"  - {check.name}: {check.finding}")
    if claim.primary is not None and not any(claim.primary.statement in check.finding for check in verdict.checks):
        print(f"  primary source: {claim.primary.statement}")
    print()

counts = {word: sum(v.number == word for v in verdicts.values()) for word in ("CONFIRMED", "REFUTED", "CANNOT BE JUDGED")}
misleading = sum(v.words == "MISLEADING" for v in verdicts.values())
said = ts.compare_claims(verdicts["fleet-1.6b"].claim, verdicts["deepseek-v3-6m"].claim)
print(f"$1.6B of machines beside $6M for a run: {said.finding}")
print("fifteen claims: " + ", ".join(f"{n} {w}" for w, n in counts.items()) + f"; words MISLEADING in {misleading}")

if find_spec("matplotlib"):
    lead, *beside = verdicts.values()  # the claim that the article opens with, and the other fourteen
    print(f"picture: {ts.draw(lead, 'the_whole_article.png', beside=beside)}", file=sys.stderr)
