# ruff: noqa: ANN001, ANN201, S603  (scripts: read beside the peers they time)
"""Run the engine and its peers, and write one table."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = ["numpy_naive", "numpy_copula", "scipy_stats", "squigglepy_peer", "chaospy_peer", "openturns_peer"]
PACKAGES = ["numpy", "scipy", "squigglepy", "chaospy", "openturns", "SALib"]


def environment(folder):
    """A Python environment with the peers and trainsim, separate from the one that runs this file."""
    python = Path(folder) / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES, str(ROOT)], check=True)
    return python


def call(python, script, argument):
    """The rows a script prints, or one row that says it failed."""
    paths = os.pathsep.join([str(HERE), str(ROOT / "src")])
    done = subprocess.run(
        [python, HERE / script, argument],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    if done.returncode:
        return [{"peer": script, "workload": "-", "note": f"failed: {done.stderr.strip().splitlines()[-1]}"}]
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(rows):
    """Markdown: time to an accuracy with ratios to ours, throughput, Sobol' indices."""
    lines = [
        (
            f"Python {platform.python_version()}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores. "
            "Times are medians within one run."
        ),
        "",
    ]
    for workload in ("product", "branches"):
        for rtol in sorted({r["rtol"] for r in rows if r.get("rtol") and r["workload"] == workload}, reverse=True):
            ours = next(
                (r["seconds"] for r in rows if r["peer"] == "trainsim" and r.get("rtol") == rtol and r["workload"] == workload), None
            )
            lines += [f"### Time to {rtol:g} on P5, P50, P95: {workload}", "", "| engine | n | time | × ours |", "|---|---|---|---|"]
            for r in rows:
                if r.get("rtol") == rtol and r["workload"] == workload:
                    name = f"{r['peer']} {r.get('version', '')}".strip()
                    if r["void"]:
                        lines.append(f"| {name} | {r['n']:,} | void: off the exact law beyond its own error | - |")
                    else:
                        note = f" ({r['note']})" if "note" in r else ""
                        lines.append(f"| {name} | {r['n']:,}{note} | {1e3 * r['seconds']:.2f} ms | {r['seconds'] / ours:.1f} |")
            lines.append("")
    lines += ["### Throughput", "", "| engine | workload | n | ns per draw | peak MiB |", "|---|---|---|---|---|"]
    lines += [
        f"| {r['peer']} | {r['workload']} | {r['n']:,} | {r['ns']:.1f} | {r.get('peak_mib', 0):.0f} |".replace("| 0 |", "| |")
        for r in rows
        if "ns" in r
    ]
    lines += ["", "### Sobol' indices to 1e-3 (S)", "", "| engine | n | time |", "|---|---|---|"]
    lines += [f"| {r['peer']} | {r['n'] or 'exact'} | {1e3 * r['seconds']:.2f} ms |" for r in rows if r["workload"] == "sobol"]
    failed = [f"- {r['peer']}: {r['note']}" for r in rows if r["workload"] == "-"]
    return "\n".join([*lines, *(["", "Failed:", *failed] if failed else []), ""])


BEGIN, END = "<!-- ratios: python benchmarks/engine/run.py -->", "<!-- ratios end -->"


def ratios(rows):
    """The table of docs/uncertainty.md: how many times as long as ours each engine takes, on the reference workload."""
    product = [r for r in rows if r["workload"] == "product"]
    ours = {r["rtol"]: r["seconds"] for r in product if r["peer"] == "trainsim" and r.get("rtol")}
    fastest = min(r["ns"] for r in product if r["peer"] == "trainsim" and "ns" in r)
    perdraw = {r["peer"]: r["ns"] for r in product if "ns" in r}
    head = " | ".join(f"to {rtol:g}" for rtol in ours)
    lines = [f"| engine | {head} | per draw |", "|---|" + "---|" * (len(ours) + 1)]
    for name in dict.fromkeys(r["peer"] for r in product if r["peer"].split(",")[0] != "trainsim"):
        mine = [r for r in product if r["peer"] == name]
        version = next((r["version"] for r in mine if r.get("version")), "")
        times = [next((f"{r['seconds'] / ours[t]:,.0f} ×" for r in mine if r.get("rtol") == t and not r["void"]), "void") for t in ours]
        draw = f"{perdraw[name] / fastest:,.1f} ×" if name in perdraw else ""
        lines.append(f"| {name} {version} | {' | '.join(times)} | {draw} |")
    return "\n".join(lines)


def into(text, made):
    """A page whose table between two marks is written again."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only 1e-2, a smoke test")
    parser.add_argument("--environment", help="a folder to keep the peers' environment in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        python = environment(options.environment or temporary)
        exact = call(python, "ours.py", "exact")
        sobol = {"tokens": 0.0132, "mfu": 0.3415, "price": 0.5538, "overhead": 0.0459, "restart": 0.0040, "k": 0.0198}
        rtols = [1e-2] if options.quick else [1e-3, 1e-4]
        argument = json.dumps({"exact": exact, "rtols": rtols, "most": 1 << 22, "quick": options.quick, "sobol": sobol})
        rows = call(python, "ours.py", argument)
        for peer in PEERS:
            print(f"… {peer}", file=sys.stderr)
            rows += call(python, f"peers/{peer}.py", argument)
        rows += call(python, "peers/sobol_scipy_salib.py", argument)
    (HERE / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    (HERE / "results.md").write_text(table(rows))
    if not options.quick:
        page = ROOT / "docs" / "uncertainty.md"
        page.write_text(into(page.read_text(), ratios(rows)))
    print(table(rows))


if __name__ == "__main__":
    main()
