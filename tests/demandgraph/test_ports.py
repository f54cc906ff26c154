import socket

import pytest

from demandgraph.ports import HOST, any_free_port, api_host, is_free, listens, next_free_port


def test_a_taken_port_is_not_free() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]

        assert not is_free(port)
        assert listens(port)
        assert next_free_port(port) > port


def test_a_port_that_is_picked_is_free() -> None:
    port = any_free_port()

    assert is_free(port)
    assert not listens(port)


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("10.0.0.5", "10.0.0.5"),
        ("::", "[::1]"),
        ("2001:db8::1", "[2001:db8::1]"),
    ],
)
def test_the_api_is_asked_where_it_listens(host: str, reached: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMANDGRAPH_HOST", host)

    assert api_host() == reached
