{{/*
Deployment of a service; arguments: root, name (cmpt756s1), values (its part of values.yaml), env (YAML list of its
environment variables).
*/}}
{{- define "c756.deployment" -}}
{{- $values := .root.Values -}}
{{- $port := get (fromYaml (include "c756.ports" .root)) .name -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  labels:
    app: {{ .name }}
    version: v1
    {{- include "c756.labels" .root | nindent 4 }}
spec:
  {{- if not $values.autoscaling.enabled }}
  replicas: {{ .values.replicas }}
  {{- end }}
  revisionHistoryLimit: {{ $values.rollout.revisionHistoryLimit }}
  progressDeadlineSeconds: {{ $values.rollout.progressDeadlineSeconds }}
  selector:
    matchLabels: {app: {{ .name }}, version: v1}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  template:
    metadata:
      labels: {app: {{ .name }}, version: v1}
      annotations:
        {{- include "c756.podAnnotations" (dict "root" .root "imageDigest" .values.imageDigest) | nindent 8 }}
    spec:
      {{- include "c756.podSecurity" (dict "root" .root "serviceAccount" .name) | nindent 6 }}
      terminationGracePeriodSeconds: {{ $values.termination.gracePeriodSeconds }}
      topologySpreadConstraints:
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {app: {{ $.name }}, version: v1}
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ include "c756.image" (dict "root" .root "name" .name) }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          ports:
            - {name: http, containerPort: {{ $port }}, protocol: TCP}
          env:
            {{- .env | nindent 12 }}
            {{- range $name, $value := .values.env }}
            - name: {{ $name }}
              value: {{ $value | quote }}
            {{- end }}
          {{- if $values.probes.enabled }}
          startupProbe:
            httpGet: {path: /health, port: http}
            periodSeconds: 1
            timeoutSeconds: 1
            failureThreshold: {{ $values.probes.startupSeconds }}
          livenessProbe:
            httpGet: {path: /health, port: http}
            periodSeconds: {{ $values.probes.livenessPeriodSeconds }}
            timeoutSeconds: 2
            failureThreshold: 3
          readinessProbe:
            httpGet: {path: /readiness, port: http}
            periodSeconds: {{ $values.probes.readinessPeriodSeconds }}
            timeoutSeconds: 1
            failureThreshold: 2
          {{- end }}
          lifecycle:
            preStop:
              sleep: {seconds: {{ $values.termination.preStopSeconds }}}
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          {{- include "c756.containerSecurity" .root | nindent 10 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
{{- end }}
