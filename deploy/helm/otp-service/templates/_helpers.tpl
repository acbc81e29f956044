{{- define "otp-service.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "otp-service.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "otp-service.labels" -}}
{{ include "otp-service.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "otp-service.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "otp-service.gracePeriod" -}}
{{ add .Values.preStopSleep .Values.stopTimeout 5 }}
{{- end -}}

{{/* Pods of `serve` and of `consume-reports` have this in common. The arguments: root and component. */}}
{{- define "otp-service.podMetadata" -}}
annotations:
  checksum/config: {{ .root.Values.config | sha256sum }}
  {{- with .root.Values.secretRevision }}
  otp-service/secret-revision: {{ . | quote }}
  {{- end }}
  {{- with .root.Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
labels:
  {{- include "otp-service.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "otp-service.podSpec" -}}
automountServiceAccountToken: false
# Kubernetes would set variables such as OTP_SERVICE_REPORTS_PORT, which the service takes for misspelled settings.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: config
    configMap:
      name: {{ include "otp-service.name" . }}
  - name: secrets
    secret:
      secretName: {{ required "existingSecret is required: the name of a Secret with the secret files" .Values.existingSecret }}
      # With fsGroup they belong to root and to the group of the service.
      defaultMode: 0440
  # The only place that the service writes to: files of the metrics, and gunicorn's heartbeat.
  - name: tmp
    emptyDir:
      medium: Memory
      sizeLimit: 64Mi
{{- end -}}

{{- define "otp-service.container" -}}
image: {{ include "otp-service.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: config
    mountPath: /etc/otp-service
    readOnly: true
  - name: secrets
    mountPath: /run/secrets/otp-service
    readOnly: true
  - name: tmp
    mountPath: /tmp
{{- end -}}
