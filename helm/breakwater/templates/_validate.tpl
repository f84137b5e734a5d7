{{/*
What a schema cannot say: values that contradict each other. All complaints at once, each with its
way out.
*/}}
{{- define "breakwater.validate" -}}
{{- $wrong := list -}}
{{- $redis := .Values.redis -}}
{{- $hasRedis := or $redis.url $redis.urlSecret.name -}}
{{- if and (gt (int .Values.replicaCount) 1) (not $hasRedis) -}}
{{- $wrong = append $wrong (printf "replicaCount: %d nodes need a Redis to share their state; set redis.url or redis.urlSecret.name, or use replicaCount 1" (int .Values.replicaCount)) -}}
{{- end -}}
{{- if and $redis.url $redis.urlSecret.name -}}
{{- $wrong = append $wrong "redis: set either redis.url or redis.urlSecret.name, not both" -}}
{{- end -}}
{{- if regexMatch "^[a-z]+://[^/@]*:[^/@]+@" $redis.url -}}
{{- $wrong = append $wrong "redis.url: carries a password, which everyone who may read the Deployment could see; put the URL in a Secret (redis.urlSecret) or the password in redis.passwordSecret" -}}
{{- end -}}
{{- range $key := list "passwordSecret" "caSecret" -}}
{{- if and (get $redis $key).name (not $hasRedis) -}}
{{- $wrong = append $wrong (printf "redis.%s: has no effect without redis.url or redis.urlSecret.name" $key) -}}
{{- end -}}
{{- end -}}
{{- if and $redis.caSecret.name $redis.url (not (hasPrefix "rediss" $redis.url)) -}}
{{- $wrong = append $wrong "redis.caSecret: has no effect on a connection without TLS; use a URL with rediss://" -}}
{{- end -}}
{{- if and $redis.prefix (not $hasRedis) -}}
{{- $wrong = append $wrong "redis.prefix: has no effect without redis.url or redis.urlSecret.name" -}}
{{- end -}}
{{- /* Tokens and the HTTP hook have no values of their own; what extraEnvFrom brings is not known here. */ -}}
{{- $logins := or .Values.auth.passwordSecret.name (not (empty .Values.extraEnvFrom)) -}}
{{- range .Values.extraEnv -}}
{{- if has .name (list "BREAKWATER_JWT_KEYS" "BREAKWATER_AUTH_HTTP_URL" "BREAKWATER_TLS_IDENTITY") -}}
{{- $logins = true -}}
{{- end -}}
{{- end -}}
{{- if not (or $logins .Values.auth.allowAnonymous) -}}
{{- $wrong = append $wrong "auth: nobody could connect; name the Secret with the password file in auth.passwordSecret.name, set BREAKWATER_JWT_KEYS or BREAKWATER_AUTH_HTTP_URL in extraEnv, or set auth.allowAnonymous to true" -}}
{{- end -}}
{{- if and (not $logins) .Values.auth.allowAnonymous (contains "${" .Values.auth.clientId) -}}
{{- $wrong = append $wrong (printf "auth.clientId: clients without credentials have no value for %s; set it to any, or to a text for all of them such as guest-*" .Values.auth.clientId) -}}
{{- end -}}
{{- with .Values.tls -}}
{{- if and .existingSecret .certManager.issuerRef.name -}}
{{- $wrong = append $wrong "tls: set either tls.existingSecret or tls.certManager.issuerRef.name, not both" -}}
{{- end -}}
{{- if and (not .existingSecret) (not .certManager.ipAddresses) (not (include "breakwater.dnsNames" $ | fromYamlArray)) -}}
{{- $wrong = append $wrong "tls.certManager: the certificate would hold no name; set dnsNames, ipAddresses or serviceNames" -}}
{{- end -}}
{{- range $key, $lifetime := dict "tls.certManager" .certManager "tls.certManager.selfSignedCa" .certManager.selfSignedCa -}}
{{- if ge (trimSuffix "h" $lifetime.renewBefore | int) (trimSuffix "h" $lifetime.duration | int) -}}
{{- $wrong = append $wrong (printf "%s: renewBefore (%s) must be shorter than duration (%s)" $key $lifetime.renewBefore $lifetime.duration) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.service -}}
{{- if eq .type "ClusterIP" -}}
{{- if int .nodePort -}}
{{- $wrong = append $wrong "service.nodePort: needs service.type NodePort or LoadBalancer" -}}
{{- end -}}
{{- if .externalTrafficPolicy -}}
{{- $wrong = append $wrong "service.externalTrafficPolicy: needs service.type NodePort or LoadBalancer" -}}
{{- end -}}
{{- end -}}
{{- if ne .type "LoadBalancer" -}}
{{- if or .loadBalancerClass .loadBalancerSourceRanges (not .allocateLoadBalancerNodePorts) -}}
{{- $wrong = append $wrong "service: loadBalancerClass, loadBalancerSourceRanges and allocateLoadBalancerNodePorts need service.type LoadBalancer" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.podDisruptionBudget -}}
{{- if .enabled -}}
{{- $hasMax := ne (toString .maxUnavailable) "" -}}
{{- $hasMin := ne (toString .minAvailable) "" -}}
{{- if eq $hasMax $hasMin -}}
{{- $wrong = append $wrong "podDisruptionBudget: set either maxUnavailable or minAvailable and make the other one an empty string" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $taken := list -}}
{{- range include "breakwater.env" . | fromYamlArray -}}
{{- $taken = append $taken .name -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if has .name $taken -}}
{{- $wrong = append $wrong (printf "extraEnv: %s is already set; use the chart's own value for it" .name) -}}
{{- end -}}
{{- $taken = append $taken .name -}}
{{- end -}}
{{- $volumes := list -}}
{{- range include "breakwater.secretMounts" . | fromYamlArray -}}
{{- $volumes = append $volumes .name -}}
{{- end -}}
{{- range .Values.extraVolumes -}}
{{- if has .name $volumes -}}
{{- $wrong = append $wrong (printf "extraVolumes: the name %s is already used" .name) -}}
{{- end -}}
{{- $volumes = append $volumes .name -}}
{{- end -}}
{{- range .Values.extraVolumeMounts -}}
{{- if not (has .name $volumes) -}}
{{- $wrong = append $wrong (printf "extraVolumeMounts: there is no volume %s" .name) -}}
{{- end -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\nThe values do not fit together:\n  - %s\n" (join "\n  - " $wrong)) -}}
{{- end -}}
{{- end -}}
