"""A private nginx, made from nginx.conf.sample."""
import os
import re
import subprocess
import time

from environment import LIMIT, SRC
from hooks import PATH
from http_client import http_post, http_request
from process import finish_process, start_process, stop_process
from scratch import Scratch, read_file, write_file
from sockets import connects, free_port

NGINX_CONF = """
@USER@
daemon off;
worker_processes 1;
pid @DIR@/pid;
error_log @DIR@/error.log;
worker_rlimit_nofile 10000;
events { worker_connections 10000; }
http {
    access_log off;
    client_body_temp_path @DIR@/body;
    proxy_temp_path @DIR@/proxy;
    fastcgi_temp_path @DIR@/fastcgi;
    uwsgi_temp_path @DIR@/uwsgi;
    scgi_temp_path @DIR@/scgi;
    @SERVER@
}
"""


def sample_server(port, path):
    """The server of nginx.conf.sample, moved to a port and a socket."""
    text = read_file(os.path.join(SRC, "nginx.conf.sample"))
    text = re.sub(r"^(\s*)listen\s[^;]*;", rf"\1listen 127.0.0.1:{port};",
                  text, count=1, flags=re.M)
    text = re.sub(r"^\s*listen\s(?!127\.0\.0\.1:%d;)[^;]*;" % port, "",
                  text, flags=re.M)
    # Its timeouts are for the world; a busy machine needs longer ones.
    text = re.sub(r"^([^#\n]*_timeout) \d+s;", rf"\1 {LIMIT}s;", text,
                  flags=re.M)
    text, found = re.subn(r"^([^#\n]*\bunix:)[^;\s]+", rf"\g<1>{path}",
                          text, flags=re.M)
    assert found, "nginx.conf.sample passes to no Unix socket"
    return text


class Nginx:
    """One nginx before one FastCGI socket. server: a function of its port and
    that socket, which gives the configuration's server block."""

    def __init__(self, fastcgi_socket, server=sample_server):
        self.folder = Scratch.new("nginx")
        self.socket, self.server = fastcgi_socket, server
        for _ in range(5):          # another may take the port in between
            self.port = free_port()
            if self.start():
                return
        raise AssertionError("nginx does not start: " + self.errors())

    def start(self):
        conf = write_file(
            os.path.join(self.folder, "nginx.conf"), NGINX_CONF
            .replace("@USER@", "user root;" if os.geteuid() == 0 else "")
            .replace("@DIR@", self.folder)
            .replace("@SERVER@", self.server(self.port, self.socket)))
        self.process = start_process(
            ["nginx", "-p", self.folder, "-e", self.folder + "/error.log",
             "-c", conf], stderr=subprocess.DEVNULL)
        end = time.monotonic() + LIMIT
        while time.monotonic() < end and self.process.poll() is None:
            if connects(self.port):
                return True
            time.sleep(0.02)
        if self.process.poll() is None:
            self.process.terminate()
        finish_process(self.process)
        return False

    def errors(self):
        return read_file(self.folder + "/error.log")

    def stop(self):
        return stop_process(self.process)

    def get(self, path=PATH, method="GET", headers=()):
        return http_request(self.port, method, path, headers)

    def post(self, body, headers=(), length=None, path=PATH, timeout=None):
        return http_post(self.port, path, body, headers, length, timeout)
