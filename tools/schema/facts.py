"""What the generated Python models of Kubernetes don't say about its types, written down by hand.

`generate.py` reads names, types, required fields and descriptions from lightkube-models and adds what stands here:
how lists merge, which optional fields are pointers in the reference (and so tell "unset" from "zero"), widths of
numbers, value types of maps, enumerations, defaults. A key is ``Type.field``, ``module.Type.field`` where two modules
have a type of the same name, or ``*.field`` for a field that is the same everywhere; the most exact key wins.
"""

# ruff: noqa: E501, SIM905

from __future__ import annotations

# Maps: the type of their values where it isn't "string".
MAP_VALUES = {
    "JSONSchemaProps.definitions": "#JSONSchemaProps",
    "JSONSchemaProps.dependencies": "any",
    "JSONSchemaProps.patternProperties": "#JSONSchemaProps",
    "JSONSchemaProps.properties": "#JSONSchemaProps",
    "*.extra": "[]string",
    "ConfigMap.binaryData": "bytes",
    "Secret.data": "bytes",
    "ContainerStatus.allocatedResources": "quantity",
    "LimitRangeItem.default": "quantity",
    "LimitRangeItem.defaultRequest": "quantity",
    "LimitRangeItem.max": "quantity",
    "LimitRangeItem.maxLimitRequestRatio": "quantity",
    "LimitRangeItem.min": "quantity",
    "NodeAllocatableResourceClaimStatus.resources": "quantity",
    "NodeStatus.allocatable": "quantity",
    "NodeStatus.capacity": "quantity",
    "PersistentVolumeClaimStatus.allocatedResources": "quantity",
    "PersistentVolumeClaimStatus.capacity": "quantity",
    "PersistentVolumeSpec.capacity": "quantity",
    "PodSpec.overhead": "quantity",
    "PodStatus.allocatedResources": "quantity",
    "ResourceQuotaSpec.hard": "quantity",
    "ResourceQuotaStatus.hard": "quantity",
    "ResourceQuotaStatus.used": "quantity",
    "ResourceRequirements.limits": "quantity",
    "ResourceRequirements.requests": "quantity",
    "VolumeResourceRequirements.limits": "quantity",
    "VolumeResourceRequirements.requests": "quantity",
    "Overhead.podFixed": "quantity",
    "PodDisruptionBudgetStatus.disruptedPods": "time",
    "CapacityRequirements.requests": "quantity",
    "*.counters": "#Counter",
    "Device.attributes": "#DeviceAttribute",
    "BasicDevice.attributes": "#DeviceAttribute",
    "Device.capacity": "#DeviceCapacity",
    "BasicDevice.capacity": "#DeviceCapacity",
    "*.nodeAllocatableResourceMappings": "#NodeAllocatableResourceMapping",
    "DeviceRequestAllocationResult.consumedCapacity": "quantity",
}

# Fields of which less is allowed than their type says: structural schemas have no lists of item schemas.
NARROWED = {"JSONSchemaProps.items": "#JSONSchemaProps"}

# Integers of 64 bits; all others have 32.
INT64 = """
*.generation *.observedGeneration *.deletionGracePeriodSeconds *.terminationGracePeriodSeconds
*.activeDeadlineSeconds *.runAsUser *.runAsGroup *.fsGroup *.supplementalGroups *.tolerationSeconds
TokenRequestSpec.expirationSeconds ServiceAccountTokenProjection.expirationSeconds TokenRequest.expirationSeconds
*.remainingItemCount *.gracePeriodSeconds *.sizeBytes *.startingDeadlineSeconds *.revision *.seconds
NodeSwapStatus.capacity LinuxContainerUser.uid LinuxContainerUser.gid *.nodeAllocatableUpdatePeriodSeconds
JSONSchemaProps.maxItems JSONSchemaProps.minItems JSONSchemaProps.maxLength JSONSchemaProps.minLength
JSONSchemaProps.maxProperties JSONSchemaProps.minProperties *.resourceSliceCount
resource_v1.DeviceSubRequest.count ExactDeviceRequest.count DeviceRequest.count DeviceAttribute.int DeviceAttribute.ints
"""

