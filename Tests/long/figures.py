"""Figures that the long tests measure: shown at the end of every run, and kept as JSON for `make bench`."""
import datetime
import json
import os
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parents[2] / ".build" / "bench"
NOTED = {}


def note(title, name, value):
    """A figure as a person reads it, under the title of its rig."""
    NOTED.setdefault(title, {})[name] = value


def busy():
    """How long others waited for a core in the last ten seconds, in per cent; nil where the kernel does not tell."""
    try:
        text = pathlib.Path("/proc/pressure/cpu").read_text()
    except OSError:
        return None
    return float(text.split("avg10=")[1].split()[0])


def keep(name, values):
    """Writes `.build/bench/NAME.json` as a whole or not at all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    values = {"measuredAt": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), **values}
    part = FOLDER / f"{name}.json.part"
    part.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n")
    os.replace(part, FOLDER / f"{name}.json")


def percentile(values, part):
    """The smallest value that `part` per cent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * part // 100) - 1)]
