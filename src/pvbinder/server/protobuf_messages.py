"""The protobuf messages that are decoded: field names, types and numbers, by message.

A line is a message: ``field:type=number …``. Types are ``string``, ``int``, ``bool``, ``bytes``, ``raw``, ``time``,
``quantity``, ``intorstring``, ``fields`` (of managedFields), the name of a message, ``[]`` of one, ``{}`` a map from
strings, ``<`` a message whose fields JSON shows in place, ``-`` one that isn't looked at (a status that is dropped
anyway).
Messages that start with ``+`` are kinds, with the version they are of.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple


class MessageField(NamedTuple):
    """One field of a message."""

    name: str
    type: str


class Messages(NamedTuple):
    """All messages by name, and the kinds among them."""

    fields: dict[str, dict[int, MessageField]]
    kinds: dict[tuple[str, str], str]


@cache
def messages() -> Messages:
    """Read the tables."""
    fields: dict[str, dict[int, MessageField]] = {}
    kinds: dict[tuple[str, str], str] = {}
    for line in " ".join(_TABLES.split("\n ")).strip().split("\n"):
        name, *words = line.split()
        if name.startswith("+"):
            api_version, _, name = name[1:].rpartition(":")
            kinds[api_version, name] = name
        table = fields[name] = {}
        for word in words:
            field, number = word.rsplit("=", 1)
            wire, _, type_ = field.partition(":")
            table[int(number)] = MessageField(wire, type_)
    kinds["meta.k8s.io/v1", "DeleteOptions"] = "DeleteOptions"
    return Messages(fields, kinds)


_TABLES: Final = """
Unknown typeMeta:TypeMeta=1 raw:raw=2 contentEncoding:string=3 contentType:string=4
TypeMeta apiVersion:string=1 kind:string=2
ObjectMeta name:string=1 generateName:string=2 namespace:string=3 selfLink:string=4 uid:string=5
  resourceVersion:string=6 generation:int=7 creationTimestamp:time=8 deletionTimestamp:time=9
  deletionGracePeriodSeconds:int=10 labels:{}string=11 annotations:{}string=12 ownerReferences:[]OwnerReference=13
  finalizers:[]string=14 managedFields:[]ManagedFieldsEntry=17
OwnerReference kind:string=1 name:string=3 uid:string=4 apiVersion:string=5 controller:bool=6 blockOwnerDeletion:bool=7
ManagedFieldsEntry manager:string=1 operation:string=2 apiVersion:string=3 time:time=4 fieldsType:string=6
  fieldsV1:fields=7 subresource:string=8
Timestamp seconds:int=1 nanos:int=2
FieldsV1 raw:raw=1
Quantity string:string=1
IntOrString type:int=1 intVal:int=2 strVal:string=3
LabelSelector matchLabels:{}string=1 matchExpressions:[]SelectorRequirement=2
SelectorRequirement key:string=1 operator:string=2 values:[]string=3
ObjectReference kind:string=1 namespace:string=2 name:string=3 uid:string=4 apiVersion:string=5
  resourceVersion:string=6 fieldPath:string=7
LocalObjectReference name:string=1
+v1:DeleteOptions gracePeriodSeconds:int=1 preconditions:Preconditions=2 orphanDependents:bool=3
  propagationPolicy:string=4 dryRun:[]string=5 ignoreStoreReadErrorWithClusterBreakingPotential:bool=6
Preconditions uid:string=1 resourceVersion:string=2
+v1:Namespace metadata:ObjectMeta=1 spec:NamespaceSpec=2 status:-=3
NamespaceSpec finalizers:[]string=1
+v1:ConfigMap metadata:ObjectMeta=1 data:{}string=2 binaryData:{}bytes=3 immutable:bool=4
+v1:Secret metadata:ObjectMeta=1 data:{}bytes=2 type:string=3 stringData:{}string=4 immutable:bool=5
+v1:ServiceAccount metadata:ObjectMeta=1 secrets:[]ObjectReference=2 imagePullSecrets:[]LocalObjectReference=3
  automountServiceAccountToken:bool=4
