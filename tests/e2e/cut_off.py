# SPDX-License-Identifier: Apache-2.0
# Requests that are cut off in the middle, as a lost connection does: the head promises more bytes than come.
#   cut_off.py git PORT TOKEN ORG/REPO DIRECTORY     a push of DIRECTORY's HEAD, half of its pack
#   cut_off.py blob PORT TOKEN REPOSITORY            uploads of a blob: in one piece, and in chunks that are resumed
import base64
import hashlib
import http.client
import os
import socket
import subprocess
import sys

mode, port, token = sys.argv[1], int(sys.argv[2]), sys.argv[3]
AUTHORIZATION = "Basic " + base64.b64encode(f"admin:{token}".encode()).decode()


def send_half(method, path, body, content_type):
    """Sends the whole head and half of the body, then closes without a word."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        head = (f"{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: {AUTHORIZATION}\r\n"
                f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n")
        connection.sendall(head.encode() + body[: len(body) // 2])


def ask(method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body, {"Authorization": AUTHORIZATION, **{k.replace("_", "-"): v for k, v in headers.items()}})
    answer = connection.getresponse()
    answer.read()
    return answer


def expect(what, answer, status):
    if answer.status != status:
        sys.exit(f"{what}: {answer.status}, not {status}")
    return answer


def git(*args, **options):
    return subprocess.run(["git", "-C", sys.argv[5], *args], check=True, capture_output=True, **options).stdout


def cut_push():
    new, old = git("rev-parse", "HEAD").decode().strip(), git("rev-parse", "origin/main").decode().strip()
    pack = git("pack-objects", "--revs", "--stdout", "-q", input=f"{new}\n^{old}\n".encode())
    command = f"{old} {new} refs/heads/main\0 report-status".encode()
    body = f"{len(command) + 4:04x}".encode() + command + b"0000" + pack
    send_half("POST", f"/{sys.argv[4]}.git/git-receive-pack", body, "application/x-git-receive-pack-request")


def cut_blob():
    repository = sys.argv[4]
    blob = os.urandom(3 << 20)
    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    at, uploads = f"/v2/{repository}/blobs/{digest}", f"/v2/{repository}/blobs/uploads/"
    octets = "application/octet-stream"

    def begin():
        return expect("begin an upload", ask("POST", uploads), 202).headers["Location"]

    send_half("PUT", f"{begin()}?digest={digest}", blob, octets)
    expect("the blob of an upload in one piece that was cut off", ask("HEAD", at), 404)

    location = begin()
    send_half("PATCH", location, blob, octets)
    expect("the blob of a chunk that was cut off", ask("HEAD", at), 404)
    expect("its end without the rest", ask("PUT", f"{location}?digest={digest}", b""), 400)
    expect("the blob of a wrong end", ask("HEAD", at), 404)

    location = begin()
    send_half("PATCH", location, blob, octets)
    for _ in range(100):  # bytes of the cut connection may still be on their way into the file: 416 says from where
        done = int(expect("how far it is", ask("GET", location), 204).headers["Range"].split("-")[1]) + 1
        answer = ask("PATCH", location, blob[done:], Content_Type=octets, Content_Range=f"{done}-{len(blob) - 1}")
        if answer.status != 416:
            break
    expect("the rest", answer, 202)
    expect("the end", ask("PUT", f"{location}?digest={digest}", b""), 201)
    whole = expect("the resumed blob", ask("HEAD", at), 200)
    if int(whole.headers["Content-Length"]) != len(blob):
        sys.exit(f"the resumed blob has {whole.headers['Content-Length']} bytes")


cut_push() if mode == "git" else cut_blob()
