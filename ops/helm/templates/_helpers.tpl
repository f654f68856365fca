{{/* Labels of one component; the argument is (dict "root" $ "name" NAME). */}}
{{- define "sluice.selector" -}}
app.kubernetes.io/name: {{ printf "sluice-%s" .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}
{{- define "sluice.labels" -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/part-of: sluice
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}
{{- define "sluice.probe" -}}
httpGet: {path: {{ .path }}, port: {{ .port }}}
timeoutSeconds: 4
{{- end }}
