import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reports.analysis.judgement import assess
from reports.rundir import latency
from reports.rundir.files import find_runs, point_latest
from reports.rundir.reader import Run, load_info
from reports.rundir.schema import Phase, RecordError, RunInfo, new_histogram
from reports.rundir.series import Row
from reports.rundir.writer import RunWriter, save_info
from tests.support.histories import histograms, history, pod_second, second


def written(directory: Path, *, complete: bool = True) -> RunWriter:
    writer = RunWriter(directory, history([], status="running").info)
    for t in range(3):
        writer.row(second(t, tick_late_ms=None))
        writer.histogram("effective", t, histograms({t: [(40.0, 5)]})[t])
        writer.pods([pod_second(t, 0), pod_second(t, 1, lag_ms=None)])
    writer.event(1.5, "drop_all", clients=100)
    if complete:
        writer.info.status = "complete"
        writer.save()
        writer.close()
    return writer


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    written(tmp_path / "run")
    run = Run.load(tmp_path / "run")
    assert run.info.status == "complete"
    assert [row["t_s"] for row in run.rows] == [0, 1, 2]
    assert run.column("useful") == [100, 100, 100]
    assert run.events == ({"t_s": 1.5, "event": "drop_all", "clients": 100},)
    assert latency.between(run.histograms["effective"], 1, 3).sum() == 10
    assert run.histograms["censored"] == {}


