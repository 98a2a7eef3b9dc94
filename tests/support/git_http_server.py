#!/usr/bin/env python3
"""Serves git repositories below a directory over http(s): git-http-backend behind fcgiwrap behind nginx.

Prints NAME=VALUE lines (url, ca, pid of nginx) and `ready`, serves until its standard input is closed or it is terminated, then removes what it made.

  git_http_server.py --root DIR [--tls | --mtls] [--user NAME --password PASSWORD] [--v0] [--port N] [--log FILE]

--tls   with a certificate of a private CA for localhost and 127.0.0.1; `ca` names the PEM file
--mtls  as --tls, and clients must show a certificate of that CA: CLIENT.crt and CLIENT.key of the line `client=CLIENT`
--v0    takes the Git-Protocol header away, so that the server speaks protocol v0
"""
import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time


def free_port():
    """A socket whose port is for nobody but a server that sets SO_REUSEADDR, as nginx does, for as long as it is open."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder


def run(*words, **more):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


def make_certificate(work):
    """A CA and a certificate it signed, as PEM files."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    run("openssl", "req", "-x509", *key, "-keyout", f"{work}/ca.key", "-out", f"{work}/ca.crt", "-days", "30", "-subj", "/CN=Test CA")
    run("openssl", "req", *key, "-keyout", f"{work}/server.key", "-out", f"{work}/server.csr", "-subj", "/CN=localhost")
    with open(f"{work}/names", "w") as f:
        f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    run("openssl", "x509", "-req", "-in", f"{work}/server.csr", "-CA", f"{work}/ca.crt", "-CAkey", f"{work}/ca.key", "-CAcreateserial",
        "-out", f"{work}/server.crt", "-days", "30", "-extfile", f"{work}/names")


def make_client_certificate(work):
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    run("openssl", "req", *key, "-keyout", f"{work}/client.key", "-out", f"{work}/client.csr", "-subj", "/CN=someone")
    run("openssl", "x509", "-req", "-in", f"{work}/client.csr", "-CA", f"{work}/ca.crt", "-CAkey", f"{work}/ca.key", "-CAcreateserial", "-out", f"{work}/client.crt", "-days", "30")


def password_line(user, password):
    hashed = subprocess.run(["openssl", "passwd", "-apr1", "-stdin"], input=password, text=True, capture_output=True, check=True).stdout.strip()
    return f"{user}:{hashed}\n"


def nginx_config(work, port, args):
    tls = f"ssl_certificate {work}/server.crt; ssl_certificate_key {work}/server.key;" if args.tls else ""
    tls += f" ssl_client_certificate {work}/ca.crt; ssl_verify_client on;" if args.mtls else ""
    listen = f"127.0.0.1:{port}" + (" ssl http2" if args.tls else "")
    auth = f'auth_basic "git"; auth_basic_user_file {work}/passwords;' if args.user else ""
    protocol = 'fastcgi_param HTTP_GIT_PROTOCOL "";' if args.v0 else "fastcgi_param GIT_PROTOCOL $http_git_protocol;"
    user = "user root;" if os.geteuid() == 0 else ""
    backend = os.path.join(subprocess.run(["git", "--exec-path"], text=True, capture_output=True, check=True).stdout.strip(), "git-http-backend")
    return f"""{user} daemon off; worker_processes 1; pid {work}/nginx.pid; error_log {work}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log {args.log or os.path.join(work, "access.log")};
  client_body_temp_path {work}/t1; proxy_temp_path {work}/t2; fastcgi_temp_path {work}/t3; uwsgi_temp_path {work}/t4; scgi_temp_path {work}/t5;
  keepalive_requests 1000000;
  server {{
    listen {listen}; {tls} {auth}
    location / {{
      fastcgi_pass unix:fcgi; fastcgi_buffering off; fastcgi_read_timeout 600;
      fastcgi_param SCRIPT_FILENAME {backend};
      fastcgi_param GIT_PROJECT_ROOT {os.path.abspath(args.root)}; fastcgi_param GIT_HTTP_EXPORT_ALL 1; fastcgi_param PATH_INFO $uri;
      fastcgi_param GIT_CONFIG_COUNT 1; fastcgi_param GIT_CONFIG_KEY_0 safe.directory; fastcgi_param GIT_CONFIG_VALUE_0 *;
      fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
      fastcgi_param REMOTE_USER $remote_user; fastcgi_param REMOTE_ADDR $remote_addr; {protocol}
    }}
  }}
}}
"""


def wait_until_open(port, children):
    for _ in range(3000):
        if any(c.poll() is not None for c in children):
            raise RuntimeError("a server ended at once")
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("the server does not listen")


def serve(work, args):
    holder = None if args.port else free_port()
    port = args.port or holder.getsockname()[1]
    if args.tls:
        make_certificate(work)
    if args.mtls:
        make_client_certificate(work)
    if args.user:
        with open(f"{work}/passwords", "w") as f:
            f.write(password_line(args.user, args.password))
    with open(f"{work}/nginx.conf", "w") as f:
        f.write(nginx_config(work, port, args))
    children = [subprocess.Popen(["fcgiwrap", "-f", "-c", "4", "-s", "unix:fcgi"], cwd=work, process_group=0, stdin=subprocess.DEVNULL),
                subprocess.Popen(["nginx", "-p", work, "-e", f"{work}/error.log", "-c", f"{work}/nginx.conf"], cwd=work, process_group=0, stdin=subprocess.DEVNULL)]
    try:
        wait_until_open(port, children)
        name = "localhost" if args.tls else "127.0.0.1"
        print(f"url={'https' if args.tls else 'http'}://{name}:{port}")
        print(f"ca={work}/ca.crt" if args.tls else "ca=")
        print(f"client={work}/client" if args.mtls else "client=")
        print(f"pid={children[1].pid}", "ready", sep="\n", flush=True)
        while sys.stdin.buffer.read(4096):
            pass
    finally:
        for child in reversed(children):
            try:
                os.killpg(child.pid, signal.SIGTERM)
                child.wait(30)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                child.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--mtls", action="store_true")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--v0", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log")
    args = parser.parse_args()
    args.tls |= args.mtls
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    work = tempfile.mkdtemp(prefix="veranda-git-http-")
    try:
        serve(work, args)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
