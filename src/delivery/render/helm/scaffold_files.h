// SPDX-License-Identifier: Apache-2.0
// The files of a new chart; Chart.yaml first. Included by scaffold.cc alone.
#pragma once
#include <string_view>

namespace caisson::render::helm {

struct ScaffoldFile {
  std::string_view name, text;
};

inline constexpr ScaffoldFile kScaffoldFiles[] = {
    {"Chart.yaml", R"chart(apiVersion: v2
name: <CHARTNAME>
description: A Helm chart for Kubernetes
type: application
# The chart's version: raise it with every change of the chart.
version: 0.1.0
# The version of what the chart deploys.
appVersion: "1.16.0"
)chart"},
    {"values.yaml", R"chart(# Values of <CHARTNAME>; each can be set with --set or in a file for -f.

replicaCount: 1

image:
  repository: nginx
  pullPolicy: IfNotPresent
  # Empty: the chart's appVersion.
  tag: ""

imagePullSecrets: []
nameOverride: ""
fullnameOverride: ""

serviceAccount:
  create: true
  automount: true
  annotations: {}
  # Empty: named after the release.
  name: ""

podAnnotations: {}
podLabels: {}
podSecurityContext: {}
securityContext: {}

service:
  type: ClusterIP
  port: 80

ingress:
  enabled: false
  className: ""
  annotations: {}
  hosts:
    - host: chart-example.local
      paths:
        - path: /
          pathType: ImplementationSpecific
  tls: []

# Gateway API: needs its CRDs and a Gateway.
httpRoute:
  enabled: false
  annotations: {}
  parentRefs:
    - name: gateway
  hostnames:
    - chart-example.local
  rules:
    - matches:
        - path: {type: PathPrefix, value: /}

resources: {}

livenessProbe:
  httpGet: {path: /, port: http}
readinessProbe:
  httpGet: {path: /, port: http}

autoscaling:
  enabled: false
  minReplicas: 1
  maxReplicas: 100
  targetCPUUtilizationPercentage: 80

volumes: []
volumeMounts: []
nodeSelector: {}
tolerations: []
affinity: {}
)chart"},
    {".helmignore", R"chart(# What `helm package` leaves out, one pattern a line.
.DS_Store
.git/
.gitignore
.bzr/
.hg/
.svn/
*.swp
*.bak
*.tmp
*.orig
*~
.project
.idea/
*.tmproj
.vscode/
)chart"},
    {"templates/ingress.yaml", R"chart({{- if .Values.ingress.enabled }}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ include "<CHARTNAME>.fullname" . }}
  labels: {{- include "<CHARTNAME>.labels" . | nindent 4 }}
  {{- with .Values.ingress.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .Values.ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with .Values.ingress.tls }}
  tls: {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    {{- range .Values.ingress.hosts }}
    - host: {{ .host | quote }}
      http:
        paths:
          {{- range .paths }}
          - path: {{ .path }}
            pathType: {{ .pathType | default "Prefix" }}
            backend:
              service:
                name: {{ include "<CHARTNAME>.fullname" $ }}
                port: {number: {{ $.Values.service.port }}}
          {{- end }}
    {{- end }}
{{- end }}
)chart"},
    {"templates/httproute.yaml", R"chart({{- if .Values.httpRoute.enabled }}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: {{ include "<CHARTNAME>.fullname" . }}
  labels: {{- include "<CHARTNAME>.labels" . | nindent 4 }}
  {{- with .Values.httpRoute.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  parentRefs: {{- toYaml .Values.httpRoute.parentRefs | nindent 4 }}
  {{- with .Values.httpRoute.hostnames }}
  hostnames: {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    {{- range .Values.httpRoute.rules }}
    - matches: {{- toYaml .matches | nindent 8 }}
      backendRefs:
        - name: {{ include "<CHARTNAME>.fullname" $ }}
          port: {{ $.Values.service.port }}
    {{- end }}
{{- end }}
)chart"},
    {"templates/deployment.yaml", R"chart(apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "<CHARTNAME>.fullname" . }}
  labels: {{- include "<CHARTNAME>.labels" . | nindent 4 }}
spec:
  {{- if not .Values.autoscaling.enabled }}
  replicas: {{ .Values.replicaCount }}
  {{- end }}
  selector:
    matchLabels: {{- include "<CHARTNAME>.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      {{- with .Values.podAnnotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
      labels:
        {{- include "<CHARTNAME>.labels" . | nindent 8 }}
        {{- with .Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "<CHARTNAME>.serviceAccountName" . }}
      {{- range $field := list "imagePullSecrets" "volumes" "nodeSelector" "tolerations" "affinity" }}
      {{- with index $.Values $field }}
      {{ $field }}: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      {{- with .Values.podSecurityContext }}
      securityContext: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .Chart.Name }}
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          ports:
            - {name: http, containerPort: {{ .Values.service.port }}, protocol: TCP}
          {{- range $field := list "securityContext" "livenessProbe" "readinessProbe" "resources" "volumeMounts" }}
          {{- with index $.Values $field }}
          {{ $field }}: {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- end }}
)chart"},
    {"templates/service.yaml", R"chart(apiVersion: v1
kind: Service
metadata:
  name: {{ include "<CHARTNAME>.fullname" . }}
  labels: {{- include "<CHARTNAME>.labels" . | nindent 4 }}
spec:
  type: {{ .Values.service.type }}
  ports:
    - {name: http, port: {{ .Values.service.port }}, targetPort: http, protocol: TCP}
  selector: {{- include "<CHARTNAME>.selectorLabels" . | nindent 4 }}
)chart"},
    {"templates/serviceaccount.yaml", R"chart({{- if .Values.serviceAccount.create }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "<CHARTNAME>.serviceAccountName" . }}
  labels: {{- include "<CHARTNAME>.labels" . | nindent 4 }}
  {{- with .Values.serviceAccount.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: {{ .Values.serviceAccount.automount }}
{{- end }}
)chart"},
    {"templates/hpa.yaml", R"chart({{- with .Values.autoscaling }}
{{- if .enabled }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "<CHARTNAME>.fullname" $ }}
  labels: {{- include "<CHARTNAME>.labels" $ | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "<CHARTNAME>.fullname" $ }}
  minReplicas: {{ .minReplicas }}
  maxReplicas: {{ .maxReplicas }}
  metrics:
    {{- range $resource, $percent := dict "cpu" .targetCPUUtilizationPercentage "memory" .targetMemoryUtilizationPercentage }}
    {{- with $percent }}
    - type: Resource
      resource:
        name: {{ $resource }}
        target: {type: Utilization, averageUtilization: {{ . }}}
    {{- end }}
    {{- end }}
{{- end }}
{{- end }}
)chart"},
    {"templates/NOTES.txt",
     R"chart({{ .Chart.Name }} {{ .Chart.Version }} is installed as {{ .Release.Name }} in {{ .Release.Namespace }}.
{{ if .Values.ingress.enabled }}
It is served at:
{{- range .Values.ingress.hosts }}
  http{{ if $.Values.ingress.tls }}s{{ end }}://{{ .host }}
{{- end }}
{{- else }}
To reach it from here:
  kubectl --namespace {{ .Release.Namespace }} port-forward service/{{ include "<CHARTNAME>.fullname" . }} 8080:{{ .Values.service.port }}
  curl http://127.0.0.1:8080
{{- end }}
)chart"},
    {"templates/_helpers.tpl", R"chart({{/* The chart's name, cut to what a label's value may hold. */}}
{{- define "<CHARTNAME>.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* What the objects are called: the release, and the chart where its name does not say so already. */}}
{{- define "<CHARTNAME>.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $both .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "<CHARTNAME>.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "<CHARTNAME>.selectorLabels" . }}
{{- with .Chart.AppVersion }}
app.kubernetes.io/version: {{ . | quote }}
{{- end }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Labels by which the pods are found: they must not change from one version of the chart to the next. */}}
{{- define "<CHARTNAME>.selectorLabels" -}}
app.kubernetes.io/name: {{ include "<CHARTNAME>.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "<CHARTNAME>.serviceAccountName" -}}
{{- $own := ternary (include "<CHARTNAME>.fullname" .) "default" .Values.serviceAccount.create }}
{{- default $own .Values.serviceAccount.name }}
{{- end }}
)chart"},
    {"templates/tests/test-connection.yaml", R"chart(apiVersion: v1
kind: Pod
metadata:
  name: {{ include "<CHARTNAME>.fullname" . }}-test-connection
  labels: {{- include "<CHARTNAME>.labels" . | nindent 4 }}
  annotations:
    helm.sh/hook: test
spec:
  restartPolicy: Never
  containers:
    - name: wget
      image: busybox
      command: [wget]
      args: ['{{ include "<CHARTNAME>.fullname" . }}:{{ .Values.service.port }}']
)chart"},
};

}  // namespace caisson::render::helm
