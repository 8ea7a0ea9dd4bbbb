"""`export`: what a run recorded, for other programs."""
