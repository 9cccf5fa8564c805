"""Settings that must be made before anything imports SciPy or torch's thread pools."""

import os

os.environ["SCIPY_ARRAY_API"] = "1"
# Tests run in one process per core, and small networks gain nothing from threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
