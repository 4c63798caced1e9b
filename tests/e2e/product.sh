# SPDX-License-Identifier: Apache-2.0
# Makes a product that nobody knows beforehand: random organisation, name, port and text. Sourced after lib.sh.
#   make_product DIR   sets ORG, APP, PORT, HOST, TEXT
make_product() {
  local dir=$1
  ORG=org$(tr -dc 'a-z' </dev/urandom | head -c 6 || :)
  APP=svc$(tr -dc 'a-z' </dev/urandom | head -c 5 || :)
  PORT=$((20000 + RANDOM % 20000)) HOST=$APP.localhost TEXT="안녕 $RANDOM-$RANDOM"
  mkdir -p "$dir/$ORG-app/tekton" "$dir/$ORG-app/backend/page" "$dir/$ORG-deploy"/{base,overlays/dev,apps}
  cat >"$dir/$ORG-app/backend/Dockerfile" <<D
FROM busybox:1.36 AS text
COPY page /page
RUN sed "s/@@/\$(cat /page/text)/" /page/frame > /out.html

FROM busybox:1.36
COPY --from=text /out.html /www/index.html
USER 1000:1000
EXPOSE $PORT
ENTRYPOINT ["httpd", "-f", "-p", "$PORT", "-h", "/www"]
D
  printf '%s' "$TEXT" >"$dir/$ORG-app/backend/page/text"
  echo '<p>@@</p>' >"$dir/$ORG-app/backend/page/frame"
  local shop=$ROOT/examples/shop
  cp "$shop/shop-app/tekton/tasks.yaml" "$dir/$ORG-app/tekton/"
  for file in pipeline.yaml trigger.yaml service-account.yaml; do
    sed -e "s#shop/shop-app#$ORG/$ORG-app#; s#shop/shop-deploy#$ORG/$ORG-deploy#; s#:5000/shop#:5000/$ORG#; s#shop-app#$ORG-app#; s#namespace: shop#namespace: $ORG#" \
      "$shop/shop-app/tekton/$file" >"$dir/$ORG-app/tekton/$file"
  done
  # One image instead of two.
  python3 - "$dir/$ORG-app/tekton/pipeline.yaml" "$APP" <<'PY'
import re, sys
path, app = sys.argv[1:]
text = open(path).read()
text = re.sub(r"    - name: build-frontend.*?(?=    - name: write-tag)", "", text, flags=re.S)
text = text.replace("build-backend, build-frontend", "build-backend").replace("$(params.registry)/backend", "$(params.registry)/" + app)
open(path, "w").write(text)
PY
  cat >"$dir/$ORG-deploy/base/kustomization.yaml" <<D
resources: [app.yaml]
configMapGenerator:
  - name: settings
    literals: [greeting=hello]
D
  cat >"$dir/$ORG-deploy/base/app.yaml" <<D
apiVersion: apps/v1
kind: Deployment
metadata:
  name: $APP
  labels: {app: $APP}
spec:
  replicas: 2
  selector:
    matchLabels: {app: $APP}
  template:
    metadata:
      labels: {app: $APP}
    spec:
      terminationGracePeriodSeconds: 5
      securityContext: {runAsNonRoot: true, runAsUser: 1000}
      containers:
        - name: web
          image: backend
          envFrom:
            - configMapRef: {name: settings}
          ports:
            - {name: http, containerPort: $PORT}
          readinessProbe:
            tcpSocket: {port: http}
            periodSeconds: 1
          resources:
            requests: {cpu: 5m, memory: 8Mi}
            limits: {memory: 32Mi}
          securityContext:
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
---
apiVersion: v1
kind: Service
metadata:
  name: $APP
spec:
  selector: {app: $APP}
  ports:
    - {name: http, port: 80, targetPort: http}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: $APP
spec:
  ingressClassName: nginx
  rules:
    - host: $HOST
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: {service: {name: $APP, port: {name: http}}}
D
  cat >"$dir/$ORG-deploy/overlays/dev/kustomization.yaml" <<D
namespace: $ORG-dev
resources:
  - namespace.yaml
  - ../../base
images:
  - name: backend
    newName: registry.caisson.internal:5000/$ORG/$APP
    newTag: "none"
D
  printf 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: %s-dev\n' "$ORG" >"$dir/$ORG-deploy/overlays/dev/namespace.yaml"
  sed -e "s#shop/shop-deploy#$ORG/$ORG-deploy#; s#name: shop\$#name: $ORG#" "$shop/shop-deploy/root.yaml" >"$dir/$ORG-deploy/root.yaml"
  sed -e "s#shop/shop-deploy#$ORG/$ORG-deploy#; s#shop-dev#$ORG-dev#" "$shop/shop-deploy/apps/shop-dev.yaml" >"$dir/$ORG-deploy/apps/dev.yaml"
}
