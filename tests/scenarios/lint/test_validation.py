"""What validators write, as findings."""

from pathlib import Path

from scenarios.lint.finding import Severity
from scenarios.lint.validation import validated

HAPROXY = """[NOTICE]   (813) : haproxy version is 2.6.12-1
[NOTICE]   (813) : path to executable is /usr/sbin/haproxy
[ALERT]    (813) : config : parsing [/x/haproxy.cfg:16] : unable to stat SSL\
 certificate from file '/etc/haproxy/chat.pem' : No such file or directory.
[ALERT]    (813) : config : parsing [/x/haproxy.cfg:22] : unknown keyword 'balanced' in 'backend' section
[ALERT]    (813) : config : Error(s) found in configuration file : /x/haproxy.cfg
[ALERT]    (813) : config : Fatal errors found in configuration.
"""


def test_each_problem_of_haproxy_has_its_line_and_notices_have_none() -> None:
    missing, wrong = validated(HAPROXY, "haproxy", Path("/x/haproxy.cfg"))
    assert (missing.place.line, missing.severity) == (16, Severity.NOTE)
    assert (wrong.place.line, wrong.severity) == (22, Severity.ERROR)
    assert "NOTICE" not in missing.found + wrong.found


def test_a_validator_that_marks_nothing_has_one_problem() -> None:
    (one,) = validated("error initializing configuration:\nno such field: x", "envoy", Path("/x/e.yaml"))
    assert one.found == "envoy --mode validate says “error initializing configuration: no such field: x”"
    assert (one.place.line, one.severity) == (1, Severity.ERROR)


def test_a_file_that_is_accepted_has_no_finding() -> None:
    assert not [*validated("", "nginx", Path("nginx.conf"))]