# Strings that carry base64.
BYTES = (
    "*.caBundle CertificateSigningRequestSpec.request CertificateSigningRequestStatus.certificate *.pkixPublicKey "
    "*.proofOfPossession"
)

# Optional structs that are no pointers: always written, as {} when nothing is in them.
VALUE_STRUCTS = """
*.metadata *.spec *.status Container.resources EphemeralContainer.resources PersistentVolumeClaimSpec.resources
*.state *.lastState *.daemonEndpoints *.nodeInfo *.kubeletEndpoint core_v1.Event.source *.loadBalancer
DeploymentSpec.strategy *.updateStrategy ReplicaSetSpec.template PodTemplate.template IngressServiceBackend.port
Endpoint.conditions events_v1.Event.deprecatedSource events_v1.Event.regarding NetworkPolicySpec.podSelector
*.acceptedNames TokenReviewStatus.user SelfSubjectReviewStatus.userInfo ResourceClaimSpec.devices
AllocationResult.devices LimitedPriorityLevelConfiguration.limitResponse *.target *.metric *.current
ResourceFieldSelector.divisor ServicePort.targetPort
"""

# Required structs that are pointers all the same.
POINTER_STRUCTS = (
    "apps_v1.DaemonSetSpec.selector apps_v1.DeploymentSpec.selector apps_v1.ReplicaSetSpec.selector "
    "apps_v1.StatefulSetSpec.selector *.secretRef"
)

# Times that are pointers; the others are values and so always written, as null when unset.
POINTER_TIMES = """
*.deletionTimestamp *.creationTimestamp PodStatus.startTime JobStatus.startTime *.completionTime *.lastScheduleTime
*.lastSuccessfulTime *.lastPhaseTransitionTime *.timeAdded *.acquireTime *.renewTime *.lastScaleTime
ManagedFieldsEntry.time *.allocationTimestamp *.notBefore *.notAfter *.beginRefreshAt *.pingTime
"""

# Optional integers that are values: left out when zero.
VALUE_INTS = """
AWSElasticBlockStoreVolumeSource.partition GCEPersistentDiskVolumeSource.partition ContainerPort.hostPort *.signal
Event.count EventSeries.count *.deprecatedCount Probe.failureThreshold Probe.initialDelaySeconds Probe.periodSeconds
Probe.successThreshold Probe.timeoutSeconds *.minReadySeconds *.nodePort *.healthCheckNodePort *.sizeBytes
*.observedGeneration *.generation Status.code *.retryAfterSeconds CustomResourceColumnDefinition.priority
ScaleSpec.replicas *.numberAvailable *.numberUnavailable *.updatedNumberScheduled *.availableReplicas
*.readyReplicas *.fullyLabeledReplicas *.unavailableReplicas *.updatedReplicas DeploymentStatus.replicas
StatefulSetStatus.currentReplicas HorizontalPodAutoscalerStatus.currentReplicas JobStatus.active JobStatus.failed
JobStatus.succeeded ExactDeviceRequest.count DeviceSubRequest.count DeviceRequest.count ServiceBackendPort.number
"""
POINTER_INTS = "HorizontalPodAutoscalerStatus.observedGeneration"

# Required fields that are pointers.
REQUIRED_POINTERS = "HTTPIngressPath.pathType *.sideEffects"

# Pointers that are written even when unset.
WRITTEN_AS_NULL = """
AzureFilePersistentVolumeSource.secretNamespace ScaleIOPersistentVolumeSource.secretRef
"""

# Lists and maps of which the checks must see that they are there but empty. No such object is stored.
KEPT_WHEN_EMPTY = """
PersistentVolumeSpec.capacity PersistentVolumeClaimSpec.accessModes VolumeResourceRequirements.requests
HPAScalingRules.policies
"""

