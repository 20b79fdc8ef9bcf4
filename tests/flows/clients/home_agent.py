"""An agent in a workflow, for tests: its task says what it does. With `talk` on the command line it is spoken to by JSON lines."""

import json
import sys
import time
from pathlib import Path

talk = sys.argv[1:] == ["talk"]
task = json.loads(sys.stdin.readline())["text"] if talk else sys.stdin.read()
print("My task:", task, flush=True)
if "ask" in task:
    print("?? Which colour?", flush=True)
    Path("colour.txt").write_text(json.loads(sys.stdin.readline())["text"])
if "mend" in task:
    Path("README.md").write_text("Mended; ::error::is no command.\n")
if "fail" in task:
    print("I cannot.", flush=True)
    sys.exit(3)
if "forever" in task:
    time.sleep(60)
print("Done.", flush=True)
