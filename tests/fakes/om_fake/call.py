"""One call in progress: its cluster, its arguments, and its deadline."""

import time

from . import answers, services
from .arguments import NO_DAEMON, Failed
from .names import duration


class Call:
    """One call, with what every answer needs."""

    def __init__(self, cluster, args, selector, stdin):
        self.cluster, self.args, self.selector, self.stdin = cluster, args, selector, stdin
        self.form = args.get("output", "auto")
        self.began = time.time()
        self.limit = self.began + (duration(args.get("time", "5m")) or 300)

    def need_daemon(self, path):
        if not self.cluster.daemon_runs(self.cluster.own):
            raise Failed(NO_DAEMON % path)

    def settled(self):
        return Settled(self.cluster)

    def show(self, value):
        return answers.show(value, self.form)

    def until(self, done, step=0.005):
        """Polls the state until `done(state, now)`; False when --time is over."""
        while time.time() < self.limit:
            with self.settled() as state:
                if done(state, time.time()):
                    return True
            time.sleep(step)
        return False


class Settled:
    """The state, locked, with everything done that is due."""

    def __init__(self, cluster):
        self.cluster, self.inner = cluster, cluster.locked()

    def __enter__(self):
        state = self.inner.__enter__()
        services.settle(self.cluster, state, time.time())
        return state

    def __exit__(self, *what):
        return self.inner.__exit__(*what)


def unreachable(call, node, path, method):
    """Fails, at once or after a long time, if the node does not answer."""
    cluster = call.cluster
    if cluster.lost(node) is None:
        return
    if cluster.state(node, time.time()) is None:
        raise Failed("unexpected status code: 404")
    url = '%s "https://%s:1215/api/%s"' % (method, node, path)
    if cluster.daemon_runs(node):
        patience = cluster.seconds("peer-timeout")
        if call.args.get("wait"):
            patience = min(patience, max(0, call.limit - time.time()))
        time.sleep(patience)
        why = "net/http: request canceled (Client.Timeout exceeded while awaiting headers)"
    else:
        why = "dial tcp: connect: connection refused"
    raise Failed("[500] Request peer: %s: %s: %s" % (node, url, why))
