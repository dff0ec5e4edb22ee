"""The page of the configuration."""

from __future__ import annotations

from spinney.cli.reference.text import table
from spinney.config import options

_CONFIGURATION_HEAD = """\
# Configuration

*This page is generated: `python -m spinney.cli.reference configuration`.*

`spinney standalone`, `api`, `engine` and `db` take `--config-file FILE`, which may be repeated: of two values the later
one counts, and `--host` and `--port` count more than any file. Without a file every option has its default. What is
not on this page is refused. A file is in the format of oslo.config:

```ini
[api]
port = 8800

[driver]
unix_sockets = /var/run/docker.sock, /srv/engines/*.sock
```

Sizes are in bytes, times in seconds, CPU in cores. The state directory is no option: `--state-dir`, else
`$SPINNEY_STATE_DIR`, else `spinney` in `$XDG_STATE_HOME` (`~/.local/state`).
"""


def configuration_page() -> str:
    parts = [_CONFIGURATION_HEAD]
    for section, found in options().items():
        rows = ((f"`{option.name}`", _option_default(option.default), option.help or "") for option in found)
        parts.append(f"## [{section}]\n\n{table(('option', 'default', 'meaning'), rows)}\n")
    return "\n".join(parts)


def _option_default(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return f"`{text}`" if text else ""
