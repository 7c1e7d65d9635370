{{/* Labels of every object of the chart; the argument is the root context. */}}
{{- define "c756.labels" -}}
app.kubernetes.io/part-of: c756
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The services with the port of each. */}}
{{- define "c756.ports" -}}
cmpt756s1: 30000
cmpt756s2: 30001
cmpt756db: 30002
{{- end }}

{{/* GitHub ID, without which neither images nor tables have names. */}}
{{- define "c756.regid" -}}
{{- required "regid is empty: set it to your GitHub ID, for example --set regid=octocat" .Values.regid -}}
{{- end }}

{{/* Reference of an image; arguments: root, name. */}}
{{- define "c756.image" -}}
{{- $owner := .root.Values.image.owner | default (include "c756.regid" .root | lower) -}}
{{- printf "%s/%s/%s:%s" .root.Values.image.registry $owner .name .root.Values.image.tag -}}
{{- end }}

{{/* Annotations of a pod with a sidecar; arguments: root, imageDigest. */}}
{{- define "c756.podAnnotations" -}}
# The sidecar starts before the service and ends after it, where the mesh knows this annotation.
sidecar.istio.io/nativeSidecar: "true"
{{- with .imageDigest }}
c756/image-digest: {{ . | quote }}
{{- end }}
{{- with .root.Values.sidecar.resources }}
sidecar.istio.io/proxyCPU: {{ .requests.cpu | quote }}
sidecar.istio.io/proxyMemory: {{ .requests.memory | quote }}
sidecar.istio.io/proxyCPULimit: {{ .limits.cpu | quote }}
sidecar.istio.io/proxyMemoryLimit: {{ .limits.memory | quote }}
{{- end }}
{{- end }}

{{/* What the pods of all workloads have in common: identity and rights; arguments: root, serviceAccount. */}}
{{- define "c756.podSecurity" -}}
serviceAccountName: {{ .serviceAccount }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* What the ServiceAccounts bring to all of their pods, those of cluster/ too. */}}
{{- define "c756.serviceAccountRights" -}}
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Rights of every container. */}}
{{- define "c756.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Environment variable from the Secret with the keys; arguments: root, name, key. */}}
{{- define "c756.secretEnv" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef: {name: {{ .root.Values.existingSecret }}, key: {{ .key }}}
{{- end }}

{{/* Host of dynamodb.endpoint, and its port (80 without one). */}}
{{- define "c756.dynamodbHost" -}}
{{- $host := index (splitList ":" (get (urlParse .Values.dynamodb.endpoint) "host")) 0 -}}
{{- if regexMatch "^[0-9.]+$" $host -}}
{{- fail (printf "dynamodb.endpoint: %s has an IP address as its host: give it a name there and the address in dynamodb.address" .Values.dynamodb.endpoint) -}}
{{- end -}}
{{- $host -}}
{{- end }}
{{- define "c756.dynamodbPort" -}}
{{- $parts := splitList ":" (get (urlParse .Values.dynamodb.endpoint) "host") -}}
{{- if eq (len $parts) 2 }}{{ index $parts 1 }}{{ else }}80{{ end -}}
{{- end }}

{{/* SPIFFE principal, as AuthorizationPolicies name it; arguments: root, namespace, serviceAccount. */}}
{{- define "c756.principal" -}}
{{- printf "%s/ns/%s/sa/%s" .root.Values.meshPolicy.trustDomain .namespace .serviceAccount -}}
{{- end }}