# Optional fields that are written even when empty.
ALWAYS_WRITTEN = """
Role.rules ClusterRole.rules EndpointSlice.endpoints EndpointSlice.ports StatefulSetSpec.serviceName StatefulSetStatus.availableReplicas TokenRequestSpec.audiences TokenRequestStatus.token
HorizontalPodAutoscalerStatus.currentMetrics ContainerImage.names core_v1.Event.reportingComponent core_v1.Event.reportingInstance
NodeRuntimeHandler.name ProjectedVolumeSource.sources ResourcePolicyRule.namespaces RoleRef.apiGroup resource_v1.AllocatedDeviceStatus.conditions
resource_v1.DeviceClaim.requests CSINodeDriver.topologyKeys PodFailurePolicyOnPodConditionsPattern.status StatefulSetOrdinals.start
FlowSchemaSpec.matchingPrecedence QueuingConfiguration.queues QueuingConfiguration.handSize QueuingConfiguration.queueLengthLimit PriorityClass.value
PodDisruptionBudgetStatus.disruptionsAllowed PodDisruptionBudgetStatus.currentHealthy PodDisruptionBudgetStatus.desiredHealthy
PodDisruptionBudgetStatus.expectedPods
"""

# Required fields that the reference leaves out when empty.
LEFT_OUT_WHEN_EMPTY = """
ValidatingAdmissionPolicyBindingSpec.policyName ValidatingAdmissionPolicyBindingSpec.validationActions TokenReviewSpec.token
ContainerRestartRule.action ContainerRestartRuleOnExitCodes.operator ImageVolumeStatus.imageRef PodCertificateProjection.keyType
PodCertificateProjection.signerName ParentReference.name ParentReference.resource CounterSet.counters DeviceCounterConsumption.counters
"""

# Optional booleans that are pointers.
POINTER_BOOLS = """
*.immutable *.optional *.automountServiceAccountToken *.enableServiceLinks *.hostUsers *.setHostnameAsFQDN
*.shareProcessNamespace *.suspend *.manualSelector *.controller *.blockOwnerDeletion *.orphanDependents
*.ignoreStoreReadErrorWithClusterBreakingPotential *.allowVolumeExpansion *.attachRequired *.podInfoOnMount
*.requiresRepublish *.seLinuxMount *.storageCapacity *.preventPodSchedulingIfMissing *.serviceAccountTokenInSecrets
*.started AzureDiskVolumeSource.readOnly CSIVolumeSource.readOnly *.runAsNonRoot *.allowPrivilegeEscalation
*.privileged *.readOnlyRootFilesystem *.hostProcess *.allocateLoadBalancerNodePorts EndpointConditions.ready
EndpointConditions.serving EndpointConditions.terminating NodeFeatures.supplementalGroupsPolicy
NodeRuntimeHandlerFeatures.recursiveReadOnlyMounts NodeRuntimeHandlerFeatures.userNamespaces
*.x-kubernetes-preserve-unknown-fields *.optionalOldSelf *.adminAccess *.allNodes *.bindsToNode
*.allowMultipleAllocations *.perDeviceNodeSelection DeviceAttribute.bool
"""

