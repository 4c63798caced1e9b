# SPDX-License-Identifier: Apache-2.0
"""Creates each example of a Tekton corpus in a namespace of its own and waits until its runs have ended.
tekton.py SERVER TOKEN CORPUS [SUBSTRING]; prints one line per example and "N passed, N failed, N skipped" at the end."""
import json, pathlib, re, ssl, sys, time, urllib.error, urllib.request
import yaml

server, token, corpus = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
wanted = sys.argv[4] if len(sys.argv) > 4 else ""
SECONDS_MAX = 120
# Images of the examples, and those of the same content that stand-ins exist for.
IMAGES = [(r"(?<=[\s\"'])mirror\.gcr\.io/(library/)?(\w+)(@sha256:[0-9a-f]{64})?", r"\2"),
          (r"(image: *[\"']?|default: *[\"']?)(bash|ubuntu)\b", lambda found: found[1] + {"bash": "alpine", "ubuntu": "debian"}[found[2]])]
tls = ssl.create_default_context()
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE


def call(method, path, body=None):
    request = urllib.request.Request(server + path, method=method, data=json.dumps(body).encode() if body is not None else None,
                                     headers={"Authorization": "Bearer " + token, "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, context=tls, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        raise RuntimeError(json.loads(text).get("message", text) if text.startswith("{") else text) from None


plurals = {}
def path_of(obj, namespace):
    group_version = obj["apiVersion"]
    if group_version not in plurals:
        root = "/api/" if "/" not in group_version else "/apis/"
        plurals[group_version] = {r["kind"]: (r["name"], r["namespaced"]) for r in call("GET", root + group_version)["resources"]
                                  if "/" not in r["name"]}
    root = "/api/" if "/" not in group_version else "/apis/"
    if obj["kind"] not in plurals[group_version]:
        raise RuntimeError(f"no kind {obj['kind']} in {group_version}")
    name, namespaced = plurals[group_version][obj["kind"]]
    return f"{root}{group_version}/" + (f"namespaces/{namespace}/" if namespaced else "") + name


def with_local_images(text):
    for pattern, to in IMAGES:
        text = re.sub(pattern, to, text)
    return text


def run(file, number):
    namespace = f"tekton-{number}"
    documents = [d for d in yaml.safe_load_all(with_local_images(file.read_text())) if d]
    call("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    runs = []
    try:
        end = time.time() + SECONDS_MAX
        while True:  # the namespace's default ServiceAccount
            try:
                call("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
                break
            except RuntimeError:
                if time.time() > end:
                    raise
                time.sleep(0.02)
        for document in documents:
            document["metadata"]["namespace"] = namespace
            path = path_of(document, namespace)
            made = call("POST", path, document)
            if document["kind"] in ("TaskRun", "PipelineRun", "CustomRun"):
                runs.append(path + "/" + made["metadata"]["name"])
        for one in runs:
            while True:
                status = call("GET", one).get("status", {})
                condition = next((c for c in status.get("conditions", []) if c["type"] == "Succeeded"), {})
                if condition.get("status") == "True":
                    break
                if condition.get("status") == "False":
                    raise RuntimeError(f"{one.rsplit('/', 1)[1]}: {condition.get('reason')}: {condition.get('message')}")
                if time.time() > end:
                    raise RuntimeError(f"{one.rsplit('/', 1)[1]} has not ended: {json.dumps(condition)}")
                time.sleep(0.1)
    finally:
        call("DELETE", f"/api/v1/namespaces/{namespace}")


passed = failed = skipped = 0
for number, entry in enumerate(json.loads((corpus / "INDEX.json").read_text())):
    if wanted not in entry["file"]:
        continue
    if entry["gate"] == "no-ci":
        skipped += 1
        continue
    begin = time.time()
    try:
        run(corpus / entry["file"], number)
        passed += 1
        print(f"✓ {entry['file']} ({time.time() - begin:.1f} s)", flush=True)
    except Exception as error:  # one example never ends the course
        failed += 1
        print(f"✗ {entry['file']}: {error}", flush=True)
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(failed > 0)
