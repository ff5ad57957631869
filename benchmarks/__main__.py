"""``python -m benchmarks [NAME ...]``: all benchmarks one after the other, or those that are named."""

import argparse
import subprocess
import sys
from pathlib import Path

# In the order in which they are run: nothing else should run beside any of them.
BENCHMARKS = {
    "turn_around": "from the dispatch of a job to its training loop, beside fresh processes and Hydra's launchers",
    "idle_devices": "how long devices idle while a recorded study runs, beside batches",
    "scale": "what 10 to 10,000 jobs take of the controller",
    "mlflow_shipping": "points per second to MLflow, and how far a store slows training",
    "replicates": "a thousand replicates of average precision, beside a loop over pycocotools",
    "search_compute": "what a search spends until it is within 1 % of the best, beside random search and batches",
    "ask_overhead": "what a trial of a search takes of the controller when 10 to 5,000 are known",
    "verdict_real_runs": "how often verdicts find a difference between real runs of one recipe",
    "verdict_image_noise": "how often verdicts on few images hold what real recipes differ by on many",
    "verdict_calibration": "how often verdicts are right, on simulated detectors with a known truth",
    "search_confirmation": "what becomes of the best of equal trials, on the images that chose it and on others",
}
ROOT = Path(__file__).parents[1]


def main() -> int:
    """Run them, each in a process of its own; returns 1 if one of them did not come to its end."""
    told = "\n".join(f"  {name}: {what}" for name, what in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"{__doc__}\n\n{told}\n\nEach alone, with options of its own: python -m benchmarks.NAME --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all of them")
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    failed = []
    for name in names:
        print(f"== {name}: {BENCHMARKS[name]}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT).returncode:
            failed.append(name)
        print(flush=True)
    if failed:
        print(f"not finished: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
