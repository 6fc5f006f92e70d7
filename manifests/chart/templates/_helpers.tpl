{{/* Whether this release owns something: by its value, or by the mode if that is null. Takes (list VALUE MODES ROOT). */}}
{{- define "asya.owns" -}}
{{- $value := index . 0 -}}
{{- if kindIs "bool" $value -}}
{{- if $value }}yes{{ end -}}
{{- else if has (index . 2).Values.mode (index . 1) }}yes{{ end -}}
{{- end -}}

{{- define "asya.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* The labels of an object. Takes (list ROOT DICT). */}}
{{- define "asya.labels" -}}
{{- $own := dict "app.kubernetes.io/part-of" "asya" "app.kubernetes.io/managed-by" (index . 0).Release.Service "helm.sh/chart" (printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version) -}}
{{ toYaml (merge (index . 1) $own) }}
{{- end -}}

{{/* The labels of a pod, of which selectors are made. Takes a dict. */}}
{{- define "asya.podLabels" -}}
{{ toYaml (merge . (dict "app.kubernetes.io/part-of" "asya")) }}
{{- end -}}

{{- define "asya.settingsName" -}}
asya-settings{{ if eq .Values.mode "api" }}-api{{ end }}
{{- end -}}

{{- define "asya.podSecurity" -}}
{runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
{{- end -}}

{{- define "asya.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "asya.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The variables of the database. The password is one of its own, because a DSN would have to quote it. */}}
{{- define "asya.databaseEnv" -}}
{{- if .Values.config.postgresHost }}
- name: ASYA_DATABASE_URL
  value: {{ printf "postgresql://%s@%s:%d/%s%s" (urlquery .Values.config.postgresUsername | replace "+" "%20") .Values.config.postgresHost (int .Values.config.postgresPort) (urlquery .Values.config.postgresDatabase | replace "+" "%20") (ternary "" (printf "?sslmode=%s" .Values.config.postgresSslMode) (empty .Values.config.postgresSslMode)) | quote }}
{{- with .Values.config.postgresPasswordSecretRef.name }}
- {name: PGPASSWORD, valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: {{ $.Values.config.postgresPasswordSecretRef.key | quote }}}}}
{{- end }}
{{- else }}
- {name: ASYA_DATABASE_URL, valueFrom: {secretKeyRef: {name: {{ .Values.config.databaseUrlSecretRef.name | quote }}, key: {{ .Values.config.databaseUrlSecretRef.key | quote }}}}}
{{- end }}
- name: ASYA_DATABASE_DIRECT_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.config.databaseDirectUrlSecretRef.name | quote }}, key: {{ .Values.config.databaseDirectUrlSecretRef.key | quote }}, optional: true}}
{{- end -}}

{{- define "asya.publicUrl" -}}
{{- if .Values.config.publicUrl }}{{ .Values.config.publicUrl }}{{ else if .Values.httpRoute.enabled }}https://{{ .Values.httpRoute.hostname }}{{ end -}}
{{- end -}}

