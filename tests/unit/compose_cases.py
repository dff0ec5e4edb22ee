"""Keys of services: lines of a Compose file, and what they make of the profile's properties."""

from __future__ import annotations

from typing import Any

SECRET = "secrets: {pw: {external: true}, other: {external: true, name: real, x-spinney-key: token}}\n"
MIB = 2**20

#: Path of the key, lines of the service, what they make of the profile's properties.
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("services.*.image", "", {}),
    ("services.*.command", "command: a 'b c'", {"command": ["a", "b c"]}),
    ("services.*.command", "command: [a, b c]", {"command": ["a", "b c"]}),
    ("services.*.command", "command:", {}),
    ("services.*.entrypoint", "entrypoint: []", {"entrypoint": []}),
    ("services.*.entrypoint", "entrypoint: ''", {"entrypoint": []}),
    ("services.*.entrypoint", "entrypoint: [/run.sh]", {"entrypoint": ["/run.sh"]}),
    (
        "services.*.environment",
        "environment: {A: x, B: 1, C: true, D: 0.5}",
        {"environment": {"A": "x", "B": "1", "C": "true", "D": "0.5"}},
    ),
    ("services.*.environment", "environment: [A=x=y, B=]", {"environment": {"A": "x=y", "B": ""}}),
    ("services.*.env_file", "env_file: a.env\nenvironment: {B: here}", {"environment": {"A": "1", "B": "here"}}),
    ("services.*.env_file", "env_file: [a.env, b.env]", {"environment": {"A": "2", "B": "x"}}),
    ("services.*.env_file[].path", "env_file: [{path: a.env}]", {"environment": {"A": "1", "B": "x"}}),
    ("services.*.env_file[].required", "env_file: [{path: no.env, required: false}]", {}),
    ("services.*.env_file[].format", "env_file: [{path: c.env, format: raw}]", {"environment": {"C": "'$X'"}}),
    ("services.*.labels", "labels: {a.b/c: x}", {"labels": {"a.b/c": "x"}}),
    ("services.*.labels", "labels: [a=1, b]", {"labels": {"a": "1", "b": ""}}),
    ("services.*.working_dir", "working_dir: /srv", {"working_dir": "/srv"}),
    ("services.*.user", "user: 1000:1000", {"user": "1000:1000"}),
    ("services.*.user", "user: 1000", {"user": "1000"}),
    ("services.*.hostname", "hostname: web", {"hostname": "web"}),
    ("services.*.init", "init: false", {"init": False}),
    ("services.*.platform", "platform: linux/arm64", {"platform": "linux/arm64"}),
    ("services.*.pull_policy", "pull_policy: if_not_present", {"pull_policy": "missing"}),
    ("services.*.pull_policy", "pull_policy: always", {"pull_policy": "always"}),
    ("services.*.stop_signal", "stop_signal: QUIT", {"stop_signal": "SIGQUIT"}),
    ("services.*.stop_grace_period", "stop_grace_period: 1m30s", {"stop_timeout": 90}),
    ("services.*.restart", "restart: no", {"restart_policy": {"condition": "none"}}),
    ("services.*.restart", "restart: unless-stopped", {"restart_policy": {"condition": "always"}}),
    ("services.*.restart", "restart: on-failure:5", {"restart_policy": {"condition": "on-failure", "max_retries": 5}}),
    ("services.*.healthcheck", "healthcheck: {disable: true}", {"healthcheck": {"disable": True}}),
    (
        "services.*.healthcheck.disable",
        "healthcheck: {test: x, disable: false}",
        {"healthcheck": {"test": ["CMD-SHELL", "x"]}},
    ),
    ("services.*.healthcheck.test", "healthcheck: {test: [CMD, a, b]}", {"healthcheck": {"test": ["CMD", "a", "b"]}}),
    ("services.*.healthcheck.test", "healthcheck: {test: [NONE]}", {"healthcheck": {"disable": True}}),
    (
        "services.*.healthcheck.interval",
        "healthcheck: {test: x, interval: 1m30s}",
        {"healthcheck": {"test": ["CMD-SHELL", "x"], "interval": 90}},
    ),
    (
        "services.*.healthcheck.timeout",
        "healthcheck: {test: x, timeout: 1500ms}",
        {"healthcheck": {"test": ["CMD-SHELL", "x"], "timeout": 1.5}},
    ),
    (
        "services.*.healthcheck.start_period",
        "healthcheck: {test: x, start_period: 0s}",
        {"healthcheck": {"test": ["CMD-SHELL", "x"], "start_period": 0}},
    ),
    (
        "services.*.healthcheck.retries",
        "healthcheck: {test: x, retries: 5}",
        {"healthcheck": {"test": ["CMD-SHELL", "x"], "retries": 5}},
    ),
    ("services.*.logging", "logging: {driver: none}", {"log": {"driver": "none"}}),
    ("services.*.logging.driver", "logging: {driver: local}", {"log": {"driver": "local"}}),
    (
        "services.*.logging.options",
        "logging: {options: {max-size: 1m, max-file: 2}}",
        {"log": {"options": {"max-size": "1048576", "max-file": "2"}}},
    ),
    (
        "services.*.ports",
        "ports: [80, '8080:81', 127.0.0.1:82:82/udp, '127.0.0.1::83']",
        {
            "ports": [
                {"container": 80},
                {"container": 81, "host": 8080},
                {"container": 82, "host": 82, "protocol": "udp", "host_ip": "127.0.0.1"},
                {"container": 83, "host_ip": "127.0.0.1"},
            ]
        },
    ),
    (
        "services.*.ports",
        "ports: ['7000-7001:80-81', '90-91', '[::1]:8080:80']",
        {
            "ports": [
                {"container": 80, "host": 7000},
                {"container": 81, "host": 7001},
                {"container": 90},
                {"container": 91},
                {"container": 80, "host": 8080, "host_ip": "::1"},
            ]
        },
    ),
    ("services.*.ports[].target", "ports: [{target: 80}]", {"ports": [{"container": 80}]}),
    (
        "services.*.ports[].published",
        "ports: [{target: 80, published: '8080'}]",
        {"ports": [{"container": 80, "host": 8080}]},
    ),
    (
        "services.*.ports[].host_ip",
        "ports: [{target: 80, host_ip: 127.0.0.1}]",
        {"ports": [{"container": 80, "host_ip": "127.0.0.1"}]},
    ),
    (
        "services.*.ports[].protocol",
        "ports: [{target: 53, protocol: udp}]",
        {"ports": [{"container": 53, "protocol": "udp"}]},
    ),
    ("services.*.ports[].mode", "ports: [{target: 80, mode: host}]", {"ports": [{"container": 80}]}),
    ("services.*.network_mode", "network_mode: none", {"network": "none"}),
    ("services.*.secrets", "secrets: [pw]", {"secrets": [{"secret": "pw", "path": "/run/secrets/pw"}]}),
    (
        "services.*.secrets[].source",
        "secrets: [{source: other}]",
        {"secrets": [{"secret": "real", "key": "token", "path": "/run/secrets/other"}]},
    ),
    (
        "services.*.secrets[].target",
        "secrets: [{source: pw, target: a}, {source: pw, target: /etc/x/b}]",
        {"secrets": [{"secret": "pw", "path": "/run/secrets/a"}, {"secret": "pw", "path": "/etc/x/b"}]},
    ),
    (
        "services.*.secrets[].mode",
        "secrets: [{source: pw, mode: 0440}]",
        {"secrets": [{"secret": "pw", "path": "/run/secrets/pw", "mode": "0440"}]},
    ),
    (
        "services.*.secrets[].uid",
        "secrets: [{source: pw, uid: '103'}]",
        {"secrets": [{"secret": "pw", "path": "/run/secrets/pw", "uid": 103}]},
    ),
    (
        "services.*.secrets[].gid",
        "secrets: [{source: pw, gid: 103}]",
        {"secrets": [{"secret": "pw", "path": "/run/secrets/pw", "gid": 103}]},
    ),
    (
        "services.*.secrets[].x-spinney-key",
        "secrets: [{source: pw, x-spinney-key: k}]",
        {"secrets": [{"secret": "pw", "key": "k", "path": "/run/secrets/pw"}]},
    ),
    (
        "services.*.secrets[].x-spinney-env",
        "secrets: [{source: pw, x-spinney-env: PW}]",
        {"secrets": [{"secret": "pw", "env": "PW"}]},
    ),
    ("secrets.*.external", "secrets: [pw]", {"secrets": [{"secret": "pw", "path": "/run/secrets/pw"}]}),
    (
        "secrets.*.name",
        "secrets: [other]",
        {"secrets": [{"secret": "real", "key": "token", "path": "/run/secrets/other"}]},
    ),
    (
        "secrets.*.x-spinney-key",
        "secrets: [other]",
        {"secrets": [{"secret": "real", "key": "token", "path": "/run/secrets/other"}]},
    ),
    ("services.*.read_only", "read_only: true", {"read_only": True}),
    ("services.*.tmpfs", "tmpfs: /run", {"tmpfs": {"/run": {}}}),
    (
        "services.*.tmpfs",
        "tmpfs: [/run, '/tmp:size=5m,mode=1777']",
        {"tmpfs": {"/run": {}, "/tmp": {"size": 5 * MIB, "mode": "1777"}}},
    ),
    ("services.*.shm_size", "shm_size: 1gb", {"tmpfs": {"/dev/shm": {"size": 1024 * MIB}}}),
    (
        "services.*.ulimits",
        "ulimits: {nproc: 100, nofile: {soft: 10, hard: 20}}",
        {"ulimits": {"nproc": {"soft": 100, "hard": 100}, "nofile": {"soft": 10, "hard": 20}}},
    ),
    ("services.*.cap_add", "cap_add: [NET_RAW]", {"cap_add": ["NET_RAW"]}),
    ("services.*.cap_drop", "cap_drop: [all]", {"cap_drop": ["ALL"]}),
    ("services.*.cpus", "cpus: '0.50'", {"cpu": {"limit": 0.5}}),
    ("services.*.mem_limit", "mem_limit: 300m", {"memory": {"limit": 300 * MIB}}),
    ("services.*.mem_reservation", "mem_reservation: 67108864", {"memory": {"reservation": 64 * MIB}}),
    ("services.*.pids_limit", "pids_limit: 50", {"pids_limit": 50}),
    ("services.*.gpus", "gpus: all", {"gpu": "all"}),
    ("services.*.gpus[].count", "gpus: [{count: 2}]", {"gpu": "2"}),
    ("services.*.gpus[].capabilities", "gpus: [{capabilities: [gpu, compute]}]", {"gpu": "all"}),
    ("services.*.gpus[].driver", "gpus: [{driver: nvidia, count: all}]", {"gpu": "all"}),
    ("services.*.profiles", "profiles: [debug]", {}),
    ("services.*.deploy", "deploy:", {}),
    ("services.*.deploy.mode", "deploy: {mode: replicated}", {}),
    ("services.*.deploy.resources", "deploy: {resources: {}}", {}),
    (
        "services.*.deploy.resources.limits",
        "deploy: {resources: {limits: {cpus: 1}}}\ncpus: 1.0",
        {"cpu": {"limit": 1}},
    ),
    (
        "services.*.deploy.resources.limits.cpus",
        "deploy: {resources: {limits: {cpus: '0.5'}}}",
        {"cpu": {"limit": 0.5}},
    ),
    (
        "services.*.deploy.resources.limits.memory",
        "deploy: {resources: {limits: {memory: 50M}}}",
        {"memory": {"limit": 50 * MIB}},
    ),
    ("services.*.deploy.resources.limits.pids", "deploy: {resources: {limits: {pids: 9}}}", {"pids_limit": 9}),
    ("services.*.deploy.resources.reservations", "deploy: {resources: {reservations: {}}}", {}),
    (
        "services.*.deploy.resources.reservations.cpus",
        "deploy: {resources: {reservations: {cpus: 0.25}}}",
        {"cpu": {"reservation": 0.25}},
    ),
    (
        "services.*.deploy.resources.reservations.memory",
        "deploy: {resources: {reservations: {memory: 1g}}}",
        {"memory": {"reservation": 1024 * MIB}},
    ),
    (
        "services.*.deploy.resources.reservations.devices",
        "deploy: {resources: {reservations: {devices: [{capabilities: [gpu], count: 1}]}}}",
        {"gpu": "1"},
    ),
    ("services.*.deploy.restart_policy", "deploy: {restart_policy: {}}", {"restart_policy": {"condition": "always"}}),
    (
        "services.*.deploy.restart_policy.condition",
        "deploy: {restart_policy: {condition: none}}",
        {"restart_policy": {"condition": "none"}},
    ),
    (
        "services.*.deploy.restart_policy.max_attempts",
        "deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}",
        {"restart_policy": {"condition": "on-failure", "max_retries": 2}},
    ),
    ("services.*.x-spinney-host-node", "x-spinney-host-node: h1", {"host_node": "h1"}),
    (
        "services.*.x-spinney-probes",
        "x-spinney-probes: {ready: {http: {port: 80, path: /}}}",
        {"probes": {"ready": {"http": {"port": 80, "path": "/"}}}},
    ),
    ("services.*.x-spinney-grants", "x-spinney-grants: [fuse]", {"grants": ["fuse"]}),
    (
        "services.*.x-spinney-registry-credential",
        "x-spinney-registry-credential: mine",
        {"registry_credential": "mine"},
    ),
]
