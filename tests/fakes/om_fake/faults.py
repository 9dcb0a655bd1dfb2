"""The last step of every answer: unchanged, or broken by a fault of the test."""

import sys
import time


def answer(cluster, call, out, code):
    """Prints the answer and returns the exit code."""
    how = cluster.fault("answer." + call)
    if how is None:
        sys.stdout.write(out)
    elif how == "truncated":
        sys.stdout.write(out[: len(out) * 2 // 3])
    elif how == "german":
        sys.stdout.write("Der Dienst wurde ausgeführt: ja\n")
    elif how == "garbage":
        sys.stdout.buffer.write(b"\xff\xfe\x00{]" * 20)
    elif how == "null":
        sys.stdout.write("null\n")
    elif how == "huge":
        sys.stdout.write("[" + ('"' + "x" * 1022 + '",') * (50 * 1024) + "null]\n")
    elif how == "hang":
        time.sleep(3600)
    elif how.startswith("exit "):
        sys.stdout.write(out)
        code = int(how[5:])
    elif how != "empty":
        sys.exit("fake om: no such answer: %s" % how)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = None
    return code
