"""The loop as machine code: made once for each machine, kept, and loaded without the compiler."""