# Optional strings that are pointers: "" is not the same as unset.
POINTER_STRINGS = """
PersistentVolumeClaimSpec.storageClassName *.volumeAttributesClassName *.volumeMode *.currentVolumeAttributesClassName
TypedLocalObjectReference.apiGroup TypedObjectReference.apiGroup TypedObjectReference.namespace HostPathVolumeSource.type LocalVolumeSource.fsType
AzureDiskVolumeSource.cachingMode AzureDiskVolumeSource.fsType AzureDiskVolumeSource.kind *.secretNamespace CSIVolumeSource.fsType *.initiatorName
*.endpointsNamespace *.preemptionPolicy *.runtimeClassName *.hostnameOverride EndpointAddress.nodeName *.appProtocol Container.restartPolicy
EphemeralContainer.restartPolicy *.localhostProfile *.procMount *.fsGroupChangePolicy *.seLinuxChangePolicy *.supplementalGroupsPolicy
*.mountPropagation *.recursiveReadOnly *.gmsaCredentialSpec *.gmsaCredentialSpecName *.runAsUserName PodDNSConfigOption.value *.holderIdentity
LeaseSpec.strategy LeaseSpec.preferredHolder StorageClass.reclaimPolicy *.volumeBindingMode *.fsGroupPolicy
VolumeAttachmentSource.persistentVolumeName *.ingressClassName *.pathType *.failurePolicy *.matchPolicy *.reinvocationPolicy *.parameterNotFoundAction
*.scope *.timeZone *.completionMode *.managedBy *.podReplacementPolicy GRPCAction.service *.resourceClaimName *.resourceClaimTemplateName
Preconditions.uid Preconditions.resourceVersion *.propagationPolicy Endpoint.hostname Endpoint.nodeName Endpoint.zone discovery_v1.EndpointPort.name
discovery_v1.EndpointPort.protocol *.ipFamilyPolicy *.internalTrafficPolicy *.loadBalancerClass *.trafficDistribution *.ipMode PortStatus.error
IngressPortStatus.error IngressClassParametersReference.apiGroup IngressClassParametersReference.namespace WebhookClientConfig.url
ServiceReference.path *.succeededIndexes *.failedIndexes PodFailurePolicyOnExitCodesRequirement.containerName ResourceHealth.message *.shareID
resource_v1.Device.nodeName ResourceSliceSpec.nodeName *.extendedResourceName DeviceConstraint.distinctAttribute DeviceConstraint.matchAttribute
NodeAllocatableResourceMapping.capacityKey *.unhealthyPodEvictionPolicy *.stopSignal *.nodeAffinityPolicy *.nodeTaintsPolicy *.deprecationWarning
*.x-kubernetes-list-type *.x-kubernetes-map-type Validation.reason ClusterTrustBundleProjection.name ClusterTrustBundleProjection.signerName
NetworkPolicyPort.protocol *.labelSelectorPath VolumeMount.mountPropagation JSONSchemaProps.$ref PodSchedulingGroup.podGroupName ValidationRule.reason
HPAScalingRules.selectPolicy DeviceAttribute.string DeviceAttribute.version
"""


