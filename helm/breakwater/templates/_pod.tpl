{{/*
The broker's environment, as a YAML list. One variable per setting that the chart decides; the rest
keeps the broker's defaults or comes through extraEnv.
*/}}
{{- define "breakwater.env" -}}
- name: BREAKWATER_LISTEN
  value: mqtts://0.0.0.0:8883
- name: BREAKWATER_ADMIN
  value: http://0.0.0.0:9464
- name: BREAKWATER_TLS_CERT
  value: /etc/breakwater/tls/tls.crt
- name: BREAKWATER_TLS_KEY
  value: /etc/breakwater/tls/tls.key
{{- with .Values.redis }}
{{- if .urlSecret.name }}
- name: BREAKWATER_REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ .urlSecret.name }}
      key: {{ .urlSecret.key }}
{{- else if .url }}
- name: BREAKWATER_REDIS_URL
  value: {{ .url | quote }}
{{- end }}
{{- if .passwordSecret.name }}
- name: BREAKWATER_REDIS_PASSWORD_FILE
  value: /etc/breakwater/redis-password/{{ .passwordSecret.key }}
{{- end }}
{{- if .caSecret.name }}
- name: BREAKWATER_REDIS_CA
  value: /etc/breakwater/redis-ca/{{ .caSecret.key }}
{{- end }}
{{- if .prefix }}
- name: BREAKWATER_REDIS_PREFIX
  value: {{ .prefix | quote }}
{{- end }}
{{- end }}
{{- with .Values.tls.ticketWrapSecret }}
{{- if .name }}
- name: BREAKWATER_TLS_TICKET_WRAP_KEY
  value: /etc/breakwater/ticket-wrap/{{ .key }}
{{- end }}
{{- end }}
{{- with .Values.auth.passwordSecret }}
{{- if .name }}
- name: BREAKWATER_PASSWORD_FILE
  value: /etc/breakwater/users/{{ .key }}
{{- end }}
{{- end }}
{{- with .Values.auth.adminTokenSecret }}
{{- if .name }}
- name: BREAKWATER_ADMIN_TOKEN_FILE
  value: /etc/breakwater/admin-token/{{ .key }}
{{- end }}
{{- end }}
- name: BREAKWATER_ALLOW_ANONYMOUS
  value: {{ .Values.auth.allowAnonymous | quote }}
- name: BREAKWATER_CLIENT_ID
  value: {{ .Values.auth.clientId | quote }}
- name: BREAKWATER_SESSION_EXPIRY
  value: {{ .Values.sessionExpiry | quote }}
- name: BREAKWATER_LOG_LEVEL
  value: {{ .Values.logLevel | quote }}
- name: BREAKWATER_SHUTDOWN_TIMEOUT
  value: {{ printf "%ds" (int .Values.shutdown.timeoutSeconds) }}
{{- end -}}

{{/*
Secrets that the broker reads, as a YAML list of {name, secret}; each becomes a volume mounted at
/etc/breakwater/<name>. Whole directories, never subPath: those would not follow a rotation.
*/}}
{{- define "breakwater.secretMounts" -}}
- name: tls
  secret: {{ include "breakwater.tlsSecretName" . }}
{{- if .Values.tls.ticketWrapSecret.name }}
- name: ticket-wrap
  secret: {{ .Values.tls.ticketWrapSecret.name }}
{{- end }}
{{- if .Values.auth.passwordSecret.name }}
- name: users
  secret: {{ .Values.auth.passwordSecret.name }}
{{- end }}
{{- if .Values.auth.adminTokenSecret.name }}
- name: admin-token
  secret: {{ .Values.auth.adminTokenSecret.name }}
{{- end }}
{{- if .Values.redis.passwordSecret.name }}
- name: redis-password
  secret: {{ .Values.redis.passwordSecret.name }}
{{- end }}
{{- if .Values.redis.caSecret.name }}
- name: redis-ca
  secret: {{ .Values.redis.caSecret.name }}
{{- end }}
{{- end -}}

{{/* Fills in what a spread constraint needs to count this release's pods, and only the current ones. */}}
{{- define "breakwater.topologySpreadConstraints" -}}
{{- $constraints := list -}}
{{- range .Values.topologySpreadConstraints -}}
{{- $constraint := deepCopy . -}}
{{- if not (hasKey $constraint "labelSelector") -}}
{{- $_ := set $constraint "labelSelector" (dict "matchLabels" (include "breakwater.selectorLabels" $ | fromYaml)) -}}
{{- if and (semverCompare ">=1.27.0-0" $.Capabilities.KubeVersion.Version) (not (hasKey $constraint "matchLabelKeys")) -}}
{{- $_ := set $constraint "matchLabelKeys" (list "pod-template-hash") -}}
{{- end -}}
{{- end -}}
{{- $constraints = append $constraints $constraint -}}
{{- end -}}
{{- toYaml $constraints -}}
{{- end -}}

{{- define "breakwater.probe" -}}
httpGet:
  path: {{ .path }}
  port: admin
periodSeconds: {{ .timing.periodSeconds }}
timeoutSeconds: {{ .timing.timeoutSeconds }}
failureThreshold: {{ .timing.failureThreshold }}
{{- end -}}

{{/* Time for kube-proxy and load balancers to forget the endpoint before the broker hears SIGTERM. */}}
{{- define "breakwater.preStop" -}}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version -}}
sleep:
  seconds: {{ .Values.shutdown.delaySeconds }}
{{- else -}}
exec:
  command:
    - node
    - --eval
    - "setTimeout(() => {}, {{ mul 1000 (int .Values.shutdown.delaySeconds) }})"
{{- end -}}
{{- end -}}
