"""What a run meant: reads run directories, writes text, Markdown and HTML."""
