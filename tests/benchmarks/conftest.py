"""Let pytest import the scripts, which import `_common` from their own folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
