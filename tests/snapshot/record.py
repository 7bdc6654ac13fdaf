"""Write the snapshot again, and print the figures that changed: ``python tests/snapshot/record.py [section …]``."""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import sys
import time

from sections import SECTIONS
from snapshot import moved, recorded, write


def main(asked: list[str]) -> None:
    told = {name: figures for name, figures in recorded().items() if name in SECTIONS}
    for name in asked or SECTIONS:
        start, section = time.process_time(), SECTIONS[name]
        now = section.compute()
        changes = moved(told.get(name, {}), now, section.rtol) if name in told else []
        took = f"{time.process_time() - start:.1f} s{', slow' if section.slow else ''}"
        print(f"{name}: {len(now)} figures, {took}" + ("" if name in told else ", new"), *changes, sep="\n  ", flush=True)
        if changes or name not in told:
            told[name] = now
    write(told)


if __name__ == "__main__":
    main(sys.argv[1:])
