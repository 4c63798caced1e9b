#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Python client (PyPI `kubernetes`), unchanged, against an API server with its controllers: typed and dynamic calls,
patches, paging, watches through their end, leader election, errors. usage: client.py KUBECONFIG"""
import sys
import threading
import time

import yaml
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException

NAMESPACE = "python-client"
LABELS = {"app": "web"}


def step(name, check):
    started = time.monotonic()
    check()
    print(f"ok   python: {name} ({(time.monotonic() - started) * 1000:.0f} ms)")


def refused(status, reason, call):
    try:
        call()
    except ApiException as error:
        assert error.status == status and f'"reason":"{reason}"' in error.body, (error.status, error.body)
        return
    raise AssertionError(f"not refused with {status} {reason}")


def until(check, seconds=30):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def deployment(replicas):
    container = client.V1Container(name="web", image="nginx", ports=[client.V1ContainerPort(container_port=80)])
    template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=LABELS), spec=client.V1PodSpec(containers=[container]))
    spec = client.V1DeploymentSpec(replicas=replicas, selector=client.V1LabelSelector(match_labels=LABELS), template=template)
    return client.V1Deployment(metadata=client.V1ObjectMeta(name="web"), spec=spec)


class Session:
    def __init__(self):
        self.core, self.apps = client.CoreV1Api(), client.AppsV1Api()

    def discovery(self):
        assert client.VersionApi().get_code().git_version.startswith("v1.")
        groups = {group.name for group in client.ApisApi().get_api_versions().groups}
        assert {"apps", "batch", "rbac.authorization.k8s.io"} <= groups, groups

    def workloads(self):
        self.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
        until(lambda: self.core.list_namespaced_service_account(NAMESPACE).items)
        made = self.apps.create_namespaced_deployment(NAMESPACE, deployment(2))
        assert made.spec.strategy.type == "RollingUpdate" and made.metadata.generation == 1
        until(lambda: len(self.core.list_namespaced_pod(NAMESPACE, label_selector="app=web").items) == 2)
        scale = self.apps.patch_namespaced_deployment_scale("web", NAMESPACE, {"spec": {"replicas": 3}})
        assert scale.spec.replicas == 3
        until(lambda: len(self.core.list_namespaced_pod(NAMESPACE).items) == 3)

    def patches(self):
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "nginx:2"}]}}}}
        patched = self.apps.patch_namespaced_deployment("web", NAMESPACE, patch)  # strategic: the container keeps its port
        assert patched.spec.template.spec.containers[0].ports[0].container_port == 80
        steps = [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]
        patched = self.apps.patch_namespaced_deployment("web", NAMESPACE, steps)  # a list goes as JSON patch
        assert patched.metadata.labels == {"a": "b"}
        old = self.apps.read_namespaced_deployment("web", NAMESPACE)
        old.metadata.resource_version = "1"
        refused(409, "Conflict", lambda: self.apps.replace_namespaced_deployment("web", NAMESPACE, old))

    def paging(self):
        for i in range(7):
            self.core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name=f"m{i}", labels={"page": "y"}), data={"i": str(i)}))
        names, token = [], None
        while True:
            page = self.core.list_namespaced_config_map(NAMESPACE, limit=3, _continue=token, field_selector="metadata.name!=kube-root-ca.crt")
            names += [m.metadata.name for m in page.items]
            token = page.metadata._continue
            if not token:
                break
        assert names == [f"m{i}" for i in range(7)], names
        self.core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="page=y")
        assert not self.core.list_namespaced_config_map(NAMESPACE, label_selector="page=y").items

    def watches(self):
        seen, w = [], watch.Watch()
        version = self.core.list_namespaced_config_map(NAMESPACE).metadata.resource_version

        def follow():
            for event in w.stream(self.core.list_namespaced_config_map, NAMESPACE, resource_version=version, timeout_seconds=20):
                seen.append((event["type"], event["object"].metadata.name))
                if event["type"] == "DELETED":
                    w.stop()

        thread = threading.Thread(target=follow)
        thread.start()
        self.core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="w")))
        self.core.patch_namespaced_config_map("w", NAMESPACE, {"data": {"k": "v"}})
        self.core.delete_namespaced_config_map("w", NAMESPACE)
        thread.join(30)
        assert seen == [("ADDED", "w"), ("MODIFIED", "w"), ("DELETED", "w")], seen

    def dynamic_client(self):
        schema = {"type": "object", "properties": {"spec": {"type": "object", "required": ["size"], "properties": {"size": {"type": "integer", "minimum": 1}}}}}
        names = client.V1CustomResourceDefinitionNames(plural="widgets", kind="Widget")
        version = client.V1CustomResourceDefinitionVersion(name="v1", served=True, storage=True, schema=client.V1CustomResourceValidation(open_apiv3_schema=schema))
        spec = client.V1CustomResourceDefinitionSpec(group="python.example.com", scope="Namespaced", names=names, versions=[version])
        crds = client.ApiextensionsV1Api()
        crds.create_custom_resource_definition(client.V1CustomResourceDefinition(metadata=client.V1ObjectMeta(name="widgets.python.example.com"), spec=spec))
        found = dynamic.DynamicClient(client.ApiClient())
        until(lambda: any(c.type == "Established" for c in crds.read_custom_resource_definition("widgets.python.example.com").status.conditions or []))
        widgets = found.resources.get(api_version="python.example.com/v1", kind="Widget")
        body = {"apiVersion": "python.example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"size": 2}}
        applied = widgets.server_side_apply(body=body, name="a", namespace=NAMESPACE, field_manager="python")
        assert applied.metadata.managedFields[0].manager == "python"
        body["spec"]["size"] = 0
        try:
            widgets.create(body={**body, "metadata": {"name": "b"}}, namespace=NAMESPACE)
            raise AssertionError("an invalid object was taken")
        except dynamic.exceptions.UnprocessibleEntityError as error:
            assert "should be greater than or equal to 1" in str(error), error
        listed = client.CustomObjectsApi().list_namespaced_custom_object("python.example.com", "v1", NAMESPACE, "widgets")
        assert [w["spec"]["size"] for w in listed["items"]] == [2]
        crds.delete_custom_resource_definition("widgets.python.example.com")

    def from_yaml(self):
        text = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80, targetPort: 80}]}"
        utils.create_from_dict(client.ApiClient(), yaml.safe_load(text), namespace=NAMESPACE)
        assert self.core.read_namespaced_service("web", NAMESPACE).spec.cluster_ip
        refused(409, "AlreadyExists", lambda: self.core.create_namespaced_service(NAMESPACE, yaml.safe_load(text)))
        refused(404, "NotFound", lambda: self.core.read_namespaced_service("absent", NAMESPACE))

    def rights(self):
        review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=client.V1ResourceAttributes(verb="delete", resource="nodes")))
        assert client.AuthorizationV1Api().create_self_subject_access_review(review).status.allowed
        token = self.core.create_namespaced_service_account_token("default", NAMESPACE, client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[])))
        mine = client.Configuration.get_default_copy()
        mine.cert_file = mine.key_file = None
        mine.refresh_api_key_hook = None  # else the kubeconfig's token comes back
        mine.api_key = {"authorization": "Bearer " + token.status.token}
        other = client.CoreV1Api(client.ApiClient(mine))
        refused(403, "Forbidden", lambda: other.list_node())

    def leases(self):
        api = client.CoordinationV1Api()
        body = client.V1Lease(metadata=client.V1ObjectMeta(name="lead"), spec=client.V1LeaseSpec(holder_identity="a", lease_duration_seconds=15))
        one = api.create_namespaced_lease(NAMESPACE, body)
        two = api.read_namespaced_lease("lead", NAMESPACE)
        one.spec.holder_identity, two.spec.holder_identity = "a2", "b"
        api.replace_namespaced_lease("lead", NAMESPACE, one)
        refused(409, "Conflict", lambda: api.replace_namespaced_lease("lead", NAMESPACE, two))  # who comes second loses

    def cleaning(self):
        self.core.delete_namespace(NAMESPACE)

        def gone():
            for pod in self.core.list_namespaced_pod(NAMESPACE).items:  # nobody plays the kubelet here
                try:
                    self.core.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=0)
                except ApiException as error:
                    assert error.status == 404, error
            return NAMESPACE not in [n.metadata.name for n in self.core.list_namespace().items]

        until(gone)


def main():
    config.load_kube_config(sys.argv[1])
    session = Session()
    for name in ("discovery", "workloads", "patches", "paging", "watches", "dynamic_client", "from_yaml", "rights", "leases", "cleaning"):
        step(name.replace("_", " "), getattr(session, name))


main()
