{{/* Leaves room for the longest suffix below 63 characters. */}}
{{- define "breakwater.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "breakwater.adminName" -}}
{{- printf "%s-admin" (include "breakwater.fullname" .) -}}
{{- end -}}

{{- define "breakwater.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "breakwater.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The Secret that the MQTT listener's certificate is read from. */}}
{{- define "breakwater.tlsSecretName" -}}
{{- default (printf "%s-tls" (include "breakwater.fullname" .)) .Values.tls.existingSecret -}}
{{- end -}}

{{/* Secret of the CA that the chart makes for itself, and the Issuer that signs with it. */}}
{{- define "breakwater.caName" -}}
{{- printf "%s-ca" (include "breakwater.fullname" .) -}}
{{- end -}}

{{/* Non-empty if the chart has to make a CA of its own. */}}
{{- define "breakwater.selfSigned" -}}
{{- if not (or .Values.tls.existingSecret .Values.tls.certManager.issuerRef.name) -}}true{{- end -}}
{{- end -}}

{{- define "breakwater.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Never changes between versions: a Deployment's selector is immutable. */}}
{{- define "breakwater.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/*
Labels of one object: (dict "root" $ "component" "broker" "own" <map>). The chart's own win, so that
no value can break a selector or write a key twice. A pod ("pod" true) does not carry the chart's
version: a new chart with the same image must not roll the nodes.
*/}}
{{- define "breakwater.labels" -}}
{{- $labels := include "breakwater.selectorLabels" .root | fromYaml -}}
{{- if not .pod -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- end -}}
{{- $_ := set $labels "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" "breakwater" -}}
{{- with .component -}}
{{- $_ := set $labels "app.kubernetes.io/component" . -}}
{{- end -}}
{{- toYaml (merge $labels (default dict .own) (default dict .root.Values.commonLabels)) -}}
{{- end -}}

{{/* Names in the certificate, as a YAML list. */}}
{{- define "breakwater.dnsNames" -}}
{{- $names := list -}}
{{- with .Values.tls.certManager -}}
{{- if or .serviceNames (include "breakwater.selfSigned" $) -}}
{{- $name := include "breakwater.fullname" $ -}}
{{- $namespaced := printf "%s.%s" $name $.Release.Namespace -}}
{{- $names = list $name $namespaced (printf "%s.svc" $namespaced) (printf "%s.svc.%s" $namespaced $.Values.clusterDomain) -}}
{{- end -}}
{{/* So that a port-forward verifies; only the chart's own CA may be asked for that. */}}
{{- if include "breakwater.selfSigned" $ -}}
{{- $names = append $names "localhost" -}}
{{- end -}}
{{- $names = concat $names (default list .dnsNames) | uniq -}}
{{- end -}}
{{- toYaml $names -}}
{{- end -}}
