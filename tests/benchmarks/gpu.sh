#!/usr/bin/env bash
# Tests and times everything on an NVIDIA card, in at most six minutes:
#     OUT=results bash tests/benchmarks/gpu.sh
# writes results/gpu.md, without OUT to the standard output. A Python that has what the tests need
# is used as it is (PYTHON names another one); otherwise a virtual environment .gpu is made.
set -u
cd "$(dirname "$0")/../.."
export OMP_NUM_THREADS=1 PYTHONPATH=.
[ -z "${OUT:-}" ] || mkdir -p "$OUT"
python=${PYTHON:-python3}
if ! "$python" -c "import torch, skorch, sklearn.callback, safetensors, pytest" 2>/dev/null; then
    echo "Installing into .gpu" >&2
    "$python" -m venv .gpu && .gpu/bin/pip install -q -e . pytest || exit 1
    python=.gpu/bin/python
fi
began=$SECONDS
nvidia-smi --query-gpu=name,memory.total --format=csv,noheader >&2
timeout 100 "$python" -m pytest -q -rf -p no:cacheprovider tests/test_gpu.py >&2
failed=$?
echo "Tests ended with $failed after $((SECONDS - began)) s" >&2
timeout $((350 - SECONDS + began)) "$python" -u tests/benchmarks/gpu.py --seconds 150 "$@"
exit $((failed ? failed : $?))
