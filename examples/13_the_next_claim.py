"""R1 for $5 million, Kimi K2 for $4.6 million: what do the next claims cover?

A figure is judged at the scope it can have, and its words at the scope they name. A claim that nobody has looked at yet is typed in: what
is not published about its run is assumed, and the verdict says so.
"""

import trainsim as ts

r1 = ts.catalog.claim("r1-5m-against-100m")
k2 = ts.Claim(
    "cost", 4.6e6, unit="USD", subject="kimi-k2", told_as="the cost of training Kimi K2 Thinking", source="an article", date="2025-11-06",
)  # fmt: skip

for claim in (r1, k2):
    verdict = ts.audit(claim)
    print(f"{claim.subject}: {claim.statement or claim.told_as}")
    print(f"  the number: {verdict.number}")
    print(f"  the words:  {verdict.words}")
    print(f"  {verdict.quote or verdict.headline}")
    for line in verdict.assumed[:4]:
        print(f"  assumed: {line}")
    print()

print("what K2 comes to, scope by scope, in rented hours:")
for rung in verdict.rungs:
    low, middle, high = (float(q) / 1e6 for q in rung.rent)
    print(f"  {rung.label:<26} ${middle:6.1f}M  ({low:.1f} to {high:.1f})  below the claim with {100 * float(rung.odds):.0f} %")
print("\nto share: verdict.card('card.png')")
