"""Several runs side by side: arms, statistics, maps, agreement."""
