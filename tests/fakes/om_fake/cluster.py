"""The cluster's directory: its nodes, its settings and faults, its state under a lock.

Nothing runs in the background: what the daemons would have done by now is worked
out at each read (`settle` in services.py).
"""

import fcntl
import json
import os
import time

ZERO_TIME = "0001-01-01T00:00:00Z"

# Seconds; `set/NAME` replaces one, `set/scale` multiplies those not replaced.
TIMINGS = {
    "propagate": 0.7,  # create until the instance is there
    "delete": 1.2,  # delete asked inside the scope until it is gone
    "delete-outside": 0.65,  # the same asked on any other node
    "abort": 0.9,
    "start": 0.04,  # run accepted until the task's process is there
    "lag": 0.15,  # task ended until other nodes know
    "maintenance": 90.0,  # how long a stopped node stays listed
    "dead": 15.0,  # how long a cut or killed node looks healthy
    "rejoin": 0.6,  # a started node in state rejoin
    "return": 0.7,  # a healed node until it is listed again
    "peer-timeout": 30.0,  # a call towards a node that was cut a moment ago
}
UNSCALED = ("maintenance", "dead", "peer-timeout")


def stamp(seconds):
    """Unix time as the recordings write it, by clocks that may be wrong (FAKE_OM_CLOCK, seconds)."""
    seconds += float(os.environ.get("FAKE_OM_CLOCK", 0))
    nanos = int((seconds % 1) * 1e9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".%09dZ" % nanos


class Cluster:
    """The files below FAKE_OM_DIR, from the view of the node `own`."""

    def __init__(self, folder, own=None):
        self.folder = folder
        with open(self.path("cluster")) as names:
            self.names = names.read().split()
        self.own = own or self.names[0]

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    # --- settings and faults ---

    def fault(self, name):
        """The text of `set/NAME`, None if there is none; `TEXT*3` counts down."""
        try:
            with open(self.path("set", name)) as file:
                text = file.read().strip()
        except FileNotFoundError:
            return None
        value, star, left = text.rpartition("*")
        if not star or not left.isdigit():
            return text
        if left == "0":
            return None
        with open(self.path("set", name), "w") as file:
            file.write("%s*%d" % (value, int(left) - 1))
        return value

    def seconds(self, name):
        text = self.fault(name)
        if text is not None:
            return float(text)
        scale = 1.0 if name in UNSCALED else float(self.fault("scale") or 1)
        return TIMINGS[name] * scale

    # --- nodes ---

    def since(self, node, mark):
        """The time of the file `mark` of a node, None if there is none."""
        try:
            return os.stat(self.path("nodes", node, mark)).st_mtime
        except OSError:
            return None

    def pairs(self, node, name):
        """The K=V lines of a node's file; of all nodes' where the node has none."""
        for path in (self.path("nodes", node, name), self.path("set", name)):
            try:
                with open(path) as file:
                    lines = [line.rstrip("\n") for line in file]
            except OSError:
                continue
            return dict(line.split("=", 1) for line in lines if "=" in line)
        return {}

    def daemon_runs(self, node):
        return self.since(node, "stopped") is None and self.since(node, "killed") is None

    def lost(self, node, other=None):
        """Since when `node` and `other` (own node) do not reach each other, or None."""
        other = other or self.own
        marks = [self.since(node, "stopped"), self.since(node, "killed")]
        if other != node:
            marks += [self.since(node, "cut"), self.since(other, "cut")]
            marks += [self.since(other, "stopped"), self.since(other, "killed")]
        return min([mark for mark in marks if mark is not None], default=None)

    def joined(self, node):
        """When a node that came back is a full member again; 0 if it never left."""
        since = self.since(node, "back")
        if since is None:
            return 0
        with open(self.path("nodes", node, "back")) as file:
            how = file.read().strip()
        return since + self.seconds("return" if how == "heal" else "rejoin")

    def state(self, node, now):
        """`monitor.state` of a node from the view of the local node; None: not listed."""
        try:
            with open(self.path("nodes", node, "state")) as file:
                return file.read().strip() or None
        except OSError:
            pass
        stopped = self.since(node, "stopped")
        if stopped is not None:
            return "maintenance" if now - stopped < self.seconds("maintenance") else None
        lost = self.lost(node)
        if lost is not None:
            return "idle" if now - lost < self.seconds("dead") else None
        back = self.joined(node)
        if now < back:
            with open(self.path("nodes", node, "back")) as file:
                return None if file.read().strip() == "heal" else "rejoin"
        return "idle"

    def select(self, selector):
        """The configured nodes a --node argument names: names, globs, label=value."""
        if selector is None:
            return list(self.names)
        wanted = selector.replace(",", " ").split()
        return [node for node in self.names if any(self._matches(node, w) for w in wanted)]

    def _matches(self, node, wanted):
        if "=" in wanted:
            key, value = wanted.split("=", 1)
            return self.pairs(node, "labels").get(key) == value
        if "*" in wanted or "?" in wanted or "[" in wanted:
            from fnmatch import fnmatchcase

            return fnmatchcase(node, wanted)
        return node == wanted

    # --- state ---

    def locked(self):
        return Locked(self)

    def read(self):
        """The last saved state, without a lock."""
        try:
            with open(self.path("state")) as file:
                return json.load(file)
        except FileNotFoundError:
            return {"services": {}, "runs": {}}


class Locked:
    """`with cluster.locked() as state:` loads, and saves what became of it."""

    def __init__(self, cluster):
        self.cluster = cluster

    def __enter__(self):
        self.lock = os.open(self.cluster.path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.state = self.cluster.read()
        self.before = json.dumps(self.state)
        return self.state

    def __exit__(self, kind, *_):
        after = json.dumps(self.state)
        if kind is None and after != self.before:
            with open(self.cluster.path("state.new"), "w") as file:
                file.write(after)
            os.rename(self.cluster.path("state.new"), self.cluster.path("state"))
        os.close(self.lock)