def test_a_scenario_recorded_under_former_names_is_read_under_present_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written(tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["scenario"] |= {"edge": {"front": "envoy"}, "gateway": {"cpu": "reserve"}}
    path.write_text(json.dumps(record), encoding="utf-8")
    recorded = Run.load(tmp_path / "run").info.scenario
    assert (recorded["edge"], recorded["gateway"]) == ({"proxy": "envoy"}, {"cpu": "occupy"})
    assert not caplog.messages


def test_an_empty_cell_is_no_number(tmp_path: Path) -> None:
    written(tmp_path / "run")
    assert Run.load(tmp_path / "run").column("tick_late_ms") == [None, None, None]


def test_a_stretch_includes_its_first_second_but_not_its_last(tmp_path: Path) -> None:
    written(tmp_path / "run")
    assert [row["t_s"] for row in Run.load(tmp_path / "run").between(1, 2)] == [1]


def test_histograms_of_one_second_add_up(tmp_path: Path) -> None:
    writer = written(tmp_path / "run", complete=False)
    writer.histogram("effective", 1, histograms({1: [(80.0, 2)]})[1])
    writer.close()
    found = Run.load(tmp_path / "run").histograms["effective"][1]
    assert (found.total, list(found.numbers)) == (7, [5, 2])
    highest = latency.percentile(100, latency.total([found]))
    assert highest is not None
    assert round(highest.ms) == 80


def test_pods_are_read_back_by_second_and_pod(tmp_path: Path) -> None:
    written(tmp_path / "run")
    pods = Run.load(tmp_path / "run").pods
    assert [(row["t_s"], row["pod"], row["lag_ms"]) for row in pods] == [
        (t, pod, lag_ms) for t in range(3) for pod, lag_ms in ((0, 0.0), (1, None))
    ]


def test_pods_can_be_replaced_and_then_continued(tmp_path: Path) -> None:
    writer = written(tmp_path / "run", complete=False)
    writer.replace_pods([pod_second(t, 7) for t in range(2)])
    writer.pods([pod_second(2, 8)])
    writer.close()
    assert [row["pod"] for row in Run.load(tmp_path / "run").pods] == [7, 7, 8]


@pytest.mark.parametrize("file", ["series.csv", "shared_ips.csv", "pods.csv"])
def test_a_table_without_rows_has_its_columns(tmp_path: Path, file: str) -> None:
    RunWriter(tmp_path / "run", history([]).info).close()
    assert (tmp_path / "run" / file).read_text(encoding="utf-8").startswith("t_s,")
    assert Run.load(tmp_path / "run").pods == ()


def test_rows_can_be_replaced_and_then_continued(tmp_path: Path) -> None:
    writer = written(tmp_path / "run", complete=False)
    writer.replace_rows([second(t, limited=7.0) for t in range(3)])
    writer.row(second(3))
    writer.close()
    assert Run.load(tmp_path / "run").column("limited") == [7, 7, 7, 0]


def test_a_failed_replacement_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    def breaking() -> Iterator[Row]:
        yield second(0, limited=7.0)
        raise ValueError("no more rows")

    writer = written(tmp_path / "run", complete=False)
    files = sorted((tmp_path / "run").iterdir())
    with pytest.raises(ValueError, match="no more rows"):
        writer.replace_rows(breaking())
    writer.close()
    assert sorted((tmp_path / "run").iterdir()) == files
    assert Run.load(tmp_path / "run").column("limited") == [0, 0, 0]


def test_a_run_whose_writer_died_counts_as_interrupted(tmp_path: Path) -> None:
    writer = written(tmp_path / "run", complete=False)
    writer.close()
    ended = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    ended.wait()
    writer.info.pid = ended.pid
    writer.save()
    info = load_info(tmp_path / "run")
    assert (info.status, info.problem) == ("interrupted", "the process that ran it died")


def test_a_run_whose_writer_lives_is_running(tmp_path: Path) -> None:
    written(tmp_path / "run", complete=False).close()
    assert load_info(tmp_path / "run").status == "running"


def test_a_writer_of_another_user_counts_as_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may signal anybody, so the refusal of the system is played.
    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    written(tmp_path / "run", complete=False).close()
    monkeypatch.setattr(os, "kill", refuse)
    assert load_info(tmp_path / "run").status == "running"


@pytest.mark.parametrize(
    ("file", "half_a_line"),
    [("latency.hlog", "Tag=effective,3.000,1.0"), ("events.jsonl", '{"t_s": 2.0, "ev')],
)
def test_half_a_line_left_by_a_killed_writer_is_skipped(tmp_path: Path, file: str, half_a_line: str) -> None:
    written(tmp_path / "run")
    with (tmp_path / "run" / file).open("a", encoding="utf-8") as stream:
        stream.write(half_a_line)
    run = Run.load(tmp_path / "run")
    assert (len(run.events), sorted(run.histograms["effective"])) == (1, [0, 1, 2])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "it has no run.json"),
        ("{", "Expecting"),
        ('{"schema_version": 99}', "invalid schema version 99: expected 2$"),
        ('{"schema_version": [2]}', r"invalid schema version \[2\]: expected 2$"),
        (
            '{"schema_version": 1}',
            "invalid schema version 1: expected 2: it was written before staleness and single pods were",
        ),
        ('{"schema_version": 2}', "missing required field"),
        ("[]", "invalid schema version None"),
    ],
)
def test_what_is_no_run_directory_is_named_with_the_reason(
    tmp_path: Path, content: str | None, complaint: str
) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content, encoding="utf-8")
    with pytest.raises(RecordError, match=complaint) as caught:
        load_info(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_run_without_its_series_is_named_with_the_reason(tmp_path: Path) -> None:
    written(tmp_path / "run")
    (tmp_path / "run" / "series.csv").unlink()
    with pytest.raises(RecordError, match=r"series\.csv"):
        Run.load(tmp_path / "run")


def test_run_json_survives_saving_and_loading_unchanged(tmp_path: Path) -> None:
    info = history([second(0)], rescued_at_s=None).info
    info.phases = (Phase("before", 0, 1),)
    info.control, info.trigger_s, info.trigger_end_s = True, 8, 20
    save_info(tmp_path, info)
    assert load_info(tmp_path) == info
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_phase_that_never_came_is_none() -> None:
    run = history([second(0)])
    assert run.phase("rescue") is None


def test_runs_are_found_in_folders_in_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        written(tmp_path / "runs" / name)
    assert [path.name for path in find_runs([tmp_path])] == ["a", "b"]
    assert [path.name for path in find_runs([tmp_path / "runs" / "b", tmp_path / "runs" / "a"])] == ["b", "a"]


def test_a_folder_without_runs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no run directory: expected one"):
        find_runs([tmp_path])


def test_latest_moves_to_the_newest_run(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "mass-drop" / name).mkdir(parents=True)
        point_latest(tmp_path / "mass-drop" / name, tmp_path / "latest")
    assert (tmp_path / "latest").resolve() == tmp_path / "mass-drop" / "b"
    assert not (tmp_path / "latest").readlink().is_absolute()


def test_an_empty_histogram_covers_a_microsecond_to_an_hour() -> None:
    histogram = new_histogram()
    assert histogram.record_value(1)
    assert histogram.record_value(3_600_000_000)
    assert histogram.get_total_count() == 2


def test_a_new_run_knows_who_writes_it(tmp_path: Path) -> None:
    written(tmp_path / "run")
    info: RunInfo = load_info(tmp_path / "run")
    assert info.pid == os.getpid()


def test_a_directory_with_the_former_name_of_the_table_of_shared_ips_is_read(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run", history([]).info)
    writer.shared_ips([{"t_s": 0, "clients_per_ip": 20, "clients": 40}])
    writer.close()
    (tmp_path / "run" / "shared_ips.csv").rename(tmp_path / "run" / "neighbours.csv")
    (row,) = Run.load(tmp_path / "run").shared_ips
    assert (row["clients_per_ip"], row["clients"]) == (20, 40)


def test_results_under_their_former_names_are_read_under_the_present_ones(tmp_path: Path) -> None:
    writer = written(tmp_path / "run")
    group = {"clients_per_ip": 20, "clients": 40}
    writer.info.summary = {"clients": 100, "neighbours": [group]}
    writer.info.validity = {"valid": False, "spoilt_by_machine": True}
    writer.save()
    info = load_info(tmp_path / "run")
    assert info.summary == {"clients": 100, "shared_ips": [group]}
    assert info.validity == {"valid": False, "invalidated_by_host": True}


def test_a_directory_from_before_there_were_two_figures_of_the_fan_out_is_read(tmp_path: Path) -> None:
    written(tmp_path / "run").info.reference = "due"
    info = tmp_path / "run" / "run.json"
    record = json.loads(info.read_text(encoding="utf-8"))
    del record["feed_fits"]
    info.write_text(json.dumps(record), encoding="utf-8")
    table = tmp_path / "run" / "series.csv"
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    kept = [name for name in rows[0] if "stamp" not in name]
    assert len(kept) == len(rows[0]) - 4
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, kept, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    run = Run.load(tmp_path / "run")
    assert run.info.feed_fits == ()
    assert run.histograms["fanout_by_stamp"] == {}
    assert run.column("stamped") == [None] * 3
    assert assess(run).summary.before is not None
