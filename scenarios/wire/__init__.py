"""Messages between the processes of a run, and how those of several generators become one."""
