"""Every module of the zoo with every pruner, against plain torch.

``OMP_NUM_THREADS=1 python -m tests.benchmarks.zoo [module ...]`` fits four pruners to each module
of `tests.zoo`, or to those named, and compares training, predictions, zeros, effective weights,
inputs and exports with plain torch. It prints a line for each fault, and a table; its exit status
is 1 if there is any fault. It takes a quarter of an hour on one core, of which ``--skip onnx``
leaves out all but two minutes.
"""

import argparse
import re
import sys
import warnings
from collections import Counter

from joblib import Parallel, delayed

from tests.zoo import ZOO
from tests.zoo.checks import CHECKS, LEFT_OUT, examine, faults
from tests.zoo.fitting import PRUNERS

FIRST_SENTENCE = re.compile(r".*?(?=\. |\n|$)")


def measure(name, kind, checks):
    """Examine a module without the warnings of torch's own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return examine(ZOO[name], kind, checks)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="module", help="names; without any, all")
    parser.add_argument("--skip", nargs="*", choices=CHECKS, default=[], help="checks to leave out")
    options = parser.parse_args()
    checks = [name for name in CHECKS if name not in options.skip]
    cases = [(name, kind) for name in options.modules or ZOO for kind in PRUNERS]
    results = Parallel(n_jobs=-1, return_as="generator")(
        delayed(measure)(name, kind, checks) for name, kind in cases
    )
    counts = {check: Counter() for check in ("fit", *checks)}
    for (name, kind), found in zip(cases, results, strict=True):
        wrong = faults(found)
        for check, outcome in found.items():
            counts[check]["fault" if check in wrong else outcome] += 1
        for check, fault in wrong.items():
            print(f"{name}, {kind}, {check}: {FIRST_SENTENCE.match(fault)[0]}", flush=True)
    outcomes = ("equal", "refused", LEFT_OUT, "fault")
    print(f"\n| check | cases | {' | '.join(outcomes)} |\n|{'---|' * 6}")
    for check, count in counts.items():
        print(f"| {check} | {count.total()} | {' | '.join(str(count[o]) for o in outcomes)} |")
    return int(any(count["fault"] for count in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
