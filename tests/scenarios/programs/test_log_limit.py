"""The log of a program is kept from filling the disk."""

from pathlib import Path

from scenarios.programs.log_limit import cut_log


def test_a_short_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "pod.log"
    log.write_bytes(b"one\ntwo\n")
    assert not cut_log(log, most_bytes=100)
    assert log.read_bytes() == b"one\ntwo\n"


def test_of_a_long_log_the_end_is_kept_and_the_program_goes_on_writing_behind_it(tmp_path: Path) -> None:
    log = tmp_path / "pod.log"
    with log.open("ab", buffering=0) as stream:
        stream.write(b"line\n" * 1_000_000)
        assert cut_log(log, most_bytes=2_000_000)
        stream.write(b"the newest\n")
    text = log.read_text()
    assert len(text) < 1_100_000
    assert "bytes were cut here" in text.splitlines()[0]
    assert text.splitlines()[1] == "line"
    assert text.endswith("line\nthe newest\n")


def test_a_log_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert not cut_log(tmp_path / "none.log")