# Lists: "map keys… | set | atomic", then how a strategic merge patch treats them: merge[:key], +retainKeys, replace.
# What isn't here is atomic and replaced.
LISTS = """
ObjectMeta.ownerReferences                     map uid                             merge:uid
ObjectMeta.finalizers                          set                                 merge
Container.ports                                map containerPort,protocol          merge:containerPort
Container.env                                  map name                            merge:name
Container.volumeMounts                         map mountPath                       merge:mountPath
Container.volumeDevices                        map devicePath                      merge:devicePath
EphemeralContainer.ports                       map containerPort,protocol          merge:containerPort
EphemeralContainer.env                         map name                            merge:name
EphemeralContainer.volumeMounts                map mountPath                       merge:mountPath
EphemeralContainer.volumeDevices               map devicePath                      merge:devicePath
PodSpec.volumes                                map name                            merge:name+retainKeys
PodSpec.initContainers                         map name                            merge:name
PodSpec.containers                             map name                            merge:name
PodSpec.ephemeralContainers                    map name                            merge:name
PodSpec.imagePullSecrets                       map name                            merge:name
PodSpec.hostAliases                            map ip                              merge:ip
PodSpec.topologySpreadConstraints              map topologyKey,whenUnsatisfiable   merge:topologyKey
PodSpec.schedulingGates                        map name                            merge:name
PodSpec.resourceClaims                         map name                            merge:name+retainKeys
PodStatus.conditions                           map type                            merge:type
PodStatus.podIPs                               map ip                              merge:ip
PodStatus.hostIPs                              atomic                              merge:ip
PodStatus.resourceClaimStatuses                map name                            merge:name+retainKeys
ContainerStatus.volumeMounts                   map mountPath                       merge:mountPath
ContainerStatus.allocatedResourcesStatus       map name                            merge:name
ResourceStatus.resources                       map resourceID                      -
ResourceRequirements.claims                    map name                            -
PersistentVolumeClaimStatus.conditions         map type                            merge:type
NodeSpec.podCIDRs                              set                                 merge
NodeStatus.conditions                          map type                            merge:type
NodeStatus.addresses                           map type                            merge:type
NamespaceStatus.conditions                     map type                            merge:type
ServiceSpec.ports                              map port,protocol                   merge:port
ServiceStatus.conditions                       map type                            merge:type
ServiceAccount.secrets                         map name                            merge:name
ReplicationControllerStatus.conditions         map type                            merge:type
ComponentStatus.conditions                     map type                            merge:type
DeploymentStatus.conditions                    map type                            merge:type
DaemonSetStatus.conditions                     map type                            merge:type
ReplicaSetStatus.conditions                    map type                            merge:type
StatefulSetStatus.conditions                   map type                            merge:type
JobStatus.conditions                           atomic                              merge:type
UncountedTerminatedPods.failed                 set                                 -
UncountedTerminatedPods.succeeded              set                                 -
PodFailurePolicyOnExitCodesRequirement.values  set                                 -
HorizontalPodAutoscalerStatus.conditions       map type                            merge:type
PodDisruptionBudgetStatus.conditions           map type                            merge:type
ServiceCIDRStatus.conditions                   map type                            merge:type
CSINodeSpec.drivers                            map name                            merge:name
CSIDriverSpec.volumeLifecycleModes             set                                 -
Endpoint.addresses                             set                                 -
FlowSchemaStatus.conditions                    map type                            merge:type
PriorityLevelConfigurationStatus.conditions    map type                            merge:type
NonResourcePolicyRule.verbs                    set                                 -
NonResourcePolicyRule.nonResourceURLs          set                                 -
ResourcePolicyRule.verbs                       set                                 -
ResourcePolicyRule.apiGroups                   set                                 -
ResourcePolicyRule.resources                   set                                 -
ResourcePolicyRule.namespaces                  set                                 -
MutatingWebhookConfiguration.webhooks          map name                            merge:name
ValidatingWebhookConfiguration.webhooks        map name                            merge:name
*.matchConditions                              map name                            merge:name
ValidatingAdmissionPolicySpec.variables        map name                            merge:name
ContainerRestartRuleOnExitCodes.values         set -                               -
NodeAllocatableResourceClaimStatus.containers  set -                               -
ValidatingAdmissionPolicyStatus.conditions     map type                            -
ValidatingAdmissionPolicyBindingSpec.validationActions set                         -
CustomResourceDefinitionStatus.conditions      map type                            -
JSONSchemaProps.x-kubernetes-validations       map rule                            merge:rule
APIServiceStatus.conditions                    map type                            merge:type
CertificateSigningRequestStatus.conditions     map type                            -
PodCertificateRequestStatus.conditions         map type                            merge:type
StorageVersionMigrationStatus.conditions       map type                            merge:type
StorageVersionStatus.conditions                map type                            -
StorageVersionStatus.storageVersions           map apiServerID                     -
ServerStorageVersion.decodableVersions         set                                 -
ServerStorageVersion.servedVersions            set                                 -
AllocatedDeviceStatus.conditions               map type                            -
ResourceClaimStatus.reservedFor                map uid                             merge:uid
ResourceClaimStatus.devices                    map driver,device,pool,shareID      -
DeviceTaintRuleStatus.conditions               map type                            merge:type
PodGroupStatus.conditions                      map type                            merge:type
"""

# Structs and maps that a strategic merge patch doesn't simply merge.
STRUCT_STRATEGIES = {"DeploymentSpec.strategy": "retainKeys", "PodDisruptionBudgetSpec.selector": "replace"}

