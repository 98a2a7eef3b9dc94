"""git-http-backend behind nginx: http or https (with a private CA), with or without basic authentication."""
import contextlib
import os
import pathlib
import signal
import socket
import subprocess

from .wait import LONG, accepts, free_port, wait_for

BACKEND = "/usr/lib/git-core/git-http-backend"

CONFIGURATION = """
daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log; worker_processes 1; {user}
events {{ worker_connections 512; }}
http {{
  access_log {dir}/access.log; client_max_body_size 0; keepalive_requests 100000; gzip off;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{
    listen 127.0.0.1:{port}{ssl};
    {tls}
    location ^~ /html/ {{ default_type text/html; return 200 "<html>sign in</html>"; }}
    location ~ ^/moved/(?<rest>.*)$ {{ return 301 {moved}/$rest$is_args$args; }}
    location ~ ^/circle/ {{ return 302 $request_uri; }}
    location ~ ^/status/(?<code>[0-9]+)/ {{ {statuses} return 500; }}
    location / {{
      if (-f {dir}/overrun) {{ add_header Retry-After 3 always; return 429; }}
      {auth}
      fastcgi_pass unix:cgi.sock; fastcgi_buffering off; fastcgi_request_buffering off; fastcgi_read_timeout 600s;
      fastcgi_param SCRIPT_FILENAME {backend}; fastcgi_param GIT_PROJECT_ROOT {root}; fastcgi_param GIT_HTTP_EXPORT_ALL ""; fastcgi_param PATH_INFO $uri;
      fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method; fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length; fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding; fastcgi_param REMOTE_ADDR $remote_addr; fastcgi_param REMOTE_USER $remote_user;
      fastcgi_param SERVER_PROTOCOL $server_protocol; {protocol} fastcgi_param HOME /nonexistent;
      fastcgi_param GIT_CONFIG_COUNT 1; fastcgi_param GIT_CONFIG_KEY_0 safe.directory; fastcgi_param GIT_CONFIG_VALUE_0 *;
    }}
  }}
  server {{ listen 127.0.0.1:{mark_port}; location / {{ return 204; }} }}
}}
"""


def make_certificates(folder):
    """A private CA (ca.crt) and a certificate for 127.0.0.1 and localhost (server.crt, server.key), and one for a client (client.crt, client.key), below `folder`."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=Test CA")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "extensions").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out", "server.crt", "-extfile", "extensions")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "client.key", "-out", "client.csr", "-subj", "/CN=robot")
    openssl("x509", "-req", "-in", "client.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out", "client.crt")


class GitServer:
    """Serves the bare repositories below `root` until closed. `users`: name to password, or None for anybody. `v2`: whether git hears which protocol the
    client asks for. `http2`: whether it is spoken with TLS. `clients`: whether they must show a certificate of our CA. `port`: one of `free_port`. `/status/CODE/`, `/html/`, `/circle/` answer as they are named; `/moved/` redirects to `moved`, or to itself
    without that word."""

    def __init__(self, folder, root, tls=False, users=None, workers=4, v2=True, moved="", clients=False, port=None, http2=False):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.root, self.tls, self.users, self.port, self.mark_port = str(root), tls, users, port or free_port(), free_port()
        self.v2, self.moved, self.clients, self.http2, self.marks = v2, moved, clients, http2, 0
        if tls:
            make_certificates(self.folder)
        if users is not None:
            self.set_users(users)
        socket_path = self.folder / "cgi.sock"  # named relative to the folder: a path of a socket must be short
        socket_path.unlink(missing_ok=True)
        self.processes = []
        try:
            self.start("fcgiwrap", "-c", str(workers), "-s", "unix:cgi.sock")
            wait_for(socket_path.exists, "the socket of fcgiwrap")
            (self.folder / "nginx.conf").write_text(self.configuration())
            self.start("nginx", "-p", str(self.folder), "-e", str(self.folder / "error.log"), "-c", str(self.folder / "nginx.conf"))
            wait_for(lambda: accepts(self.port), "nginx")
        except BaseException:
            self.close()
            raise

    def start(self, *command):
        """Starts a server in a process group of its own, with what it starts, and in the session of the test, which ends with that."""
        self.processes.append(subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0,
                                               env={"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}))

    def configuration(self):
        tls = f"ssl_certificate {self.folder}/server.crt; ssl_certificate_key {self.folder}/server.key;" if self.tls else ""
        tls += f" ssl_client_certificate {self.folder}/ca.crt; ssl_verify_client on;" if self.clients else ""
        auth = f'auth_basic "git"; auth_basic_user_file {self.folder}/users;' if self.users is not None else ""
        statuses = " ".join(f"if ($code = {code}) {{ return {code}; }}" for code in (401, 403, 404, 429, 500, 502, 503))
        return CONFIGURATION.format(dir=self.folder, user="user root;" if os.geteuid() == 0 else "", port=self.port, mark_port=self.mark_port, ssl=(" ssl http2" if self.http2 else " ssl") if self.tls else "", tls=tls, auth=auth,
                                    statuses=statuses, backend=BACKEND, root=self.root, moved=self.moved,
                                    protocol="fastcgi_param GIT_PROTOCOL $http_git_protocol;" if self.v2 else 'fastcgi_param HTTP_GIT_PROTOCOL "";')

    def set_users(self, users):
        self.users = users
        lines = []
        for name, password in users.items():
            crypted = subprocess.run(["openssl", "passwd", "-apr1", "-stdin"], input=password.encode(), check=True, capture_output=True).stdout.decode().strip()
            lines.append(f"{name}:{crypted}\n")
        new = self.folder / "users.new"
        new.write_text("".join(lines))
        new.rename(self.folder / "users")  # at once: the server reads it at every request

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    @property
    def ca(self):
        return (self.folder / "ca.crt").read_bytes()

    def requests(self):
        """Lines of the access log: of every request that was answered before. The only worker writes a line when it is through with a request, so what stands
        before the line of a request of our own is complete."""
        self.marks += 1
        mark = f"GET /mark-{self.marks} "
        with socket.create_connection(("127.0.0.1", self.mark_port), LONG) as asker:
            asker.sendall(f"{mark}HTTP/1.0\r\n\r\n".encode())
            while asker.recv(4096):
                pass
        lines = wait_for(lambda: (text := (self.folder / "access.log").read_text()) and mark in text and text.splitlines(), "the log of the git server")
        return [line for line in lines if '"GET /mark-' not in line]

    def overrun(self, is_so=True):
        """Everything is answered 429, with a time to come back, from now on; or no longer."""
        mark = self.folder / "overrun"
        mark.touch() if is_so else mark.unlink(missing_ok=True)

    def close(self):
        for process in reversed(self.processes):  # each with its children: fcgiwrap leaves its own alone
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
