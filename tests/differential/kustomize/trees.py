#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Random valid kustomization trees. tree(seed) gives {path: text} with the entry "overlay"; the same seed gives the same.
import json, random

WORDS = ["web", "api", "db", "cache", "worker", "front", "jobs", "auth"]
IMAGES = ["nginx", "shop/web", "registry.example.com:5000/team/api", "redis"]
TEXTS = ["plain", "true", "yes", "0777", "1e3", "null", "~", "", "a: b", "# x", "two words", "multi\nline\n", "tail ", "'q'",
         '"d"', "2024-01-02", "x" * 90 + " " + "y" * 30, "tab\tin", "é ü 한", "- a", "[a]", "{a}", "*a", "&a", "1.50", "0x1f", "on"]


def dump(value):
    return json.dumps(value, ensure_ascii=False)  # JSON is YAML: how people's YAML is written is the corpus' matter


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.files = {}

    def maybe(self, p=0.5):
        return self.r.random() < p

    def pick(self, items):
        return self.r.choice(items)

    def text(self):
        return self.pick(TEXTS)

    def pairs(self, low=1):
        return {self.pick(["app", "tier", "example.com/x", "team", "n"]): self.pick(["a", "b", "true", "1", "x-y", ""])
                for _ in range(self.r.randint(low, 3))}

    def container(self, name, config):
        out = {"name": name, "image": self.pick(IMAGES) + self.pick(["", ":1.0", ":v2@sha256:abc", "@sha256:def"])}
        if self.maybe():
            out["env"] = [{"name": n, "value": self.text()} for n in self.r.sample(["A", "B", "C"], self.r.randint(1, 3))]
            if config and self.maybe():
                out["env"].append({"name": "K", "valueFrom": {"configMapKeyRef": {"name": config, "key": "k"}}})
        if self.maybe():
            out["ports"] = [{"containerPort": p, **({"protocol": "TCP"} if self.maybe() else {}), **({"name": f"p{p}"} if self.maybe() else {})}
                            for p in self.r.sample([80, 443, 8080, 9090], self.r.randint(1, 2))]
        if config and self.maybe():
            out["envFrom"] = [{"configMapRef": {"name": config}}]
        if self.maybe(0.3):
            out["volumeMounts"] = [{"name": "data", "mountPath": "/" + self.pick(WORDS)}]
        if self.maybe(0.3):
            out["args"] = [self.text() for _ in range(self.r.randint(1, 3))]
        return out

    def metadata(self, name, ns):
        out = {"name": name}
        if ns and self.maybe(0.3):
            out["namespace"] = ns
        if self.maybe():
            out["labels"] = self.pairs()
        if self.maybe(0.3):
            out["annotations"] = {"note": self.text()}
        return out

    def pod(self, config, secret):
        names = self.r.sample(["main", "side", "init"], self.r.randint(1, 2))
        out = {"containers": [self.container(n, config) for n in names]}
        if self.maybe(0.3):
            out["initContainers"] = [self.container("setup", config)]
        if self.maybe(0.4):
            out["volumes"] = [{"name": "data", **self.pick([{"emptyDir": {}}, {"secret": {"secretName": secret or "s"}},
                                                            {"configMap": {"name": config or "c"}}])}]
        if self.maybe(0.2):
            out["serviceAccountName"] = "robot"
        return out

    def objects(self, config, secret):
        out = []
        for name in self.r.sample(WORDS, self.r.randint(1, 4)):
            ns = self.pick(["", "", "shop"])
            kind = self.pick(["Deployment", "Deployment", "StatefulSet", "CronJob", "DaemonSet"])
            labels = {"app": name}
            if kind == "CronJob":
                template = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": self.pod(config, secret)}}}}
                out.append({"apiVersion": "batch/v1", "kind": kind, "metadata": self.metadata(name, ns), "spec": template})
            else:
                spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": self.pod(config, secret)}}
                if kind == "StatefulSet":
                    spec["serviceName"] = name
                if self.maybe():
                    spec["replicas"] = self.r.randint(0, 5)
                out.append({"apiVersion": "apps/v1", "kind": kind, "metadata": self.metadata(name, ns), "spec": spec})
            if self.maybe():
                out.append({"apiVersion": "v1", "kind": "Service", "metadata": self.metadata(name, ns),
                            "spec": {"selector": labels, "ports": [{"port": p} for p in self.r.sample([80, 443, 8080], self.r.randint(1, 2))]}})
            if self.maybe(0.3):
                out.append({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": self.metadata(name, ns), "spec": {"rules": [
                    {"host": name + ".example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix",
                     "backend": {"service": {"name": name, "port": {"number": 80}}}}]}}]}})
            if self.maybe(0.2) and kind != "CronJob":
                out.append({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": self.metadata(name, ns),
                            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name}, "maxReplicas": 3}})
        if self.maybe(0.3):
            out.append({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}})
            out.append({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "robots"},
                        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
                        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": self.pick(["default", "shop"])}]})
            out.append({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": self.pick(["Role", "ClusterRole"]), "metadata": {"name": "reader"},
                        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]})
        if self.maybe(0.2):
            out.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        if self.maybe(0.3):
            out.append({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": self.metadata("gadget", ""),
                        "spec": {"list": [{"name": "a", "v": 1}, {"name": "b", "v": self.text()}], "text": self.text()}})
        self.r.shuffle(out)
        return out

    def generator(self, folder, name):
        out = {"name": name}
        if self.maybe(0.7):
            out["literals"] = [f"{k}={self.pick(['a', '1', 'x y', 'true'])}" for k in self.r.sample(["k", "l", "m"], self.r.randint(1, 3))]
        if self.maybe(0.4) or "literals" not in out:
            self.files[f"{folder}/{name}.txt"] = self.text() + "\n"
            out["files"] = [self.pick(["", "key="]) + f"{name}.txt"]
        if self.maybe(0.3):
            self.files[f"{folder}/{name}.env"] = "E1=1\n# note\nE2=two words\n"
            out["envs"] = [f"{name}.env"]
        if self.maybe(0.3):
            out["options"] = {"disableNameSuffixHash": self.maybe(), "labels": self.pairs()}
        return out

    def merge_patch(self, target):
        patch = {"apiVersion": target["apiVersion"], "kind": target["kind"], "metadata": {"name": target["metadata"]["name"]}}
        if "namespace" in target["metadata"]:
            patch["metadata"]["namespace"] = target["metadata"]["namespace"]
        choice = self.r.randint(0, 5)
        pod = target.get("spec", {}).get("template", {}).get("spec")
        if choice == 0:
            patch["metadata"]["labels"] = self.pairs()
            patch["metadata"]["annotations"] = {"note": self.pick([self.text(), None])}
        elif choice == 1 and self.maybe(0.2):
            patch["$patch"] = "delete"
        elif pod and choice in (2, 3):
            container = {"name": self.pick(pod["containers"])["name"]}
            field = self.pick(["env", "ports", "image", "args", "delete", "new"])
            if field == "env":
                container["env"] = [{"name": self.pick(["A", "Z"]), "value": self.text()}]
            elif field == "ports":
                container["ports"] = [{"containerPort": self.pick([80, 8443]), **({"protocol": self.pick(["TCP", "UDP"])} if self.maybe() else {})}]
            elif field == "image":
                container["image"] = "other:2"
            elif field == "args":
                container["args"] = [self.text()]
            elif field == "delete":
                container["$patch"] = "delete"
                if len(pod["containers"]) < 2:
                    container = {"name": "more", "image": "m"}
            else:
                container = {"name": "more", "image": "m"}
            patch["spec"] = {"template": {"spec": {"containers": [container]}}}
        elif pod:
            patch["spec"] = {"replicas": self.pick([0, 2, None]), "template": {"metadata": {"labels": self.pairs()},
                             "spec": {"volumes": [{"name": self.pick(["data", "extra"]), "emptyDir": {}}]}}}
        elif target["kind"] == "Service":
            patch["spec"] = {"ports": [{"port": self.pick([80, 81]), "targetPort": 8080}]}
        elif target["kind"] == "Widget":
            patch["spec"] = {"list": [{"name": "b", "v": 2}], "text": self.text()}
        else:
            patch["metadata"]["labels"] = self.pairs()
        return patch

    def json_patch(self):
        return [self.pick([{"op": "add", "path": "/metadata/labels", "value": self.pairs()},
                           {"op": "add", "path": "/metadata/annotations", "value": {"x": self.text()}},
                           {"op": "replace", "path": "/metadata/name", "value": "renamed"},
                           {"op": "add", "path": "/spec/extra", "value": [self.text(), 1, {"a": None}]}])]

    def layer(self, folder, below, objects, configs):
        k = {}
        if below:
            k["resources"] = [("../" + b) for b in below]
        if self.maybe(0.5):
            k["namespace"] = self.pick(["prod", "dev"])
        if self.maybe(0.4):
            k["namePrefix"] = self.pick(["p-", "dev-"])
        if self.maybe(0.3):
            k["nameSuffix"] = self.pick(["-v1", "-x"])
        if self.maybe(0.3):
            k["commonLabels"] = self.pairs()
        if self.maybe(0.3):
            k["commonAnnotations"] = {"owner": self.text()}
        if self.maybe(0.4):
            k["labels"] = [{"pairs": self.pairs(), **({"includeSelectors": True} if self.maybe(0.3) else {"includeTemplates": self.maybe()})}]
        if self.maybe(0.4):
            image = {"name": self.pick(IMAGES)}
            image.update(self.pick([{"newTag": "9"}, {"newName": "n/n"}, {"digest": "sha256:fff"}, {"newName": "q", "newTag": "1"}, {"tagSuffix": "-s"}]))
            k["images"] = [image]
        workloads = [o for o in objects if o["kind"] in ("Deployment", "StatefulSet")]
        if workloads and self.maybe(0.3):
            k["replicas"] = [{"name": self.pick(workloads)["metadata"]["name"], "count": self.r.randint(0, 9)}]
        patches = []
        for _ in range(self.r.randint(0, 3)):
            target = self.pick(objects)
            if self.maybe(0.6):
                patch = self.merge_patch(target)
                if self.maybe(0.4):
                    path = f"patch{len(self.files)}.json"
                    self.files[f"{folder}/{path}"] = dump(patch) + "\n"
                    patches.append({"path": path})
                else:
                    patches.append({"patch": dump(patch)})
                if self.maybe(0.3):
                    patches[-1]["target"] = self.pick([{"kind": target["kind"]}, {"name": target["metadata"]["name"]}, {"kind": target["kind"], "name": ".*"}])
            else:
                patches.append({"patch": dump(self.json_patch()), "target": self.pick(
                    [{"kind": target["kind"], "name": target["metadata"]["name"]}, {"name": "w.*"}, {"labelSelector": "app=web"}])})
        if patches:
            k["patches"] = patches
        if self.maybe(0.3) and workloads:
            target = self.pick(workloads)
            k["replacements"] = [{"source": {"kind": target["kind"], "name": target["metadata"]["name"], "fieldPath": self.pick(
                ["metadata.name", "spec.template.spec.containers.0.image"])},
                "targets": [{"select": {"kind": self.pick(["Service", target["kind"]])}, "fieldPaths": [self.pick(["metadata.annotations.src", "metadata.labels.src"])],
                             "options": {"create": True}}]}]
        if self.maybe(0.3):
            name = self.pick(["settings", "more"])
            generator = self.generator(folder, name)
            if name in configs:
                generator["behavior"] = self.pick(["merge", "replace"])
            k["configMapGenerator"] = [generator]
        if self.maybe(0.2):
            k["generatorOptions"] = {"labels": self.pairs(), "disableNameSuffixHash": self.maybe(0.3)}
        if self.maybe(0.2):
            k["buildMetadata"] = self.r.sample(["originAnnotations", "transformerAnnotations", "managedByLabel"], self.r.randint(1, 2))
        if self.maybe(0.2):
            k["sortOptions"] = {"order": self.pick(["fifo", "legacy"])}
        return k

    def tree(self):
        config = self.pick([None, "settings"])
        secret = self.pick([None, "keys"])
        objects = self.objects(config, secret)
        base = self.layer("base", [], objects, []) if self.maybe(0.5) else {}
        base.setdefault("resources", [])
        half = self.r.randint(0, len(objects))
        for name, part in (("one.yaml", objects[:half]), ("two.yaml", objects[half:])):
            if part:
                self.files["base/" + name] = "---\n".join(dump(o) + "\n" for o in part)
                base["resources"].append(name)
        configs = []
        if config:
            base["configMapGenerator"] = [self.generator("base", config)]
            configs = [config]
        else:
            base.pop("configMapGenerator", None)
        if secret:
            base["secretGenerator"] = [self.generator("base", secret)]
        self.files["base/kustomization.yaml"] = dump(base) + "\n"
        below = ["base"]
        if self.maybe(0.3):
            self.files["middle/kustomization.yaml"] = dump(self.layer("middle", ["base"], objects, configs)) + "\n"
            below = ["middle"]
        overlay = self.layer("overlay", below, objects, configs)
        if self.maybe(0.3):
            component = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", **self.layer("component", [], objects, configs)}
            component.pop("replicas", None)
            self.files["component/kustomization.yaml"] = dump(component) + "\n"
            overlay["components"] = ["../component"]
        self.files["overlay/kustomization.yaml"] = dump(overlay) + "\n"
        return self.files


def tree(seed):
    return Maker(seed).tree()
