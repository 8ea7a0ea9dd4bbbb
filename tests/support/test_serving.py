"""A server of a test leaves nothing open."""

import asyncio
import socket

import pytest

from tests.support.serving import serving


async def hold(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\n")
    await asyncio.Event().wait()


@pytest.mark.parametrize("said", [b"", b"a line\n"], ids=["asked nothing", "asked something"])
def test_connections_and_their_tasks_have_ended_with_the_server(said: bytes) -> None:
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await hold(reader, writer)

    async def all_of_it() -> None:
        async with serving(serve) as server:
            address = server.sockets[0].getsockname()
            with socket.create_connection(address) as first, socket.create_connection(address) as second:
                first.sendall(said)
                while len(writers) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                second.sendall(said)
                third = socket.create_connection(address)
                # The server accepts it now, and has no task for it yet.
                await asyncio.sleep(0)
        third.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert all(writer.transport.is_closing() for writer in writers)

    asyncio.run(all_of_it())


def test_a_client_that_leaves_is_no_failure_of_the_server() -> None:
    async def all_of_it() -> int:
        async with serving(hold) as server:
            port: int = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return len(await reader.read())

    assert asyncio.run(all_of_it()) == 0
