"""What the pages of the API say that no table has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spinney.cli.reference.text import table
from spinney.domain.credential import KEYS, CredentialType
from spinney.domain.secret import MOST_BYTES, MOST_KEYS


@dataclass(frozen=True, slots=True)
class Page:
    """``firsts``: the first segments of the paths on it."""

    title: str
    firsts: tuple[str, ...]
    says: str
    #: More of it, after all calls.
    end: str = ""


PAGES: Mapping[str, Page] = {
    "clusters": Page(
        "Clusters",
        ("clusters",),
        """\
A cluster is a set of nodes of one profile type with a desired, a minimum and a maximum size. Its status follows from its
nodes; nobody sets it. Deleting it deletes its nodes.

What its `config` may hold besides the user's own keys is told where it matters: [Host clusters](../../how-to/host-clusters.md),
[Emptying hosts and evening them out](../../how-to/draining.md), [Scaling and updates](../../how-to/scaling-and-updates.md).
""",
    ),
    "nodes": Page(
        "Nodes",
        ("nodes",),
        """\
A node is one thing made from a profile: a container, or a host. It is a member of one cluster or of none. Operations of
containers, and their parameters, are on [the page of profile types](../profiles.md#operations).
""",
        """\
## Commands in containers: the WebSocket

What `POST /v1/nodes/{node}/exec` answers is leave to run that command once. Open `stream_path` as a WebSocket within 60
seconds, with the subprotocol `spinney.exec.v1`; the word in that path is all it takes. Messages are binary, 1 MiB at most, and
the first byte says what the rest is:

| first byte | from | what follows |
| --- | --- | --- |
| 0 | client | input |
| 1 | service | output; nothing at all is a sign of life |
| 2 | service | error output, where there is no terminal |
| 3 | client | JSON: `{"resize": {"width": 80, "height": 24}}`, `{"eof": true}` (no more input) |
| 3 | service | JSON, the last message: `{"exit": 0}`, or `{"error": {"type": "…", "message": "…"}}` |

A path that was used, is too old or never was is refused before there is a WebSocket, with 404 as any unknown path; a page of
another site with 403, no offer of the subprotocol with 400, too many open streams with 429. The connection ends with code 1000
after an exit code, with 1011 after an error. More: [Run a command in a container](../../how-to/exec.md).

## Logs

A node's log is `text/plain`, as the container wrote it; a host that fails in the middle ends it with a line that begins with
`spinney:`. A cluster's is `application/x-ndjson`, a JSON object a line with `node_id`, `node_name` and either `stream`
(`stdout` or `stderr`), `time` (null: unknown) and `line`, or `error`: why this member's log cannot be read.
""",
    ),
    "profiles": Page(
        "Profiles",
        ("profile-types", "profiles"),
        """\
A profile is what nodes are made from. Its specification never changes; [its types](../profiles.md) say what can be in one.
Without `spinney 1.0` in the header lists leave out the types that are Spinney's own, and a specification without type or
version is answered with 500 `ESchema`, as Senlin does; with it, with 400.
""",
    ),
    "policies": Page(
        "Policies",
        ("policy-types", "policies"),
        """\
A policy is a rule that is attached to clusters and asked before their actions; [its types](../policies.md) say what can be in
one. Attaching is an action of the cluster (`policy_attach`). Without `spinney 1.0` in the header lists leave out the types that
are Spinney's own, and a specification that breaks its schema is answered with 500 `ESchema`, as Senlin does; with it, with 400.
""",
    ),
    "receivers": Page(
        "Receivers and webhooks",
        ("receivers", "webhooks"),
        """\
A receiver lets something outside start one action on one cluster. The answer that makes it is the only one that has its
secret; `rotate` makes another. How to use them: [Letting alarms act](../../how-to/webhooks.md).

A request proves that it may start the receiver in one of these ways; the first of them that it has counts:

| proof | where |
| --- | --- |
| a signature | `X-Spinney-Timestamp: SECONDS` and `X-Spinney-Signature: v1=HEX`; five minutes old at most, and good once |
| the secret | `X-Spinney-Webhook-Secret: SECRET` |
| the secret | `Authorization: Bearer SECRET` |
| the secret | `secret=SECRET` in the query |
| none | only for receivers that are `open`, where the operator allows that |

The signature is `HMAC-SHA256(key, "v1\\n" + timestamp + "\\nPOST\\n" + path + "?" + query + "\\n" + body)` in hexadecimal,
with `key = HMAC-SHA256(secret, "spinney-webhook-v1")` and the path from `/v1` on. Whatever is wrong with a proof, and also
a receiver that is disabled, expired or absent, is answered with the same 404.

The query needs `V`. With `V=2`, or from version 1.10 on, the body holds inputs of the action, which count more than those of
the receiver; with `V=1` they stand below `params`. Keys that the action does not know are passed over.
""",
    ),
    "history": Page(
        "Actions and events",
        ("actions", "events"),
        """\
Each change is an action: 202 names it in `Location`. Its status is `INIT`, `READY`, `WAITING`, `RUNNING`, `SUSPENDED` or
`WAITING_LIFECYCLE_COMPLETION` while it lives, and in the end `SUCCEEDED`, `FAILED` or `CANCELLED`, with the reason in
`status_reason`. An action on a cluster waits for the actions on its nodes. Actions that have ended are kept for
`retention.actions` seconds, events for `retention.events`.
""",
    ),
    "hosts": Page(
        "Hosts, shares and credentials",
        ("hosts", "shared-clusters", "credentials"),
        """\
A host is a node on whose Docker engine containers run. Registering one, and everything about credentials, needs the role
`admin`. A host cluster can be shared with other projects; of the hosts of others one sees an alias and no address. How to:
[Adding hosts](../../how-to/adding-hosts.md), [Host clusters](../../how-to/host-clusters.md).
""",
        "## What credentials hold\n\n"
        + table(
            ("type", "keys of `data`", "and, if you like"),
            (
                (f"`{kind}`", *(", ".join(f"`{key}`" for key in sorted(keys)) for keys in KEYS[kind]))
                for kind in CredentialType
            ),
        )
        + "\n\nAll are text, in PEM or as OpenSSH keeps them; `projects` is a list of ids of those that may name a login, or "
        '`["*"]`.\n',
    ),
    "projects": Page(
        "Secrets, quotas, image rules and grants",
        ("secrets", "quotas", "image-rules", "grants"),
        f"""\
What a project keeps, and what it may have. A secret has {MOST_KEYS} keys and {MOST_BYTES} bytes at most. In the paths of
quotas and image rules `-` stands for the caller's own project, and `*` in those of image rules for all that have no rule of
their own. How to: [Passwords, keys and registry logins](../../how-to/secrets.md),
[Quotas and image rules](../../how-to/quotas-and-image-rules.md), [Grants](../../how-to/grants.md).
""",
    ),
    "service": Page(
        "The service itself",
        ("build-info", "services", "openapi.json"),
        """\
What answers, and a description of it all for machines. `GET /` and `GET /v1` tell the versions and need no credentials.
""",
    ),
}

#: Routes that stand on another page than their first segment says.
ELSEWHERE = {"clusters/{cluster}/shares": "hosts", "clusters/{cluster}/shares/{project}": "hosts"}

PARAMETERS: Mapping[str, str] = {
    "force": "true: do it in the middle of something else too. Passed over below version 1.8.",
    "show_details": "true: ask the host too, and answer with `details`.",
    "tail": "How many of the last lines; given none, or all: all.",
    "since": "From then on: seconds since the epoch, a time as in 2026-11-22T08:00:00Z, or an age as in 10m.",
    "until": "Up to then, likewise.",
    "follow": "true: go on as more is written.",
    "timestamps": "true: begin each line with its time.",
    "stdout": "Whether what was written there; given neither this nor the next, both.",
    "stderr": "Likewise.",
    "run": "Only members of the run with that number.",
    "V": "1 or 2: where in the body the inputs are. Required.",
    "secret": "The receiver's secret, where no header has it.",
}
#: Of single routes.
PARAMETERS_OF: Mapping[tuple[str, str], str] = {
    ("clusters/{cluster}/metrics", "name"): "Only of this metric; may be repeated.",
    ("clusters/{cluster}/metrics", "limit"): "At most so many, 1000 if none is given, 10000 at most.",
    ("clusters/{cluster}/metrics", "marker"): "The id of the last sample of the page before.",
    ("actions/{action}", "force"): "true: end it at once, and that of nodes with it, whatever an engine is doing.",
}

#: What the value of a filter looks like, where that is not plain.
FILTERS: Mapping[str, str] = {"label": "key or key=value; each that is given has to fit"}

#: What clustering 1.N brought besides the calls and keys that say so themselves.
BROUGHT: Mapping[int, str] = {
    0: "What has no other version here.",
    1: "There are microversions.",
    6: "`check` in requests to recover; here at every version.",
    7: "The list of engine processes, changing receivers, `config` of new clusters; here at every version.",
    8: "`force` in deletions.",
    10: "A webhook's body holds the inputs themselves.",
    11: "409 where a scaling conflicts with another or a policy cools down; here at every version.",
}
OURS = (
    "All calls that have *spinney 1.0* in the column *since*. Types of Spinney's own are in the lists of types. A "
    "specification that breaks its schema is answered with 400 and not with 500."
)
