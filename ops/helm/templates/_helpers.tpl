{{/* The release's name, or RELEASE-sluice where it does not say "sluice". */}}
{{- define "sluice.name" -}}
{{- if contains "sluice" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-sluice{{ end }}
{{- end }}
{{/* Name of one component; the argument is (dict "root" $ "name" NAME), here and below. */}}
{{- define "sluice.component" -}}
{{ include "sluice.name" .root | trunc 50 | trimSuffix "-" }}-{{ .name }}
{{- end }}
{{- define "sluice.selector" -}}
app.kubernetes.io/name: sluice-{{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}
{{- define "sluice.shared-labels" -}}
app.kubernetes.io/part-of: sluice
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}
{{- define "sluice.labels" -}}
app.kubernetes.io/name: sluice-{{ .name }}
{{ include "sluice.shared-labels" .root }}
{{- end }}
{{- define "sluice.image" -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}
{{- define "sluice.probe" -}}
httpGet: {path: {{ .path }}, port: {{ .port }}}
timeoutSeconds: 4
{{- end }}
{{/* Fail where a variable that the component requires is set neither for it nor for all. */}}
{{- define "sluice.check" -}}
{{- $component := index .root.Values.components .name }}
{{- range $variable := $component.required }}
{{- if not (or (index ($component.env | default dict) $variable) (index $.root.Values.settings $variable)) }}
{{- fail (printf "components.%s.env.%s is missing (docs/configuration.md)" $.name $variable) }}
{{- end }}
{{- end }}
{{- end }}
{{/* Ports and selector of one peer of the network policies; the argument is (dict "root" $ "peer" NAME). */}}
{{- define "sluice.peer" -}}
{{- $peer := required (printf "networkPolicy.peers.%s is missing" .peer) (index .root.Values.networkPolicy.peers .peer) }}
{{- if $peer.component -}}
podSelector:
  matchLabels: {{- include "sluice.selector" (dict "root" .root "name" $peer.component) | nindent 4 }}
{{- else -}}
{{ toYaml $peer.from }}
{{- end }}
{{- end }}
{{- define "sluice.peer-port" -}}
{{- $peer := index .root.Values.networkPolicy.peers .peer }}
{{- if $peer.component }}{{ index (index .root.Values.components $peer.component).ports $peer.port }}
{{- else }}{{ required (printf "networkPolicy.peers.%s.port is missing" .peer) $peer.port }}{{ end }}
{{- end }}
