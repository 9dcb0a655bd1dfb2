"""Ids and durations, without the modules that would cost start-up time."""

import os

HEX = set("0123456789abcdef")


def new_uuid():
    text = os.urandom(16).hex()
    return "-".join((text[:8], text[8:12], "4" + text[13:16], "8" + text[17:20], text[20:]))


def is_uuid(text):
    parts = text.lower().split("-")
    return [len(part) for part in parts] == [8, 4, 4, 4, 12] and set("".join(parts)) <= HEX


def name_error(name):
    """Why `om` refuses a service name, or None."""
    if name != name.lower():
        return "invalid path: uppercase letters are not allowed in path name: %s" % name
    fine = set("abcdefghijklmnopqrstuvwxyz0123456789-.")
    if not name or set(name) - fine or name[0] in "-." or len(name) > 63:
        return "invalid path: invalid name %s (rfc952)" % name
    if name.isdigit():
        return "invalid path: invalid name %s" % name
    return None


def duration(text):
    """Seconds of `1h2m3.5s`, `500ms` or a bare number; None if it is none."""
    total, number, units = 0.0, "", {"h": 3600, "m": 60, "s": 1, "ms": 0.001, "d": 86400}
    index = 0
    while index < len(text):
        if text[index] in "0123456789.":
            number += text[index]
            index += 1
            continue
        unit = "ms" if text[index : index + 2] == "ms" else text[index]
        if unit not in units or not number:
            return None
        total += float(number) * units[unit]
        number = ""
        index += len(unit)
    return total + float(number) if number else total