# Types that have one owner as a whole in server-side apply.
ATOMIC_TYPES = """
LabelSelector NodeSelector NodeSelectorTerm ObjectReference LocalObjectReference SecretReference
TypedLocalObjectReference ConfigMapKeySelector SecretKeySelector FileKeySelector ObjectFieldSelector
ResourceFieldSelector TopologySelectorTerm OwnerReference RoleRef rbac_v1.Subject ScopeSelector
autoscaling_v1.CrossVersionObjectReference ServiceBackendPort EndpointAddress core_v1.EndpointPort discovery_v1.EndpointPort
MatchResources Variable ParamKind ParamRef NamedRuleWithOperations
"""


# Fields whose map type differs from their type's, or is written out in OpenAPI.
MAP_TYPES = {
    "PersistentVolumeSpec.claimRef": "granular",
    "PersistentVolumeClaimStatus.allocatedResourceStatuses": "granular",
    "PodSpec.nodeSelector": "atomic",
    "ReplicationControllerSpec.selector": "atomic",
    "ServiceSpec.selector": "atomic",
    "Scheduling.nodeSelector": "atomic",
}

# Defaults written out in OpenAPI; server-side apply needs those of list keys.
DEFAULTS = {
    "ContainerPort.protocol": "TCP",
    "ServicePort.protocol": "TCP",
    "LocalObjectReference.name": "",
    "ConfigMapEnvSource.name": "",
    "ConfigMapKeySelector.name": "",
    "ConfigMapProjection.name": "",
    "ConfigMapVolumeSource.name": "",
    "SecretEnvSource.name": "",
    "SecretKeySelector.name": "",
    "SecretProjection.name": "",
    "FileKeySelector.optional": False,
    "RBDVolumeSource.pool": "rbd",
    "RBDVolumeSource.user": "admin",
    "RBDVolumeSource.keyring": "/etc/ceph/keyring",
    "RBDPersistentVolumeSource.pool": "rbd",
    "RBDPersistentVolumeSource.user": "admin",
    "RBDPersistentVolumeSource.keyring": "/etc/ceph/keyring",
    "ISCSIVolumeSource.iscsiInterface": "default",
    "ISCSIPersistentVolumeSource.iscsiInterface": "default",
    "ScaleIOVolumeSource.storageMode": "ThinProvisioned",
    "ScaleIOVolumeSource.fsType": "xfs",
    "ScaleIOPersistentVolumeSource.storageMode": "ThinProvisioned",
    "ScaleIOPersistentVolumeSource.fsType": "xfs",
    "AzureDiskVolumeSource.cachingMode": "ReadWrite",
    "AzureDiskVolumeSource.fsType": "ext4",
    "AzureDiskVolumeSource.kind": "Shared",
    "AzureDiskVolumeSource.readOnly": False,
    "ReplicationControllerSpec.replicas": 1,
    "ReplicationControllerSpec.minReadySeconds": 0,
    "DeviceToleration.operator": "Equal",
    "GRPCAction.service": "",
}