{{/* The Deployment of a gateway. Takes (list ROOT MODE COMPONENT). */}}
{{- define "asya.gateway" -}}
{{- $root := index . 0 -}}
{{- $mode := index . 1 -}}
{{- $values := $root.Values -}}
{{- $selected := dict "app.kubernetes.io/name" "asya-gateway" "app.kubernetes.io/component" $mode -}}
{{- $labels := merge (dict "asya.sh/component" (printf "gateway-%s" $mode)) $selected -}}
{{- $outside := ne $mode "mesh" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: asya-gateway-{{ $mode }}
  labels: {{- include "asya.labels" (list $root (deepCopy $labels)) | nindent 4 }}
spec:
  {{- if not (and $outside $values.autoscaling.enabled) }}
  replicas: {{ $values.replicaCount }}
  {{- end }}
  selector:
    matchLabels: {{- toYaml $selected | nindent 6 }}
  strategy:
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  template:
    metadata:
      labels: {{- include "asya.podLabels" (deepCopy $labels) | nindent 8 }}
      {{- with $values.podAnnotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- if $values.cloud.provider }}
      serviceAccountName: asya-gateway
      {{- end }}
      # Gateways never speak to the Kubernetes API.
      automountServiceAccountToken: false
      enableServiceLinks: false
      # Longer than the drain's delay and timeout together.
      terminationGracePeriodSeconds: 60
      securityContext: {{ include "asya.podSecurity" . }}
      {{- include "asya.pullSecrets" $root | indent 6 }}
      topologySpreadConstraints:
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- toYaml $selected | nindent 14 }}
        {{- end }}
      containers:
        - name: gateway
          image: {{ include "asya.image" $root | quote }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          args: [serve]
          envFrom:
            - configMapRef: {name: {{ include "asya.settingsName" $root }}}
            # The broker's URL; none is needed with the transport postgres.
            - secretRef: {name: {{ $values.config.transportSecret | quote }}, optional: true}
            {{- if and $outside $values.authentication.enabled }}
            - configMapRef: {name: asya-auth}
            - secretRef: {name: asya-auth, optional: true}
            {{- end }}
          env:
            {{- include "asya.databaseEnv" $root | nindent 12 }}
            - {name: ASYA_GATEWAY_MODE, value: {{ $mode }}}
            - {name: ASYA_POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: ASYA_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
            - {name: ASYA_MESH_URL, value: 'http://asya-gateway-mesh.$(ASYA_NAMESPACE).svc:8080'}
            # A pod is removed from the endpoints some seconds after it was told to end; until then it still accepts requests.
            - {name: ASYA_DRAIN_DELAY, value: 5s}
            - {name: ASYA_DRAIN_TIMEOUT, value: 40s}
            {{- if $outside }}
            - {name: ASYA_CONFIG_PATH, value: /etc/asya/flows}
            {{- end }}
            {{- if $values.authentication.enabled }}
            - {name: ASYA_AUTH, value: required}
            {{- end }}
            {{- if $outside }}
            {{- with include "asya.publicUrl" $root }}
            - {name: ASYA_PUBLIC_URL, value: {{ . | quote }}}
            {{- end }}
            {{- if $values.agentgateway.enabled }}
            - {name: ASYA_ALLOWED_HOSTS, value: 'asya-gateway-mcp,asya-gateway-mcp.$(ASYA_NAMESPACE),asya-gateway-mcp.$(ASYA_NAMESPACE).svc,asya-gateway-mcp.$(ASYA_NAMESPACE).svc.cluster.local'}
            {{- end }}
            {{- end }}
            {{- with $values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - {name: http, containerPort: 8080, protocol: TCP}
            - {name: metrics, containerPort: 9090, protocol: TCP}
          startupProbe: {httpGet: {path: /health, port: http}, periodSeconds: 1, failureThreshold: 120, timeoutSeconds: 3}
          # The loop turns; the database is no part of it, or its restart would kill every pod.
          livenessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 10, failureThreshold: 3, timeoutSeconds: 5}
          readinessProbe: {httpGet: {path: /health/ready, port: http}, periodSeconds: 2, failureThreshold: 2, timeoutSeconds: 3}
          resources: {{- toYaml $values.resources | nindent 12 }}
          securityContext: {{- include "asya.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- if $outside }}
            - {name: flows, mountPath: /etc/asya/flows, readOnly: true}
            {{- if $values.authentication.enabled }}
            - {name: auth, mountPath: /etc/asya/auth, readOnly: true}
            {{- end }}
            {{- end }}
      volumes:
        - {name: tmp, emptyDir: {}}
        {{- if $outside }}
        # Read only while no operator is there; a pod starts without it too.
        - {name: flows, configMap: {name: gateway-flows, optional: true}}
        {{- if $values.authentication.enabled }}
        - {name: auth, secret: {secretName: asya-auth-files, optional: true, defaultMode: 0440}}
        {{- end }}
        {{- end }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: asya-gateway-{{ $mode }}
  labels: {{- include "asya.labels" (list $root (dict)) | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- toYaml $selected | nindent 6 }}
{{- end -}}

{{/* The Service of a half. Takes (list ROOT HALF MODE): pods of MODE answer as HALF. */}}
{{- define "asya.gatewayService" -}}
{{- $root := index . 0 -}}
{{- $half := index . 1 -}}
apiVersion: v1
kind: Service
metadata:
  name: asya-gateway-{{ $half }}
  labels: {{- include "asya.labels" (list $root (dict "app.kubernetes.io/name" "asya-gateway" "app.kubernetes.io/component" $half "asya.sh/component" (printf "gateway-%s" $half))) | nindent 4 }}
  {{- with $root.Values.serviceAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: ClusterIP
  selector: {app.kubernetes.io/name: asya-gateway, app.kubernetes.io/component: {{ index . 2 }}}
  ports:
    - {name: http, port: 8080, targetPort: http, protocol: TCP, appProtocol: http}
{{- end -}}
