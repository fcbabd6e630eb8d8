"""Start-up: the device process against the bare libraries it stands on.

Every case starts a fresh interpreter, in turn, and takes the median wall time and the peak memory.
The peer, "numpy + cv2", is what any image program in Python pays before its first line.

    python benchmarks/startup.py
"""

import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5
PEER = "numpy + cv2"
CASES = {
    PEER: "import numpy, cv2",
    "numpy + cv2 + onnxruntime": "import numpy, cv2, onnxruntime",
    "nightscope --help (runtime.cli.verbs)": "import runtime.cli.verbs",
    "device process (runtime.instrument.opening)": "import runtime.instrument.opening",
    "a whole run (runtime.night.run)": "import runtime.night.run",
}
PEAK = "; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


def start(code: str) -> tuple[float, float]:
    """Return the wall time in seconds and peak memory in MB of a fresh interpreter."""
    began_s = perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", code + PEAK], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return perf_counter() - began_s, int(ended.stdout) / 1024


def main() -> None:
    """Print the table."""
    for code in CASES.values():
        start(code)
    runs = {name: [] for name in CASES}
    for _ in range(ROUNDS):
        for name, code in CASES.items():
            runs[name].append(start(code))
    seconds = {name: statistics.median(s for s, _ in taken) for name, taken in runs.items()}
    print(f"{'':34}{'median, s':>10}{'ratio':>8}{'peak, MB':>10}")
    for name, taken in runs.items():
        peak_mb = statistics.median(mb for _, mb in taken)
        ratio = seconds[name] / seconds[PEER]
        print(f"{name:34}{seconds[name]:10.2f}{ratio:8.2f}{peak_mb:10.0f}")


if __name__ == "__main__":
    main()
