#!/usr/bin/env python3
"""A stub of an event API, as cheap as can be, in a process of its own: takes
any POST, answers as Inngest does, and counts. GET gives the count.

    stub.py PORT
"""
import asyncio
import re
import sys

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
EVENT = b'"apps-console/neural/observation.capture"'
events = 0


class Connection(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.buffer = bytearray()
        self.need = 0           # bytes of the request, once its head is here

    def data_received(self, data):
        self.buffer += data
        while self.buffer and len(self.buffer) >= self.need:
            if not self.need and not self.head():
                return
            if len(self.buffer) < self.need:
                return
            self.answer(self.buffer[:self.need])
            del self.buffer[:self.need]
            self.need = 0

    def head(self):
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self.buffer[:end]
        length = LENGTH.search(head)
        self.need = end + 4 + (int(length[1]) if length else 0)
        if b"100-continue" in head:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def answer(self, request):
        global events
        if request.startswith(b"GET"):
            body = b"%d" % events
        else:
            n = request.count(EVENT)
            events += n
            body = b'{"ids":[%b],"status":200}' % b",".join([b'"0"'] * n)
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/"
                             b"json\r\nContent-Length: %d\r\n\r\n%b" %
                             (len(body), body))
        if b"onnection: close" in request[:1000]:
            self.transport.close()


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1",
                                      int(sys.argv[1]), backlog=1024)
    await server.serve_forever()

asyncio.run(main())