# String types with a name of their own in the reference: field, name, values ("" alone: no enumeration).
ENUMS = """
PersistentVolumeClaimSpec.accessModes   PersistentVolumeAccessMode  ReadOnlyMany ReadWriteMany ReadWriteOnce ReadWriteOncePod
PersistentVolumeClaimStatus.accessModes PersistentVolumeAccessMode  ReadOnlyMany ReadWriteMany ReadWriteOnce ReadWriteOncePod
PersistentVolumeSpec.accessModes        PersistentVolumeAccessMode  ReadOnlyMany ReadWriteMany ReadWriteOnce ReadWriteOncePod
*.volumeMode                            PersistentVolumeMode        Block Filesystem
PersistentVolumeClaimStatus.phase       PersistentVolumeClaimPhase  Bound Lost Pending
PersistentVolumeClaimStatus.allocatedResourceStatuses ClaimResourceStatus ControllerResizeInProgress ControllerResizeInfeasible NodeResizeInProgress NodeResizeInfeasible NodeResizePending
PersistentVolumeSpec.persistentVolumeReclaimPolicy PersistentVolumeReclaimPolicy Delete Recycle Retain
PersistentVolumeStatus.phase            PersistentVolumePhase       Available Bound Failed Pending Released
StorageClass.reclaimPolicy              PersistentVolumeReclaimPolicy Delete Recycle Retain
StorageClass.volumeBindingMode          VolumeBindingMode           Immediate WaitForFirstConsumer
HostPathVolumeSource.type               HostPathType                BlockDevice CharDevice Directory DirectoryOrCreate File FileOrCreate Socket
AzureDiskVolumeSource.cachingMode       AzureDataDiskCachingMode    None ReadOnly ReadWrite
AzureDiskVolumeSource.kind              AzureDataDiskKind           Dedicated Managed Shared
ModifyVolumeStatus.status               PersistentVolumeClaimModifyVolumeStatus InProgress Infeasible Pending
NamespaceStatus.phase                   NamespacePhase              Active Terminating
PodStatus.phase                         PodPhase                    Failed Pending Running Succeeded Unknown
PodStatus.qosClass                      PodQOSClass                 BestEffort Burstable Guaranteed
PodSpec.restartPolicy                   RestartPolicy               Always Never OnFailure
PodSpec.dnsPolicy                       DNSPolicy                   ClusterFirst ClusterFirstWithHostNet Default None
PodSpec.preemptionPolicy                PreemptionPolicy            Never PreemptLowerPriority
PriorityClass.preemptionPolicy          PreemptionPolicy            Never PreemptLowerPriority
Container.imagePullPolicy               PullPolicy                  Always IfNotPresent Never
EphemeralContainer.imagePullPolicy      PullPolicy                  Always IfNotPresent Never
ImageVolumeSource.pullPolicy            PullPolicy                  Always IfNotPresent Never
Container.terminationMessagePolicy      TerminationMessagePolicy    FallbackToLogsOnError File
EphemeralContainer.terminationMessagePolicy TerminationMessagePolicy FallbackToLogsOnError File
ContainerPort.protocol                  Protocol                    SCTP TCP UDP
ServicePort.protocol                    Protocol                    SCTP TCP UDP
core_v1.EndpointPort.protocol           Protocol                    SCTP TCP UDP
NetworkPolicyPort.protocol              Protocol                    SCTP TCP UDP
HTTPGetAction.scheme                    URIScheme                   HTTP HTTPS
Taint.effect                            TaintEffect                 NoExecute NoSchedule PreferNoSchedule
Toleration.effect                       TaintEffect                 NoExecute NoSchedule PreferNoSchedule
Toleration.operator                     TolerationOperator          Equal Exists Gt Lt
NodeSelectorRequirement.operator        NodeSelectorOperator        DoesNotExist Exists Gt In Lt NotIn
NodeStatus.phase                        NodePhase                   Pending Running Terminated
ServiceSpec.type                        ServiceType                 ClusterIP ExternalName LoadBalancer NodePort
ServiceSpec.sessionAffinity             ServiceAffinity             ClientIP None
ServiceSpec.externalTrafficPolicy       ServiceExternalTrafficPolicy Cluster Local
ServiceSpec.internalTrafficPolicy       ServiceInternalTrafficPolicy Cluster Local
ServiceSpec.ipFamilyPolicy              IPFamilyPolicy              PreferDualStack RequireDualStack SingleStack
TopologySpreadConstraint.whenUnsatisfiable UnsatisfiableConstraintAction DoNotSchedule ScheduleAnyway
VolumeMount.mountPropagation            MountPropagationMode        Bidirectional HostToContainer None
SecurityContext.procMount               ProcMountType               Default Unmasked
PodSecurityContext.fsGroupChangePolicy  PodFSGroupChangePolicy      Always OnRootMismatch
SeccompProfile.type                     SeccompProfileType          Localhost RuntimeDefault Unconfined
AppArmorProfile.type                    AppArmorProfileType         Localhost RuntimeDefault Unconfined
DeploymentStrategy.type                 DeploymentStrategyType      Recreate RollingUpdate
DaemonSetUpdateStrategy.type            DaemonSetUpdateStrategyType OnDelete RollingUpdate
StatefulSetUpdateStrategy.type          StatefulSetUpdateStrategyType OnDelete RollingUpdate
StatefulSetSpec.podManagementPolicy     PodManagementPolicyType     OrderedReady Parallel
CronJobSpec.concurrencyPolicy           ConcurrencyPolicy           Allow Forbid Replace
JobSpec.completionMode                  CompletionMode              Indexed NonIndexed
HTTPIngressPath.pathType                PathType                    Exact ImplementationSpecific Prefix
ResourceQuotaSpec.scopes                ResourceQuotaScope          BestEffort CrossNamespacePodAffinity NotBestEffort NotTerminating PriorityClass Terminating VolumeAttributesClass
LeaseSpec.strategy                      CoordinatedLeaseStrategy    -
NamespaceSpec.finalizers                FinalizerName               -
Secret.type                             SecretType                  -
CSIDriverSpec.fsGroupPolicy             FSGroupPolicy               -
CSIDriverSpec.volumeLifecycleModes      VolumeLifecycleMode         -
PersistentVolumeClaimCondition.type     PersistentVolumeClaimConditionType -
PersistentVolumeClaimCondition.status   ConditionStatus             -
PodCondition.status                     ConditionStatus             -
PodCondition.type                       PodConditionType            -
NodeCondition.status                    ConditionStatus             -
NodeCondition.type                      NodeConditionType           -
NodeAddress.type                        NodeAddressType             -
ObjectReference.uid                     UID                         -
ObjectMeta.uid                          UID                         -
OwnerReference.uid                      UID                         -
ManagedFieldsEntry.operation            ManagedFieldsOperationType  -
LabelSelectorRequirement.operator       LabelSelectorOperator       -
NodeSelectorRequirement.operator        NodeSelectorOperator        DoesNotExist Exists Gt In Lt NotIn
"""


