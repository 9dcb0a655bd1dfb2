"""Reads packaging/*.files for comparisons."""

import os

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def rows(name, section=None):
    """(kind, mode, owner, path, source) of each line; of one [section] only, if named."""
    found, current = [], None
    with open(os.path.join(TOP, "packaging", name)) as file:
        for line in file:
            if line.startswith("["):
                current = line.strip("[]\n")
            elif line.strip() and not line.startswith("#") and section in (None, current):
                found.append((line.split() + [""])[:5])
    assert found, f"packaging/{name} lists nothing"
    return found


def sections(name):
    with open(os.path.join(TOP, "packaging", name)) as file:
        found = [line.strip("[]\n") for line in file if line.startswith("[")]
    assert found, f"packaging/{name} has no section"
    return found
