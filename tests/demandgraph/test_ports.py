import socket

from demandgraph.ports import HOST, any_free_port, is_free, listens, next_free_port


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