+v1:ResourceQuota metadata:ObjectMeta=1 spec:ResourceQuotaSpec=2 status:-=3
ResourceQuotaSpec hard:{}quantity=1 scopes:[]string=2 scopeSelector:ScopeSelector=3
ScopeSelector matchExpressions:[]ScopedResourceSelectorRequirement=1
ScopedResourceSelectorRequirement scopeName:string=1 operator:string=2 values:[]string=3
+v1:Service metadata:ObjectMeta=1 spec:ServiceSpec=2 status:-=3
ServiceSpec ports:[]ServicePort=1 selector:{}string=2 clusterIP:string=3 type:string=4 externalIPs:[]string=5
  sessionAffinity:string=7 loadBalancerIP:string=8 loadBalancerSourceRanges:[]string=9 externalName:string=10
  externalTrafficPolicy:string=11 healthCheckNodePort:int=12 publishNotReadyAddresses:bool=13 ipFamilyPolicy:string=17
  clusterIPs:[]string=18 ipFamilies:[]string=19 allocateLoadBalancerNodePorts:bool=20 loadBalancerClass:string=21
  internalTrafficPolicy:string=22 trafficDistribution:string=23
ServicePort name:string=1 protocol:string=2 port:int=3 targetPort:intorstring=4 nodePort:int=5 appProtocol:string=6
+v1:Pod metadata:ObjectMeta=1 spec:PodSpec=2 status:-=3
PodTemplateSpec metadata:ObjectMeta=1 spec:PodSpec=2
PodSpec containers:[]Container=2 restartPolicy:string=3 terminationGracePeriodSeconds:int=4
  activeDeadlineSeconds:int=5 dnsPolicy:string=6 nodeSelector:{}string=7 serviceAccountName:string=8
  serviceAccount:string=9 nodeName:string=10 hostNetwork:bool=11 hostPID:bool=12 hostIPC:bool=13
  securityContext:PodSecurityContext=14 imagePullSecrets:[]LocalObjectReference=15 hostname:string=16
  subdomain:string=17 schedulerName:string=19 initContainers:[]Container=20 automountServiceAccountToken:bool=21
  tolerations:[]Toleration=22 priorityClassName:string=24 priority:int=25 shareProcessNamespace:bool=27
  runtimeClassName:string=29 enableServiceLinks:bool=30 preemptionPolicy:string=31 overhead:{}quantity=32
  setHostnameAsFQDN:bool=35 hostUsers:bool=37
PodSecurityContext runAsUser:int=2 runAsNonRoot:bool=3 supplementalGroups:[]int=4 fsGroup:int=5 runAsGroup:int=6
Toleration key:string=1 operator:string=2 value:string=3 effect:string=4 tolerationSeconds:int=5
Container name:string=1 image:string=2 command:[]string=3 args:[]string=4 workingDir:string=5 ports:[]ContainerPort=6
  env:[]EnvVar=7 resources:ResourceRequirements=8 volumeMounts:[]VolumeMount=9 terminationMessagePath:string=13
  imagePullPolicy:string=14 stdin:bool=16 stdinOnce:bool=17 tty:bool=18 terminationMessagePolicy:string=20
  restartPolicy:string=24
ContainerPort name:string=1 hostPort:int=2 containerPort:int=3 protocol:string=4 hostIP:string=5
EnvVar name:string=1 value:string=2
ResourceRequirements limits:{}quantity=1 requests:{}quantity=2
VolumeMount name:string=1 readOnly:bool=2 mountPath:string=3 subPath:string=4 mountPropagation:string=5
  subPathExpr:string=6 recursiveReadOnly:string=7
+apps/v1:Deployment metadata:ObjectMeta=1 spec:DeploymentSpec=2 status:-=3
DeploymentSpec replicas:int=1 selector:LabelSelector=2 template:PodTemplateSpec=3 strategy:DeploymentStrategy=4
  minReadySeconds:int=5 revisionHistoryLimit:int=6 paused:bool=7 progressDeadlineSeconds:int=9
DeploymentStrategy type:string=1 rollingUpdate:RollingUpdateDeployment=2
RollingUpdateDeployment maxUnavailable:intorstring=1 maxSurge:intorstring=2
+batch/v1:Job metadata:ObjectMeta=1 spec:JobSpec=2 status:-=3
JobSpec parallelism:int=1 completions:int=2 activeDeadlineSeconds:int=3 selector:LabelSelector=4 manualSelector:bool=5
  template:PodTemplateSpec=6 backoffLimit:int=7 ttlSecondsAfterFinished:int=8 completionMode:string=9 suspend:bool=10
  backoffLimitPerIndex:int=12 maxFailedIndexes:int=13 podReplacementPolicy:string=14 managedBy:string=15
+batch/v1:CronJob metadata:ObjectMeta=1 spec:CronJobSpec=2 status:-=3
CronJobSpec schedule:string=1 startingDeadlineSeconds:int=2 concurrencyPolicy:string=3 suspend:bool=4
  jobTemplate:JobTemplateSpec=5 successfulJobsHistoryLimit:int=6 failedJobsHistoryLimit:int=7 timeZone:string=8
