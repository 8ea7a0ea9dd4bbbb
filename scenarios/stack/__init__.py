"""Starting, watching and stopping the real parts: pods, nginx and the generator."""
