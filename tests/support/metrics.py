"""Prometheus' text format: the one parser of it."""
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
META = re.compile(rf"# (HELP|TYPE) ({NAME}) (.*)")
SAMPLE = re.compile(
    rf'({NAME})(\{{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*",?)*\}})? '
    r"(-?[0-9.]+(?:e[-+]?\d+)?|\+Inf|-Inf|NaN)")
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")


def parse_metrics(text):
    """{name and labels: value}, {name: type}. Asserts that it is text 0.0.4:
    one TYPE a name, before its samples, and no series twice."""
    assert text.endswith("\n"), text[-100:]
    types, series = {}, {}
    for line in text[:-1].split("\n"):
        meta = META.fullmatch(line)
        if meta and meta[1] == "TYPE":
            assert meta[2] not in types, line
            assert meta[2] not in {s.partition("{")[0] for s in series}, line
            assert meta[3] in TYPES, line
            types[meta[2]] = meta[3]
        if line.startswith("#"):
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, f"no sample: {line!r}"
        name = sample[1] + (sample[2] or "")
        assert name not in series, f"{name} twice"
        base = re.sub(r"_(bucket|sum|count)$", "", sample[1])
        assert sample[1] in types or base in types, f"no TYPE: {line}"
        series[name] = float(sample[3])
    assert series, text
    return series, types


def series_of(text):
    return parse_metrics(text)[0]


def metric_sum(series, name, label=""):
    """The sum of a metric's samples, or of those with that label."""
    found = [value for key, value in series.items()
             if key.partition("{")[0] == name and label in key]
    assert any(key.partition("{")[0] == name for key in series), \
        f"no {name} in {sorted(series)}"
    return sum(found)