# Types that are plain values on the wire.
SCALARS = {
    "meta_v1.Time": "time",
    "meta_v1.MicroTime": "microtime",
    "resource.Quantity": "quantity",
    "util_intstr.IntOrString": "intorstring",
    "meta_v1.FieldsV1": "any",
    "meta_v1.Patch": "any",
    "runtime.RawExtension": "any",
    "apiextensions_v1.JSON": "any",
    "apiextensions_v1.JSONSchemaPropsOrArray": "any",
    "apiextensions_v1.JSONSchemaPropsOrBool": "any",
    "apiextensions_v1.JSONSchemaPropsOrStringArray": "any",
    "apiextensions_v1.CustomResourceSubresourceStatus": "any",
    "apiserverinternal_v1alpha1.StorageVersionSpec": "any",
    "scheduling_v1alpha2.BasicSchedulingPolicy": "any",
}

# The order in which the reference writes the fields of every object.
FIELD_ORDER = (
    "kind apiVersion metadata spec status name generateName namespace selfLink uid resourceVersion generation "
    "creationTimestamp deletionTimestamp deletionGracePeriodSeconds labels annotations ownerReferences finalizers "
    "managedFields"
).split()

# lightkube module without its version -> prefix of the schema's name, where it isn't io.k8s.api.MODULE.
PACKAGES_OF_GROUPS = {
    "meta": "io.k8s.apimachinery.pkg.apis.meta",
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
}

# Modules that belong to no group and version: the whole module -> prefix of the schema's name.
PACKAGES = {
    "version": "io.k8s.apimachinery.pkg.version",
    "resource": "io.k8s.apimachinery.pkg.api.resource",
    "util_intstr": "io.k8s.apimachinery.pkg.util.intstr",
    "runtime": "io.k8s.apimachinery.pkg.runtime",
}