JobTemplateSpec metadata:ObjectMeta=1 spec:JobSpec=2
+policy/v1:PodDisruptionBudget metadata:ObjectMeta=1 spec:PodDisruptionBudgetSpec=2 status:-=3
PodDisruptionBudgetSpec minAvailable:intorstring=1 selector:LabelSelector=2 maxUnavailable:intorstring=3
  unhealthyPodEvictionPolicy:string=4
+policy/v1:Eviction metadata:ObjectMeta=1 deleteOptions:DeleteOptions=2
+networking.k8s.io/v1:Ingress metadata:ObjectMeta=1 spec:IngressSpec=2 status:-=3
IngressSpec defaultBackend:IngressBackend=1 tls:[]IngressTLS=2 rules:[]IngressRule=3 ingressClassName:string=4
IngressTLS hosts:[]string=1 secretName:string=2
IngressRule host:string=1 ingressRuleValue:<IngressRuleValue=2
IngressRuleValue http:HTTPIngressRuleValue=1
HTTPIngressRuleValue paths:[]HTTPIngressPath=1
HTTPIngressPath path:string=1 backend:IngressBackend=2 pathType:string=3
IngressBackend service:IngressServiceBackend=4
IngressServiceBackend name:string=1 port:ServiceBackendPort=2
ServiceBackendPort name:string=1 number:int=2
+scheduling.k8s.io/v1:PriorityClass metadata:ObjectMeta=1 value:int=2 globalDefault:bool=3 description:string=4
  preemptionPolicy:string=5
+rbac.authorization.k8s.io/v1:Role metadata:ObjectMeta=1 rules:[]PolicyRule=2
+rbac.authorization.k8s.io/v1:ClusterRole metadata:ObjectMeta=1 rules:[]PolicyRule=2 aggregationRule:AggregationRule=3
AggregationRule clusterRoleSelectors:[]LabelSelector=1
PolicyRule verbs:[]string=1 apiGroups:[]string=2 resources:[]string=3 resourceNames:[]string=4
  nonResourceURLs:[]string=5
+rbac.authorization.k8s.io/v1:RoleBinding metadata:ObjectMeta=1 subjects:[]Subject=2 roleRef:RoleRef=3
+rbac.authorization.k8s.io/v1:ClusterRoleBinding metadata:ObjectMeta=1 subjects:[]Subject=2 roleRef:RoleRef=3
Subject kind:string=1 apiGroup:string=2 name:string=3 namespace:string=4
RoleRef apiGroup:string=1 kind:string=2 name:string=3
+autoscaling/v2:HorizontalPodAutoscaler metadata:ObjectMeta=1 spec:HorizontalPodAutoscalerSpec=2 status:-=3
HorizontalPodAutoscalerSpec scaleTargetRef:CrossVersionObjectReference=1 minReplicas:int=2 maxReplicas:int=3
  metrics:[]MetricSpec=4
CrossVersionObjectReference kind:string=1 name:string=2 apiVersion:string=3
MetricSpec type:string=1 resource:ResourceMetricSource=4
ResourceMetricSource name:string=1 target:MetricTarget=2
MetricTarget type:string=1 value:quantity=2 averageValue:quantity=3 averageUtilization:int=4
+authentication.k8s.io/v1:SelfSubjectReview metadata:ObjectMeta=1 status:-=2
+authentication.k8s.io/v1:TokenRequest metadata:ObjectMeta=1 spec:TokenRequestSpec=2 status:-=3
TokenRequestSpec audiences:[]string=1 boundObjectRef:BoundObjectReference=3 expirationSeconds:int=4
BoundObjectReference kind:string=1 apiVersion:string=2 name:string=3 uid:string=4
+authorization.k8s.io/v1:SelfSubjectAccessReview metadata:ObjectMeta=1 spec:SelfSubjectAccessReviewSpec=2 status:-=3
SelfSubjectAccessReviewSpec resourceAttributes:ResourceAttributes=1 nonResourceAttributes:NonResourceAttributes=2
ResourceAttributes namespace:string=1 verb:string=2 group:string=3 version:string=4 resource:string=5
  subresource:string=6 name:string=7 fieldSelector:SelectorAttributes=8 labelSelector:SelectorAttributes=9
SelectorAttributes rawSelector:string=1 requirements:[]SelectorRequirement=2
NonResourceAttributes path:string=1 verb:string=2
+authorization.k8s.io/v1:SelfSubjectRulesReview metadata:ObjectMeta=1 spec:SelfSubjectRulesReviewSpec=2 status:-=3
SelfSubjectRulesReviewSpec namespace:string=1
"""
