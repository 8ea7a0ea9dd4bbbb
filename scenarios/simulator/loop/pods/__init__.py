"""The pods in the loop: the turns of their event loops, what comes of these, and how pods begin and end."""
