"""Keys that the diagnosis does not need are dropped and numbers shortened, to keep the recorded logs small."""
import json

KEPT = ("name", "kind", "activation", "weight_gain", "gradient_norm", "update_ratio", "dead_units", "activation_saturated")


def shorten(path, lines=None):
    """All lines, or so many of the first."""
    path.write_text("".join(map(shortened, path.read_text().splitlines()[:lines])))


def shortened(line):
    short = lambda value: float(f"{value:.3g}") if isinstance(value, float) else value
    line = json.loads(line)
    line["layers"] = [{k: short(layer[k]) for k in KEPT if layer.get(k) is not None} for layer in line["layers"]]
    return json.dumps({k: short(v) for k, v in line.items()}, separators=(",", ":")) + "\n"
