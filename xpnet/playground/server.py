"""The local server of the page: one WebSocket, for whoever has the address with the token."""

import json
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from xpnet.errors import InputError
from xpnet.playground.data import Points
from xpnet.playground.engine import Playground

PAGE = Path(__file__).parent / "page"
HOST = "127.0.0.1"


def application(token: str, port: int, table: Points | None = None) -> Starlette:
    """Return the server's routes: all below /TOKEN/, the socket only for this page's own origin."""
    origins = {f"http://{HOST}:{port}", f"http://localhost:{port}"}

    async def talk(connection: WebSocket) -> None:
        if connection.headers.get("origin") not in origins:
            await connection.close(1008)  # before it is accepted: status 403
            return
        await connection.accept()
        playground = Playground(table)
        try:
            while True:
                reply = playground.answer(await connection.receive_json())
                await connection.send_text(json.dumps(reply, allow_nan=False))
        except (WebSocketDisconnect, json.JSONDecodeError, KeyError):
            return  # the tab was closed, or it was no page; nothing trains unasked

    page = StaticFiles(directory=PAGE, html=True)
    routes = [WebSocketRoute("/socket", talk), Mount("/", page)]
    return Starlette(routes=[Mount(f"/{token}", routes=routes)])


def serve(table: Points | None, port: int, tell: Callable[[str], None]) -> None:
    """Serve until Ctrl-C; `tell` gets the page's address as soon as it can be opened.

    Raises `InputError` if the port is taken.
    """
    import uvicorn

    try:
        listening = socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        remedy = "it is taken, or no port; give another, or 0 for any"
        raise InputError(f"--port {port}: {remedy}") from error
    with listening:
        port, token = listening.getsockname()[1], secrets.token_urlsafe(16)
        config = uvicorn.Config(application(token, port, table), log_level="warning")
        tell(f"http://{HOST}:{port}/{token}/")
        uvicorn.Server(config).run(sockets=[listening])
