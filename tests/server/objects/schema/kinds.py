"""A few kinds as bare declarations: only the parts that decoding, patching and merging read."""

from __future__ import annotations

from pvbinder.model.resources import (
    CONFIG_MAPS,
    NAMESPACES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SECRETS,
    STORAGE_CLASSES,
)
from pvbinder.server.objects.kind import ServedKind

CONFIG_MAP = ServedKind(CONFIG_MAPS, "configmap", "io.k8s.api.core.v1.ConfigMap")
NAMESPACE = ServedKind(NAMESPACES, "namespace", "io.k8s.api.core.v1.Namespace")
SECRET = ServedKind(SECRETS, "secret", "io.k8s.api.core.v1.Secret")
POD = ServedKind(PODS, "pod", "io.k8s.api.core.v1.Pod")
CLAIM = ServedKind(PERSISTENT_VOLUME_CLAIMS, "persistentvolumeclaim", "io.k8s.api.core.v1.PersistentVolumeClaim")
VOLUME = ServedKind(PERSISTENT_VOLUMES, "persistentvolume", "io.k8s.api.core.v1.PersistentVolume")
STORAGE_CLASS = ServedKind(STORAGE_CLASSES, "storageclass", "io.k8s.api.storage.v1.StorageClass")
