"""The sample agent of `trunkline demo`: a program that reads the task, runs the test, mends the code and runs the test again."""

import json
import pathlib
import subprocess
import sys

CART = pathlib.Path("shop/cart.py")
WRONG, RIGHT = "sum(item.price for item", "sum(item.price * item.quantity for item"


def say(type: str, **fields: object) -> None:
    print(json.dumps({"type": type, **fields}), flush=True)


def test() -> bool:
    say("tool_call", tool="Bash", display="python3 -m unittest")
    ran = subprocess.run([sys.executable, "-B", "-m", "unittest"], capture_output=True, text=True)
    say("tool_result", tool="Bash", output=ran.stderr, is_error=ran.returncode != 0)
    return ran.returncode == 0


say("message", text="My task: " + sys.stdin.read().strip())
test()
say("tool_call", tool="Read", display=str(CART))
code = CART.read_text()
say("tool_result", tool="Read", output=code)
say("thinking", text="total() adds up prices and forgets that an item may be there more than once.")
say("tool_call", tool="Edit", display=str(CART))
CART.write_text(code.replace(WRONG, RIGHT))
say("tool_result", tool="Edit", output=RIGHT)
if not test():
    sys.exit("the test still fails")
say("message", text="The total of a cart now counts every piece of an item; the failing test passes.")
