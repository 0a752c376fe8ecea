"""The short round starts and kills dozens of processes: it runs when CHAOS_ROUND is set, the rest always."""

import os

collect_ignore = [] if os.environ.get("CHAOS_ROUND") else ["test_short.py"]
