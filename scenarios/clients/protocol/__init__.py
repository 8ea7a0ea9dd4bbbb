"""Engine.IO and Socket.IO without I/O: bytes in, events out."""
