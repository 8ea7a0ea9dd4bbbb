"""The report on rehearsals of an incident."""

from reports.rehearsal.write import RehearsalFiles, write_rehearsal, write_rehearsals

__all__ = ["RehearsalFiles", "write_rehearsal", "write_rehearsals"]
