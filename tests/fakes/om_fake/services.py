"""Services: where their configuration is, how it spreads, how it is deleted.

`copies` of a service is what each node has; a copy is an instance from `at` on.
A node that is away keeps its copy, and spreads it again when it returns.
"""

from .names import new_uuid

DELETIONS = ("deleted", "purged")


def parse_ini(text):
    """Sections of a configuration, {section: {key: value}}."""
    sections = {}
    keys = sections.setdefault("DEFAULT", {})
    for line in text.splitlines():
        line = line.split(" #")[0].split(" ;")[0].strip()
        if not line or line[0] in "#;":
            continue
        if line[0] == "[" and line[-1] == "]":
            keys = sections.setdefault(line[1:-1], {})
        elif "=" in line:
            key, value = line.split("=", 1)
            keys[key.strip()] = value.strip()
    return sections


def create(cluster, state, name, text, now):
    """A new configuration, created on the local node; None, or the error."""
    settle(cluster, state, now)
    service = state["services"].get(name)
    if service and cluster.own in service["copies"]:
        return "%s already exists" % name
    sections = parse_ini(text)
    wanted = sections["DEFAULT"].get("nodes", cluster.own).split()
    scope = [node for node in wanted if node in cluster.names] or [cluster.own]
    new_id = new_uuid()
    text = text.rstrip("\n") + "\n"
    if "\nid = " not in text:
        text = text.replace("[DEFAULT]\n", "[DEFAULT]\nid = %s\n" % new_id, 1)
    old = service["copies"] if service else {}
    state["services"][name] = {
        "id": new_id,
        "text": text,
        "sections": sections,
        "scope": scope,
        "made": now,
        # The file on the node that was asked: an instance if it is in the scope.
        "from": cluster.own,
        # An outsider's second create replaces the configuration under the instances.
        "copies": {node: copy for node, copy in old.items() if node in scope},
        "job": None,
        "returns": None,
    }
    settle(cluster, state, now)
    return None


def holders(cluster, service):
    """Nodes that have the configuration now, instance or not."""
    nodes = list(service["copies"])
    if service["from"] and service["from"] not in nodes:
        nodes.append(service["from"])
    return nodes


def spread(cluster, service, now):
    """Gives a copy to each node of the scope that a node holding one reaches."""
    if service["job"] and service["job"]["kind"] in DELETIONS:
        return
    delay = cluster.seconds("propagate")
    for node in service["scope"]:
        if node in service["copies"] or not cluster.daemon_runs(node):
            continue
        for holder in holders(cluster, service):
            if cluster.daemon_runs(holder) and cluster.lost(node, holder) is None:
                since = max(service["made"], cluster.joined(node), cluster.joined(holder))
                service["copies"][node] = {"listed": since + 0.8 * delay, "at": since + delay}
                break
    if service["from"] not in service["scope"]:
        if any(copy["at"] <= now for copy in service["copies"].values()):
            service["from"] = None


def settle(cluster, state, now):
    """Applies everything that real daemons would have done by now."""
    for name in list(state["services"]):
        service = state["services"][name]
        job = service["job"]
        if job and job["kind"] in DELETIONS:
            work_on_deletion(cluster, state, name, now)
        elif job and job["until"] <= now:
            service["job"] = None
        back = service["returns"]
        if back and back["at"] <= now:
            copy = {"listed": back["at"], "at": back["at"]}
            service["copies"] = {node: dict(copy) for node in back["nodes"]}
            service["returns"] = None
        spread(cluster, service, now)
        if not service["copies"] and not service["from"] and not service["returns"]:
            del state["services"][name]


def job(kind, until, node):
    """An orchestration, done at the earliest at `until`, as seen from `node`."""
    return {"id": new_uuid(), "kind": kind, "until": until, "on": node, "disturbed": False}


def delete(cluster, service, kind, now):
    """Begins to delete; the id of the orchestration."""
    # Only the local node of several is left: half the time there is no agreement to wait for.
    near = [node for node in service["copies"] if cluster.state(node, now) is not None]
    alone = cluster.own not in service["scope"] or len(near) == 1
    delay = cluster.seconds("delete-outside" if alone else "delete")
    service["job"] = job(kind, now + delay, cluster.own)
    return service["job"]["id"]


def work_on_deletion(cluster, state, name, now):
    """Deletes the copies on nodes that are listed; one that is listed but does not
    answer delays the deletion until it is no longer listed."""
    service = state["services"][name]
    job = service["job"]
    if now < job["until"]:
        return
    away = []
    for node in list(service["copies"]):
        if cluster.lost(node, job["on"]) is None:
            continue
        if seen_by(cluster, job["on"], node, now):
            return
        away.append(node)
    gone = [node for node in service["copies"] if node not in away]
    service["copies"] = {node: service["copies"][node] for node in away}
    service["from"] = None
    service["job"] = None
    comes_back = cluster.fault("comes-back")
    if comes_back is not None:
        service["returns"] = {"at": job["until"] + float(comes_back), "nodes": gone}


def shows_instances(cluster, node, now):
    """Whether the local node still lists the instances of the other."""
    if cluster.since(node, "stopped") and cluster.fault("stopped-forgets") is not None:
        return False
    return cluster.state(node, now) is not None


def seen_by(cluster, own, node, now):
    return shows_instances(cluster.__class__(cluster.folder, own), node, now)


def instances(cluster, state, name, now):
    """{node: copy} of a service from the view of the local node."""
    service = state["services"].get(name)
    if not service:
        return {}
    return {
        node: copy
        for node, copy in service["copies"].items()
        if copy["listed"] <= now
        and (node == cluster.own or shows_instances(cluster, node, now))
    }


def known(cluster, state, name, now):
    """Whether the local daemon lists the service: neither a file made a moment ago, nor
    one that waits here for a node of its scope, is listed."""
    return bool(instances(cluster, state, name, now))


def known_or_file(cluster, state, name, now):
    """The same, or its file is on the local node: the condition of delete and config."""
    service = state["services"].get(name)
    if not service:
        return False
    has_file = service["from"] == cluster.own or cluster.own in service["copies"]
    return has_file or known(cluster, state, name, now)


def by_name(cluster, state, selector, now):
    """The services a selector names, if the local daemon lists them."""
    names = [name for name in state["services"] if known(cluster, state, name, now)]
    if selector is None or selector in ("*", "**", "*/svc/*"):
        return names
    from fnmatch import fnmatchcase

    wanted = selector.split(",")
    return [name for name in names if any(fnmatchcase(name, one) for one in wanted)]
