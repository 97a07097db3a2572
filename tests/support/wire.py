"""A new hook's bytes on the wire."""
from fastcgi import post_request
from hooks import PATH, compact, issue, signed


def raw_hook(http=False):
    """Its source id, and the whole request: FastCGI's, or HTTP's."""
    body = issue()
    raw = compact(body)
    if http:
        head = "".join(f"{k}: {v}\r\n" for k, v in signed(raw).items())
        data = (f"POST {PATH} HTTP/1.1\r\nHost: test\r\nConnection: close"
                f"\r\nContent-Length: {len(raw)}\r\n{head}\r\n"
                ).encode() + raw
    else:
        data = post_request(raw, signed(raw))
    return "issue:" + body["data"]["issue"]["id"], data
