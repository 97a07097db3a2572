"""All that a hook goes through: nginx, a socket, a worker."""
import functools
import os

from database import map_everything
from expect import equal
from hammer import Hammer
from nginx import Nginx, sample_server
from scratch import Scratch
from sockets import listening_socket
from worker import BRIEF, Worker


class Site:
    """A worker that inherits its socket and maps every hook, and an nginx,
    which is started when it is needed first. server: as in Nginx."""

    def __init__(self, *options, server=sample_server, **more):
        self.folder = Scratch.new("site")
        self.server = server
        self.listen = listening_socket(os.path.join(self.folder, "s"))
        self.worker = Worker(*BRIEF, *options, folder=self.folder,
                             listen=self.listen, **more)
        map_everything(self.worker.db)

    @functools.cached_property
    def nginx(self):
        return Nginx(self.listen.getsockname(), self.server)

    def hammer(self, seconds=None, **more):
        return Hammer(self.nginx.port, seconds, **more)

    def close(self):
        equal(self.worker.stop(), 0, "exit status")
        assert os.path.exists(self.worker.socket), "the socket is gone"
        if "nginx" in vars(self):
            self.nginx.stop()
        self.listen.close()


def on_site(test):
    """Gives a test a site of its own and its worker, before its other
    arguments; closes the site if the test passes."""
    @functools.wraps(test)
    def run(*arguments):
        site = Site()
        test(site, site.worker, *arguments)
        site.close()
    return run
