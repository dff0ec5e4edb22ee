"""``spinney stats``: what a node, or each node of a cluster, uses at the moment."""

from __future__ import annotations

from spinney.cli import looking, output, target
from spinney.cli.command import Use, standing_alone
from spinney.cli.output import Column, Format
from spinney.cli.text import bar, cores, one_line, share_of, size


def _memory(row: output.Row) -> str:
    used, limit = row.get("memory"), row.get("memory_limit")
    drawn = f"{bar(used, limit)} " if output.coloured() and limit else ""
    return f"{drawn}{size(used)}/{size(limit)} {share_of(used, limit)}"


COLUMNS = (
    Column("NODE", "name"),
    Column("CPU", lambda row: cores(row.get("cpu")), right=True),
    Column("MEMORY", _memory),
    Column("PIDS", "pids", right=True),
    Column("NET IN/OUT", lambda row: f"{size(row.get('rx_bytes'))} / {size(row.get('tx_bytes'))}", right=True),
    Column(
        "DISK READ/WRITTEN", lambda row: f"{size(row.get('read_bytes'))} / {size(row.get('write_bytes'))}", right=True
    ),
    Column("SAMPLED", "sampled_at", is_time=True),
    Column("NOTE", lambda row: one_line(row.get("error")) if row.get("error") else ""),
)


@standing_alone
def stats(use: Use, word: target.Target, node: target.AsNode = False, cluster: target.AsCluster = False) -> None:
    """Show CPU in cores, memory and traffic since the start. A dash is unknown, never zero."""
    noun, found = target.find(use.service, word, node, cluster)
    measured = looking.unwrapped(use.service.get(noun, found["id"], "stats"))
    if use.form in (Format.JSON, Format.YAML):
        output.dump(measured, use.form)
        return
    rows = measured if isinstance(measured, list) else [measured]
    named = [{**row, "name": row.get("node_name") or row.get("node_id")} for row in rows]
    output.show_list(named, COLUMNS, use.form, f"{word} has no nodes")
