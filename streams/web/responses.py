"""Sending of HTTP responses with a timeout: a stalled client is disconnected."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

STALLED_S = 60.0  # without a byte taken, then the connection is closed


@web.middleware
async def abort_stalled(request: web.Request, handler: "Handler") -> web.StreamResponse:
    """Send a handler's answer within STALLED_S, or close the connection.

    An HTTPException of a handler or of the router is an answer too.
    """
    try:
        response = await handler(request)
    except web.HTTPException as error:
        await _send(request, error)
        raise  # aiohttp expects it raised, and sees that it was sent
    await _send(request, response)
    return response


async def _send(request: web.Request, response: web.StreamResponse) -> None:
    with contextlib.suppress(ConnectionError):
        await _send_with_timeout(request, _send_all(request, response))


async def _send_all(request: web.Request, response: web.StreamResponse) -> None:
    await response.prepare(request)
    await response.write_eof()


async def stream_lines(
    request: web.Request, chunks: AsyncGenerator[bytes, None]
) -> web.StreamResponse:
    """Stream chunks of NDJSON until they end or the client disconnects or stalls.

    A client detects a truncated response by its missing last line.
    """
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    with contextlib.suppress(ConnectionError):  # the client has disconnected
        async with contextlib.aclosing(chunks):
            await _send_with_timeout(request, response.prepare(request))
            if request.method == "HEAD":  # a body would be taken for the next answer
                return response
            async for chunk in chunks:
                await _send_with_timeout(request, response.write(chunk))
            await _send_with_timeout(request, response.write_eof())
    return response


async def _send_with_timeout(request: web.Request, sending: Awaitable[object]) -> None:
    """Send. Raises ConnectionError if the client stalls."""
    try:
        async with asyncio.timeout(STALLED_S):
            await sending
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionError("the reader has stalled") from None
