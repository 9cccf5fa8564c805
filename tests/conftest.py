"""Settings that must be made before anything imports SciPy or torch's thread pools."""

import os

os.environ["SCIPY_ARRAY_API"] = "1"
