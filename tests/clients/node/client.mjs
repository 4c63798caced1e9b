// SPDX-License-Identifier: Apache-2.0
// The JavaScript client (npm @kubernetes/client-node), unchanged, against an API server with its controllers: typed calls,
// patches of each kind, generic objects, an informer, a watch, errors. usage: client.mjs KUBECONFIG
import assert from 'node:assert/strict';
import * as k8s from '@kubernetes/client-node';

const namespace = 'node-client';
const config = new k8s.KubeConfig();
config.loadFromFile(process.argv[2]);
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
async function until(check, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  while (!(await check())) {
    assert.ok(Date.now() < end, 'waited too long');
    await sleep(50);
  }
}
async function refused(status, reason, call) {
  try {
    await call();
  } catch (error) {
    assert.equal(error.code, status, String(error));
    assert.match(String(error.body?.reason ?? error.body), new RegExp(reason));
    return;
  }
  assert.fail(`not refused with ${status}`);
}

const labels = { app: 'web' };
const deployment = {
  metadata: { name: 'web' },
  spec: {
    replicas: 1,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'nginx', ports: [{ containerPort: 80 }] }] } },
  },
};

const steps = {
  async discovery() {
    const version = await config.makeApiClient(k8s.VersionApi).getCode();
    assert.match(version.gitVersion, /^v1\./);
  },
  async workloads() {
    await core.createNamespace({ body: { metadata: { name: namespace } } });
    await until(async () => (await core.listNamespacedServiceAccount({ namespace })).items.length > 0);
    const made = await apps.createNamespacedDeployment({ namespace, body: deployment });
    assert.equal(made.spec.strategy.type, 'RollingUpdate');
    await until(async () => (await core.listNamespacedPod({ namespace, labelSelector: 'app=web' })).items.length === 1);
    const old = structuredClone(made);
    await until(async () => (await apps.readNamespacedDeployment({ namespace, name: 'web' })).metadata.resourceVersion !== old.metadata.resourceVersion);
    await refused(409, 'Conflict', () => apps.replaceNamespacedDeployment({ namespace, name: 'web', body: old }));
  },
  async patches() {
    const name = 'web';
    const body = { spec: { template: { spec: { containers: [{ name: 'web', image: 'nginx:2' }] } } } };
    const kinds = k8s.PatchStrategy;
    const as = (kind) => k8s.setHeaderOptions('Content-Type', kind);
    const merged = await apps.patchNamespacedDeployment({ namespace, name, body }, as(kinds.StrategicMergePatch));
    assert.equal(merged.spec.template.spec.containers[0].ports[0].containerPort, 80);
    const added = await apps.patchNamespacedDeployment({ namespace, name, body: [{ op: 'add', path: '/metadata/labels', value: { a: 'b' } }] }, as(kinds.JsonPatch));
    assert.equal(added.metadata.labels.a, 'b');
    const applied = await apps.patchNamespacedDeployment(
      { namespace, name, fieldManager: 'node', force: true, body: { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name }, spec: { replicas: 2 } } },
      as(kinds.ServerSideApply));
    assert.ok(applied.metadata.managedFields.some((m) => m.manager === 'node' && m.operation === 'Apply'));
  },
  async 'an informer'() {
    const seen = [];
    const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () => core.listNamespacedConfigMap({ namespace }));
    for (const verb of ['add', 'update', 'delete']) informer.on(verb, (object) => object.metadata.name === 'i' && seen.push(verb));
    informer.on('error', (error) => error.name === 'AbortError' || seen.push(String(error))); // stop() aborts its watch
    await informer.start();
    await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'i' } } });
    await until(() => seen.length === 1);
    const read = await core.readNamespacedConfigMap({ namespace, name: 'i' });
    await core.replaceNamespacedConfigMap({ namespace, name: 'i', body: { ...read, data: { k: 'v' } } });
    await until(() => seen.length === 2);
    await core.deleteNamespacedConfigMap({ namespace, name: 'i' });
    await until(() => seen.length === 3);
    await informer.stop();
    assert.deepEqual(seen, ['add', 'update', 'delete']);
  },
  async 'objects of any kind'() {
    const group = 'node.example.com';
    const crd = {
      apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: `widgets.${group}` },
      spec: {
        group, scope: 'Namespaced', names: { plural: 'widgets', kind: 'Widget' },
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: { size: { type: 'integer', minimum: 1 } } } } } } }],
      },
    };
    await objects.create(crd);
    await until(async () => (await objects.read(crd)).status?.conditions?.some((c) => c.type === 'Established' && c.status === 'True'));
    const widget = (size) => ({ apiVersion: `${group}/v1`, kind: 'Widget', metadata: { name: 'a', namespace }, spec: { size } });
    assert.equal((await objects.create(widget(2))).spec.size, 2);
    await refused(422, 'Invalid', () => objects.create({ ...widget(0), metadata: { name: 'b', namespace } }));
    assert.equal((await objects.list(`${group}/v1`, 'Widget', namespace)).items.length, 1);
    await objects.delete(crd);
  },
  async errors() {
    await refused(404, 'NotFound', () => core.readNamespacedPod({ namespace, name: 'absent' }));
    await refused(409, 'AlreadyExists', () => core.createNamespace({ body: { metadata: { name: namespace } } }));
    await refused(422, 'Invalid', () => core.createNamespacedService({ namespace, body: { metadata: { name: 'none' }, spec: { ports: [] } } }));
  },
  async cleaning() {
    await core.deleteNamespace({ name: namespace });
    await until(async () => {
      for (const pod of (await core.listNamespacedPod({ namespace })).items)  // nobody plays the kubelet here
        await core.deleteNamespacedPod({ namespace, name: pod.metadata.name, gracePeriodSeconds: 0 }).catch((e) => assert.equal(e.code, 404));
      return !(await core.listNamespace()).items.some((n) => n.metadata.name === namespace);
    });
  },
};

for (const [name, check] of Object.entries(steps)) {
  const started = Date.now();
  await check();
  console.log(`ok   node: ${name} (${Date.now() - started} ms)`);
}
process.exit(0);
