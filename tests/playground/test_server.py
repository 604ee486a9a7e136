"""The playground's server: who may connect, and what it serves."""

import re

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from xpnet.cli import playground as command
from xpnet.cli.options import PlaygroundOptions
from xpnet.errors import InputError
from xpnet.playground import server

ORIGIN = {"origin": "http://127.0.0.1:8642"}


@pytest.fixture
def client():
    return TestClient(server.application("token", 8642))


def test_the_page_asks_nothing_of_other_hosts(client):
    page = client.get("/token/").text
    assert "default-src 'self'" in page
    for name in ("page.js", "page.css"):
        page += client.get(f"/token/{name}").text
    assert set(re.findall(r"https?://[^\s\"'`$]+", page)) <= {"http://www.w3.org/2000/svg"}


def test_without_the_token_there_is_nothing(client):
    for path in ("/", "/page.js", "/other/"):
        assert client.get(path).status_code == 404
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket", headers=ORIGIN):
        pass


@pytest.mark.parametrize("origin", [{}, {"origin": "http://example.org"},
                                    {"origin": "http://127.0.0.1:80"}])  # fmt: skip
def test_a_foreign_origin_is_refused(client, origin):
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/token/socket", headers=origin),
    ):
        pass


def test_messages_are_answered_and_errors_are_told(client):
    with client.websocket_connect("/token/socket", headers=ORIGIN) as page:
        page.send_json({"do": "start", "link": "data=xor"})
        assert page.receive_json()["step"] == 0
        page.send_json({"do": "train", "steps": 7})
        assert page.receive_json()["step"] == 7
        page.send_json({"do": "start", "link": "data=moon"})
        assert "choose one of" in page.receive_json()["error"]


def test_the_command_serves_a_table(monkeypatch, capsys, tmp_path):
    path, served = tmp_path / "t.csv", []
    path.write_text("a,b,c,y\n" + "".join(f"{i},{i * i % 7},{i % 5},{i % 2}\n" for i in range(60)))
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: served.append(sockets))
    command.playground(PlaygroundOptions(str(path), target="y", port=0, no_browser=True))
    assert served
    assert re.match(r"http://127.0.0.1:\d+/\S{20,}/#data=your%20table", capsys.readouterr().out)


@pytest.mark.parametrize(("target", "values"), [("c", {0.0, 1.0}), ("a", None)])
def test_targets_of_a_table_are_classes_or_numbers_from_minus_1_to_1(tmp_path, target, values):
    path = tmp_path / "t.csv"
    rows = "".join(f"{i / 7},{i * i % 11},{'rgb'[i % 3]},{i % 9}\n" for i in range(60))
    path.write_text("a,b,c,d\n" + rows)
    points = command.points_of(PlaygroundOptions(str(path), target=target))
    assert points.regression == (values is None)
    found = set(points.y.ravel().astype(float))
    assert found == values if values else (min(found), max(found)) == (-1, 1)


def test_a_table_of_one_input_and_a_port_in_use_are_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "a,y\n" + "".join(f"{(i * 37 % 50) / 7 + 0.5 * (i > 30)},{i % 2}\n" for i in range(50))
    )
    with pytest.raises(InputError, match="one input makes no plane"):
        command.points_of(PlaygroundOptions(str(path), target="y"))
    with (
        server.socket.create_server((server.HOST, 0)) as taken,
        pytest.raises(InputError, match="give another, or 0"),
    ):
        server.serve(None, taken.getsockname()[1], print)
