"""Build times: ours from records to graphs, lists and cost curves, against bare `add_items`."""

from streams.tools.bench.context import Bench, Measurement, TableRow


def build(bench: Bench) -> Measurement:
    """Report the build times; ours until it is settled, though it is searchable long before."""
    if f"ours {bench.size}" not in bench.built:
        bench.engine()
    for name in bench.rivals():
        if name not in bench.built:
            bench.rival(name)
    result = Measurement([])
    n = bench.size
    for name in (f"ours {n}", *bench.rivals()):
        built = bench.built[name]
        whose = name.split()[0]
        row: TableRow = {
            "index": whose,
            "seconds": round(built.took.wall, 1),
            "cpu seconds": round(built.took.cpu, 1),
            "rows/s": round(n / built.took.wall),
            "rows/cpu-s": round(n / max(built.took.cpu, 1e-9)),
        }
        if built.applied_s is not None:
            row["searchable after s"] = round(built.applied_s, 1)
            result.figures["applied/s"] = n / built.applied_s
        result.figures[f"seconds {whose}"] = built.took.wall
        result.figures[f"cpu seconds {whose}"] = built.took.cpu
        result.rows.append(row)
    return result
