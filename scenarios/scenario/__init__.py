"""What a scenario is: its types, its file, its arms, and the numbers that follow from it alone."""
