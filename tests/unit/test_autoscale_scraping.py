"""What is read out of Prometheus' text format, whatever a container tells."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.autoscale.prometheus import LARGEST, figure, read
from spinney.domain.autoscale.rules import Scrape
from spinney.domain.probe import ProbeAnswer

TOLD = rb"""# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400",} 3
http_requests_total{ method = "get" , code = "200" } 5e2
http_requests_total_created{method="post"} 9999
http_requests{method="post"} 7777
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE}TXT\""} 1.458255915e9
queue_depth 42
something_weird{problem="division by zero"} +Inf -3982045
negative -3.5
exemplar_bucket{le="0.1"} 8 # {trace_id="KOO5S4vxi0o"} 0.67
broken{a="b 1
broken 2 3 4
nan_value NaN
"""


@pytest.mark.parametrize(
    ("scrape", "value"),
    [
        (Scrape(1, "http_requests_total"), 1530.0),
        (Scrape(1, "http_requests_total", labels=(("method", "post"),)), 1030.0),
        (Scrape(1, "http_requests_total", labels=(("code", "200"), ("method", "get"))), 500.0),
        (Scrape(1, "http_requests_total", labels=(("method", "put"),)), None),
        (Scrape(1, "msdos_file_access_time_seconds", labels=(("path", "C:\\DIR\\FILE.TXT"),)), 1.458255915e9),
        (
            Scrape(1, "msdos_file_access_time_seconds", labels=(("error", 'Cannot find file:\n"FILE}TXT"'),)),
            1.458255915e9,
        ),
        (Scrape(1, "queue_depth"), 42.0),
        (Scrape(1, "queue"), None),
        (Scrape(1, "something_weird"), None),
        (Scrape(1, "nan_value"), None),
        (Scrape(1, "negative"), -3.5),
        (Scrape(1, "exemplar_bucket"), 8.0),
        (Scrape(1, "broken"), None),
    ],
)
def test_one_metric_of_what_is_told(scrape: Scrape, value: float | None) -> None:
    assert figure(TOLD, scrape) == value


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (ProbeAnswer(True, 200, b"queue 4\n"), 4.0),
        (ProbeAnswer(False, text="port 1 refused the connection"), "port 1 refused the connection"),
        (ProbeAnswer(True, 404, b"queue 4\n"), "it answered 404"),
        (ProbeAnswer(True, 200, b"other 4\n"), "its answer has no queue with a finite value"),
        (ProbeAnswer(True, 200, b"#" * LARGEST), f"its answer is longer than {LARGEST} bytes"),
    ],
)
def test_a_figure_or_why_there_is_none(answer: ProbeAnswer, told: float | str) -> None:
    assert read(answer, Scrape(1, "queue")) == told


def test_what_was_cut_off_is_not_read() -> None:
    assert figure(b"queue 1\n" + b"#" * (LARGEST - 8), Scrape(1, "queue")) is None
    assert figure(b"queue 1\n" + b"#" * (LARGEST - 9), Scrape(1, "queue")) == 1.0


@given(st.binary(max_size=300) | st.text(alphabet='q{}="\\, 1.e\n#-+', max_size=300).map(str.encode))
def test_anything_leads_to_a_figure_or_none(body: bytes) -> None:
    assert isinstance(figure(body, Scrape(1, "q", labels=(("e", "1"),))), float | None)


@pytest.mark.parametrize(
    "body",
    [
        b"q{" + b"a=" * 8000,
        b'q{a="' + b"\\\\" * 8000,
        (b"q{" + b'e="1",' * 2000 + b"\n") * 60,
        b"q 1" + b" " * 16000 + b"x",
        b"q{" + b" " * 16000,
        b"q 1\n" * 200_000,
    ],
    ids=["no values", "escapes", "many labels", "spaces", "nothing", "many series"],
)
def test_it_takes_no_longer_for_what_is_made_to_take_long(body: bytes) -> None:
    began = time.process_time()
    figure(body, Scrape(1, "q"))
    assert time.process_time() - began < 1.0


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.text(max_size=10).filter(lambda t: "\r" not in t), max_size=4
    ),
    st.floats(-1e9, 1e9),
)
def test_what_is_written_is_read_again(labels: dict[str, str], value: float) -> None:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    told = ",".join(f'{name}="{escaped(text)}"' for name, text in labels.items())
    assert figure(f"q{{{told}}} {value!r}\n".encode(), Scrape(1, "q", labels=tuple(labels.items()))) == value
