"""A pod that says yes to everything, and requests to it through a proxy, one by one."""

import asyncio


async def yes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A pod that says yes at once."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    await writer.drain()


async def asked(port: int, session: str) -> str:
    """The head of an answer; empty while nobody listens."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return ""
    target = f"/socket.io/?EIO=4&transport=polling{session}"
    writer.write(f"GET {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer.decode().lower().replace("http", "HTTP", 1).partition("\r\n\r\n")[0]
