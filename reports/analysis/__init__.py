"""One run, judged: metrics, recovery, verdict, validity."""
