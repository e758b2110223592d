"""A reverse proxy that believes Content-Length and has never heard of Transfer-Encoding.

    careless_proxy.py SERVER SERVER_PORT PORT…

It sends the requests of all clients of a port over one connection to the server, which is what
makes the mistake dangerous.
"""

import re
import socket
import sys
import threading

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"
_MOST_BYTES = 1 << 20


class Server:
    """The one connection to the server."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port = address, port
        self.turn = threading.Lock()
        self.sock: socket.socket | None = None

    def ask(self, request: bytes) -> bytes:
        """One response to one request, as far as this proxy knows."""
        with self.turn:
            if self.sock is None:
                self.sock = socket.create_connection((self.address, self.port))
            self.sock.sendall(request)
            response = message(self.sock)
            if not response:
                self.sock.close()
                self.sock = None
            return response


def message(sock: socket.socket) -> bytes:
    """One message, of the length that Content-Length says; nothing at the end of the stream."""
    data = b""
    while _END not in data:
        if len(data) > _MOST_BYTES or not (more := sock.recv(65536)):
            return b""
        data += more
    found = _LENGTH.search(data.split(_END, 1)[0])
    whole = data.index(_END) + len(_END) + min(int(found[1]) if found else 0, _MOST_BYTES)
    while len(data) < whole:
        if not (more := sock.recv(whole - len(data))):
            break
        data += more
    return data


def serve(client: socket.socket, server: Server) -> None:
    """Passes on a client's requests until it leaves."""
    with client:
        while request := message(client):
            client.sendall(server.ask(request))


def listen(port: int, server: Server) -> None:
    """Serves the clients of one port until the program is ended."""
    with socket.create_server(("", port)) as listener:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, server), daemon=True).start()


def main(arguments: list[str]) -> None:
    """Serves all ports."""
    address, server_port = arguments[0], int(arguments[1])
    threads = [
        threading.Thread(target=listen, args=(int(port), Server(address, server_port)))
        for port in arguments[2:]
    ]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main(sys.argv[1:])
